//! Which column of the input is what.

use std::str::FromStr;

use crate::BacktestError;

/// The fields of a row.
const FIELDS: [&str; 8] =
    ["at", "agent", "network", "target", "site", "response_time_ms", "throughput_bps", "ok"];

/// Which column of the input holds which field: `FIELD=COLUMN,…`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnNames {
    names: Vec<(usize, String)>,
}

impl FromStr for ColumnNames {
    type Err = BacktestError;

    fn from_str(text: &str) -> Result<Self, BacktestError> {
        let mut names: Vec<(usize, String)> = Vec::new();
        for pair in text.split(',') {
            let Some((field, column)) = pair.split_once('=') else {
                return refuse(format!("`{pair}` is not FIELD=COLUMN"));
            };
            let Some(index) = FIELDS.iter().position(|known| *known == field.trim()) else {
                return refuse(format!("`{field}` is none of {}", FIELDS.join(", ")));
            };
            if names.iter().any(|(taken, _)| *taken == index) {
                return refuse(format!("`{field}` is given twice"));
            }
            names.push((index, column.trim().to_owned()));
        }
        Ok(Self { names })
    }
}

fn refuse<T>(reason: String) -> Result<T, BacktestError> {
    Err(BacktestError::Columns(reason))
}

/// The indexes of the columns in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Columns {
    pub(crate) at: usize,
    pub(crate) agent: usize,
    pub(crate) network: usize,
    pub(crate) target: usize,
    pub(crate) site: usize,
    pub(crate) response_time_ms: Option<usize>,
    pub(crate) throughput_bps: Option<usize>,
    pub(crate) ok: Option<usize>,
}

impl ColumnNames {
    /// Finds the columns in a header. A field without a column of its own has the column of its name.
    pub(crate) fn resolve(&self, header: &csv::StringRecord) -> Result<Columns, BacktestError> {
        let mut missing = Vec::new();
        let mut find = |field: usize, required: bool| {
            let named = self.names.iter().find(|(index, _)| *index == field).map(|(_, name)| name.as_str());
            let name = named.unwrap_or(FIELDS[field]);
            let found = header.iter().position(|column| column.trim() == name);
            if found.is_none() && (required || named.is_some()) {
                missing.push(format!("{}={name}", FIELDS[field]));
            }
            found
        };
        let required = [find(0, true), find(1, true), find(2, true), find(3, true), find(4, true)];
        let optional = [find(5, false), find(6, false), find(7, false)];
        let [Some(at), Some(agent), Some(network), Some(target), Some(site)] = required else {
            return refuse(format!(
                "no such column: {}. The input has: {}",
                missing.join(", "),
                list(header)
            ));
        };
        if !missing.is_empty() {
            return refuse(format!(
                "no such column: {}. The input has: {}",
                missing.join(", "),
                list(header)
            ));
        }
        let [response_time_ms, throughput_bps, ok] = optional;
        if response_time_ms.is_none() && throughput_bps.is_none() {
            return refuse(format!(
                "neither response_time_ms nor throughput_bps is a column; name one with --column. The input has: {}",
                list(header)
            ));
        }
        Ok(Columns { at, agent, network, target, site, response_time_ms, throughput_bps, ok })
    }
}

/// The names of the columns, cut if they are too many to print.
fn list(header: &csv::StringRecord) -> String {
    const CHARACTERS_MAX: usize = 1_000;
    let mut names = header.iter().collect::<Vec<_>>().join(", ");
    if let Some((end, _)) = names.char_indices().nth(CHARACTERS_MAX) {
        names.truncate(end);
        names.push('…');
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_found_by_the_names_given_or_their_own() {
        let header =
            csv::StringRecord::from(vec!["ok", "time", "agent", "as", "target", "page", "response_time_ms"]);
        let names: ColumnNames = "at=time,network=as,site=page".parse().unwrap();
        let columns = names.resolve(&header).unwrap();
        assert_eq!((columns.at, columns.network, columns.site, columns.ok), (1, 3, 5, Some(0)));
        assert_eq!((columns.response_time_ms, columns.throughput_bps), (Some(6), None));
    }

    #[test]
    fn what_is_missing_is_named_all_at_once() {
        let header = csv::StringRecord::from(vec!["agent", "target", "site", "response_time_ms"]);
        let names: ColumnNames = "ok=fine".parse().unwrap();
        let error = names.resolve(&header).unwrap_err().to_string();
        assert_eq!(
            error,
            "no such column: at=at, network=network, ok=fine. The input has: agent, target, site, response_time_ms"
        );
        assert!("time=at".parse::<ColumnNames>().is_err());
        assert!("at".parse::<ColumnNames>().is_err());
        assert!("at=a,at=b".parse::<ColumnNames>().is_err());
    }
}
