//! Fields as they were given, and the rules that they must keep.

use std::collections::HashMap;
use std::hash::Hash;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::fault::Fault;
use crate::field_path::FieldPath;

/// A field as it was given. Reading never fails: what does not have the field's type is kept as the message that says so, so
/// that all mistakes of a document are found at once.
#[derive(Debug, Default)]
pub(crate) enum Field<T> {
    /// Missing, or null.
    #[default]
    Absent,
    Given(T),
    /// Not a value of the type; with the reason.
    Broken(String),
}

/// A list of which each item is read by itself.
pub(crate) type List<T> = Field<Vec<Field<T>>>;

impl<T> Field<T> {
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

impl<T> From<T> for Field<T> {
    fn from(value: T) -> Self {
        Self::Given(value)
    }
}

/// The field of a list.
pub(crate) fn list<T, U>(items: Vec<T>, item: impl Fn(T) -> U) -> List<U> {
    Field::Given(items.into_iter().map(|value| Field::Given(item(value))).collect())
}

/// The field of a value that may be missing.
pub(crate) fn optional<T, U>(value: Option<T>, field: impl Fn(T) -> U) -> Field<U> {
    value.map_or(Field::Absent, |value| Field::Given(field(value)))
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Option::deserialize(deserializer) {
            Ok(Some(value)) => Self::Given(value),
            Ok(None) => Self::Absent,
            Err(error) => Self::Broken(error.to_string()),
        })
    }
}

impl<T: Serialize> Serialize for Field<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Given(value) => serializer.serialize_some(value),
            Self::Absent | Self::Broken(_) => serializer.serialize_none(),
        }
    }
}

/// Takes the values out of fields, and collects the rules that are broken and the warnings.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    /// The path of the mapping whose fields are being read.
    at: FieldPath,
    pub(crate) faults: Vec<Fault>,
    pub(crate) warnings: Vec<Fault>,
}

impl Rules {
    /// Adds that a field of the current mapping breaks a rule.
    pub(crate) fn broken(&mut self, key: &str, rule: impl Into<String>) {
        self.broken_at(self.at.clone().key(key), rule);
    }

    /// Adds that an item of a list of the current mapping breaks a rule.
    pub(crate) fn item_broken(&mut self, key: &str, index: usize, rule: impl Into<String>) {
        self.broken_at(self.at.clone().key(key).index(index), rule);
    }

    pub(crate) fn broken_at(&mut self, field: FieldPath, rule: impl Into<String>) {
        self.faults.push(Fault { field, rule: rule.into() });
    }

    /// Adds that the current mapping keeps the rules, but is probably not what was meant.
    pub(crate) fn warn(&mut self, warning: impl Into<String>) {
        self.warnings.push(Fault { field: self.at.clone(), rule: warning.into() });
    }

    /// Adds a warning about a field of the current mapping.
    pub(crate) fn warn_field(&mut self, key: &str, warning: impl Into<String>) {
        self.warnings.push(Fault { field: self.at.clone().key(key), rule: warning.into() });
    }

    /// Adds a warning about an item of a list of the current mapping.
    pub(crate) fn warn_item(&mut self, key: &str, index: usize, warning: impl Into<String>) {
        self.warnings.push(Fault { field: self.at.clone().key(key).index(index), rule: warning.into() });
    }

    /// The value of a field that must be given.
    pub(crate) fn required<T>(&mut self, key: &str, field: Field<T>) -> Option<T> {
        if field.is_absent() {
            self.broken(key, "is missing");
        }
        self.optional(key, field)?
    }

    /// The value of a field, or the default where it is absent.
    pub(crate) fn or<T>(&mut self, key: &str, field: Field<T>, default: T) -> Option<T> {
        Some(self.optional(key, field)?.unwrap_or(default))
    }

    /// The value of a field, if it is given. The outer option is empty when the field is broken.
    pub(crate) fn optional<T>(&mut self, key: &str, field: Field<T>) -> Option<Option<T>> {
        match field {
            Field::Absent => Some(None),
            Field::Given(value) => Some(Some(value)),
            Field::Broken(rule) => {
                self.broken(key, rule);
                None
            }
        }
    }

    /// The items of a list of at most `items_max`; none where the field is absent.
    pub(crate) fn list<T>(&mut self, key: &str, field: List<T>, items_max: usize) -> Option<Vec<T>> {
        self.each(key, field, items_max, |_, item| Some(item))
    }

    /// The items of a list of at most `items_max`, each as `read` reads it; none where the field is absent.
    ///
    /// Every item is read, so that every mistake is found, before a broken one makes the list unusable.
    pub(crate) fn each<T, R>(
        &mut self,
        key: &str,
        field: List<T>,
        items_max: usize,
        mut read: impl FnMut(&mut Self, T) -> Option<R>,
    ) -> Option<Vec<R>> {
        let items = self.or(key, field, Vec::new())?;
        if items.len() > items_max {
            self.broken(key, format!("has {} items; at most {items_max} are allowed", items.len()));
            return None;
        }
        let mut item = |(index, item)| match item {
            Field::Given(item) => self.inside(|at| at.key(key).index(index), |rules| read(rules, item)),
            Field::Absent => {
                self.item_broken(key, index, "is empty; remove it");
                None
            }
            Field::Broken(rule) => {
                self.item_broken(key, index, rule);
                None
            }
        };
        let items: Vec<Option<R>> = items.into_iter().enumerate().map(&mut item).collect();
        items.into_iter().collect()
    }

    /// Reads the mapping of a field.
    pub(crate) fn nested<R>(&mut self, key: &str, read: impl FnOnce(&mut Self) -> R) -> R {
        self.inside(|at| at.key(key), read)
    }

    fn inside<R>(
        &mut self,
        path: impl FnOnce(FieldPath) -> FieldPath,
        read: impl FnOnce(&mut Self) -> R,
    ) -> R {
        let outer = self.at.clone();
        self.at = path(outer.clone());
        let result = read(self);
        self.at = outer;
        result
    }

    /// Checks that no two items of a list are the same.
    pub(crate) fn distinct<K: Hash + Eq>(
        &mut self,
        key: &str,
        items: impl IntoIterator<Item = K>,
        name: impl Fn(&K) -> String,
    ) -> Option<()> {
        let mut first = HashMap::new();
        let faults_before = self.faults.len();
        for (index, item) in items.into_iter().enumerate() {
            match first.get(&item) {
                Some(first) => {
                    let rule = format!("{} is listed twice: it is also {key}[{first}]", name(&item));
                    self.item_broken(key, index, rule);
                }
                None => {
                    first.insert(item, index);
                }
            }
        }
        (self.faults.len() == faults_before).then_some(())
    }
}
