use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use spillway_events::{
    Cdn, CdnKind, CdnName, CdnOfSite, Client, ClientName, Event, Metric, Micros, Network, NetworkName,
    ObjectKind, Objective, Origin, Prefix, Site, SiteName, folded_name,
};

use super::{apply_text, record, with};
use crate::{Change, Object, ProvisionedSite, State, decide, export, parse};

/// A name that YAML could read as something else than text.
fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z0-9][A-Za-z0-9._-]{0,8}", "true|null|0x1f|1e3|0o7|1\\.5|12|1_000|no|2001-01-01|a--"]
}

/// A title that YAML could read as something else than text.
fn title() -> impl Strategy<Value = Option<String>> {
    let text = prop_oneof![
        "\\PC{1,12}",
        "true|null|~|0x1f|1e3|- a|a: b|#x|a #b|\\[|@|%|\\.inf|---|'|\"|a\u{2028}b|\u{FEFF}|é: '"
    ];
    prop::option::of(
        text.prop_filter("no title", |text| text.trim() == text && !text.chars().any(char::is_control)),
    )
}

fn threshold() -> impl Strategy<Value = u64> {
    (1_u64..1_000, 0_u32..6).prop_map(|(digits, zeros)| digits * 10_u64.pow(zeros))
}

fn objective() -> impl Strategy<Value = Objective> {
    (any::<bool>(), threshold(), 1_u32..100, 1_u64..=360, 1_u32..1_000, 1_u32..9).prop_map(
        |(is_time, threshold, percentile, minutes, samples_min, probes_min)| Objective {
            metric: if is_time { Metric::ResponseTime } else { Metric::AvailableBandwidth },
            threshold,
            percentile,
            window_us: Micros(minutes * 60_000_000),
            samples_min,
            probes_min,
        },
    )
}

prop_compose! {
    /// A state with one object of most kinds, of odd names and numbers.
    fn state()(
        names in [name(), name(), name(), name()],
        titles in [title(), title(), title(), title()],
        ttl_secs in 0_u32..86_401,
        probe_interval_ms in 100_u32..3_600_001,
        mut objectives in prop::collection::vec(objective(), 0..4),
        bits in any::<u128>(),
        length in 0_u8..129,
        has_own_name in any::<bool>(),
    ) -> State {
        let [client, network, cdn, site] = names;
        let [client_title, network_title, cdn_title, site_title] = titles;
        let client = ClientName::new(client).expect("a name");
        let cdn = CdnName::new(format!("{cdn}-c")).expect("a name");
        let mut distinct = Vec::new();
        objectives.retain(|objective| {
            let is_new = !distinct.contains(objective);
            distinct.push(objective.clone());
            is_new
        });
        let events = vec![
            Event::Client(Client { name: client.clone(), title: client_title }),
            Event::Network(Network {
                name: NetworkName::new(format!("n{network}")).expect("a name"),
                title: network_title,
                parent: NetworkName::everywhere(),
                prefixes: vec![Prefix::containing(std::net::Ipv6Addr::from(bits).into(), length)],
            }),
            Event::Cdn(Cdn {
                name: cdn.clone(), title: cdn_title, kind: CdnKind::Partner, dns_name: String::from("x.example"),
                addresses: Vec::new(), probe_url: None,
            }),
            Event::Site(Site {
                name: SiteName::new(site).expect("a name"),
                title: site_title,
                client,
                hosts: vec![String::from("0x1f"), String::from("null"), String::from("a.example")],
                origin: Origin { name: String::from("origin"), addresses: Vec::new(), probe_url: None },
                cdns: vec![CdnOfSite { cdn, dns_name: has_own_name.then(|| String::from("true")) }],
                ttl_secs, probe_interval_ms, objectives,
            }),
        ];
        let mut state = State::default();
        let record = record(&state, "one", events);
        state.apply(&record).expect("the record is next");
        state
    }
}

/// Text that comes near to documents: their words and YAML's marks in any order.
fn near_yaml() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "kind",
        "site",
        "client",
        "network",
        "cdn",
        "probe",
        "name",
        "hosts",
        "origin",
        "objectives",
        "threshold",
        ": ",
        "- ",
        "\n",
        "\n  ",
        "---\n",
        "...\n",
        "[",
        "]",
        "{",
        "}",
        ",",
        "\"",
        "'",
        "&a ",
        "*a",
        "!t ",
        "? ",
        "| ",
        "> ",
        "#",
        "%YAML 1.2\n",
        "\t",
        "150ms",
        "20",
        "null",
        "\u{FEFF}",
        "\\",
        "<<: ",
        "é",
        "\0",
        "\r",
    ]);
    prop::collection::vec(words, 0..40).prop_map(|words| words.concat())
}

/// A document of few names, so that objects meet, refer to each other and collide.
fn document() -> impl Strategy<Value = String> {
    let name = || prop::sample::select(vec!["a", "b", "B", "c.d", "c_d"]);
    let names = move || prop::collection::vec(name(), 0..3);
    prop_oneof![
        name().prop_map(|name| format!("{{kind: client, name: {name}}}")),
        (name(), name(), 0..4).prop_map(|(name, parent, prefix)| format!(
            "{{kind: network, name: {name}, parent: {parent}, prefixes: [10.{prefix}.0.0/16]}}"
        )),
        name().prop_map(|name| format!("{{kind: network, name: {name}}}")),
        (name(), 0..3).prop_map(|(name, number)| format!(
            "{{kind: cdn, name: {name}, type: partner, dns_name: d{number}.example}}"
        )),
        (name(), name()).prop_map(|(agent, network)| format!("{{kind: probe, agent: {agent}, network: {network}}}")),
        (name(), name(), names(), names(), 1..4).prop_map(|(name, client, hosts, cdns, seconds)| {
            let hosts = hosts.iter().chain([&name]).map(|host| format!("{host}.example")).collect::<Vec<_>>().join(", ");
            let objectives = format!("[{{metric: response_time, threshold: {seconds}s}}]");
            format!(
                "{{kind: site, name: {name}, client: {client}, hosts: [{hosts}], cdns: [{}], objectives: {objectives}}}",
                cdns.join(", ")
            )
        }),
    ]
}

/// A command of a random history: documents to apply, or objects to delete.
fn step() -> impl Strategy<Value = Result<Vec<String>, Vec<(ObjectKind, String)>>> {
    let name = prop::sample::select(vec!["a", "b", "B", "c.d", "c_d", "a/a", "b/a"]);
    let object = (prop::sample::select(ObjectKind::ALL.to_vec()), name.prop_map(str::to_owned));
    prop_oneof![
        4 => prop::collection::vec(document(), 1..4).prop_map(Ok),
        1 => prop::collection::vec(object, 1..4).prop_map(Err),
    ]
}

/// What is wrong in a state, found by walks over all of it.
fn contradictions(state: &State) -> Vec<String> {
    let mut found = Vec::new();
    let mut names = BTreeSet::new();
    let mut agents = BTreeMap::new();
    let mut hosts = BTreeSet::new();
    let mut prefixes = BTreeSet::new();
    let mut note = |is_right: bool, what: String| (!is_right).then(|| found.push(what));
    let mut is_new = |kind: ObjectKind, name: &str| names.insert((kind, folded_name(name)));
    for client in state.clients() {
        note(is_new(ObjectKind::Client, client.name.as_str()), format!("{client:?}"));
    }
    for cdn in state.cdns() {
        note(is_new(ObjectKind::Cdn, cdn.name.as_str()), format!("{cdn:?}"));
    }
    for network in state.networks() {
        note(is_new(ObjectKind::Network, network.name.as_str()), format!("{network:?}"));
        let parent = &network.parent;
        note(*parent == NetworkName::everywhere() || state.network(parent).is_some(), format!("{network:?}"));
        let path = state.ancestors(&network.name);
        note(
            path.iter().collect::<BTreeSet<_>>().len() == path.len() && path.len() <= 16,
            format!("{path:?}"),
        );
        network.prefixes.iter().for_each(|prefix| {
            note(prefixes.insert(*prefix), format!("{prefix}"));
        });
    }
    for probe in state.probes() {
        let agent = agents.entry(folded_name(probe.agent.as_str())).or_insert_with(|| probe.agent.clone());
        note(*agent == probe.agent && state.network(&probe.network).is_some(), format!("{probe:?}"));
    }
    for ProvisionedSite { site, .. } in state.sites() {
        note(is_new(ObjectKind::Site, site.name.as_str()), format!("{site:?}"));
        note(state.clients().any(|client| client.name == site.client), format!("{site:?}"));
        note(site.cdns.iter().all(|cdn| state.cdn(&cdn.cdn).is_some()), format!("{site:?}"));
        note(site.hosts.iter().all(|host| hosts.insert(host.clone())), format!("{site:?}"));
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_panics(text in any::<String>()) {
        let _ = parse("f", &text);
    }

    #[test]
    fn no_text_of_known_words_panics(text in near_yaml()) {
        if let Ok(parsed) = parse("f", &text) {
            let command = super::command("c", Change::Apply(parsed.objects));
            let _ = decide(&State::default(), &command);
        }
    }

    /// Objects of odd names are written, read, and are equal.
    #[test]
    fn an_export_reads_back(state in state()) {
        let text = export(&state).expect("objects can be written");
        let read = with(State::default(), "one", &text);
        prop_assert_eq!(read, state);
    }

    /// Networks of random parents are documents in random order: the events are the same, and parents come first.
    #[test]
    fn order_says_nothing(parents in prop::collection::vec(any::<prop::sample::Index>(), 1..12), seed in any::<u64>()) {
        let mut documents: Vec<String> = parents.iter().enumerate().map(|(at, parent)| match at {
            0 => String::from("{kind: network, name: n0}"),
            _ => format!("{{kind: network, name: n{at}, parent: n{}}}", parent.index(at)),
        }).collect();
        let forward = apply_text(&State::default(), "a", &documents.join("\n---\n"));
        documents.sort_by_key(|document| {
            document.bytes().fold(seed, |hash, byte| hash.wrapping_mul(0x100_0000_01b3) ^ u64::from(byte))
        });
        let shuffled = parse("f", documents.join("\n---\n")).expect("the documents are well formed");
        prop_assert!(shuffled.objects.iter().all(|object| matches!(object, Object::Network(_))));
        let command = super::command("b", Change::Apply(shuffled.objects));
        let backward = decide(&State::default(), &command);
        prop_assert_eq!(&forward, &backward);
        let mut known = vec![NetworkName::everywhere()];
        for event in forward.expect("it is a tree") {
            let Event::Network(network) = event else { panic!("only networks") };
            prop_assert!(known.contains(&network.parent));
            known.push(network.name);
        }
    }

    /// After every command of a random history, the state equals one that is built from its objects alone, so the indexes have
    /// neither lost nor kept anything; walks over the whole state find no contradiction; an export restores the objects; and
    /// the states before are unchanged.
    #[test]
    fn a_state_is_what_its_history_made_it(steps in prop::collection::vec(step(), 1..24)) {
        let mut state = State::default();
        let mut history: Vec<(State, String)> = Vec::new();
        for (number, step) in steps.iter().enumerate() {
            let id = format!("c{number}");
            let decided = match step {
                Ok(documents) => match parse("f", documents.join("\n---\n")) {
                    Ok(parsed) => decide(&state, &super::command(&id, Change::Apply(parsed.objects))),
                    Err(_) => continue,
                },
                Err(objects) => {
                    let objects: Vec<_> = objects.iter().map(|(kind, name)| (*kind, name.as_str())).collect();
                    super::delete(&state, &objects)
                }
            };
            let Ok(events) = decided else { continue };
            history.push((state.clone(), format!("{state:?}")));
            let next = record(&state, &id, events.clone());
            let changed = state.apply(&next).expect("the record is next");
            prop_assert_eq!(changed.len(), events.len());
            let rebuilt = State::restored(state.revision(), state.saved_objects(), state.gaps().cloned());
            prop_assert_eq!(&rebuilt, &state);
            prop_assert_eq!(contradictions(&state), Vec::<String>::new());
        }
        let text = export(&state).expect("objects can be written");
        prop_assert_eq!(apply_text(&state, "again", &text), Ok(Vec::new()));
        for (before, shown) in history {
            prop_assert_eq!(format!("{before:?}"), shown);
        }
    }

    /// A command is refused exactly when the state that it would make contradicts itself.
    #[test]
    fn only_contradictions_are_refused(documents in prop::collection::vec(document(), 1..8)) {
        let Ok(parsed) = parse("f", documents.join("\n---\n")) else { return Ok(()) };
        let ids: BTreeSet<_> = parsed.objects.iter().map(Object::id).collect();
        prop_assume!(ids.len() == parsed.objects.len());
        let mut after = State::default();
        for object in parsed.objects.clone() {
            after.apply_event(0, &object.into_event());
        }
        let decided = decide(&State::default(), &super::command("c", Change::Apply(parsed.objects)));
        prop_assert_eq!(decided.is_ok(), contradictions(&after).is_empty());
    }
}
