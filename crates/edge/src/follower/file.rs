//! The last good table on disk.
//!
//! The file is a row of records, each its length (4 bytes, little endian) and one `Frame<Snapshot>` in Avro
//! single-object encoding. A table that is too great for one record is cut into full snapshots of some thousand
//! entries, one a frame chunk, which reading puts together again. The digest in each frame is the CRC-32 of the
//! encoded items of all chunks, in order.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use spillway_events::{Frame, RECORD_BYTES_MAX, Snapshot, decode, encode};

const ENTRIES_PER_CHUNK: usize = 4_096;

/// Why the table on disk cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file system does not do it.
    #[error("{path}: the file cannot be used")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// What is in the file is not what was written.
    #[error("{path}: the saved table is damaged: {reason}; delete the file to start from the log")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The table does not fit the record format.
    #[error("{path}: the table cannot be encoded: {reason}")]
    Encoding {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl StoreError {
    /// Whether there simply is no file yet.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    pub(super) fn damaged(path: &Path, reason: String) -> Self {
        Self::Damaged { path: path.to_owned(), reason }
    }
}

pub(super) fn write(path: &Path, snapshot: &Snapshot) -> Result<(), StoreError> {
    let records =
        records(snapshot).map_err(|reason| StoreError::Encoding { path: path.to_owned(), reason })?;
    write_durably(path, &records).map_err(|source| StoreError::Io { path: path.to_owned(), source })
}

pub(super) fn read(path: &Path) -> Result<Snapshot, StoreError> {
    let bytes = std::fs::read(path).map_err(|source| StoreError::Io { path: path.to_owned(), source })?;
    snapshot(&bytes).map_err(|reason| StoreError::damaged(path, reason))
}

fn write_durably(path: &Path, records: &[Vec<u8>]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = io::BufWriter::new(File::create(&beside)?);
    for record in records {
        let length = u32::try_from(record.len()).map_err(io::Error::other)?;
        file.write_all(&length.to_le_bytes())?;
        file.write_all(record)?;
    }
    file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    std::fs::rename(&beside, path)?;
    // The rename itself is durable only once the folder is.
    let folder =
        path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    File::open(folder)?.sync_all()
}

fn records(snapshot: &Snapshot) -> Result<Vec<Vec<u8>>, String> {
    let parts = cut(snapshot);
    let chunks = u32::try_from(parts.len()).map_err(|error| error.to_string())?;
    let (mut hasher, mut all_items) = (crc32fast::Hasher::new(), Vec::with_capacity(parts.len()));
    for (chunk, part) in (0..chunks).zip(parts) {
        let frame = Frame { tick: snapshot.version, chunk, chunks, digest: 0, items: vec![part] };
        let head_bytes = head(&frame)?.len();
        let items = encode(&frame).map_err(|error| error.to_string())?.split_off(head_bytes);
        hasher.update(&items);
        all_items.push(items);
    }
    let digest = hasher.finalize();
    let records = (0..chunks).zip(all_items).map(|(chunk, items)| {
        let mut record = head(&Frame { tick: snapshot.version, chunk, chunks, digest, items: Vec::new() })?;
        record.extend(items);
        if record.len() > RECORD_BYTES_MAX {
            return Err(format!("a chunk has {} bytes, at most {RECORD_BYTES_MAX} are read", record.len()));
        }
        Ok(record)
    });
    records.collect()
}

fn snapshot(bytes: &[u8]) -> Result<Snapshot, String> {
    let ends_early = || String::from("it ends early");
    let mut frames: Vec<Frame<Snapshot>> = Vec::new();
    let (mut rest, mut hasher) = (bytes, crc32fast::Hasher::new());
    while !rest.is_empty() {
        let (length, after) = rest.split_first_chunk::<4>().ok_or_else(ends_early)?;
        let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|error| error.to_string())?;
        let (record, after) = after.split_at_checked(length).ok_or_else(ends_early)?;
        let frame = decode(record).map_err(|error| error.to_string())?;
        hasher.update(record.get(head(&frame)?.len()..).unwrap_or_default());
        frames.push(frame);
        rest = after;
    }
    let expected = frames.first().ok_or_else(|| String::from("it is empty"))?.digest;
    let in_place = |(at, frame): (usize, &Frame<Snapshot>)| {
        let placed = frame.chunk as usize == at && frame.chunks as usize == frames.len();
        placed && frame.digest == expected && frame.items.iter().all(|item| item.version == frame.tick)
    };
    if !frames.iter().enumerate().all(in_place) {
        return Err(String::from("its chunks are not those of one frame"));
    }
    let computed = hasher.finalize();
    if computed != expected {
        return Err(format!("its CRC is {computed:08x}, it should be {expected:08x}"));
    }
    join(frames.into_iter().flat_map(|frame| frame.items)).ok_or_else(|| String::from("it holds no snapshot"))
}

/// The encoded frame up to its items: an empty frame without the byte that ends its items.
fn head(frame: &Frame<Snapshot>) -> Result<Vec<u8>, String> {
    let Frame { tick, chunk, chunks, digest, .. } = *frame;
    let mut bytes = encode(&Frame::<Snapshot> { tick, chunk, chunks, digest, items: Vec::new() })
        .map_err(|error| error.to_string())?;
    bytes.pop();
    Ok(bytes)
}

/// Parts that share the head and divide the entries; at least one.
fn cut(whole: &Snapshot) -> Vec<Snapshot> {
    let mut sites = whole.sites.chunks(ENTRIES_PER_CHUNK);
    let mut networks = whole.networks.chunks(ENTRIES_PER_CHUNK);
    let mut routes = whole.routes.chunks(ENTRIES_PER_CHUNK);
    let mut parts = Vec::new();
    loop {
        let next = (sites.next(), networks.next(), routes.next());
        if next == (None, None, None) && !parts.is_empty() {
            return parts;
        }
        parts.push(Snapshot {
            kind: whole.kind,
            version: whole.version,
            base: whole.base,
            at_us: whole.at_us,
            digest: whole.digest.clone(),
            revision: whole.revision,
            sites: next.0.unwrap_or_default().to_vec(),
            sites_gone: Vec::new(),
            networks: next.1.unwrap_or_default().to_vec(),
            networks_gone: Vec::new(),
            routes: next.2.unwrap_or_default().to_vec(),
            routes_gone: Vec::new(),
        });
    }
}

fn join(mut parts: impl Iterator<Item = Snapshot>) -> Option<Snapshot> {
    let first = parts.next()?;
    Some(parts.fold(first, |mut whole, part| {
        whole.sites.extend(part.sites);
        whole.networks.extend(part.networks);
        whole.routes.extend(part.routes);
        whole
    }))
}
