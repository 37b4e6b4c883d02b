//! The stories in `tests/stories/`, each at every layer; and the runner itself, which must fail on a wrong story.

use std::collections::BTreeSet;
use std::path::Path;

use spillway_tests::stories::{Layer, Story};

fn stories() -> Vec<Story> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("stories");
    Story::read_all(&folder).unwrap_or_else(|mistake| panic!("{mistake}"))
}

fn check(layer: Layer, is_run: impl Fn(&Story) -> bool) {
    let mut shown = Vec::new();
    for story in stories().iter().filter(|story| is_run(story)) {
        let differences = story.differences(layer);
        if !differences.is_empty() {
            shown.push(story.rule.clone());
            shown.extend(differences.iter().map(ToString::to_string));
        }
    }
    assert!(shown.is_empty(), "\n{}\n", shown.join("\n"));
}

#[test]
fn every_story_holds_in_the_core() {
    check(Layer::Core, |_| true);
}

#[test]
fn every_story_holds_in_the_dataflow() {
    check(Layer::Dataflow, |_| true);
}

#[test]
fn live_stories_hold_in_the_live_process() {
    assert!(stories().iter().filter(|story| story.is_live).count() >= 3);
    check(Layer::Live, |story| story.is_live);
}

#[test]
fn every_story_tells_another_rule() {
    let stories = stories();
    let rules: BTreeSet<&str> = stories.iter().map(|story| story.rule.as_str()).collect();
    assert!(rules.len() == stories.len() && rules.len() >= 20, "{rules:#?}");
}

const RIGHT: &str = "\
A story that holds.

network carrier-a, 192.0.2.0/24
probe agent-1 in carrier-a
cdn edge-one (operated)
site shop: origin, then edge-one; response_time under 150ms, p95 over 20s, 3 samples of 1 probe

at 0s   agent-1 measures origin 100ms x3
        shop in carrier-a: origin, below, 100ms
at 5s   agent-1 measures origin 150ms x4
        shop in carrier-a: cdn edge-one, at-or-above, 150ms
        ask www.shop.example A from 192.0.2.7
        CNAME edge-one.example.
at 6s   delete cdn edge-one
        refused: cdn edge-one cannot be deleted: it is used by site shop
        shop in carrier-a: unchanged
";

/// What the story shows where one text in it is replaced by another, at both layers.
fn differences(from: &str, to: &str) -> String {
    let text = RIGHT.replacen(from, to, 1);
    let story = Story::parse("a.story", &text).unwrap_or_else(|mistake| panic!("{mistake}"));
    let differences = [Layer::Core, Layer::Dataflow].into_iter().flat_map(|layer| story.differences(layer));
    differences.map(|difference| difference.to_string()).collect::<Vec<_>>().join("\n")
}

/// Breaks one expectation after another of a story that holds.
#[test]
fn a_wrong_story_shows_what_it_should_say() {
    assert_eq!(differences("", ""), "");
    assert_eq!(
        differences("at-or-above, 150ms", "at-or-above, 151ms"),
        "a.story:11: the core, at 5s\n\
         \x20 expected  shop in carrier-a: cdn edge-one, at-or-above, 151ms\n\
         \x20 got       shop in carrier-a: cdn edge-one, at-or-above, 150ms\n\
         a.story:11: the dataflow, at 5s\n\
         \x20 expected  shop in carrier-a: cdn edge-one, at-or-above, 151ms\n\
         \x20 got       shop in carrier-a: cdn edge-one, at-or-above, 150ms"
    );
    // The change that nobody expects, and the one that does not come.
    assert_eq!(
        differences("        shop in carrier-a: cdn edge-one, at-or-above, 150ms\n", "").lines().next(),
        Some("a.story:10: the core, at 5s")
    );
    assert_eq!(
        differences("carrier-a: unchanged", "carrier-a: origin, below, 100ms"),
        "a.story:16: the core, at 6s\n\
         \x20 expected  shop in carrier-a: origin, below, 100ms\n\
         \x20 got       shop in carrier-a: unchanged\n\
         a.story:16: the dataflow, at 6s\n\
         \x20 expected  shop in carrier-a: origin, below, 100ms\n\
         \x20 got       shop in carrier-a: unchanged"
    );
    // The core gives no answers.
    assert_eq!(
        differences("CNAME edge-one.example.", "A 203.0.113.1"),
        "a.story:12: the dataflow, at 5s\n  expected  A 203.0.113.1\n  got       CNAME edge-one.example."
    );
    assert_eq!(
        differences("        refused: cdn edge-one cannot be deleted: it is used by site shop\n", "")
            .lines()
            .last(),
        Some("  got       refused: cdn edge-one cannot be deleted: it is used by site shop")
    );
}

/// A decision between two moments of a story must be expected too.
#[test]
fn a_change_at_a_tick_between_is_a_difference() {
    assert_eq!(
        differences("at 6s ", "at 30s").lines().take(3).collect::<Vec<_>>(),
        [
            "a.story:10: the core, at 25s",
            "  expected  shop in carrier-a: unchanged",
            "  got       shop in carrier-a: cdn edge-one, unknown (unknown hold)",
        ]
    );
}

#[test]
fn a_line_that_is_not_understood_is_named() {
    let cases = [
        ("A story that holds.", "No sentence", "1: the first line is the rule, a sentence with a full stop"),
        ("probe agent-1 in", "probe agent-1 at", "4: a probe is `probe AGENT in NETWORK`"),
        (
            "p95 over",
            "p95 within",
            "6: an objective is `response_time under 150ms, p95 over 20s, 3 samples of 1 probe`",
        ),
        ("at 5s ", "at 0s ", "10: the times of a story rise"),
        (
            "150ms x4",
            "150 x4",
            "10: `150` is not a result such as `150ms`, `20Mbit/s`, `failed`, `refused` or `cut off`",
        ),
        ("agent-1 measures", "agent-2 measures", "8: `agent-2` is no probe of the story"),
        (
            "measures origin 150ms",
            "measures edge-two 150ms",
            "10: `edge-two` is neither `origin` nor a CDN of the story",
        ),
        (
            "origin, below, 100ms",
            "origin, under, 100ms",
            "9: `under` is not a verdict: `below`, `at-or-above` or `unknown`",
        ),
        (
            "origin, below, 100ms",
            "origin, below (cold), 100ms",
            "9: `cold` is not a reason such as `cold start` or `unknown hold`",
        ),
        (
            "shop in carrier-a: origin",
            "shop in carrier-b: origin",
            "9: `shop in carrier-b` names no network of the story",
        ),
        ("ask www", "tell www", "12: `tell www.shop.example A from 192.0.2.7` is not understood"),
        ("        CNAME", "CNAME", "13: a line of the timeline begins with `at TIME`, or is indented"),
    ];
    for (from, to, expected) in cases {
        assert!(RIGHT.contains(from), "{from}");
        let mistake = Story::parse("a.story", &RIGHT.replacen(from, to, 1)).err();
        assert_eq!(mistake.map(|mistake| mistake.to_string()), Some(format!("a.story:{expected}")));
    }
}
