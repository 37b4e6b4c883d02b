use expect_test::{Expect, expect};
use spillway_events::ObjectKind;

use super::{delete, outcome, parsed, shown, with, world};
use crate::{SourceFile, export, parse_files};

const END: &str = "reason: a test\nexpires: 2026-12-01T00:00:00Z\n";

fn check(documents: &str, expected: &Expect) {
    expected.assert_eq(&outcome(&world(), &documents.replace("END\n", END)));
}

#[test]
fn an_override_names_what_it_is_of() {
    let pin = "kind: override\nname: a\ntype: pin\nsite: shop\nto: own\nEND\n";
    let drain = "kind: override\nname: b\ntype: drain\ncdn: own\nEND\n";
    let origin = "kind: override\nname: c\ntype: drain\nsite: shop\nEND\n";
    let freeze = "kind: override\nname: d\ntype: freeze\nEND\n";
    check(
        &[pin, drain, origin, freeze].join("---\n"),
        &expect![[r#"
            + override a: pin site shop to own until 2026-12-01T00:00:00Z: a test
            + override b: drain cdn own until 2026-12-01T00:00:00Z: a test
            + override c: drain the origin of site shop until 2026-12-01T00:00:00Z: a test
            + override d: freeze everything until 2026-12-01T00:00:00Z: a test
        "#]],
    );
}

#[test]
fn a_pin_is_to_a_target_of_the_site_as_long_as_it_is_there() {
    check(
        "kind: override\nname: a\ntype: pin\nsite: shop\nto: owm\nEND\n",
        &expect![[r#"
            f.yaml:5: document 1 (override a): to: the site has no target owm: it has origin, own, rented
        "#]],
    );
    let pinned =
        with(world(), "pin", &format!("kind: override\nname: a\ntype: pin\nsite: shop\nto: own\n{END}"));
    let site = "kind: site\nname: shop\nclient: acme\nhosts: [shop.example.com]\ncdns: [rented]\n";
    expect![[r#"
        f.yaml:5: document 1 (site shop): cdns: override a pins the site to own
    "#]]
    .assert_eq(&outcome(&pinned, site));
    // Moved in the same command, the pin is no hindrance.
    let moved = format!("{site}---\nkind: override\nname: a\ntype: pin\nsite: shop\nto: rented\n{END}");
    assert!(outcome(&pinned, &moved).contains("~ override a: to own -> rented"));
    for (kind, name) in [(ObjectKind::Site, "shop"), (ObjectKind::Cdn, "own")] {
        let refused = shown(&pinned, delete(&pinned, &[(kind, name)]));
        assert!(refused.contains("cannot be deleted: it is used by"), "{refused}");
    }
    expect![[r#"
        - override a
    "#]]
    .assert_eq(&shown(&pinned, delete(&pinned, &[(ObjectKind::Override, "a")])));
}

#[test]
fn of_one_kind_there_is_one_override_for_an_object() {
    let twice = |one: &str, other: &str| {
        format!("kind: override\nname: a\n{one}\nEND\n---\nkind: override\nname: b\n{other}\nEND\n")
    };
    check(
        &twice("type: freeze\nsite: shop", "type: freeze\nsite: shop"),
        &expect![[r#"
            f.yaml:3: document 1 (override a): type: override b is a freeze of site shop already (see f.yaml:8)
            f.yaml:10: document 2 (override b): type: override a is a freeze of site shop already (see f.yaml:1)
        "#]],
    );
    check(
        &twice("type: freeze\nsite: shop", "type: freeze"),
        &expect![[r#"
            + override a: freeze site shop until 2026-12-01T00:00:00Z: a test
            + override b: freeze everything until 2026-12-01T00:00:00Z: a test
        "#]],
    );
}

#[test]
fn every_mistake_is_named() {
    let mistakes = |text: &str| {
        let file = SourceFile { name: "f.yaml", bytes: text.as_bytes() };
        let found = parse_files(&[file]).expect_err("there are mistakes");
        found.iter().map(|mistake| format!("{mistake}\n")).collect::<String>()
    };
    expect![[r#"
        f.yaml:1: document 1 (override a): site: is missing: name the site that is pinned
        f.yaml:1: document 1 (override a): to: is missing: name the site's origin or one of its CDNs
        f.yaml:4: document 1 (override a): cdn: a pin names its target with `to`
        f.yaml:5: document 1 (override a): reason: a reason has 1 to 255 bytes, this one has 0
        f.yaml:6: document 1 (override a): expires: `soon` is not a time such as 2021-10-15T20:58:02 or 2021-10-15T20:58:02.5+02:00
    "#]]
    .assert_eq(&mistakes("kind: override\nname: a\ntype: pin\ncdn: own\nreason: ''\nexpires: soon\n"));
    expect![[r#"
        f.yaml:1: document 1 (override b): reason: is missing
        f.yaml:1: document 1 (override b): expires: is missing
        f.yaml:5: document 1 (override b): cdn: a drain names either a CDN, or the site whose origin is drained
    "#]].assert_eq(&mistakes("kind: override\nname: b\ntype: drain\nsite: shop\ncdn: own\n"));
    expect![[r#"
        f.yaml:3: document 1 (override c): type: must be pin or drain or freeze, not `stop`
    "#]]
    .assert_eq(&mistakes(&format!("kind: override\nname: c\ntype: stop\nsite: shop\n{END}")));
    expect![[r#"
        f.yaml:4: document 1 (override d): to: only a pin has a target
    "#]]
    .assert_eq(&mistakes(&format!("kind: override\nname: d\ntype: freeze\nto: own\n{END}")));
}

#[test]
fn overrides_are_exported_as_they_were_given() {
    let text = format!("kind: override\nname: a\ntype: pin\nsite: shop\nto: own\n{END}");
    let state = with(world(), "pin", &text);
    let exported = export(&state).expect("it is written");
    assert!(exported.ends_with("kind: override\nname: a\ntype: pin\nsite: shop\nto: own\nreason: a test\nexpires: \"2026-12-01T00:00:00Z\"\n"), "{exported}");
    assert_eq!(parsed(&exported).objects.len(), 8);
    assert_eq!(outcome(&state, &exported), "");
}
