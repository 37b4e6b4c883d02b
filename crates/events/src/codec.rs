//! The only codec. It writes Avro single-object encoding, and reads that or JSON of the same types.
//!
//! Layout: the marker `C3 01`, the CRC-64-AVRO fingerprint of the schema (8 bytes, little endian), the datum
//! (Apache Avro specification, "Single-object encoding").

use std::io::BufRead;

use serde::Serialize;
use serde::de::{Deserialize, DeserializeOwned};
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

    /// The record in Avro single-object encoding.
    ///
    /// # Errors
    /// With the field that did not fit its schema.
    fn encode_avro(&self) -> Result<Vec<u8>, DecodeError> {
        encode_serialized(self, Self::schema())
    }

    /// The record of an Avro datum that was written with one of [`Record::schemas`].
    ///
    /// # Errors
    /// When the datum is malformed.
    fn decode_datum(schema: &Schema, datum: &[u8]) -> Result<Self, DecodeError> {
        decode_datum(schema, datum)
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
    record.encode_avro()
}

pub(crate) fn encode_serialized(record: &impl Serialize, schema: &Schema) -> Result<Vec<u8>, DecodeError> {
    serde_avro_fast::to_single_object_vec(record, &mut SerializerConfig::new(schema))
        .map_err(|error| DecodeError::Datum(error.to_string()))
}

/// Decodes a record from Avro single-object encoding, or from JSON when the bytes start with `{`.
///
/// # Errors
/// When the bytes are too long, of another schema, malformed, followed by more bytes, or contradict themselves.
pub fn decode<R: Record>(bytes: &[u8]) -> Result<R, DecodeError> {
    check_length(bytes)?;
    let record: R = if is_avro(bytes) {
        let (schema, datum) = split_single_object::<R>(bytes)?;
        R::decode_datum(schema, datum)?
    } else if bytes.trim_ascii_start().starts_with(b"{") {
        serde_json::from_slice(bytes).map_err(|error| DecodeError::Datum(error.to_string()))?
    } else {
        return Err(DecodeError::NoMarker);
    };
    record.validate().map_err(DecodeError::Invalid)?;
    Ok(record)
}

/// Whether bytes begin with the marker of Avro single-object encoding.
#[must_use]
pub fn is_avro(bytes: &[u8]) -> bool {
    bytes.starts_with(&MARKER)
}

/// Decodes Avro single-object encoding of a record kind to a type that borrows from it.
pub(crate) fn decode_single_object<'a, R: Record, T: Deserialize<'a>>(
    bytes: &'a [u8],
) -> Result<T, DecodeError> {
    check_length(bytes)?;
    let (schema, datum) = split_single_object::<R>(bytes)?;
    decode_datum(schema, datum)
}

fn check_length(bytes: &[u8]) -> Result<(), DecodeError> {
    if bytes.len() > RECORD_BYTES_MAX { Err(DecodeError::TooLong(bytes.len())) } else { Ok(()) }
}

/// The schema that a record was written with, and its datum.
fn split_single_object<R: Record>(bytes: &[u8]) -> Result<(&'static Schema, &[u8]), DecodeError> {
    let (header, datum) = bytes.split_at_checked(HEADER_BYTES).ok_or(DecodeError::NoMarker)?;
    let fingerprint = header.strip_prefix(&MARKER).ok_or(DecodeError::NoMarker)?;
    let written_by = R::schemas().iter().find(|schema| schema.rabin_fingerprint()[..] == *fingerprint);
    let unknown = || DecodeError::Fingerprint {
        found: hexadecimal(fingerprint),
        expected: hexadecimal(R::schema().rabin_fingerprint()),
    };
    Ok((written_by.ok_or_else(unknown)?, datum))
}

pub(crate) fn decode_datum<'a, T: Deserialize<'a>>(
    schema: &Schema,
    datum: &'a [u8],
) -> Result<T, DecodeError> {
    let mut config = serde_avro_fast::de::DeserializerConfig::new(schema);
    config.max_seq_size = RECORD_BYTES_MAX;
    let reader = serde_avro_fast::de::read::SliceRead::new(datum);
    let mut state = serde_avro_fast::de::DeserializerState::with_config(reader, config);
    let record =
        T::deserialize(state.deserializer()).map_err(|error| DecodeError::Datum(error.to_string()))?;
    let rest = state.into_reader().fill_buf().map_or(0, <[u8]>::len);
    if rest > 0 {
        return Err(DecodeError::Datum(format!("{rest} bytes follow the record")));
    }
    Ok(record)
}

/// Appends an Avro long: zigzag, 7 bits a byte.
#[inline]
pub(crate) fn put_long(bytes: &mut Vec<u8>, number: i64) {
    let mut rest = (number << 1 ^ number >> 63).cast_unsigned();
    if rest < 1 << 56 {
        // Nearly all numbers have at most 8 bytes, which are made at once: groups of 28, 14 and 7 bits move to their places.
        let bits = u64::BITS - (rest | 1).leading_zeros();
        let length = bits.div_ceil(7);
        rest = rest & 0x0000_0000_0FFF_FFFF | (rest & 0x00FF_FFFF_F000_0000) << 4;
        rest = rest & 0x0000_3FFF_0000_3FFF | (rest & 0x0FFF_C000_0FFF_C000) << 2;
        rest = rest & 0x007F_007F_007F_007F | (rest & 0x3F80_3F80_3F80_3F80) << 1;
        let another_follows = 0x8080_8080_8080_8080 & ((1 << (8 * (length - 1))) - 1);
        let end = bytes.len() + length as usize;
        bytes.extend_from_slice(&(rest | another_follows).to_le_bytes());
        bytes.truncate(end);
        return;
    }
    while rest >= 0x80 {
        bytes.push((rest & 0x7F) as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push((rest & 0x7F) as u8);
}

/// Appends a number as an Avro long.
///
/// # Errors
/// If it is greater than 2⁶³ − 1.
#[inline]
pub(crate) fn put_count(bytes: &mut Vec<u8>, number: u64) -> Result<(), DecodeError> {
    let too_great = |_| DecodeError::Datum(format!("{number} is greater than 2^63 - 1"));
    put_long(bytes, i64::try_from(number).map_err(too_great)?);
    Ok(())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The schemas of a record kind: the file of the current version, then those of older ones. Each is parsed once.
macro_rules! schemas {
    ($($file:literal),+) => {{
        static SCHEMAS: std::sync::LazyLock<Vec<serde_avro_fast::Schema>> = std::sync::LazyLock::new(|| {
            vec![$($crate::codec::parse_schema(
                include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../schemas/", $file)),
                $file,
            )),+]
        });
        &SCHEMAS
    }};
}
pub(crate) use schemas;

/// Implements [`Record`] with a schema file, a check if there is one, and the files of older versions.
macro_rules! record {
    ($record:ty, $file:literal $(, $validate:path)? $(; $older:literal)*) => {
        impl $crate::codec::Record for $record {
            fn schemas() -> &'static [serde_avro_fast::Schema] {
                $crate::codec::schemas!($file $(, $older)*)
            }
            $(fn validate(&self) -> Result<(), String> {
                $validate(self)
            })?
        }
    };
}
pub(crate) use record;

/// The schema of the items of a schema file's last field, which is an array. It is parsed once.
macro_rules! item_schema {
    ($file:literal) => {{
        static SCHEMA: std::sync::LazyLock<serde_avro_fast::Schema> = std::sync::LazyLock::new(|| {
            $crate::codec::parse_item_schema(
                include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../schemas/", $file)),
                $file,
            )
        });
        &SCHEMA
    }};
}
pub(crate) use item_schema;

/// Parses the schema of the items of the array that is the last field of a schema that is compiled in. The fields before it
/// define no names.
pub(crate) fn parse_item_schema(text: &str, file: &str) -> Schema {
    let schema: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    let last = schema["fields"].as_array().and_then(|fields| fields.last());
    parse_schema(&last.map_or(String::new(), |field| field["type"]["items"].to_string()), file)
}

/// Parses the schema of one kind of the items of a frame whose items are of several kinds. It uses no name that another defines.
pub(crate) fn parse_branch_schema(text: &str, kind: &str) -> Schema {
    let schema: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    let last = schema["fields"].as_array().and_then(|fields| fields.last());
    let kinds = last.and_then(|field| field["type"]["items"].as_array());
    let of_kind = kinds.and_then(|kinds| kinds.iter().find(|of| of["name"] == kind));
    parse_schema(&of_kind.map_or_else(String::new, ToString::to_string), kind)
}

/// Parses a schema that is compiled in.
#[expect(clippy::panic, reason = "the schemas are part of the program; a test parses each")]
pub(crate) fn parse_schema(text: &str, file: &str) -> Schema {
    text.parse().unwrap_or_else(|error| panic!("schemas/{file}: {error}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_avro_fast::ser::SerializerConfig;

    use super::*;

    proptest! {
        #[test]
        fn longs_of_every_length_are_those_of_avro(number in any::<i64>(), shift in 0..64_u32, before in any::<Vec<u8>>()) {
            let number = number >> shift;
            let mut bytes = before.clone();
            put_long(&mut bytes, number);
            let schema: Schema = "\"long\"".parse().unwrap();
            let expected = serde_avro_fast::to_datum_vec(&number, &mut SerializerConfig::new(&schema)).unwrap();
            prop_assert_eq!(bytes, [before, expected].concat());
        }
    }
}
