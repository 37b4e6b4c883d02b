//! Query parameters that are checked one by one: each mistake names its parameter.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::RangeInclusive;

use axum::http::StatusCode;
use spillway_serve::Problem;

use crate::answer::shorten;

/// The parameters of a request.
pub(crate) struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// Takes the parameters of a query; all must be known, and none given twice.
    pub(crate) fn read(query: Vec<(String, String)>, known: &[&str]) -> Result<Self, Problem> {
        let mut parameters = BTreeMap::new();
        let mut mistakes = Vec::new();
        for (key, value) in query {
            if !known.contains(&key.as_str()) {
                mistakes.push(format!("{}: is not a parameter of this call", shorten(&key)));
                continue;
            }
            match parameters.entry(key) {
                Entry::Vacant(new) => {
                    new.insert(value);
                }
                Entry::Occupied(given) => mistakes.push(format!("{}: is given twice", given.key())),
            }
        }
        if mistakes.is_empty() {
            return Ok(Self(parameters));
        }
        let detail = format!("{}; the parameters are {}", mistakes.join(", "), known.join(", "));
        Err(Problem::new(StatusCode::BAD_REQUEST, detail))
    }

    /// The value of a parameter, if it is given; `read` says why a text is none.
    pub(crate) fn value<T>(
        &self,
        key: &str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Problem> {
        let bad = |reason| Problem::new(StatusCode::BAD_REQUEST, format!("{key}: {reason}"));
        self.0.get(key).map(|text| read(text)).transpose().map_err(bad)
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

/// The number of a text of digits. Rust's own reading takes a sign, too.
pub(crate) fn whole_number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}
