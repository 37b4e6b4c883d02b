use expect_test::{Expect, expect};
use spillway_events::{Event, Gap, ObjectKind};

use super::{WORLD, apply_text, command, diff_lines, outcome, world};
use crate::{Change, Refusal, State, decide};

fn check(text: &str, expected: &Expect) {
    expected.assert_eq(&outcome(&world(), text));
}

fn check_delete(kind: ObjectKind, name: &str, expected: &Expect) {
    let state = world();
    let shown = match decide(&state, command("d", Change::Delete { kind, name: name.to_owned() })) {
        Ok(events) => diff_lines(&state, &events),
        Err(refusal) => format!("{refusal}\n"),
    };
    expected.assert_eq(&shown);
}

#[test]
fn events_come_in_order_of_dependence_whatever_the_order_of_documents() {
    let mut documents: Vec<&str> = WORLD.split("---\n").collect();
    let forward = apply_text(&State::default(), "a", &documents.join("---\n"));
    documents.reverse();
    let backward = apply_text(&State::default(), "b", &documents.join("---\n"));
    assert_eq!(forward, backward);
    let events = forward.expect("the world fits");
    expect![[r#"
        + client acme
        + network region
        + network as64500
        + cdn own
        + cdn rented
        + probe a1/as64500
        + site shop
    "#]]
    .assert_eq(&diff_lines(&State::default(), &events));
}

#[test]
fn only_what_the_log_has_no_more_is_given_up() {
    let state = world();
    let show = |topic: &str, from, to, reason: &str| {
        let gap = Gap { topic: topic.to_owned(), partition: 2, from, to, reason: reason.to_owned() };
        match decide(&state, command("g", Change::GiveUp { gap, log_starts_at: 300 })) {
            Ok(events) => diff_lines(&state, &events),
            Err(refusal) => format!("{refusal}\n"),
        }
    };
    let all = [
        show("measurements", 100, 300, "a disk broke"),
        show("measurements", 100, 301, "a disk broke"),
        show("measurements", 300, 300, "a disk broke"),
        show("measurements", 100, 300, ""),
        show("ticks", 100, 300, "a disk broke"),
    ];
    expect![[r#"
        + gap measurements/2: offsets 100 to 300 are given up: a disk broke
        the log has measurements/2 from offset 300 on; only what is before can be given up, not 100 to 301
        offsets 300 to 300 are none
        the reason must have 1 to 255 bytes
        topic ticks bears no input by partition
    "#]]
    .assert_eq(&all.concat());
}

#[test]
fn what_is_given_up_is_given_up_once() {
    let mut state = world();
    let gap = |from, to| Gap {
        topic: String::from("inbox.own"),
        partition: 0,
        from,
        to,
        reason: String::from("lost"),
    };
    let events = |state: &State, from, to| {
        decide(state, command("g", Change::GiveUp { gap: gap(from, to), log_starts_at: 300 })).unwrap()
    };
    state.apply_event(1, &events(&state, 10, 20)[0]);
    assert_eq!(events(&state, 10, 20), []);
    assert_eq!(events(&state, 12, 19), []);
    assert_eq!(events(&state, 10, 21), [Event::Gap(gap(10, 21))]);
    let given_up = |from| state.given_up("inbox.own", 0, from);
    assert_eq!([9, 10, 19, 20].map(given_up), [None, Some(20), Some(20), None]);
    assert_eq!(state.given_up("inbox.own", 1, 10), None);
}

#[test]
fn repeats_change_nothing() {
    assert_eq!(apply_text(&world(), "again", WORLD), Ok(Vec::<Event>::new()));
}

#[test]
fn a_changed_field_is_told() {
    check(
        "{kind: cdn, name: own, type: partner, dns_name: own.example.net, addresses: [198.51.100.8]}",
        &expect![[r#"
            ~ cdn own: type operated -> partner
            ~ cdn own: addresses - 198.51.100.7, + 198.51.100.8
            ~ cdn own: probe_url http://own.example.net/probe -> none
        "#]],
    );
    check(
        "{kind: network, name: as64500, prefixes: [192.0.2.0/24, 192.0.2.0/25]}",
        &expect![[r#"
        ~ network as64500: parent region -> everywhere
        ~ network as64500: prefixes - 2001:db8::/32, + 192.0.2.0/25
    "#]],
    );
    check(
        "\
kind: site
client: acme
name: shop
hosts: [www.shop.example.com, shop.example.com]
origin: {addresses: [203.0.113.1]}
cdns: [rented, own]
ttl_secs: 30
objectives: [{metric: response_time, threshold: 160ms}]
",
        &expect![[r#"
            ~ site shop: hosts [shop.example.com, www.shop.example.com] -> [www.shop.example.com, shop.example.com]
            ~ site shop: origin.addresses - 203.0.113.2
            ~ site shop: origin.probe_url https://shop.example.com:8443/probe -> none
            ~ site shop: cdns - (cdn rented, dns_name shop.rented.example.org), + rented
            ~ site shop: ttl_secs 20 -> 30
            ~ site shop: objectives - (metric response_time, threshold 150ms, percentile 95, window 600s, samples_min 20, probes_min 3), - (metric available_bandwidth, threshold 20Mbit/s, percentile 90, window 3600s, samples_min 20, probes_min 1), + (metric response_time, threshold 160ms, percentile 95, window 600s, samples_min 20, probes_min 3)
        "#]],
    );
}

#[test]
fn all_bad_references_come_at_once() {
    let text = "\
kind: site
client: nobody
name: blog
hosts: [blog.example.com, shop.example.com]
cdns: [own, none]
---
kind: probe
agent: a
network: nowhere
---
kind: network
name: n
parent: nowhere
prefixes: [192.0.2.0/24]
---
kind: client
name: acme
---
kind: client
name: acme
---
kind: site
client: acme
name: news
hosts: [blog.example.com]
";
    check(
        text,
        &expect![[r#"
        f.yaml:2: document 1 (site blog): client: there is no client nobody
        f.yaml:4: document 1 (site blog): hosts[0]: blog.example.com is a host name of site news as well
        f.yaml:4: document 1 (site blog): hosts[1]: shop.example.com is a host name of site shop as well
        f.yaml:5: document 1 (site blog): cdns[1]: there is no cdn none
        f.yaml:9: document 2 (probe a/nowhere): network: there is no network nowhere
        f.yaml:13: document 3 (network n): parent: there is no network nowhere
        f.yaml:14: document 3 (network n): prefixes: 192.0.2.0/24 is a prefix of network as64500 as well
        f.yaml:19: document 5 (client acme): is described twice: see document 4, line 16
        f.yaml:25: document 6 (site news): hosts[0]: blog.example.com is a host name of site blog as well
    "#]],
    );
}

#[test]
fn a_command_may_bring_what_its_documents_refer_to() {
    check(
        "{kind: probe, agent: a, network: new}\n---\n{kind: network, name: new, parent: newer}\n---\n{kind: network, name: newer}",
        &expect![[r#"
            + network newer
            + network new
            + probe a/new
        "#]],
    );
    check(
        "{kind: probe, agent: a, network: everywhere}",
        &expect![[r#"
        + probe a/everywhere
    "#]],
    );
}

#[test]
fn networks_form_a_tree() {
    check(
        "{kind: network, name: region, parent: as64500}",
        &expect![[r#"
        f.yaml:1: document 1 (network region): parent: the way up from region never reaches everywhere
    "#]],
    );
    check(
        "{kind: network, name: x, parent: x}",
        &expect![[r#"
        f.yaml:1: document 1 (network x): parent: the way up from x never reaches everywhere
    "#]],
    );
    check(
        "{kind: network, name: x, parent: y}\n---\n{kind: network, name: y, parent: x}",
        &expect![[r#"
        f.yaml:1: document 1 (network x): parent: the way up from x never reaches everywhere
        f.yaml:3: document 2 (network y): parent: the way up from y never reaches everywhere
    "#]],
    );
    // Turning a pair upside down is no cycle.
    check(
        "{kind: network, name: region, parent: as64500}\n---\n{kind: network, name: as64500, prefixes: [192.0.2.0/24, '2001:db8::/32']}",
        &expect![[r#"
            ~ network as64500: parent region -> everywhere
            ~ network region: parent everywhere -> as64500
        "#]],
    );
    let chain: Vec<String> = (0..16)
        .map(|level| match level {
            0 => String::from("{kind: network, name: n00}"),
            _ => format!("{{kind: network, name: n{level:02}, parent: n{:02}}}", level - 1),
        })
        .collect();
    check(
        &chain.join("\n---\n"),
        &expect![[r#"
            f.yaml:31: document 16 (network n15): parent: the way from network n15 up to everywhere has more than 16 levels, both counted
        "#]],
    );
    assert_eq!(apply_text(&world(), "c", &chain[..15].join("\n---\n")).map(|events| events.len()), Ok(15));
}

/// A chain and a cycle of very many networks: the work and the list of mistakes stay bounded.
#[test]
fn great_wrong_trees_are_refused_in_time() {
    let document = |at: usize, parent: usize| {
        format!("{{kind: network, name: n{at}, parent: n{parent}, prefixes: [10.0.0.0/8]}}")
    };
    let text = (0..20_000).map(|at| document(at, (at + 1) % 20_000)).collect::<Vec<_>>().join("\n---\n");
    let Err(Refusal::Mistakes(mistakes)) = apply_text(&world(), "c", &text) else { panic!("it is a cycle") };
    let shown: String =
        mistakes.iter().take(2).chain(mistakes.last()).map(|mistake| format!("{mistake}\n")).collect();
    expect![[r#"
        f.yaml:1: document 1 (network n0): parent: the way from network n0 up to everywhere has more than 16 levels, both counted
        f.yaml:1: document 1 (network n0): prefixes: 10.0.0.0/8 is a prefix of network n1 as well
        f.yaml: 30000 more mistakes are not listed
    "#]].assert_eq(&shown);
}

#[test]
fn target_names_differ_within_a_site() {
    let text = |origin: &str, cdns: &str| {
        format!(
            "kind: site\nclient: acme\nname: s\nhosts: [s.example]\norigin: {{name: {origin}}}\ncdns: {cdns}\n"
        )
    };
    let reasons = |text: &str| -> Vec<String> {
        crate::parse("f", text).err().unwrap_or_default().iter().map(ToString::to_string).collect()
    };
    assert_eq!(
        reasons(&text("own", "[rented, own]")),
        [
            "f:1: document 1 (site s): cdns[1]: has the name of the origin, `own`; targets of a site differ in name"
        ]
    );
    assert_eq!(
        reasons(&text("origin", "[own, own]")),
        ["f:6: document 1 (site s): cdns[1]: own stands at cdns[0] already"]
    );
}

#[test]
fn what_others_refer_to_stays() {
    check_delete(
        ObjectKind::Client,
        "acme",
        &expect![[r#"
        client acme cannot be deleted: referred to by site shop
    "#]],
    );
    check_delete(
        ObjectKind::Network,
        "region",
        &expect![[r#"
        network region cannot be deleted: referred to by network as64500
    "#]],
    );
    check_delete(
        ObjectKind::Network,
        "as64500",
        &expect![[r#"
        network as64500 cannot be deleted: referred to by probe a1/as64500
    "#]],
    );
    check_delete(
        ObjectKind::Network,
        "everywhere",
        &expect![[r#"
        the network everywhere exists by itself and cannot be deleted
    "#]],
    );
    check_delete(
        ObjectKind::Cdn,
        "rented",
        &expect![[r#"
        cdn rented cannot be deleted: referred to by site shop
    "#]],
    );
    check_delete(
        ObjectKind::Probe,
        "a1/as64500",
        &expect![[r#"
        - probe a1/as64500
    "#]],
    );
    check_delete(
        ObjectKind::Probe,
        "a1",
        &expect![[r#"
        there is no probe a1
    "#]],
    );
    check_delete(
        ObjectKind::Site,
        "shop",
        &expect![[r#"
        - site shop
    "#]],
    );
    check_delete(
        ObjectKind::Site,
        "shed",
        &expect![[r#"
        there is no site shed
    "#]],
    );
}

#[test]
fn a_command_has_an_id_and_an_author() {
    let mut bad = command("", Change::Apply(Vec::new()));
    assert_eq!(decide(&world(), bad.clone()), Err(Refusal::BadCommand("id")));
    bad.id = String::from("x");
    bad.author = "x".repeat(256);
    assert_eq!(decide(&world(), bad), Err(Refusal::BadCommand("author")));
}
