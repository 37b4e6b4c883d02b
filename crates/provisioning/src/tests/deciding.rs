use expect_test::{Expect, expect};
use spillway_events::{Client, ClientName, Event, Gap, ObjectKind, encode};

use super::{WORLD, apply_text, command, delete, diff_lines, outcome, parsed, record, shown, with, world};
use crate::limits::{
    ADDRESSES_PER_TARGET_MAX, CDN_BYTES_MAX, CDNS_PER_SITE_MAX, HOSTS_PER_SITE_MAX, MISTAKES_LISTED_MAX,
    NETWORK_BYTES_MAX, OBJECTIVES_PER_SITE_MAX, OBJECTS_PER_COMMAND_MAX, OBJECTS_PER_KIND_MAX,
    PREFIXES_PER_NETWORK_MAX, SITE_BYTES_MAX, TITLE_BYTES_MAX, URL_BYTES_MAX,
};
use crate::{Change, ObjectId, Refusal, State, decide};

fn check(text: &str, expected: &Expect) {
    expected.assert_eq(&outcome(&world(), text));
}

fn check_delete(objects: &[(ObjectKind, &str)], expected: &Expect) {
    let state = world();
    expected.assert_eq(&shown(&state, delete(&state, objects)));
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
fn only_the_loss_of_deleted_records_is_accepted() {
    let state = world();
    let show = |topic: &str, from, to, reason: &str| {
        let gap = Gap { topic: topic.to_owned(), partition: 2, from, to, reason: reason.to_owned() };
        shown(&state, decide(&state, &command("g", Change::AcceptLoss { gap, log_starts_at: 300 })))
    };
    let all = [
        show("measurements", 100, 300, "a disk broke"),
        show("measurements", 100, 301, "a disk broke"),
        show("measurements", 300, 300, "a disk broke"),
        show("measurements", 100, 300, ""),
        show("measurements", 100, 300, "a disk\nbroke"),
        show("ticks", 100, 300, "a disk broke"),
    ];
    expect![[r#"
        + gap measurements/2: the loss of offsets 100..300 is accepted: a disk broke
        the log holds measurements/2 from offset 300 on; only the loss of records before that can be accepted, not of 100..301
        the offset range 300..300 is empty
        reason: must have 1 to 255 bytes
        reason: must have no control characters, such as line breaks
        topic ticks has no input partitions
    "#]]
    .assert_eq(&all.concat());
}

#[test]
fn a_loss_is_accepted_once() {
    let mut state = world();
    let gap = |from, to| Gap {
        topic: String::from("inbox.own"),
        partition: 0,
        from,
        to,
        reason: String::from("lost"),
    };
    let events = |state: &State, from, to| {
        decide(state, &command("g", Change::AcceptLoss { gap: gap(from, to), log_starts_at: 300 })).unwrap()
    };
    state.apply_event(1, &events(&state, 10, 20)[0]);
    assert_eq!(events(&state, 10, 20), []);
    assert_eq!(events(&state, 12, 19), []);
    assert_eq!(events(&state, 10, 21), [Event::Gap(gap(10, 21))]);
    let accepted = |from| state.accepted_gap_end("inbox.own", 0, from);
    assert_eq!([9, 10, 19, 20].map(accepted), [None, Some(20), Some(20), None]);
    assert_eq!(state.accepted_gap_end("inbox.own", 1, 10), None);
}

#[test]
fn repeats_change_nothing() {
    assert_eq!(apply_text(&world(), "again", WORLD), Ok(Vec::<Event>::new()));
}

#[test]
fn a_changed_field_is_shown() {
    check(
        "{kind: cdn, name: own, type: partner, dns_name: own.example.net, addresses: [198.51.100.8]}",
        &expect![[r#"
            ~ cdn own: addresses - 198.51.100.7, + 198.51.100.8
            ~ cdn own: probe_url http://own.example.net/probe -> none
            ~ cdn own: type operated -> partner
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
            ~ site shop: cdns - (cdn rented, dns_name shop.rented.example.org), + rented
            ~ site shop: hosts [shop.example.com, www.shop.example.com] -> [www.shop.example.com, shop.example.com]
            ~ site shop: objectives - (metric response_time, percentile 95, probes_min 3, samples_min 20, threshold 150ms, window 600s), - (metric available_bandwidth, percentile 90, probes_min 1, samples_min 20, threshold 20Mbit/s, window 3600s), + (metric response_time, percentile 95, probes_min 3, samples_min 20, threshold 160ms, window 600s)
            ~ site shop: origin.addresses - 203.0.113.2
            ~ site shop: origin.probe_url https://shop.example.com:8443/probe -> none
            ~ site shop: ttl_secs 20 -> 30
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
            f.yaml:5: document 1 (site blog): cdns[1]: there is no cdn none
            f.yaml:4: document 1 (site blog): hosts[0]: blog.example.com is also a host name of site news (see f.yaml:22)
            f.yaml:4: document 1 (site blog): hosts[1]: shop.example.com is also a host name of site shop
            f.yaml:9: document 2 (probe a/nowhere): network: there is no network nowhere
            f.yaml:13: document 3 (network n): parent: there is no network nowhere
            f.yaml:14: document 3 (network n): prefixes: 192.0.2.0/24 is also a prefix of network as64500
            f.yaml:19: document 5 (client acme): is described twice in one command (see f.yaml:16)
            f.yaml:25: document 6 (site news): hosts[0]: blog.example.com is also a host name of site blog (see f.yaml:1)
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
            f.yaml:1: document 1 (network region): parent: the path up from region does not reach everywhere
        "#]],
    );
    check(
        "{kind: network, name: x, parent: x}",
        &expect![[r#"
            f.yaml:1: document 1 (network x): parent: the path up from x does not reach everywhere
        "#]],
    );
    check(
        "{kind: network, name: x, parent: y}\n---\n{kind: network, name: y, parent: x}",
        &expect![[r#"
            f.yaml:1: document 1 (network x): parent: the path up from x does not reach everywhere
            f.yaml:3: document 2 (network y): parent: the path up from y does not reach everywhere
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
            f.yaml:31: document 16 (network n15): parent: the path from network n15 up to everywhere has more than 16 networks, both included
        "#]],
    );
    assert_eq!(apply_text(&world(), "c", &chain[..15].join("\n---\n")).map(|events| events.len()), Ok(15));
}

/// A chain and a cycle of very many networks: the work and the list of mistakes stay bounded.
#[test]
fn large_wrong_trees_give_a_bounded_list() {
    let document = |at: usize, parent: usize| {
        format!("{{kind: network, name: n{at}, parent: n{parent}, prefixes: [10.0.0.0/8]}}")
    };
    let text = (0..20_000).map(|at| document(at, (at + 1) % 20_000)).collect::<Vec<_>>().join("\n---\n");
    let mistakes = outcome(&world(), &text);
    let mistakes: Vec<&str> = mistakes.lines().collect();
    let shown: String =
        mistakes.iter().take(2).chain(mistakes.last()).map(|mistake| format!("{mistake}\n")).collect();
    expect![[r#"
        f.yaml:1: document 1 (network n0): prefixes: 10.0.0.0/8 is also a prefix of network n9999 (see f.yaml:19999)
        f.yaml:1: document 1 (network n0): parent: the path from network n0 up to everywhere has more than 16 networks, both included
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
            "f:6: document 1 (site s): cdns[1]: has the same name as the origin, `own`; targets of a site differ in name"
        ]
    );
    assert_eq!(
        reasons(&text("origin", "[own, own]")),
        ["f:6: document 1 (site s): cdns[1]: own is listed twice: it is also cdns[0]"]
    );
}

#[test]
fn an_object_in_use_is_not_deleted() {
    check_delete(
        &[(ObjectKind::Client, "acme")],
        &expect![[r#"
            client acme cannot be deleted: it is used by site shop
        "#]],
    );
    check_delete(
        &[(ObjectKind::Network, "region")],
        &expect![[r#"
            network region cannot be deleted: it is used by network as64500
        "#]],
    );
    check_delete(
        &[(ObjectKind::Network, "as64500")],
        &expect![[r#"
            network as64500 cannot be deleted: it is used by probe a1/as64500
        "#]],
    );
    check_delete(
        &[(ObjectKind::Network, "everywhere")],
        &expect![[r#"
            network everywhere always exists and cannot be deleted
        "#]],
    );
    check_delete(
        &[(ObjectKind::Cdn, "rented")],
        &expect![[r#"
            cdn rented cannot be deleted: it is used by site shop
        "#]],
    );
    check_delete(
        &[(ObjectKind::Probe, "a1/as64500")],
        &expect![[r#"
        - probe a1/as64500
    "#]],
    );
    check_delete(
        &[(ObjectKind::Probe, "a1")],
        &expect![[r#"
        there is no probe a1
    "#]],
    );
    check_delete(
        &[(ObjectKind::Site, "shop")],
        &expect![[r#"
        - site shop
    "#]],
    );
    check_delete(
        &[(ObjectKind::Site, "shed")],
        &expect![[r#"
        there is no site shed
    "#]],
    );
}

#[test]
fn names_of_a_kind_differ_in_more_than_case_dots_and_underscores() {
    let text = "\
{kind: client, name: ACME}
---
{kind: cdn, name: Edge.One, type: partner, dns_name: x.example}
---
{kind: cdn, name: edge_one, type: partner, dns_name: y.example}
---
{kind: network, name: AS64500}
---
{kind: probe, agent: A1, network: region}
---
{kind: probe, agent: a1, network: region}
---
{kind: site, client: acme, name: Shop, hosts: [new.example]}
";
    check(
        text,
        &expect![[r#"
        f.yaml:1: document 1 (client ACME): name: collides with client acme: names of clients differ in more than upper and lower case, and `.` and `_`
        f.yaml:3: document 2 (cdn Edge.One): name: collides with cdn edge_one: names of CDNs differ in more than upper and lower case, and `.` and `_` (see f.yaml:5)
        f.yaml:5: document 3 (cdn edge_one): name: collides with cdn Edge.One: names of CDNs differ in more than upper and lower case, and `.` and `_` (see f.yaml:3)
        f.yaml:7: document 4 (network AS64500): name: collides with network as64500: names of networks differ in more than upper and lower case, and `.` and `_`
        f.yaml:9: document 5 (probe A1/region): agent: collides with agent a1 of probe a1/region: names of agents differ in more than upper and lower case, and `.` and `_` (see f.yaml:11)
        f.yaml:11: document 6 (probe a1/region): agent: collides with agent A1 of probe A1/region: names of agents differ in more than upper and lower case, and `.` and `_` (see f.yaml:9)
        f.yaml:13: document 7 (site Shop): name: collides with site shop: names of sites differ in more than upper and lower case, and `.` and `_`
    "#]],
    );
    // Names of different kinds do not collide.
    check(
        "{kind: client, name: own}\n---\n{kind: network, name: acme}",
        &expect![[r#"
        + client own
        + network acme
    "#]],
    );
    let everywhere = crate::parse("f", "{kind: network, name: Everywhere}").expect_err("it is the root");
    assert_eq!(
        everywhere[0].reason,
        "everywhere is the root of the tree and always exists; choose another name"
    );
}

/// A host name, a prefix and a name can move from one object to another in one command, in either order.
#[test]
fn what_an_object_gives_up_another_can_take() {
    let give = "{kind: network, name: as64500, parent: region}";
    let take = "{kind: network, name: other, prefixes: [192.0.2.0/24]}";
    for text in [format!("{give}\n---\n{take}"), format!("{take}\n---\n{give}")] {
        assert_eq!(
            outcome(&world(), &text),
            "+ network other\n~ network as64500: prefixes - 192.0.2.0/24, - 2001:db8::/32\n"
        );
    }
    let state = world();
    let deleted = delete(&state, &[(ObjectKind::Site, "shop")]).expect("nothing uses it");
    let mut state = state;
    state.apply(&record(&state, "d", deleted)).expect("the record is next");
    let state = with(state, "again", "{kind: site, client: acme, name: SHOP, hosts: [shop.example.com]}");
    assert_eq!(state.count(ObjectKind::Site), 1);
}

#[test]
fn a_network_with_others_below_it_cannot_move_too_deep() {
    let chain = |from: usize, to: usize| -> String {
        let document = |level: usize| match level {
            0 => String::from("{kind: network, name: n00}"),
            _ => format!("{{kind: network, name: n{level:02}, parent: n{:02}}}", level - 1),
        };
        (from..to).map(document).collect::<Vec<_>>().join("\n---\n")
    };
    let state = with(world(), "chain", &chain(0, 15));
    expect![[r#"
        f.yaml:1: document 1 (network n00): parent: the path from network n14 up to everywhere has more than 16 networks, both included
    "#]].assert_eq(&outcome(&state, "{kind: network, name: n00, parent: region}"));
    expect![[r#"
        f.yaml:1: document 1 (network n15): parent: the path from network n15 up to everywhere has more than 16 networks, both included
    "#]].assert_eq(&outcome(&state, &chain(15, 16)));
    // A network that moves in the same command is checked by itself.
    let text = "{kind: network, name: n00, parent: region}\n---\n{kind: network, name: n14}";
    expect![[r#"
        ~ network n14: parent n13 -> everywhere
        ~ network n00: parent everywhere -> region
    "#]]
    .assert_eq(&outcome(&state, text));
}

#[test]
fn objects_are_deleted_together_with_all_that_use_them() {
    let everything = [
        (ObjectKind::Client, "acme"),
        (ObjectKind::Network, "region"),
        (ObjectKind::Network, "as64500"),
        (ObjectKind::Cdn, "own"),
        (ObjectKind::Cdn, "rented"),
        (ObjectKind::Probe, "a1/as64500"),
        (ObjectKind::Site, "shop"),
    ];
    check_delete(
        &everything,
        &expect![[r#"
        - site shop
        - probe a1/as64500
        - cdn rented
        - cdn own
        - network as64500
        - network region
        - client acme
    "#]],
    );
    check_delete(
        &everything[..6],
        &expect![[r#"
        client acme cannot be deleted: it is used by site shop
    "#]],
    );
    check_delete(
        &[(ObjectKind::Site, "shop"), (ObjectKind::Site, "shop")],
        &expect![[r#"
        - site shop
    "#]],
    );
}

#[test]
fn a_refused_deletion_names_the_users_up_to_a_bound() {
    let sites: Vec<String> = (0..23)
        .map(|at| {
            format!("{{kind: site, client: acme, name: s{at:02}, hosts: [s{at}.example], cdns: [rented]}}")
        })
        .collect();
    let state = with(world(), "sites", &sites.join("\n---\n"));
    expect![[r#"
        cdn rented cannot be deleted: it is used by site s00, site s01, site s02, site s03, site s04, site s05, site s06, site s07, site s08, site s09, site s10, site s11, site s12, site s13, site s14, site s15, site s16, site s17, site s18, site s19 and 4 more
    "#]].assert_eq(&shown(&state, delete(&state, &[(ObjectKind::Cdn, "rented")])));
}

/// Objects of the greatest size that the limits allow stay within the bytes that the limits promise.
#[test]
fn the_largest_objects_fit_into_a_chunk() {
    let name = |letter: char, number: usize| format!("{}{number:03}", letter.to_string().repeat(60));
    let host = |number: usize| format!("{0}.{0}.{0}.{1}-{number:04}", "h".repeat(63), "t".repeat(56));
    let url = format!("https://u.example/{}", "p".repeat(URL_BYTES_MAX - 18));
    let title = "t".repeat(TITLE_BYTES_MAX);
    let addresses: Vec<String> = (0..ADDRESSES_PER_TARGET_MAX)
        .map(|at| format!("'2001:1db8:1111:1111:1111:1111:1111:{at:04x}'"))
        .collect();
    let addresses = addresses.join(", ");
    let mut documents = vec![format!("{{kind: client, name: {}, title: {title}}}", name('c', 0))];
    let prefixes: Vec<String> = (0..PREFIXES_PER_NETWORK_MAX)
        .map(|at| format!("'2001:1db8:1111:1111:1111:1111:1111:{:04x}/128'", at + 0x1000))
        .collect();
    let prefixes = prefixes.join(", ");
    documents
        .push(format!("{{kind: network, name: {}, title: {title}, prefixes: [{prefixes}]}}", name('n', 0)));
    let cdns: Vec<String> = (0..CDNS_PER_SITE_MAX).map(|at| name('d', at)).collect();
    documents.extend(cdns.iter().map(|cdn| {
        format!(
            "{{kind: cdn, name: {cdn}, title: {title}, type: partner, dns_name: {}, addresses: [{addresses}], probe_url: '{url}'}}",
            host(0)
        )
    }));
    let hosts = (0..HOSTS_PER_SITE_MAX).map(host).collect::<Vec<_>>().join(", ");
    let cdns: Vec<String> = cdns.iter().map(|cdn| format!("{{cdn: {cdn}, dns_name: {}}}", host(1))).collect();
    let objectives: Vec<String> = (0..OBJECTIVES_PER_SITE_MAX)
        .map(|at| format!("{{metric: available_bandwidth, threshold: {}Tbit/s, window: 6h, samples_min: 1000000, probes_min: 1000000}}", at + 900))
        .collect();
    documents.push(format!(
        "{{kind: site, name: {}, title: {title}, client: {}, hosts: [{hosts}], origin: {{name: {}, addresses: [{addresses}], \
         probe_url: '{url}'}}, cdns: [{}], ttl_secs: 86400, probe_interval_ms: 3600000, objectives: [{}]}}",
        name('s', 0), name('c', 0), name('o', 0), cdns.join(", "), objectives.join(", ")
    ));
    let events =
        apply_text(&State::default(), "largest", &documents.join("\n---\n")).expect("the limits allow it");
    let empty = encode(&record(&State::default(), "largest", Vec::new())).expect("it is encoded").len();
    for event in events {
        let most = match &event {
            Event::Network(_) => NETWORK_BYTES_MAX,
            Event::Cdn(_) => CDN_BYTES_MAX,
            Event::Site(_) => SITE_BYTES_MAX,
            _ => continue,
        };
        let bytes =
            encode(&record(&State::default(), "largest", vec![event])).expect("it is encoded").len() - empty;
        assert!(bytes <= most && most <= bytes + bytes / 4 + 4096, "{bytes} of {most}");
    }
}

#[test]
fn a_command_that_no_record_can_hold_is_refused_with_the_way_out() {
    let host = |site: usize, at: usize| format!("h{at}.{0}.{0}.{0}.s{site}", "x".repeat(63));
    let site = |number: usize| {
        let hosts = (0..HOSTS_PER_SITE_MAX).map(|at| host(number, at)).collect::<Vec<_>>().join(", ");
        format!("{{kind: site, client: acme, name: s{number}, hosts: [{hosts}]}}")
    };
    let texts: Vec<String> = (0..330).map(site).collect();
    let halves: Vec<String> = texts.chunks(165).map(|half| half.join("\n---\n")).collect();
    let objects = halves.iter().flat_map(|half| parsed(half).objects).collect();
    expect![[r#"
        the 330 changes take 17094869 bytes in the log, at most 16777216 fit into one record; split the files into several commands
    "#]].assert_eq(&shown(&world(), decide(&world(), &command("long", Change::Apply(objects)))));
    let state = with(world(), "first", &halves[0]);
    assert_eq!(with(state, "second", &halves[1]).count(ObjectKind::Site), 331);
}

#[test]
fn a_command_has_an_id_and_an_author() {
    let mut bad = command("", Change::Apply(Vec::new()));
    assert_eq!(decide(&world(), &bad), Err(Refusal::BadCommand("id")));
    bad.id = String::from("x");
    bad.author = "x".repeat(256);
    assert_eq!(decide(&world(), &bad), Err(Refusal::BadCommand("author")));
}

/// The bounds of one command, at the greatest number that is allowed and one above.
#[test]
fn a_command_has_a_bounded_number_of_objects() {
    let acme = parsed("{kind: client, name: acme}").objects;
    let apply = |count: usize| {
        let objects = acme.iter().cycle().take(count).cloned().collect();
        decide(&world(), &command("many", Change::Apply(objects)))
    };
    let too_many = OBJECTS_PER_COMMAND_MAX + 1;
    assert_eq!(apply(too_many), Err(Refusal::TooManyInCommand(too_many)));
    let Err(Refusal::Faults { faults, unlisted }) = apply(OBJECTS_PER_COMMAND_MAX) else {
        panic!("the same object is described more than once")
    };
    // All but the first repeat it.
    assert_eq!((faults.len(), faults.len() + unlisted), (MISTAKES_LISTED_MAX, OBJECTS_PER_COMMAND_MAX - 1));
    let delete = |count: usize| {
        let ids = vec![ObjectId::new(ObjectKind::Site, "nothing"); count];
        decide(&world(), &command("many", Change::Delete(ids)))
    };
    assert_eq!(delete(too_many), Err(Refusal::TooManyInCommand(too_many)));
    let nothing = ObjectId::new(ObjectKind::Site, "nothing");
    assert_eq!(delete(OBJECTS_PER_COMMAND_MAX), Err(Refusal::NotFound(nothing)));
}

#[test]
fn a_kind_has_a_bounded_number_of_objects() {
    let mut state = State::default();
    for number in 0..OBJECTS_PER_KIND_MAX - 1 {
        let name = ClientName::new(format!("c{number}")).expect("a name");
        state.apply_event(0, &Event::Client(Client { name, title: None }));
    }
    let add = |text: &str| shown(&state, apply_text(&state, "add", text));
    assert_eq!(add("{kind: client, name: last}"), "+ client last\n");
    assert_eq!(
        add("{kind: client, name: last}\n---\n{kind: client, name: more}"),
        "there would be 100001 clients, at most 100000 are allowed\n"
    );
}
