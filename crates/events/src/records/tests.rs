//! Compares each record kind with its schema file in both directions, and decodes damaged bytes.
//!
//! The derived schema of the Rust type and the file are compared field by field after documentation and name
//! spaces are removed, so that neither has a field that the other lacks; then values are encoded and decoded.

use proptest::prelude::*;
use serde_avro_derive::BuildSchema;
use serde_json::Value as Json;

use crate::codec::Record;
use crate::*;

/// Keeps the parts of a schema that determine the encoding: types, names without name space, fields, symbols.
fn essence(schema: &Json) -> Json {
    match schema {
        Json::Object(object) => {
            if !object.contains_key("name") && object["type"].is_object() {
                return essence(&object["type"]);
            }
            let keep = ["type", "name", "fields", "symbols", "items", "size"];
            let entries = object.iter().filter(|(key, _)| keep.contains(&key.as_str()));
            Json::Object(
                entries
                    .map(|(key, value)| {
                        let value = match key.as_str() {
                            "name" => short_name(value),
                            "symbols" => symbols(value),
                            _ => essence(value),
                        };
                        (key.clone(), value)
                    })
                    .collect(),
            )
        }
        Json::Array(items) => Json::Array(items.iter().map(essence).collect()),
        Json::String(_) => short_name(schema),
        other => other.clone(),
    }
}

/// Symbols without their case convention: the derive does not know the names that serde writes. The round trips
/// below use every symbol.
fn symbols(symbols: &Json) -> Json {
    let bare = |symbol: &Json| symbol.as_str().unwrap_or_default().replace('_', "").to_lowercase();
    symbols.as_array().into_iter().flatten().map(bare).collect()
}

fn short_name(name: &Json) -> Json {
    let name = name.as_str().unwrap_or_default();
    let name = name.rsplit('.').next().unwrap_or(name);
    Json::from(match name {
        "MeasurementColumns" => "MeasurementBatch",
        // Generic types carry a hash of their parameter.
        name if name.starts_with("Frame_") => "Frame",
        name => name,
    })
}

fn read_schema(file: &str) -> Json {
    let path = format!("{}/../../schemas/{file}", env!("CARGO_MANIFEST_DIR"));
    #[expect(clippy::disallowed_methods, reason = "the test reads the schema file")]
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn check_schema<R: Record + BuildSchema>(file: &str) {
    check_schema_of::<R, R>(file);
}

fn check_schema_of<T: BuildSchema, R: Record>(file: &str) {
    let written = read_schema(file);
    let derived = serde_json::to_value(T::schema_mut()).unwrap();
    assert_eq!(essence(&written), essence(&derived), "schemas/{file} and its Rust type differ");
    let compiled_in: Json = serde_json::from_str(<R as Record>::schema().json()).unwrap();
    assert_eq!(essence(&compiled_in), essence(&written), "schemas/{file} is not the one compiled in");
}

/// Makes a value of a schema, as JSON, choosing by the numbers drawn.
struct Generator<'a> {
    named: std::collections::BTreeMap<String, &'a Json>,
    draws: std::iter::Cycle<std::slice::Iter<'a, u32>>,
}

impl<'a> Generator<'a> {
    fn draw(&mut self, below: usize) -> usize {
        *self.draws.next().unwrap() as usize % below
    }

    fn value(&mut self, schema: &'a Json, field: &str) -> Json {
        if let Json::Array(branches) = schema {
            let chosen = &branches[self.draw(branches.len())];
            let value = self.value(chosen, field);
            // A union of records is an enum in Rust, which JSON writes with its variant's name.
            return match chosen["name"].as_str() {
                Some(name) if branches[0] != "null" => {
                    Json::Object([(name.to_owned(), value)].into_iter().collect())
                }
                _ => value,
            };
        }
        match schema.as_str().or_else(|| schema["type"].as_str()).unwrap() {
            "null" => Json::Null,
            "boolean" => Json::from(self.draw(2) == 1),
            "bytes" => Json::from(vec![self.draw(256); 3]),
            "string" => Json::from(match field {
                "addresses" | "origin_addresses" => format!("192.0.2.{}", self.draw(256)),
                "prefixes" => format!("10.{}.0.0/16", self.draw(256)),
                "price" | "overage_price" | "amount" | "minimum" | "maximum" => {
                    format!("{}.25", self.draw(99))
                }
                "chain" | "head" => Sha256::of(&self.draw(256).to_le_bytes()).to_string(),
                field if field.ends_with("sha256") => Sha256::of(&self.draw(256).to_le_bytes()).to_string(),
                "id" => LineId::of(Sha256::of(&self.draw(256).to_le_bytes())).to_string(),
                _ => format!("name-{}", self.draw(50)),
            }),
            "long" => match field {
                "sequence" => Json::from(1 + self.draw(9)),
                field if field.ends_with("_secs") || field.ends_with("_ms") => Json::from(self.draw(99)),
                _ => Json::from(self.draw(usize::MAX)),
            },
            "enum" => schema["symbols"][self.draw(schema["symbols"].as_array().unwrap().len())].clone(),
            "array" => {
                let count = 1 + self.draw(3);
                (0..count).map(|_| self.value(&schema["items"], field)).collect()
            }
            "record" => {
                let fields = schema["fields"].as_array().unwrap().iter();
                let pairs = fields.map(|field| {
                    let name = field["name"].as_str().unwrap();
                    (name.to_owned(), self.value(&field["type"], name))
                });
                Json::Object(pairs.collect())
            }
            name => {
                let name = name.rsplit('.').next().unwrap();
                let schema = self.named[name];
                self.value(schema, field)
            }
        }
    }
}

/// The types that a schema defines, each at its first use, which a drawn value may not contain.
fn types<'a>(schema: &'a Json, named: &mut std::collections::BTreeMap<String, &'a Json>) {
    match schema {
        Json::Array(items) => items.iter().for_each(|item| types(item, named)),
        Json::Object(object) => {
            if let Some(name) =
                schema["name"].as_str().filter(|_| schema["type"] == "enum" || schema["type"] == "record")
            {
                named.insert(name.to_owned(), schema);
            }
            object.values().for_each(|value| types(value, named));
        }
        _ => {}
    }
}

/// JSON made from the schema reads as the type; its Avro bytes read back equal; decoding them cut short or with a changed
/// byte does not panic.
fn check_round_trip<R: Record + PartialEq + std::fmt::Debug>(file: &str, draws: &[u32]) {
    let schema = read_schema(file);
    let mut named = std::collections::BTreeMap::new();
    types(&schema, &mut named);
    let mut generator = Generator { named, draws: draws.iter().cycle() };
    let json = generator.value(&schema, "").to_string();
    let record: R = decode(json.as_bytes()).unwrap_or_else(|error| panic!("{file}: {error}: {json}"));
    let bytes = encode(&record).unwrap();
    assert_eq!(decode::<R>(&bytes).as_ref(), Ok(&record), "{file}");
    let again: R = decode(serde_json::to_string(&record).unwrap().as_bytes()).unwrap();
    assert_eq!(again, record, "{file}");
    let at = draws[0] as usize % bytes.len();
    let _ = decode::<R>(&bytes[..at]);
    let mut mutated = bytes;
    mutated[at] ^= 1 << (draws[1] % 8);
    let _ = decode::<R>(&mutated);
    let datum = mutated.len() - 10;
    mutated.truncate(10);
    mutated.extend(draws.iter().cycle().take(datum).map(|draw| draw.to_le_bytes()[0]));
    let _ = decode::<R>(&mutated);
}

macro_rules! kinds {
    ($check:ident $(, $argument:expr)?) => {
        $check::<StatisticsBatch>("statistics_batch.v1.avsc" $(, $argument)?);
        $check::<ProvisioningRecord>("provisioning_record.v1.avsc" $(, $argument)?);
        $check::<Tick>("tick.v1.avsc" $(, $argument)?);
        $check::<Frame<Decision>>("decision_frame.v1.avsc" $(, $argument)?);
        $check::<Frame<Performance>>("performance_frame.v1.avsc" $(, $argument)?);
        $check::<Frame<SnapshotItem>>("snapshot_frame.v1.avsc" $(, $argument)?);
        $check::<Frame<Receipt>>("receipt_frame.v1.avsc" $(, $argument)?);
        $check::<Frame<Rejected>>("rejected_frame.v1.avsc" $(, $argument)?);
        $check::<Frame<BillingItem>>("billing_frame.v1.avsc" $(, $argument)?);
        $check::<StatementLine>("statement_line.v1.avsc" $(, $argument)?);
        $check::<CheckpointChunk>("checkpoint_chunk.v1.avsc" $(, $argument)?);
        $check::<Manifest>("checkpoint_manifest.v1.avsc" $(, $argument)?);
    };
}

#[test]
fn every_type_equals_its_schema() {
    kinds!(check_schema);
    // Its Rust type is another than the one that a program works with.
    check_schema_of::<MeasurementColumns<'static>, MeasurementBatch>("measurement_batch.v1.avsc");
}

#[test]
fn bytes_of_another_kind_or_followed_by_more_are_refused() {
    let tick = Tick {
        restart: false,
        installation: String::new(),
        number: 1,
        at_us: TimeMicros(2),
        rules: 1,
        offsets: Vec::new(),
    };
    let mut bytes = encode(&tick).unwrap();
    assert!(matches!(decode::<Manifest>(&bytes), Err(DecodeError::Fingerprint { .. })));
    bytes.push(0);
    assert!(matches!(decode::<Tick>(&bytes), Err(DecodeError::Datum(_))));
    assert!(matches!(decode::<Tick>(b"tick"), Err(DecodeError::NoMarker)));
    assert!(matches!(decode::<Tick>(b"{\"number\":1}"), Err(DecodeError::Datum(_))));
}

#[test]
fn a_batch_that_contradicts_itself_is_refused() {
    let json = br#"{"source":"s","boot":1,"sequence":1,"series":[],"measurements":[{"series":0,"at_us":0,
        "tried":"both","outcome":"ok"}]}"#;
    assert!(matches!(decode::<MeasurementBatch>(json), Err(DecodeError::Invalid(_))));
    let json = br#"{"source":"s","boot":1,"sequence":0,"series":[],"measurements":[]}"#;
    assert!(matches!(decode::<MeasurementBatch>(json), Err(DecodeError::Invalid(_))));
}

proptest! {
    #[test]
    fn every_kind_makes_the_round_trip(draws in prop::collection::vec(any::<u32>(), 30..120)) {
        kinds!(check_round_trip, &draws);
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = decode::<MeasurementBatch>(&bytes);
        let mut datum = vec![0xC3, 0x01];
        datum.extend(<MeasurementBatch as Record>::schema().rabin_fingerprint());
        datum.extend(&bytes);
        let _ = decode::<MeasurementBatch>(&datum);
    }
}
