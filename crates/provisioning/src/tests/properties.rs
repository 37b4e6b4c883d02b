use proptest::prelude::*;
use spillway_events::{
    Cdn, CdnKind, CdnName, Client, ClientName, Event, Metric, Micros, Network, NetworkName, Objective,
};
use spillway_events::{CdnOfSite, Origin, Prefix, Site, SiteName};

use super::{apply_text, record, with};
use crate::{Change, Object, State, decide, export, parse};

/// A name that YAML could read as something else than text.
fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z0-9][A-Za-z0-9._-]{0,8}", "true|null|0x1f|1e3|0o7|1\\.5|12|1_000|no|2001-01-01|a--"]
}

fn threshold() -> impl Strategy<Value = u64> {
    (1_u64..1_000, 0_u32..6).prop_map(|(digits, zeros)| digits * 10_u64.pow(zeros))
}

fn objective() -> impl Strategy<Value = Objective> {
    (any::<bool>(), threshold(), 1_u32..100, 1_u64..10_080, 1_u32..1_000, 1_u32..9).prop_map(
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
        ttl_secs in 0_u32..86_401,
        probe_interval_ms in 100_u32..3_600_001,
        mut objectives in prop::collection::vec(objective(), 0..4),
        bits in any::<u128>(),
        length in 0_u8..129,
        has_own_name in any::<bool>(),
    ) -> State {
        let [client, network, cdn, site] = names;
        let client = ClientName::new(client).expect("a name");
        let cdn = CdnName::new(format!("{cdn}-c")).expect("a name");
        let mut distinct = Vec::new();
        objectives.retain(|objective| {
            let is_new = !distinct.contains(objective);
            distinct.push(objective.clone());
            is_new
        });
        let events = vec![
            Event::Client(Client { name: client.clone() }),
            Event::Network(Network {
                name: NetworkName::new(format!("n{network}")).expect("a name"),
                parent: NetworkName::everywhere(),
                prefixes: vec![Prefix::containing(std::net::Ipv6Addr::from(bits).into(), length)],
            }),
            Event::Cdn(Cdn {
                name: cdn.clone(), kind: CdnKind::Partner, dns_name: String::from("x.example"),
                addresses: Vec::new(), probe_url: None,
            }),
            Event::Site(Site {
                name: SiteName::new(site).expect("a name"),
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_panics(text in any::<String>()) {
        let _ = parse("f", &text);
    }

    #[test]
    fn no_text_of_known_words_panics(text in near_yaml()) {
        if let Ok(parsed) = parse("f", &text) {
            let command = super::command("c", Change::Apply(parsed.documents));
            let _ = decide(&State::default(), command);
        }
    }

    /// Objects of odd names are written, read, and are equal.
    #[test]
    fn an_export_reads_back(state in state()) {
        let text = export(&state);
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
        let shuffled = parse("f", &documents.join("\n---\n")).expect("the documents are well formed");
        prop_assert!(shuffled.documents.iter().all(|document| matches!(document.object(), Object::Network(_))));
        let command = super::command("b", Change::Apply(shuffled.documents));
        let backward = decide(&State::default(), command);
        prop_assert_eq!(&forward, &backward);
        let mut known = vec![NetworkName::everywhere()];
        for event in forward.expect("it is a tree") {
            let Event::Network(network) = event else { panic!("only networks") };
            prop_assert!(known.contains(&network.parent));
            known.push(network.name);
        }
    }
}
