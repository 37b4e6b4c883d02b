//! What agreements leave of documents.

use expect_test::expect;
use spillway_events::ObjectKind;

use super::super::{WORLD, command, delete, outcome, parsed, record, shown, with, world};
use super::{DAY_BEFORE, Provider, TERMS, accepted, done, id, in_force, time};
use crate::{AgreementAct, Change, Command, State, decide, export};

#[test]
fn an_agreement_is_neither_applied_nor_deleted() {
    expect![[r#"
        f.yaml:1: document 1 (agreement gold): an agreement is not applied: it is proposed by one party and accepted by the other (`spillway agreement propose`)
    "#]].assert_eq(&outcome(&world(), TERMS));
    let state = accepted(&world(), TERMS, DAY_BEFORE);
    expect![[r#"
        agreement gold/1 cannot be deleted: what was proposed or agreed stays on record; withdraw, reject or terminate it instead
    "#]]
    .assert_eq(&shown(&state, delete(&state, &[(ObjectKind::Agreement, "gold/1")])));
    expect![[r#"
        site shop cannot be deleted: it is used by agreement gold/1
    "#]]
    .assert_eq(&shown(&state, delete(&state, &[(ObjectKind::Site, "shop")])));
    expect![[r#"
        there is no agreement gold/2
    "#]]
    .assert_eq(&shown(&state, delete(&state, &[(ObjectKind::Agreement, "gold/2")])));
}

#[test]
fn documents_no_longer_say_what_is_agreed() {
    let state = accepted(&world(), TERMS, DAY_BEFORE);
    let site = "kind: site\nclient: acme\nname: shop\nhosts: [shop.example.com]\ncdns: [own]\n";
    // Without objectives, and with those that were applied last, a document changes nothing of them.
    let lines = outcome(&state, &format!("{site}title: Shop\n"));
    assert!(lines.contains("title none -> Shop") && !lines.contains("objectives"), "{lines}");
    expect![[r#""#]].assert_eq(&outcome(&state, WORLD));
    expect![[r#"
        f.yaml:6: document 1 (site shop): objectives: are agreed in gold: propose a version with others
    "#]]
    .assert_eq(&outcome(&state, &format!("{site}objectives: [{{metric: response_time, threshold: 1s}}]\n")));
    let exported = export(&state).expect("it is written");
    assert!(!exported.contains("agreement") && !exported.contains("threshold"), "{exported}");
    assert_eq!(outcome(&state, &exported), "");
    // The CDNs that are agreed stay.
    let named = accepted(&world(), &format!("{TERMS}cdns: [rented]\n"), DAY_BEFORE);
    expect![[r#"
        f.yaml:5: document 1 (site shop): cdns: agreement gold/1 names rented
    "#]]
    .assert_eq(&outcome(&named, site));
}

#[test]
fn a_site_never_goes_to_another_client() {
    let state = with(world(), "other", "kind: client\nname: other\n");
    let site = "kind: site\nclient: other\nname: shop\nhosts: [shop.example.com]\n";
    expect![[r#"
        f.yaml:2: document 1 (site shop): client: must stay acme: a site never goes to another client
    "#]]
    .assert_eq(&outcome(&state, site));
    let events = delete(&state, &[(ObjectKind::Site, "shop")]).expect("nothing uses it");
    let mut gone = state.clone();
    gone.apply(&record(&state, "delete", events)).expect("the record is next");
    expect![[r#"
        f.yaml:3: document 1 (site shop): name: was the name of a site of another client
    "#]]
    .assert_eq(&outcome(&gone, site));
    assert!(outcome(&gone, &site.replace("other", "acme")).starts_with("+ site shop"));
}

/// The state after documents were applied at a time, or why they are refused.
fn applied(state: &State, now: &str, text: &str) -> Result<State, String> {
    let command = Command { at_us: time(now), ..command("apply", Change::Apply(parsed(text).objects)) };
    let events = decide(state, &command).map_err(|refusal| refusal.to_string())?;
    let mut after = state.clone();
    after.apply(&command.into_record(state.revision(), events)).expect("the record is next");
    Ok(after)
}

#[test]
fn after_the_last_version_has_ended_a_document_counts_again() {
    let state = accepted(&world(), &format!("{TERMS}until: 2026-12-10T00:00:00Z\n"), DAY_BEFORE);
    let site = "kind: site\nclient: acme\nname: shop\nhosts: [shop.example.com]\ncdns: [own]\n";
    let other = format!("{site}objectives: [{{metric: response_time, threshold: 1s}}]\n");
    assert!(applied(&state, "2026-12-09T00:00:00Z", &other).is_err());
    assert_eq!(in_force(&state, "2026-12-11T00:00:00Z"), "nothing");
    let after = applied(&state, "2026-12-11T00:00:00Z", &other).expect("nothing is agreed any more");
    assert_eq!(in_force(&after, "2026-12-11T00:00:00Z"), "own");
    assert!(export(&after).expect("it is written").contains("threshold"));
    // A site that comes back is its document's too, and what it was agreed with goes when that has ended.
    let ids = [(ObjectKind::Site, "shop")].map(|(kind, name)| crate::ObjectId::new(kind, name)).to_vec();
    let delete = |now: &str| {
        let command = Command { at_us: time(now), ..command("delete", Change::Delete(ids.clone())) };
        decide(&state, &command).map(|events| command.into_record(state.revision(), events))
    };
    assert!(delete("2026-12-09T00:00:00Z").is_err(), "an agreement that is in force covers it");
    let mut gone = state.clone();
    gone.apply(&delete("2026-12-11T00:00:00Z").expect("it has ended")).expect("the record is next");
    let back = applied(&gone, "2026-12-11T00:00:00Z", &other).expect("it comes back to its client");
    assert_eq!(in_force(&back, "2026-12-11T00:00:00Z"), "own");
}

#[test]
fn a_version_that_is_suspended_from_its_beginning_has_begun_all_the_same() {
    let state = accepted(&world(), TERMS, DAY_BEFORE);
    let at = time("2026-12-01T00:00:00Z");
    let off = done(&state, DAY_BEFORE, Provider, AgreementAct::Suspend(id(1), at, String::from("not yet")));
    assert_eq!(in_force(&off, "2026-12-01T00:00:00Z"), "nothing");
    // Before it begins, it can be taken back.
    let on = done(&off, DAY_BEFORE, Provider, AgreementAct::Resume(id(1), at, String::from("after all")));
    assert_eq!(in_force(&on, "2026-12-01T00:00:00Z"), "1");
}
