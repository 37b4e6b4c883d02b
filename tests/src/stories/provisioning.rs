//! The provisioning of a story: lines about networks, probes, CDNs and sites become documents in YAML.

use spillway_events::{CdnName, NetworkName, SiteName};

use super::story::Names;

/// The documents of the lines that follow each other.
#[derive(Debug, Default)]
pub(super) struct Documents {
    /// The first line; 0 if there is none.
    pub(super) line: usize,
    texts: Vec<String>,
    /// Whether the last document is a site, and how many objectives it has so far.
    objectives: Option<usize>,
}

impl Documents {
    /// Takes a line if it is one about provisioning.
    pub(super) fn take(
        &mut self,
        line: usize,
        text: &str,
        names: &mut Names,
        is_live: bool,
    ) -> Result<bool, String> {
        let (kind, rest) = text.split_once(' ').unwrap_or((text, ""));
        let document = match kind {
            "network" => network(rest, names)?,
            "probe" => probe(rest, names)?,
            "cdn" => cdn(rest, names)?,
            "site" => site(rest, names, is_live)?,
            "pin" | "drain" | "freeze" => overriding(kind, rest)?,
            "response_time" | "available_bandwidth" => {
                let objective = objective(kind, rest)?;
                let (Some(site), Some(objectives)) = (self.texts.last_mut(), &mut self.objectives) else {
                    return Err(String::from("an objective follows its site"));
                };
                if *objectives == 0 {
                    site.push_str(
                        "objectives:
",
                    );
                }
                *objectives += 1;
                site.push_str(&format!(
                    "  - {objective}
"
                ));
                return Ok(true);
            }
            _ => return Ok(false),
        };
        if self.texts.is_empty() {
            self.line = line;
        }
        self.objectives = (kind == "site").then_some(0);
        self.texts.push(document);
        Ok(true)
    }

    /// All documents taken, which are then no longer here; nothing if there are none.
    pub(super) fn finish(&mut self) -> Option<(usize, String)> {
        let taken = std::mem::take(self);
        let text = taken.texts.join("---\n");
        (!taken.texts.is_empty()).then_some((taken.line, text))
    }
}

/// `NAME [in PARENT][, PREFIX]…`
fn network(text: &str, names: &mut Names) -> Result<String, String> {
    let mut parts = text.split(", ");
    let first = parts.next().unwrap_or_default();
    let (name, parent) = first.split_once(" in ").unwrap_or((first, "everywhere"));
    let prefixes: Vec<String> = parts.map(|prefix| format!("'{prefix}'")).collect();
    let read = NetworkName::new(one_word(name)?).map_err(|error| error.to_string())?;
    names.networks.push(read);
    Ok(format!("kind: network\nname: {name}\nparent: {parent}\nprefixes: [{}]\n", prefixes.join(", ")))
}

/// `AGENT in NETWORK`
fn probe(text: &str, names: &mut Names) -> Result<String, String> {
    let (agent, network) = text.split_once(" in ").ok_or("a probe is `probe AGENT in NETWORK`")?;
    let read = NetworkName::new(one_word(network)?).map_err(|error| error.to_string())?;
    names.probes.push((one_word(agent)?.to_owned(), read));
    Ok(format!("kind: probe\nagent: {agent}\nnetwork: {network}\n"))
}

/// `NAME (operated)` or `NAME (partner)`
fn cdn(text: &str, names: &mut Names) -> Result<String, String> {
    let (name, kind) =
        text.split_once(" (").ok_or("a CDN is `cdn NAME (operated)` or `cdn NAME (partner)`")?;
    let kind = kind.trim_end_matches(')');
    names.cdns.push(CdnName::new(one_word(name)?).map_err(|error| error.to_string())?);
    Ok(format!("kind: cdn\nname: {name}\ntype: {kind}\ndns_name: {name}.example\n"))
}

/// `NAME: origin[, then CDN]…`
fn site(text: &str, names: &mut Names, is_live: bool) -> Result<String, String> {
    let (name, targets) = text.split_once(": ").ok_or("a site is `site NAME: origin, then CDN`")?;
    let mut targets = targets.split(", then ");
    if targets.next() != Some("origin") {
        return Err(String::from("the first target of a site is `origin`"));
    }
    let cdns: Vec<&str> = targets.map(one_word).collect::<Result<_, _>>()?;
    let read = SiteName::new(one_word(name)?).map_err(|error| error.to_string())?;
    if !names.sites.contains(&read) {
        names.sites.push(read);
    }
    // A real probe of a live process has nothing to measure within an hour. Elsewhere, short windows can be agreed.
    let interval = if is_live { "1h" } else { "1s" };
    Ok(format!(
        "kind: site\nname: {name}\nclient: acme\nhosts: [www.{name}.example]\nprobe_interval: {interval}\n\
         origin: {{addresses: ['203.0.113.1', '2001:db8::1']}}\ncdns: [{}]\n",
        cdns.join(", ")
    ))
}

/// `pin SITE to TARGET until TIME`, `drain CDN until TIME`, `drain origin of SITE until TIME`, `freeze SITE until TIME`,
/// `freeze everything until TIME`. The override is named after what it is of, so that a second one replaces it.
fn overriding(kind: &str, text: &str) -> Result<String, String> {
    let form = || format!("`{kind} {text}` is none of the forms of an override");
    let (of, until) = text.split_once(" until ").ok_or_else(form)?;
    let of_name = of.split_once(" to ").map_or(of, |(site, _)| site);
    let fields = match kind {
        "pin" => {
            let (site, to) = of.split_once(" to ").ok_or_else(form)?;
            format!("site: {}\nto: {}\n", one_word(site)?, one_word(to)?)
        }
        "drain" => match of.strip_prefix("origin of ") {
            Some(site) => format!("site: {}\n", one_word(site)?),
            None => format!("cdn: {}\n", one_word(of)?),
        },
        _ if of == "everything" => String::new(),
        _ => format!("site: {}\n", one_word(of)?),
    };
    let name = format!("{kind} {of_name}").replace(' ', "-");
    Ok(format!(
        "kind: override\nname: {name}\ntype: {kind}\n{fields}reason: a story\nexpires: {TIME_MARK}{until}{TIME_MARK}\n"
    ))
}

/// Stands around a time of the story, which is that of no clock until the story starts.
pub(super) const TIME_MARK: char = '@';

/// `METRIC under LEVEL, pN over WINDOW, N samples of N probes`, with `above` for available bandwidth.
pub(super) fn objective(metric: &str, text: &str) -> Result<String, String> {
    let form = || {
        let side = if metric == "response_time" { "under 150ms" } else { "above 20Mbit/s" };
        format!("an objective is `{metric} {side}, p95 over 20s, 3 samples of 1 probe`")
    };
    let words: Vec<&str> = text.split([' ', ',']).filter(|word| !word.is_empty()).collect();
    let side = if metric == "response_time" { "under" } else { "above" };
    match words.as_slice() {
        [
            is,
            threshold,
            percentile,
            "over",
            window,
            samples,
            "sample" | "samples",
            "of",
            probes,
            "probe" | "probes",
        ] if *is == side => {
            let percentile = percentile.strip_prefix('p').ok_or_else(form)?;
            Ok(format!(
                "{{metric: {metric}, threshold: {threshold}, percentile: {percentile}, window: {window}, \
                 samples_min: {samples}, probes_min: {probes}}}"
            ))
        }
        _ => Err(form()),
    }
}

pub(super) fn one_word(text: &str) -> Result<&str, String> {
    if text.is_empty() || text.contains([' ', ',', ':', '/']) {
        return Err(format!("`{text}` is not a name"));
    }
    Ok(text)
}
