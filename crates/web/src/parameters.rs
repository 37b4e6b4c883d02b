//! Query parameters that are checked one by one: each mistake names its parameter.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::RangeInclusive;

use spillway_serve::{FieldError, Problem};

use crate::problems::BAD_PARAMETER;
use crate::text::shorten;

/// The greatest number of a record and a revision, which fits where JSON numbers are 64 bits with a sign.
pub(crate) const NUMBER_MAX: u64 = i64::MAX as u64;

/// The parameters of a request.
pub(crate) struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// Takes the parameters of a query; all must be known, and none given twice.
    pub(crate) fn read(query: Vec<(String, String)>, known: &[&str]) -> Result<Self, Problem> {
        let mut parameters = BTreeMap::new();
        let mut mistakes = Vec::new();
        for (key, value) in query {
            if !known.contains(&key.as_str()) {
                mistakes.push((shorten(&key), "is not a parameter of this call"));
                continue;
            }
            match parameters.entry(key) {
                Entry::Vacant(new) => {
                    new.insert(value);
                }
                Entry::Occupied(given) => mistakes.push((given.key().clone(), "is given twice")),
            }
        }
        if mistakes.is_empty() {
            return Ok(Self(parameters));
        }
        let told: Vec<String> = mistakes.iter().map(|(key, rule)| format!("{key}: {rule}")).collect();
        let detail = format!("{}; the parameters are {}", told.join(", "), known.join(", "));
        let errors = mistakes.into_iter().map(|(key, rule)| FieldError::of_parameter(key, rule)).collect();
        Err(Problem::new(&BAD_PARAMETER, detail).with_errors(errors))
    }

    /// The value of a parameter, if it is given; `read` says why a text is none.
    pub(crate) fn value<T>(
        &self,
        key: &str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Problem> {
        self.0.get(key).map(|text| read(text)).transpose().map_err(|rule| bad_parameter(key, &rule))
    }

    /// A whole number, if it is given.
    pub(crate) fn number(&self, key: &str, range: RangeInclusive<u64>) -> Result<Option<u64>, Problem> {
        self.value(key, |text| {
            let number = whole_number(text).filter(|number| range.contains(number));
            number.ok_or_else(|| {
                let (start, end) = (range.start(), range.end());
                format!("`{}` is not a whole number from {start} to {end}", shorten(text))
            })
        })
    }
}

/// A parameter, of the query or the path, whose value breaks a rule.
pub(crate) fn bad_parameter(name: &str, rule: &str) -> Problem {
    let errors = vec![FieldError::of_parameter(name, rule)];
    Problem::new(&BAD_PARAMETER, format!("{name}: {rule}")).with_errors(errors)
}

/// The number of a text of digits. Rust's own reading takes a sign, too.
pub(crate) fn whole_number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}
