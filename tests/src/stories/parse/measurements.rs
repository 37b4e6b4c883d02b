//! Reads `AGENT [in NETWORK] measures [SITE:] TARGET RESULT [xCOUNT] [(TIME ago)], …`.

use spillway_events::{
    AgentName, Measurement, MeasurementBatch, NetworkName, Outcome, Series, SiteName, SourceName, TimeMicros,
    Tried, parse_duration, parse_throughput,
};

use crate::stories::story::Names;

pub(super) fn read(names: &Names, at_us: i64, probe: &str, text: &str) -> Result<MeasurementBatch, String> {
    let (agent, network) = read_probe(names, probe)?;
    let (site, items) = match text.split_once(": ") {
        Some((site, items)) => {
            let named = SiteName::new(site).ok().filter(|site| names.sites.contains(site));
            (named.ok_or_else(|| format!("`{site}` is no site of the story"))?, items)
        }
        None => match names.sites.as_slice() {
            [site] => (site.clone(), text),
            _ => return Err(String::from("with several sites, say which: `measures SITE: TARGET RESULT`")),
        },
    };
    let source = SourceName::new(agent.as_str()).map_err(|error| error.to_string())?;
    let mut batch =
        MeasurementBatch { source, boot: 1, sequence: 0, series: Vec::new(), measurements: Vec::new() };
    for item in items.split(", ") {
        let (target, measurement, count) = read_item(names, at_us, item)?;
        let series = u32::try_from(batch.series.len()).map_err(|error| error.to_string())?;
        let (site, agent, network) = (site.clone(), agent.clone(), network.clone());
        batch.series.push(Series { site, target, agent, network });
        batch.measurements.extend(std::iter::repeat_n(Measurement { series, ..measurement }, count));
    }
    Ok(batch)
}

/// An agent may stand alone where it is in one network.
fn read_probe(names: &Names, text: &str) -> Result<(AgentName, NetworkName), String> {
    let (agent, network) = match text.split_once(" in ") {
        Some((agent, network)) => (agent, Some(network)),
        None => (text, None),
    };
    let is_meant = |(of, in_network): &&(String, NetworkName)| {
        of == agent && network.is_none_or(|network| in_network.as_str() == network)
    };
    let mut found: Vec<_> = names.probes.iter().filter(is_meant).collect();
    found.dedup();
    match found.as_slice() {
        [(agent, network)] => {
            Ok((AgentName::new(agent.clone()).map_err(|error| error.to_string())?, network.clone()))
        }
        [] => Err(format!("`{text}` is no probe of the story")),
        _ => Err(format!("`{text}` is in several networks: `{agent} in NETWORK measures …`")),
    }
}

fn read_item(names: &Names, at_us: i64, item: &str) -> Result<(String, Measurement, usize), String> {
    let (text, at_us) = split_event_time(item, at_us)?;
    let (target, result) = text.split_once(' ').ok_or_else(|| format!("`{item}` is not `TARGET RESULT`"))?;
    if target != "origin" && !names.cdns.iter().any(|cdn| cdn.as_str() == target) {
        return Err(format!("`{target}` is neither `origin` nor a CDN of the story"));
    }
    let (result, count) = match result.rsplit_once(" x") {
        Some((result, count)) => {
            (result, count.parse().map_err(|_| format!("`x{count}` is not a count such as `x3`"))?)
        }
        None => (result, 1),
    };
    let mut measurement = Measurement {
        series: 0,
        at_us: TimeMicros(at_us),
        tried: Tried::Both,
        outcome: match result {
            "failed" => Outcome::Failed,
            "refused" => Outcome::Refused,
            "cut off" => Outcome::CutOff,
            _ => Outcome::Ok,
        },
        response_time_us: None,
        throughput_bps: None,
        bytes: None,
        phases: None,
        error: None,
    };
    for number in result.split(" and ").filter(|_| measurement.outcome == Outcome::Ok) {
        if let Ok(time) = parse_duration(number) {
            measurement.response_time_us = Some(time);
        } else if let Ok(throughput) = parse_throughput(number) {
            measurement.throughput_bps = Some(throughput);
        } else {
            return Err(format!(
                "`{number}` is not a result such as `150ms`, `20Mbit/s`, `failed`, `refused` or `cut off`"
            ));
        }
    }
    measurement.tried = match (measurement.response_time_us, measurement.throughput_bps) {
        (Some(_), None) => Tried::ResponseTime,
        (None, Some(_)) => Tried::AvailableBandwidth,
        _ => Tried::Both,
    };
    Ok((target.to_owned(), measurement, count))
}

/// Takes `(20s ago)` or `(4min ahead)` off the end.
pub(super) fn split_event_time(text: &str, at_us: i64) -> Result<(&str, i64), String> {
    let Some((before, distance)) = text.strip_suffix(')').and_then(|text| text.rsplit_once(" (")) else {
        return Ok((text, at_us));
    };
    let (distance, sign) = match distance.split_once(' ') {
        Some((distance, "ago")) => (distance, -1),
        Some((distance, "ahead")) => (distance, 1),
        _ => return Err(format!("`({distance})` is neither `(20s ago)` nor `(4min ahead)`")),
    };
    let micros = parse_duration(distance).map_err(|error| error.to_string())?.0;
    let micros = i64::try_from(micros).map_err(|error| error.to_string())?;
    Ok((before, at_us + sign * micros))
}
