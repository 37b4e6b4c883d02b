use expect_test::{Expect, expect};

use super::WORLD;
use crate::limits::FILE_BYTES_MAX;
use crate::{Change, Object, Parsed, Refusal, SourceFile, State, decide, parse, parse_files};

/// Parses a text and shows the lines, kinds and names of its objects with the warnings, or all its mistakes.
fn check(text: impl AsRef<[u8]>, expected: &Expect) {
    let shown: String = match parse("f.yaml", text) {
        Ok(Parsed { objects, positions, warnings }) => {
            let line = |(index, object): (usize, &Object)| {
                format!("line {}: {}\n", positions.line(index).unwrap_or(0), object.id())
            };
            let objects = objects.iter().enumerate().map(line);
            objects.chain(warnings.iter().map(|warning| format!("{warning}\n"))).collect()
        }
        Err(mistakes) => mistakes.iter().map(|mistake| format!("{mistake}\n")).collect(),
    };
    expected.assert_eq(&shown);
}

#[test]
fn objects_have_lines_and_names() {
    check(
        WORLD,
        &expect![[r#"
            line 1: client acme
            line 4: network region
            line 7: network as64500
            line 12: cdn own
            line 19: cdn rented
            line 24: probe a1/as64500
            line 28: site shop
            f.yaml:33: document 7 (site shop): origin.addresses[0]: 203.0.113.1 is not a public address, so probes skip it unless they are started with --probe-allow 203.0.113.1/32 or a wider prefix
            f.yaml:33: document 7 (site shop): origin.addresses[1]: 203.0.113.2 is not a public address, so probes skip it unless they are started with --probe-allow 203.0.113.2/32 or a wider prefix
            f.yaml:34: document 7 (site shop): origin.probe_url: probes do not request https yet, so they skip this target
        "#]],
    );
}

#[test]
fn defaults_and_canonical_forms_are_filled_in() {
    let parsed = parse("f.yaml", WORLD).expect("the world is well formed");
    let site = parsed.objects.iter().find_map(|object| match object {
        Object::Site(site) => Some(site),
        _ => None,
    });
    let site = site.expect("there is a site");
    let shown = format!("{:?}\n{:?}\n", site.hosts, site.origin)
        + &site.cdns.iter().map(|cdn| format!("{cdn:?}\n")).collect::<String>()
        + &format!("{} {}\n", site.ttl_secs, site.probe_interval_ms)
        + &site.objectives.iter().map(|objective| format!("{objective:?}\n")).collect::<String>();
    expect![[r#"
        ["shop.example.com", "www.shop.example.com"]
        Origin { name: "origin", addresses: [Address(203.0.113.1), Address(203.0.113.2)], probe_url: Some("https://shop.example.com:8443/probe") }
        CdnOfSite { cdn: CdnName("own"), dns_name: None }
        CdnOfSite { cdn: CdnName("rented"), dns_name: Some("shop.rented.example.org") }
        20 10000
        Objective { metric: ResponseTime, threshold: 150000, percentile: 95, window_us: Micros(600000000), samples_min: 20, probes_min: 3 }
        Objective { metric: AvailableBandwidth, threshold: 20000000, percentile: 90, window_us: Micros(3600000000), samples_min: 20, probes_min: 1 }
    "#]].assert_eq(&shown);
}

/// A file with a mistake of nearly every kind.
const MISTAKEN: &str = "\
kind: client
nam: acme
---
kind: network
name: everywhere
prefixes:
  - 192.0.2.1/24
  - nonsense
  - 198.51.100.0/24
  - 198.51.100.0/24
---
kind: site
client: 17
name: shop
hosts: [shop..example.com, 'a b', -x.example, bücher.example, 10.0.0.1]
origin: {adresses: [], addresses: [300.1.1.1], probe_url: ftp://x/}
cdns:
  - [own]
  - own
  - {cdn: own, dns_nam: x}
ttl_secs: 20s
probe_interval_ms: 50
probe_interval: 10s
objectives:
  - metric: response_time
    threshold: 150
    percentile: 100
    window: 90s
    samples_min: 0
    probes_min: -1
  - metric: latency
    threshold: 1s
  - {metric: response_time, threshold: 123456us}
  - {metric: available_bandwidth, threshold: 20MB/s}
---
kind: sight
---
just text
---
name: nobody
---
kind: probe
agent: a/b
";

#[test]
fn all_mistakes_of_a_file_come_at_once() {
    check(
        MISTAKEN,
        &expect![[r#"
            f.yaml:1: document 1 (client): name: is missing
            f.yaml:2: document 1 (client): nam: is not a known field; did you mean `name`?
            f.yaml:5: document 2 (network everywhere): name: everywhere is the root of the tree and always exists; choose another name
            f.yaml:7: document 2 (network everywhere): prefixes[0]: `192.0.2.1/24`: bits after the prefix length are set; write 192.0.2.0/24
            f.yaml:8: document 2 (network everywhere): prefixes[1]: `nonsense`: a prefix is written like 192.0.2.0/24 or 2001:db8::/32
            f.yaml:13: document 3 (site shop): client: must be text; put `17` in quotes
            f.yaml:15: document 3 (site shop): hosts[0]: `shop..example.com` has an empty label: it begins with a dot or has two dots in a row
            f.yaml:15: document 3 (site shop): hosts[1]: `a b` has the character ' '; letters, digits, hyphens and underscores are allowed
            f.yaml:15: document 3 (site shop): hosts[2]: `-x.example` has the label `-x`, which begins or ends with a hyphen
            f.yaml:15: document 3 (site shop): hosts[3]: `bücher.example` has characters other than letters, digits, hyphens and underscores; write it as xn--…
            f.yaml:15: document 3 (site shop): hosts[4]: `10.0.0.1` is an address or ends in a number; a host name is needed
            f.yaml:16: document 3 (site shop): origin.adresses: is not a known field; did you mean `addresses`?
            f.yaml:16: document 3 (site shop): origin.addresses[0]: `300.1.1.1` is not an IP address such as 192.0.2.1 or 2001:db8::1
            f.yaml:16: document 3 (site shop): origin.probe_url: `ftp://x/` must begin with http:// or https:// and a host
            f.yaml:18: document 3 (site shop): cdns[0]: must be a CDN's name, or a mapping of cdn and dns_name, not a list
            f.yaml:20: document 3 (site shop): cdns[2].dns_nam: is not a known field; did you mean `dns_name`?
            f.yaml:21: document 3 (site shop): ttl_secs: must be a whole number from 0 to 86400, not `20s`
            f.yaml:22: document 3 (site shop): probe_interval_ms: must be a whole number from 100 to 3600000, not `50`
            f.yaml:23: document 3 (site shop): probe_interval: repeats probe_interval_ms; remove one of them
            f.yaml:26: document 3 (site shop): objectives[0].threshold: `150` needs a unit: one of us, ms, s, min, h, d
            f.yaml:27: document 3 (site shop): objectives[0].percentile: must be a whole number from 1 to 99, not `100`
            f.yaml:28: document 3 (site shop): objectives[0].window: must be whole seconds from 1s to 60s or whole minutes up to 6h, not 90s
            f.yaml:29: document 3 (site shop): objectives[0].samples_min: must be a whole number from 1 to 1000000, not `0`
            f.yaml:30: document 3 (site shop): objectives[0].probes_min: must be a whole number from 1 to 1000000, not `-1`
            f.yaml:31: document 3 (site shop): objectives[1].metric: must be response_time or available_bandwidth, not `latency`
            f.yaml:33: document 3 (site shop): objectives[2].threshold: must be a number of three significant digits; the nearest are 123ms and 124ms
            f.yaml:34: document 3 (site shop): objectives[3].threshold: `20MB/s` needs a unit: one of bit/s, kbit/s, Mbit/s, Gbit/s, Tbit/s
            f.yaml:36: document 4 (sight): kind: must be one of client, network, cdn, probe, site, rate_card, agreement, override, not `sight`
            f.yaml:38: document 5: must be a mapping with a `kind`, not `just text`
            f.yaml:40: document 6: kind: is missing: one of client, network, cdn, probe, site, rate_card, agreement, override
            f.yaml:42: document 7 (probe): network: is missing
            f.yaml:43: document 7 (probe): agent: a name consists of the characters A-Z a-z 0-9 . _ - and cannot contain '/'
        "#]],
    );
}

#[test]
fn a_syntax_mistake_ends_its_document_only() {
    let text = "kind: [client\n---\nkind: client\nname: 7\n---\nkind: client\nname: \"x\n---\nkind: cdn\n";
    check(
        text,
        &expect![[r#"
        f.yaml:1: document 1: unclosed bracket '['
        f.yaml:4: document 2 (client 7): name: must be text; put `7` in quotes
        f.yaml:7: document 3: while scanning a quoted scalar, found unexpected document indicator
        f.yaml:9: document 4 (cdn): name: is missing
        f.yaml:9: document 4 (cdn): type: is missing
        f.yaml:9: document 4 (cdn): dns_name: is missing
    "#]],
    );
}

#[test]
fn aliases_tags_and_double_keys_are_mistakes() {
    let text =
        "kind: client\nname: &a acme\n---\nkind: network\nname: !x n\nname: m\nparent: *gone\n? [k]\n: v\n";
    check(
        text,
        &expect![[r#"
            f.yaml:2: document 1 (client acme): anchors and aliases are not supported; write the value out
            f.yaml:5: document 2 (network n): tags are not supported; remove the tag
            f.yaml:6: document 2 (network n): the key `name` is repeated
            f.yaml:7: document 2 (network n): anchors and aliases are not supported; write the value out
            f.yaml:8: document 2 (network n): a key must be text
        "#]],
    );
}

#[test]
fn thresholds_have_three_significant_digits() {
    let site = |threshold: &str, metric: &str| {
        format!(
            "{{kind: site, client: c, name: s, hosts: [h], objectives: [{{metric: {metric}, threshold: {threshold}}}]}}"
        )
    };
    check(
        site("999us", "response_time"),
        &expect![[r#"
        line 1: site s
    "#]],
    );
    check(
        site("1001us", "response_time"),
        &expect![[r#"
        f.yaml:1: document 1 (site s): objectives[0].threshold: must be a number of three significant digits; the nearest are 1ms and 1.01ms
    "#]],
    );
    check(
        site("0s", "response_time"),
        &expect![[r#"
        f.yaml:1: document 1 (site s): objectives[0].threshold: must be greater than 0; the least is 1us
    "#]],
    );
    check(
        site("3600s", "response_time"),
        &expect![[r#"
        line 1: site s
    "#]],
    );
    check(
        site("3610s", "response_time"),
        &expect![[r#"
        f.yaml:1: document 1 (site s): objectives[0].threshold: must be at most 3600s
    "#]],
    );
    check(
        site("999.5kbit/s", "available_bandwidth"),
        &expect![[r#"
        f.yaml:1: document 1 (site s): objectives[0].threshold: must be a number of three significant digits; the nearest are 999kbit/s and 1Mbit/s
    "#]],
    );
    check(
        site("1000Tbit/s", "available_bandwidth"),
        &expect![[r#"
        line 1: site s
    "#]],
    );
    check(
        site("1010Tbit/s", "available_bandwidth"),
        &expect![[r#"
        f.yaml:1: document 1 (site s): objectives[0].threshold: must be at most 1000Tbit/s
    "#]],
    );
}

#[test]
fn windows_are_whole_seconds_then_whole_minutes() {
    for (window, is_good) in [
        ("1s", true),
        ("60s", true),
        ("61s", false),
        ("2min", true),
        ("6h", true),
        ("361min", false),
        ("500ms", false),
        ("1500ms", false),
        ("0s", false),
    ] {
        let text = format!(
            "kind: site\nclient: c\nname: s\nhosts: [h]\nobjectives: [{{metric: response_time, threshold: 1s, window: {window}}}]"
        );
        assert_eq!(parse("f.yaml", &text).is_ok(), is_good, "{window}");
    }
}

#[test]
fn a_window_too_small_for_its_percentile_is_warned_of() {
    let text = "\
kind: site
client: c
name: s
hosts: [h.example]
probe_interval: 10s
objectives:
  - {metric: response_time, threshold: 1s}
  - {metric: response_time, threshold: 1s, percentile: 99}
  - {metric: response_time, threshold: 1s, window: 60s}
  - {metric: response_time, threshold: 1s, percentile: 96, window: 12min}
";
    check(
        text,
        &expect![[r#"
            line 1: site s
            f.yaml:8: document 1 (site s): objectives[1]: a window of 600s with a sample every 10s holds 60 samples of a probe; the 1 % of them beyond percentile 99 are 0.60, fewer than 3
            f.yaml:9: document 1 (site s): objectives[2]: a window of 60s with a sample every 10s holds 6 samples of a probe; the 5 % of them beyond percentile 95 are 0.30, fewer than 3
            f.yaml:10: document 1 (site s): objectives[3]: a window of 720s with a sample every 10s holds 72 samples of a probe; the 4 % of them beyond percentile 96 are 2.88, fewer than 3
        "#]],
    );
}

#[test]
fn json_is_read_as_well() {
    check(
        "{\n\t\"kind\": \"client\",\n\t\"name\": \"ac\\u006de\"\n}\n",
        &expect![[r#"
        line 1: client acme
    "#]],
    );
    check(
        "{\"kind\":\"cdn\",\"name\":\"c\",\"type\":\"partner\",\"dns_name\":\"x.example\",\"addresses\":[],\"probe_url\":null}",
        &expect![[r#"
            line 1: cdn c
        "#]],
    );
}

#[test]
fn empty_documents_are_skipped() {
    check("", &expect![[""]]);
    check(
        "---\n# nothing\n---\nkind: client\nname: a\n---\n",
        &expect![[r#"
        line 4: client a
    "#]],
    );
}

#[test]
fn large_and_deep_files_are_refused() {
    check(
        " ".repeat(FILE_BYTES_MAX + 1),
        &expect![[r#"
            f.yaml: has 16777217 bytes, at most 16777216 are allowed; split it into several files and commands
        "#]],
    );
    check(
        "[".repeat(100_000),
        &expect![[r#"
        f.yaml:1: document 1: recursion limit exceeded
    "#]],
    );
    check(
        format!("[{}]", "a,".repeat(300_000)),
        &expect![[r#"
        f.yaml:1: document 1: has more than 250000 values
    "#]],
    );
    check(
        "---\nkind: client\nname: a\n".repeat(100_001),
        &expect![[r#"
            f.yaml: has more than 100000 documents; split it into several files and commands
        "#]],
    );
    let mistakes = parse("f.yaml", "--- x\n".repeat(20_000)).expect_err("nothing of it is a document");
    assert_eq!(mistakes.len(), 10_001);
    let last = mistakes.last().map(ToString::to_string);
    assert_eq!(last.as_deref(), Some("f.yaml: 10000 more mistakes are not listed"));
}

#[test]
fn urls_have_a_host() {
    let urls = [
        "http://",
        "http:///x",
        "http://a:0/",
        "http://a:65536/",
        "http://u:p@a/",
        "https://[::1]:8080/",
        "http://1.2.3.4/x?y#z",
        "http://a b/",
        "HTTP://a/",
        "http://[::1/",
    ];
    let shown: String = urls
        .iter()
        .map(|url| {
            let text =
                format!("{{kind: cdn, name: c, type: partner, dns_name: x.example, probe_url: '{url}'}}");
            let reason =
                parse("f", &text).err().and_then(|all| all.into_iter().next()).map(|first| first.reason);
            format!("{url} {}\n", reason.unwrap_or_else(|| String::from("ok")))
        })
        .collect();
    expect![[r#"
        http:// `http://` is not a URL: empty host
        http:///x `http:///x` must begin with http:// or https:// and a host
        http://a:0/ `http://a:0/` has no usable port; ports are 1 to 65535
        http://a:65536/ `http://a:65536/` is not a URL: invalid port number
        http://u:p@a/ `http://u:p@a/` must not contain a user or a password
        https://[::1]:8080/ ok
        http://1.2.3.4/x?y#z ok
        http://a b/ `http://a b/` is not a URL: invalid international domain name
        HTTP://a/ ok
        http://[::1/ `http://[::1/` is not a URL: invalid IPv6 address
    "#]]
    .assert_eq(&shown);
}

/// Only what is measured is warned of: the CDN's addresses are for DNS, and the last site has no URL.
#[test]
fn targets_that_probes_skip_are_warned_of() {
    let text = "\
kind: cdn
name: one
type: partner
dns_name: one.example
addresses: [10.0.0.1]
probe_url: http://[::1]/object
---
kind: cdn
name: two
type: partner
dns_name: two.example
probe_url: https://two.example/object
---
kind: site
name: shop
client: acme
hosts: [shop.example]
origin: {addresses: [9.9.9.9, '::ffff:10.0.0.1', 'fd00::1'], probe_url: 'http://127.0.0.1/'}
---
kind: site
name: blog
client: acme
hosts: [blog.example]
origin: {addresses: [10.0.0.1]}
";
    check(
        text,
        &expect![[r#"
        line 1: cdn one
        line 8: cdn two
        line 14: site shop
        line 20: site blog
        f.yaml:6: document 1 (cdn one): probe_url: ::1 is not a public address, so probes skip it unless they are started with --probe-allow ::1/128 or a wider prefix
        f.yaml:12: document 2 (cdn two): probe_url: probes do not request https yet, so they skip this target
        f.yaml:18: document 3 (site shop): origin.addresses[1]: 10.0.0.1 is not a public address, so probes skip it unless they are started with --probe-allow 10.0.0.1/32 or a wider prefix
        f.yaml:18: document 3 (site shop): origin.addresses[2]: fd00::1 is not a public address, so probes skip it unless they are started with --probe-allow fd00::1/128 or a wider prefix
    "#]],
    );
}

/// A topic's name is made of a CDN's name: this one would have been none.
#[test]
fn a_name_that_is_no_topic_name_is_refused() {
    check(
        "{kind: cdn, name: Edge One, type: partner, dns_name: edge.example}\n---\n{kind: client, name: -x}\n",
        &expect![[r#"
            f.yaml:1: document 1 (cdn Edge One): name: a name consists of the characters A-Z a-z 0-9 . _ - and cannot contain ' '
            f.yaml:3: document 2 (client -x): name: a name starts with a letter or a digit, not with '-'
        "#]],
    );
}

#[test]
fn titles_are_for_people() {
    check(
        "{kind: client, name: acme, title: 'Acme & Søner: \"Shop\"'}",
        &expect![[r#"
        line 1: client acme
    "#]],
    );
    check(
        "{kind: client, name: acme, title: ' x'}\n---\n{kind: client, name: b, title: \"a\\nb\"}",
        &expect![[r#"
            f.yaml:1: document 1 (client acme): title: a title has no control characters and no white space at its ends
            f.yaml:3: document 2 (client b): title: a title has no control characters and no white space at its ends
        "#]],
    );
}

/// Each file has its own lines, and all mistakes of all files are found.
#[test]
fn several_files_are_read_as_one_command() {
    let files = [
        ("a.yaml", "kind: client\nname: acme\n"),
        ("b.yaml", "# no separator needed\nkind: site\nclient: acme\nname: shop\nhosts: [a.example]\n"),
        ("c.yaml", "kind: site\nclient: nobody\nname: news\nhosts:\n- b.example\n- a.example\n"),
    ];
    let source = |(name, text): &(&'static str, &'static str)| SourceFile { name, bytes: text.as_bytes() };
    let files: Vec<SourceFile<'_>> = files.iter().map(source).collect();
    let parsed = parse_files(&files).expect("every file is well formed");
    let change = Change::Apply(parsed.objects);
    let Err(Refusal::Faults { faults, unlisted }) = decide(&State::default(), &super::command("c", change))
    else {
        panic!("the files contradict each other")
    };
    let mistakes = parsed.positions.mistakes(&faults, unlisted);
    let shown: String = mistakes.iter().map(|mistake| format!("{mistake}\n")).collect();
    expect![[r#"
        b.yaml:5: document 1 (site shop): hosts[0]: a.example is also a host name of site news (see c.yaml:1)
        c.yaml:2: document 1 (site news): client: there is no client nobody
        c.yaml:6: document 1 (site news): hosts[1]: a.example is also a host name of site shop (see b.yaml:2)
    "#]]
    .assert_eq(&shown);

    let broken = [
        SourceFile { name: "x", bytes: b"kind: client\n" },
        SourceFile { name: "y", bytes: b"\nkind: cat\n" },
    ];
    let mistakes = parse_files(&broken).expect_err("both are broken");
    let shown: String = mistakes.iter().map(|mistake| format!("{mistake}\n")).collect();
    expect![[r#"
        x:1: document 1 (client): name: is missing
        y:2: document 1 (cat): kind: must be one of client, network, cdn, probe, site, rate_card, agreement, override, not `cat`
    "#]]
    .assert_eq(&shown);
}

#[test]
fn one_command_has_a_bounded_number_of_documents_and_bytes() {
    let text = "---\nkind: client\nname: a\n".repeat(60_000);
    let file = |name| SourceFile { name, bytes: text.as_bytes() };
    let mistakes = parse_files(&[file("a"), file("b"), file("c")]).expect_err("there are too many documents");
    expect![[r#"
        b: there are more than 100000 documents in the files up to this one; split them into several commands
    "#]]
    .assert_eq(&format!("{}\n", mistakes[0]));
    let spaces = " ".repeat(FILE_BYTES_MAX);
    let file = |name| SourceFile { name, bytes: spaces.as_bytes() };
    let files: Vec<SourceFile<'_>> = ["a", "b", "c", "d", "e"].map(file).to_vec();
    let mistakes = parse_files(&files).expect_err("there are too many bytes");
    expect![[r#"
        a: the files have 83886080 bytes together, at most 67108864 are allowed in one command; split it into several commands
    "#]].assert_eq(&format!("{}\n", mistakes[0]));
    assert_eq!(
        parse_files(&files[..4]),
        Ok(Parsed {
            positions: parse_files(&files[..4]).expect("they are empty").positions,
            ..Parsed::default()
        })
    );
}

#[test]
fn a_tab_as_indentation_is_reported_in_its_line() {
    check(
        "kind: client\nname: a\n---\nkind: site\nclient: a\nname: s\nhosts:\n\t- a.example\n\t- b.example\norigin:\n  addresses: []\n",
        &expect![[r#"
            f.yaml:8: document 2: a tab cannot be used for indentation; use spaces
        "#]],
    );
    check(
        "kind: site\norigin:\n  name: o\n\taddresses: []\n",
        &expect![[r#"
            f.yaml:4: document 1: a tab cannot be used for indentation; use spaces
        "#]],
    );
    // Inside brackets a tab is white space.
    check(
        "{\n\tkind: client,\n\tname: a\n}\n",
        &expect![[r#"
        line 1: client a
    "#]],
    );
    check(
        "{\n\tkind: client,\n\tname: a\n",
        &expect![[r#"
        f.yaml:1: document 1: unclosed bracket '{'
    "#]],
    );
}

#[test]
fn text_that_is_not_utf_8_is_reported_with_its_line() {
    check(
        b"kind: client\nname: a\n---\nkind: client\ntitle: caf\xe9\nname: b\n",
        &expect![[r#"
        f.yaml:5: is not UTF-8 text from this line on
    "#]],
    );
    check(
        b"\xff",
        &expect![[r#"
        f.yaml:1: is not UTF-8 text from this line on
    "#]],
    );
}

#[test]
fn messages_cut_long_values() {
    let long = "x".repeat(5_000);
    let texts = [
        format!("kind: {long}"),
        format!("kind: client\nname: {long}"),
        format!("kind: client\nname: a\n{long}: 1"),
        format!("kind: cdn\nname: a\ntype: {long}\ndns_name: {long}\naddresses: [{long}]\nprobe_url: {long}"),
        format!("kind: network\nname: a\nparent: {long}\nprefixes: [{long}]"),
        format!(
            "kind: site\nname: a\nclient: [{long}]\nhosts: [é{long}]\nttl_secs: {long}\nprobe_interval: {long}"
        ),
        format!(
            "kind: site\nname: a\nobjectives: [{{metric: response_time, threshold: {long}, window: {long}}}]"
        ),
        format!("kind: client\n\"{long}\": 1\n\"{long}\": 2\nname: *{long}"),
        format!("kind: client\nname: !{long} x\n%{long}"),
        format!("@{long}"),
        long.clone(),
    ];
    for text in texts {
        for mistake in parse("f.yaml", &text).expect_err("nothing of it is right") {
            assert!(mistake.to_string().len() < 400, "{mistake}");
        }
    }
}
