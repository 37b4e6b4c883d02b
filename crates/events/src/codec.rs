//! The only codec. It writes Avro single-object encoding, and reads that or JSON of the same types.
//!
//! Layout: the marker `C3 01`, the CRC-64-AVRO fingerprint of the schema (8 bytes, little endian), the datum
//! (Apache Avro specification, "Single-object encoding").

use std::io::BufRead;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_avro_fast::Schema;
use serde_avro_fast::ser::SerializerConfig;

/// The longest encoded record, in bytes.
pub const RECORD_BYTES_MAX: usize = 16 * 1024 * 1024;

const HEADER_BYTES: usize = 10;
const MARKER: [u8; 2] = [0xC3, 0x01];

/// A record kind: a type with its schema file in `schemas/`.
pub trait Record: Serialize + DeserializeOwned {
    /// The parsed schemas of all versions, the current one first. A field that a version adds has a default, for records of
    /// older versions.
    fn schemas() -> &'static [Schema];

    /// The schema of the current version, with which records are written.
    fn schema() -> &'static Schema {
        &Self::schemas()[0]
    }

    /// Checks what the schema cannot express, such as indexes into the record's own tables.
    ///
    /// # Errors
    /// With the field and the reason.
    fn validate(&self) -> Result<(), String> {
        Ok(())
    }
}

/// Why bytes are not a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Longer than [`RECORD_BYTES_MAX`].
    #[error("the record has {0} bytes, at most {RECORD_BYTES_MAX} are accepted")]
    TooLong(usize),
    /// Neither Avro single-object encoding nor a JSON object.
    #[error("the record starts neither with the Avro marker C3 01 nor with a JSON object")]
    NoMarker,
    /// Avro, but with the schema of another record kind.
    #[error(
        "the schema fingerprint {found} belongs to no version of this record kind; the current version has {expected}"
    )]
    Fingerprint {
        /// The fingerprint in the record, in hexadecimal.
        found: String,
        /// The fingerprint of the current schema, in hexadecimal.
        expected: String,
    },
    /// The datum does not follow its schema.
    #[error("the record does not follow its schema: {0}")]
    Datum(String),
    /// The record follows its schema but contradicts itself.
    #[error("the record contradicts itself: {0}")]
    Invalid(String),
}

/// Encodes a record. An error means that the Rust type and its schema differ, which a test excludes, or that a
/// number exceeds 2⁶³ − 1.
///
/// # Errors
/// With the field that did not fit its schema.
pub fn encode<R: Record>(record: &R) -> Result<Vec<u8>, DecodeError> {
    serde_avro_fast::to_single_object_vec(record, &mut SerializerConfig::new(R::schema()))
        .map_err(|error| DecodeError::Datum(error.to_string()))
}

/// Decodes a record from Avro single-object encoding, or from JSON when the bytes start with `{`.
///
/// # Errors
/// When the bytes are too long, of another schema, malformed, followed by more bytes, or contradict themselves.
pub fn decode<R: Record>(bytes: &[u8]) -> Result<R, DecodeError> {
    if bytes.len() > RECORD_BYTES_MAX {
        return Err(DecodeError::TooLong(bytes.len()));
    }
    let record: R = if bytes.starts_with(&MARKER) {
        decode_avro(bytes)?
    } else if bytes.trim_ascii_start().starts_with(b"{") {
        serde_json::from_slice(bytes).map_err(|error| DecodeError::Datum(error.to_string()))?
    } else {
        return Err(DecodeError::NoMarker);
    };
    record.validate().map_err(DecodeError::Invalid)?;
    Ok(record)
}

fn decode_avro<R: Record>(bytes: &[u8]) -> Result<R, DecodeError> {
    let (header, datum) = bytes.split_at_checked(HEADER_BYTES).ok_or(DecodeError::NoMarker)?;
    let fingerprint = &header[MARKER.len()..];
    let written_by = R::schemas().iter().find(|schema| schema.rabin_fingerprint()[..] == *fingerprint);
    let Some(schema) = written_by else {
        return Err(DecodeError::Fingerprint {
            found: hexadecimal(fingerprint),
            expected: hexadecimal(R::schema().rabin_fingerprint()),
        });
    };
    let mut state = serde_avro_fast::de::DeserializerState::with_config(
        serde_avro_fast::de::read::SliceRead::new(datum),
        {
            let mut config = serde_avro_fast::de::DeserializerConfig::new(schema);
            config.max_seq_size = RECORD_BYTES_MAX;
            config
        },
    );
    let record =
        R::deserialize(state.deserializer()).map_err(|error| DecodeError::Datum(error.to_string()))?;
    let rest = state.into_reader().fill_buf().map_or(0, <[u8]>::len);
    if rest > 0 {
        return Err(DecodeError::Datum(format!("{rest} bytes follow the record")));
    }
    Ok(record)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Names the schema file of a record kind, then those of its older versions, and parses each once.
macro_rules! record {
    ($record:ty, $file:literal $(, $validate:path)? $(; $older:literal)*) => {
        impl $crate::codec::Record for $record {
            fn schemas() -> &'static [serde_avro_fast::Schema] {
                static SCHEMAS: std::sync::LazyLock<Vec<serde_avro_fast::Schema>> = std::sync::LazyLock::new(|| {
                    let parse = $crate::codec::parse_schema;
                    vec![
                        parse(include_str!(concat!("../../../../schemas/", $file)), $file),
                        $(parse(include_str!(concat!("../../../../schemas/", $older)), $older),)*
                    ]
                });
                &SCHEMAS
            }
            $(fn validate(&self) -> Result<(), String> {
                $validate(self)
            })?
        }
    };
}
pub(crate) use record;

/// Parses a schema that is compiled in.
#[expect(clippy::panic, reason = "the schemas are part of the program; a test parses each")]
pub(crate) fn parse_schema(text: &str, file: &str) -> Schema {
    text.parse().unwrap_or_else(|error| panic!("schemas/{file}: {error}"))
}
