//! The agreements of a story: lines about one become the document that is proposed and accepted.

use spillway_events::SiteName;

use super::provisioning::{TIME_MARK, objective, one_word};
use super::story::Names;

/// The agreement that the lines before are about.
#[derive(Debug)]
pub(super) struct Agreement {
    pub(super) line: usize,
    head: String,
    objectives: String,
}

impl Agreement {
    /// `agree on SITE from TIME`
    pub(super) fn begin(line: usize, text: &str, names: &Names) -> Result<Self, String> {
        let form = "an agreement is `agree on SITE from TIME`";
        let (site, from) = text.split_once(" from ").ok_or(form)?;
        let read = SiteName::new(one_word(site)?).map_err(|error| error.to_string())?;
        if !names.sites.contains(&read) {
            return Err(format!("`{site}` is no site of the story"));
        }
        let head = format!(
            "kind: agreement\nname: of-{site}\nclient: acme\nsites: [{site}]\neffective_from: {}\n",
            on_the_clock(from)
        );
        Ok(Self { line, head, objectives: String::new() })
    }

    /// Takes a line if it is one of the agreement's terms.
    pub(super) fn take(&mut self, text: &str) -> Result<bool, String> {
        let (first, rest) = text.split_once(' ').unwrap_or((text, ""));
        let term = match first {
            "response_time" | "available_bandwidth" => {
                self.objectives.push_str(&format!("  - {}\n", objective(first, rest)?));
                return Ok(true);
            }
            "until" => format!("until: {}\n", on_the_clock(rest)),
            "dwell" => format!("dwell: {rest}\n"),
            "cdns" => match rest.rsplit_once(" in ") {
                // One network: more are for tests of the whole.
                Some(("none", network)) => format!("cdns_in: [{{network: {network}, cdns: []}}]\n"),
                Some((cdns, network)) => format!("cdns_in: [{{network: {network}, cdns: [{cdns}]}}]\n"),
                None => format!("cdns: [{rest}]\n"),
            },
            "return" => {
                let permille = rest.strip_prefix("band ").and_then(|rest| rest.strip_suffix(" permille"));
                let permille = permille.ok_or("a return band is `return band 100 permille`")?;
                format!("return_band_permille: {permille}\n")
            }
            "silent" => {
                let (hold, then) = rest
                    .strip_prefix("for ")
                    .and_then(|rest| rest.split_once(": "))
                    .ok_or("silence is `silent for 2min: origin`, or `cdn`")?;
                format!("on_silence: {{hold: {hold}, then: {then}}}\n")
            }
            _ => return Ok(false),
        };
        self.head.push_str(&term);
        Ok(true)
    }

    pub(super) fn document(self) -> String {
        match self.objectives.is_empty() {
            true => self.head,
            false => format!("{}objectives:\n{}", self.head, self.objectives),
        }
    }
}

fn on_the_clock(time: &str) -> String {
    format!("{TIME_MARK}{time}{TIME_MARK}")
}
