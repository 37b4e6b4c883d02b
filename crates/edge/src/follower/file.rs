//! The file of the last valid table: records, each with its length and its CRC.
//!
//! A record is its length (4 bytes, little endian), the CRC-32 of its bytes (the same), and its bytes. A file is replaced by
//! writing beside it and renaming, and grows by appending. Everything after the first damaged record is ignored.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::Path;

const HEAD_BYTES: usize = 8;

/// The content of a file.
#[derive(Debug)]
pub(super) struct Contents {
    /// The records before the first damaged one.
    pub(super) records: Vec<Vec<u8>>,
    /// Whether damaged or incomplete bytes follow them.
    pub(super) is_damaged: bool,
}

/// Reads a file.
pub(super) fn read(path: &Path) -> io::Result<Contents> {
    let bytes = std::fs::read(path)?;
    let (mut rest, mut records) = (&bytes[..], Vec::new());
    while let Some((record, after)) = first_record(rest) {
        records.push(record.to_vec());
        rest = after;
    }
    Ok(Contents { records, is_damaged: !rest.is_empty() })
}

/// Replaces a file durably, and creates its folder if it does not exist. Returns its length.
pub(super) fn replace(path: &Path, records: &[Vec<u8>]) -> io::Result<u64> {
    let folder =
        path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    std::fs::create_dir_all(folder)?;
    let beside = path.with_extension("new");
    let mut file = BufWriter::new(File::create(&beside)?);
    let length = write(&mut file, records)?;
    file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    std::fs::rename(&beside, path)?;
    // The rename itself is durable only once the folder is.
    File::open(folder)?.sync_all()?;
    Ok(length)
}

/// Appends to a file of a known length, durably. Returns its new length. After an error the file may end in a damaged
/// record, so it has to be replaced.
pub(super) fn append(path: &Path, length: u64, records: &[Vec<u8>]) -> io::Result<u64> {
    let file = OpenOptions::new().append(true).open(path)?;
    let found = file.metadata()?.len();
    if found != length {
        return Err(io::Error::other(format!("the file has {found} bytes, {length} were written")));
    }
    let mut file = BufWriter::new(file);
    let appended = write(&mut file, records)?;
    file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_data()?;
    Ok(length + appended)
}

/// The number of bytes that records take in a file.
pub(super) fn bytes_of(records: &[Vec<u8>]) -> u64 {
    records.iter().map(|record| (HEAD_BYTES + record.len()) as u64).sum()
}

fn write(file: &mut impl Write, records: &[Vec<u8>]) -> io::Result<u64> {
    for record in records {
        let length = u32::try_from(record.len()).map_err(io::Error::other)?;
        file.write_all(&length.to_le_bytes())?;
        file.write_all(&crc32fast::hash(record).to_le_bytes())?;
        file.write_all(record)?;
    }
    Ok(bytes_of(records))
}

fn first_record(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (crc, rest) = rest.split_first_chunk::<4>()?;
    let (record, after) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    (crc32fast::hash(record) == u32::from_le_bytes(*crc)).then_some((record, after))
}
