//! What the dataflow reads: provisioning and measurements as records of the log.

use spillway_events::{
    AgentName, Measurement, MeasurementBatch, Micros, NetworkName, Outcome, ProvisioningRecord, Series,
    Sha256, SiteName, SourceName, TimeMicros, Tried, encode,
};
use spillway_provisioning::{Change, Command, Object, State, decide, parse};

use crate::rows::{Group, NETWORKS, Row, TARGETS, agent_name, network_name, site_name};

/// An objective of which every measurement counts and no value is reached.
pub(crate) const MINUTE: &str = "{metric: response_time, threshold: 5s, percentile: 95, window: 60s, samples_min: 1, \
                                 probes_min: 1}";
/// An objective with the defaults.
pub(crate) const DEFAULT: &str = "{metric: response_time, threshold: 5s}";

/// A batch as a record of the log. Everything here that knows the type of that record.
pub(crate) fn batch_record(group: &Group) -> Vec<u8> {
    let (agent, network) = (agent_name(group.network), network_name(group.network));
    let mut indexes: Vec<Option<u32>> = Vec::new();
    let mut series: Vec<Series> = Vec::new();
    let mut measurement = |row: &Row| {
        let key = usize::from(row.site) * TARGETS.len() + usize::from(row.target);
        if indexes.len() <= key {
            indexes.resize(key + 1, None);
        }
        let index = *indexes[key].get_or_insert_with(|| {
            series.push(Series {
                site: SiteName::new(site_name(row.site)).unwrap(),
                target: row.target().to_owned(),
                agent: AgentName::new(agent.clone()).unwrap(),
                network: NetworkName::new(network.clone()).unwrap(),
            });
            u32::try_from(series.len() - 1).unwrap()
        });
        Measurement {
            series: index,
            at_us: TimeMicros(row.at_ms * 1_000),
            tried: Tried::ResponseTime,
            outcome: Outcome::Ok,
            response_time_us: Some(Micros(u64::from(row.response_time_us))),
            throughput_bps: None,
            bytes: None,
            phases: None,
            error: None,
        }
    };
    let measurements = group.rows.iter().map(&mut measurement).collect();
    let source = SourceName::new(agent.clone()).unwrap();
    encode(&MeasurementBatch { source, boot: 1, sequence: group.sequence, series, measurements }).unwrap()
}

/// Sites with an objective, and the networks with their probes.
pub(crate) fn provisioning(sites: u16, objective: &str) -> ProvisioningRecord {
    // Documents by the piece: a file has its bounds.
    let mut state = State::default();
    let mut events = Vec::new();
    let text = documents(sites, objective);
    let parts: Vec<&str> = text.split("---\n").filter(|part| !part.is_empty()).collect();
    for part in parts.chunks(1_000) {
        let objects = parse("bench", part.join("---\n")).unwrap().objects;
        let command = command(format!("bench {}", events.len()), objects);
        let new = decide(&state, &command).unwrap();
        let record = command.into_record(state.revision(), new.clone());
        state.apply(&record).unwrap();
        events.extend(new);
    }
    command(String::from("bench"), Vec::new()).into_record(0, events)
}

fn command(id: String, objects: Vec<Object>) -> Command {
    let (body_sha256, author, change) = (Sha256::of(&[]), String::from("bench"), Change::Apply(objects));
    Command { id, body_sha256, author, at_us: TimeMicros(0), precondition: None, change }
}

fn documents(sites: u16, objective: &str) -> String {
    let [origin, cdns @ ..] = TARGETS;
    let mut text = String::from("kind: client\nname: acme\n---\n");
    for cdn in cdns {
        text += &format!("kind: cdn\nname: {cdn}\ntype: operated\ndns_name: {cdn}.example\n---\n");
    }
    for number in 0..NETWORKS {
        let (network, agent) = (network_name(number), agent_name(number));
        text += &format!(
            "kind: network\nname: {network}\nprefixes: [10.{number}.0.0/16]\n---\n\
             kind: probe\nagent: {agent}\nnetwork: {network}\n---\n"
        );
    }
    for number in 0..sites {
        let site = site_name(number);
        text += &format!(
            "kind: site\nname: {site}\nclient: acme\nhosts: [{site}.example]\ncdns: [{}]\n\
             origin: {{name: {origin}, addresses: [192.0.2.1]}}\nobjectives: [{objective}]\n---\n",
            cdns.join(", ")
        );
    }
    text
}
