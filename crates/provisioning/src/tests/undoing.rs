//! Changes undone.

use expect_test::{Expect, expect};
use proptest::prelude::*;
use spillway_events::{Event, ObjectKind, ProvisioningRecord};

use super::{apply_text, command, delete, record, shown, with, world};
use crate::{Change, State, Undo, decide, export};

/// The record of a change, and the state after it.
fn changed(state: &State, events: Vec<Event>) -> (ProvisioningRecord, State) {
    let record = record(state, "change", events);
    let mut after = state.clone();
    after.apply(&record).expect("the record is next");
    (record, after)
}

fn applied(state: &State, text: &str) -> (ProvisioningRecord, State) {
    changed(state, apply_text(state, "change", text).expect("it fits"))
}

fn undo(before: &State, record: &ProvisioningRecord, state: &State) -> Result<Vec<Event>, crate::Refusal> {
    Undo::of(before, record).and_then(|undo| decide(state, &command("undo", Change::Undo(undo))))
}

fn check(before: &State, record: &ProvisioningRecord, state: &State, expected: &Expect) {
    expected.assert_eq(&shown(state, undo(before, record, state)));
}

const SITE: &str =
    "kind: site\nclient: acme\nname: shop\nhosts: [shop.example.com]\ncdns: [own]\nttl_secs: 60\n";

#[test]
fn what_was_changed_created_and_deleted_is_as_it_was() {
    let world = world();
    // A site that gives one of its host names to a new one, which a new CDN serves.
    let text = format!(
        "{SITE}---\nkind: cdn\nname: new\ntype: operated\ndns_name: new.example\n---\n\
         kind: site\nclient: acme\nname: www\nhosts: [www.shop.example.com]\ncdns: [new]\n"
    );
    let (record, after) = applied(&world, &text);
    check(
        &world,
        &record,
        &after,
        &expect![[r#"
        - site www
        - cdn new
        ~ site shop: cdns + (cdn rented, dns_name shop.rented.example.org)
        ~ site shop: hosts + www.shop.example.com
        ~ site shop: objectives + (metric response_time, percentile 95, probes_min 3, samples_min 20, threshold 150ms, window 600s), + (metric available_bandwidth, percentile 90, probes_min 1, samples_min 20, threshold 20Mbit/s, window 3600s)
        ~ site shop: origin.addresses + 203.0.113.1, + 203.0.113.2
        ~ site shop: origin.probe_url none -> https://shop.example.com:8443/probe
        ~ site shop: ttl_secs 60 -> 20
    "#]],
    );
    let (_, undone) = changed(&after, undo(&world, &record, &after).expect("nothing has changed since"));
    assert_eq!(export(&undone).expect("it is written"), export(&world).expect("it is written"));
    // What was undone is undone again.
    let (again, _) = changed(&after, undo(&world, &record, &after).expect("nothing has changed since"));
    let (_, redone) = changed(&undone, undo(&after, &again, &undone).expect("nothing has changed since"));
    assert_eq!(export(&redone).expect("it is written"), export(&after).expect("it is written"));

    let deleted =
        delete(&world, &[(ObjectKind::Site, "shop"), (ObjectKind::Cdn, "own")]).expect("nothing uses them");
    let (record, after) = changed(&world, deleted);
    check(
        &world,
        &record,
        &after,
        &expect![[r#"
        + cdn own
        + site shop
    "#]],
    );
}

#[test]
fn a_change_is_not_undone_where_it_no_longer_fits() {
    let world = world();
    let (record, after) = applied(&world, SITE);
    let later = with(after.clone(), "later", &SITE.replace("60", "90"));
    check(
        &world,
        &record,
        &later,
        &expect![[r#"
        record 1 cannot be undone: site shop was changed by record 2 after that; undo that first
    "#]],
    );
    let (_, gone) = changed(&after, delete(&after, &[(ObjectKind::Site, "shop")]).expect("nothing uses it"));
    check(
        &world,
        &record,
        &gone,
        &expect![[r#"
        record 1 cannot be undone: site shop was deleted after that; undo that first
    "#]],
    );
    // A CDN that was created, and is used by now.
    let (record, after) = applied(&world, "kind: cdn\nname: new\ntype: operated\ndns_name: new.example\n");
    let used = with(after, "use", &SITE.replace("[own]", "[new]"));
    check(
        &world,
        &record,
        &used,
        &expect![[r#"
        cdn new cannot be deleted: it is used by site shop
    "#]],
    );
    // A site comes back, but its CDN has gone.
    let (record, after) =
        changed(&world, delete(&world, &[(ObjectKind::Site, "shop")]).expect("nothing uses it"));
    let (_, gone) = changed(&after, delete(&after, &[(ObjectKind::Cdn, "own")]).expect("nothing uses it"));
    check(
        &world,
        &record,
        &gone,
        &expect![[r#"
        site shop: cdns[0]: there is no cdn own
    "#]],
    );
}

#[test]
fn only_what_can_be_as_it_was_is_undone() {
    let world = world();
    let reset = decide(&world, &command("reset", Change::ResetClock { reason: String::from("a test") }));
    let (record, after) = changed(&world, reset.expect("it is possible"));
    check(
        &world,
        &record,
        &after,
        &expect![[r#"
        record 1 cannot be undone: it changed a reset of the clock, which its own commands change
    "#]],
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    // Whatever was applied and deleted, in turn, the undoing of all of it in reverse leads back, step by step.
    #[test]
    fn undoing_leads_back(all in prop::collection::vec((any::<bool>(), 0_usize..4, 1_u32..9), 1..12)) {
        let (mut state, mut history) = (world(), Vec::new());
        for (is_deletion, object, number) in all {
            let sites = ["shop", "a", "b", "c"];
            let name = sites[object];
            let text = format!(
                "kind: site\nclient: acme\nname: {name}\nhosts: [h{number}.{name}.example]\nttl_secs: {number}\n\
                 cdns: [{}]\n", if number % 2 == 0 { "own" } else { "rented" }
            );
            let events = match is_deletion {
                true => delete(&state, &[(ObjectKind::Site, name)]),
                false => apply_text(&state, "change", &text),
            };
            let Ok(events) = events else { continue };
            if events.is_empty() {
                continue;
            }
            let before = state.clone();
            let (record, after) = changed(&state, events);
            state = after;
            history.push((before, record));
        }
        for (before, record) in history.into_iter().rev() {
            let events = undo(&before, &record, &state).expect("everything is as this change left it");
            state = changed(&state, events).1;
            prop_assert_eq!(export(&state).expect("it is written"), export(&before).expect("it is written"));
        }
    }
}
