//! Agreements: their moves, their terms, and what they leave of the objectives of documents.

mod documents;
mod sequences;

use std::sync::Arc;

use expect_test::{Expect, expect};
use spillway_events::{Agreement, AgreementName, Party, Sha256, SiteName, TimeMicros, parse_time};

use super::{command, diff_lines, parsed, shown, with, world};
use crate::{
    AgreementAct, AgreementCommand, Change, Command, InForce, Object, Refusal, Standing, State, VersionId,
    canonical_json, decide, standing,
};

use Party::{Client, Provider};

const TERMS: &str = "\
kind: agreement
name: gold
client: acme
sites: [shop]
effective_from: 2026-12-01T00:00:00Z
objectives:
  - {metric: response_time, threshold: 300ms}
";

fn time(text: &str) -> TimeMicros {
    parse_time(text).expect("a time")
}

/// The day before the agreements of these tests begin.
const DAY_BEFORE: &str = "2026-11-30T00:00:00Z";

fn document(text: &str) -> Object {
    parsed(text).objects.remove(0)
}

fn id(version: u32) -> VersionId {
    VersionId { name: AgreementName::new("gold").expect("a name"), version }
}

fn at(now: &str, by: Party, act: AgreementAct) -> Command {
    Command { at_us: time(now), ..command("move", Change::Agreement(AgreementCommand { by, act })) }
}

/// The state after a party did this, and what that changed; or why it is refused.
fn did(state: &State, now: &str, by: Party, act: AgreementAct) -> Result<(State, String), String> {
    let command = at(now, by, act);
    let events = decide(state, &command).map_err(|refusal| refusal.to_string())?;
    let changes = diff_lines(state, &events);
    let mut after = state.clone();
    after.apply(&command.into_record(state.revision(), events)).expect("the record is next");
    Ok((after, changes))
}

fn done(state: &State, now: &str, by: Party, act: AgreementAct) -> State {
    did(state, now, by, act).expect("it is possible").0
}

fn accepted(state: &State, text: &str, now: &str) -> State {
    let proposed = done(state, now, Provider, AgreementAct::Propose(document(text)));
    let last = proposed.versions(&id(1).name).max_by_key(|version| version.version).expect("a version");
    let accept = AgreementAct::Accept(id(last.version), last.terms_sha256);
    done(&proposed, now, Client, accept)
}

fn version(state: &State, number: u32) -> &Arc<Agreement> {
    state.agreement(&id(number).object()).expect("there is such a version")
}

fn check(state: &State, now: &str, by: Party, act: AgreementAct, expected: &Expect) {
    expected
        .assert_eq(&did(state, now, by, act).map_or_else(|why| format!("{why}\n"), |(_, changes)| changes));
}

/// What is agreed for the site of these tests: `own`, `nothing`, or the number of the version.
fn in_force(state: &State, at: &str) -> String {
    let site = SiteName::new("shop").expect("a name");
    match state.in_force(&site, time(at)) {
        Some(InForce::Own(_)) => String::from("own"),
        Some(InForce::Nothing(_)) => String::from("nothing"),
        Some(InForce::Version { agreement, .. }) => agreement.version.to_string(),
        None => String::from("no site"),
    }
}

#[test]
fn one_party_proposes_and_the_other_accepts_what_it_has_read() {
    let world = world();
    let propose = || AgreementAct::Propose(document(TERMS));
    check(
        &world,
        DAY_BEFORE,
        Provider,
        propose(),
        &expect![[r#"
        + agreement gold/1: proposed by the provider, from 2026-12-01T00:00:00Z on
    "#]],
    );
    let proposed = done(&world, DAY_BEFORE, Provider, propose());
    let digest = version(&proposed, 1).terms_sha256;
    check(
        &proposed,
        DAY_BEFORE,
        Provider,
        AgreementAct::Accept(id(1), digest),
        &expect![[r#"
            agreement gold/1 was proposed by the provider: it cannot be accepted by the provider
        "#]],
    );
    let other = Sha256::of(b"other terms");
    check(
        &proposed,
        DAY_BEFORE,
        Client,
        AgreementAct::Accept(id(1), other),
        &expect![[r#"
            terms_sha256: the terms have the digest 778a069f178f8f0ba2e0f9ccc058d251af828d93951f4a1d42d8244033af404a: read them again
        "#]],
    );
    check(
        &proposed,
        DAY_BEFORE,
        Client,
        AgreementAct::Accept(id(2), digest),
        &expect![[r#"
        there is no agreement gold/2
    "#]],
    );
    check(
        &proposed,
        DAY_BEFORE,
        Client,
        AgreementAct::Accept(id(1), digest),
        &expect![[r#"
        ~ agreement gold/1: accepted by the client, from 2026-12-01T00:00:00Z on
    "#]],
    );
    // A minute before it begins is the last moment.
    let act = AgreementAct::Accept(id(1), digest);
    assert!(did(&proposed, "2026-11-30T23:59:00Z", Client, act.clone()).is_ok());
    check(
        &proposed,
        "2026-11-30T23:59:00.000001Z",
        Client,
        act,
        &expect![[r#"
        agreement gold/1 is lapsed: it cannot be accepted
    "#]],
    );
    let after = done(&proposed, DAY_BEFORE, Client, AgreementAct::Accept(id(1), digest));
    assert_eq!(in_force(&after, "2026-11-30T23:59:59.999999Z"), "own");
    assert_eq!(in_force(&after, "2026-12-01T00:00:00Z"), "1");
}

#[test]
fn terms_are_hashed_as_canonical_json_with_everything_that_is_agreed() {
    let agreement =
        version(&done(&world(), DAY_BEFORE, Provider, AgreementAct::Propose(document(TERMS))), 1).clone();
    let json = canonical_json(&agreement).expect("it can be written");
    expect![[r#"{"cdns":[],"cdns_in":[],"client":"acme","dwell":"0us","effective_from":"2026-12-01T00:00:00Z","graded_return":false,"name":"gold","notice":"0us","objectives":[{"metric":"response_time","percentile":95,"probes_min":3,"samples_min":20,"threshold":"300ms","window":"600s"}],"return_band_permille":0,"sites":["shop"]}"#]]
        .assert_eq(&json);
    assert_eq!(agreement.terms_sha256, Sha256::of(json.as_bytes()));
    // Another way to write the same terms.
    let same =
        TERMS.replace("threshold: 300ms", "window: 600s, threshold: 0.3s").replace("[shop]", "\n- shop");
    let Object::Agreement(same) = document(&same) else { panic!("an agreement") };
    assert_eq!(same.terms_sha256, agreement.terms_sha256);
}

#[test]
fn a_proposal_is_countered_rejected_or_withdrawn() {
    let proposed = done(&world(), DAY_BEFORE, Provider, AgreementAct::Propose(document(TERMS)));
    let better = TERMS.replace("300ms", "200ms");
    check(
        &proposed,
        DAY_BEFORE,
        Provider,
        AgreementAct::Propose(document(&better)),
        &expect![[r#"
        agreement gold/1 waits for an answer to the proposal of the provider: answer it, counter it or withdraw it first
    "#]],
    );
    check(
        &proposed,
        DAY_BEFORE,
        Client,
        AgreementAct::Counter(id(1), document(&better)),
        &expect![[r#"
        ~ agreement gold/1: countered: version 2 was proposed instead
        + agreement gold/2: proposed by the client, from 2026-12-01T00:00:00Z on
    "#]],
    );
    let reason = || String::from("too dear");
    check(
        &proposed,
        DAY_BEFORE,
        Client,
        AgreementAct::Reject(id(1), reason()),
        &expect![[r#"
        ~ agreement gold/1: rejected by the client: too dear
    "#]],
    );
    check(
        &proposed,
        DAY_BEFORE,
        Client,
        AgreementAct::Withdraw(id(1), reason()),
        &expect![[r#"
        agreement gold/1 was proposed by the provider: it cannot be withdrawn by the client
    "#]],
    );
    check(
        &proposed,
        DAY_BEFORE,
        Client,
        AgreementAct::Reject(id(1), String::new()),
        &expect![[r#"
        reason: must have 1 to 255 bytes
    "#]],
    );
}

#[test]
fn a_number_is_never_used_again() {
    let proposed = done(&world(), DAY_BEFORE, Provider, AgreementAct::Propose(document(TERMS)));
    let reason = || String::from("too dear");
    let withdrawn = done(&proposed, DAY_BEFORE, Provider, AgreementAct::Withdraw(id(1), reason()));
    check(
        &withdrawn,
        DAY_BEFORE,
        Client,
        AgreementAct::Reject(id(1), reason()),
        &expect![[r#"
        agreement gold/1 is withdrawn: it cannot be rejected
    "#]],
    );
    check(
        &withdrawn,
        DAY_BEFORE,
        Client,
        AgreementAct::Propose(document(TERMS)),
        &expect![[r#"
        + agreement gold/2: proposed by the client, from 2026-12-01T00:00:00Z on
    "#]],
    );
    // A proposal that nobody answered is in nobody's way.
    check(
        &proposed,
        "2026-12-01T00:00:00Z",
        Client,
        AgreementAct::Propose(document(&TERMS.replace("12-01", "12-02"))),
        &expect![[r#"
        + agreement gold/2: proposed by the client, from 2026-12-02T00:00:00Z on
    "#]],
    );
}

#[test]
fn a_draft_is_of_one_party_alone_until_it_is_proposed() {
    let drafted = done(&world(), DAY_BEFORE, Client, AgreementAct::Draft(document(TERMS)));
    check(
        &drafted,
        DAY_BEFORE,
        Provider,
        AgreementAct::ProposeDraft(id(1)),
        &expect![[r#"
        there is no agreement gold/1
    "#]],
    );
    let better = TERMS.replace("300ms", "200ms");
    check(
        &drafted,
        DAY_BEFORE,
        Client,
        AgreementAct::Draft(document(&better)),
        &expect![[r#"
        ~ agreement gold/1: drafted again by the client
    "#]],
    );
    // The other party's version has a number of its own.
    check(
        &drafted,
        DAY_BEFORE,
        Provider,
        AgreementAct::Propose(document(&better)),
        &expect![[r#"
        + agreement gold/2: proposed by the provider, from 2026-12-01T00:00:00Z on
    "#]],
    );
    check(
        &drafted,
        DAY_BEFORE,
        Client,
        AgreementAct::ProposeDraft(id(1)),
        &expect![[r#"
        ~ agreement gold/1: proposed by the client, from 2026-12-01T00:00:00Z on
    "#]],
    );
}

#[test]
fn the_next_version_ends_the_one_before_it_and_ends_are_set_ahead() {
    let first = accepted(&world(), TERMS, DAY_BEFORE);
    let next = TERMS.replace("12-01T00:00", "12-02T00:00").replace("300ms", "200ms");
    let both = accepted(&first, &next, "2026-12-01T12:00:00Z");
    for (at, expected) in
        [("2026-12-01T23:59:59Z", "1"), ("2026-12-02T00:00:00Z", "2"), ("2030-01-01T00:00:00Z", "2")]
    {
        assert_eq!(in_force(&both, at), expected, "{at}");
    }
    assert_eq!(standing(version(&both, 1), time("2026-12-02T00:00:00Z")), Standing::Superseded);
    // One that has not begun is superseded at once.
    let earlier = accepted(&both, &TERMS.replace("12-01T00:00", "12-01T18:00"), "2026-12-01T13:00:00Z");
    assert_eq!(standing(version(&earlier, 2), time("2026-12-01T13:00:00Z")), Standing::Superseded);
    assert_eq!(in_force(&earlier, "2026-12-03T00:00:00Z"), "3");

    let end = |at: &str| AgreementAct::Terminate(id(2), time(at), String::from("the shop closes"));
    check(
        &both,
        "2026-12-02T12:00:00Z",
        Client,
        end("2026-12-02T12:00:00Z"),
        &expect![[r#"
        at: must be at least a minute ahead; 2026-12-02T12:00:00Z is not, at 2026-12-02T12:00:00Z
    "#]],
    );
    check(
        &both,
        "2026-12-02T12:00:00Z",
        Client,
        end("2026-12-02T12:07:00Z"),
        &expect![[r#"
        at: must be a whole multiple of five minutes of UTC
    "#]],
    );
    check(
        &both,
        "2026-12-02T12:00:00Z",
        Client,
        end("2026-12-02T12:05:00Z"),
        &expect![[r#"
        ~ agreement gold/2: ends at 2026-12-02T12:05:00Z: the shop closes
    "#]],
    );
    let ended = done(&both, "2026-12-02T12:00:00Z", Client, end("2026-12-02T12:05:00Z"));
    assert_eq!(in_force(&ended, "2026-12-02T12:05:00Z"), "nothing");
    assert_eq!(standing(version(&ended, 2), time("2026-12-02T12:05:00Z")), Standing::Terminated);
    check(
        &ended,
        "2026-12-02T12:00:00Z",
        Provider,
        end("2026-12-03T00:00:00Z"),
        &expect![[r#"
        at: must be before 2026-12-02T12:05:00Z, when it ends
    "#]],
    );
}

#[test]
fn notice_is_given_as_agreed_and_an_agreed_end_expires() {
    let terms = format!("{TERMS}notice: 24h\nuntil: 2026-12-10T00:00:00Z\n");
    let state = accepted(&world(), &terms, DAY_BEFORE);
    let end = |at: &str| AgreementAct::Terminate(id(1), time(at), String::from("why not"));
    check(
        &state,
        "2026-12-05T00:05:00Z",
        Provider,
        end("2026-12-06T00:00:00Z"),
        &expect![[r#"
            at: must be at least 86400s ahead, as agreed
        "#]],
    );
    assert!(did(&state, "2026-12-05T00:00:00Z", Provider, end("2026-12-06T00:00:00Z")).is_ok());
    assert_eq!(standing(version(&state, 1), time("2026-12-10T00:00:00Z")), Standing::Expired);
    assert_eq!(in_force(&state, "2026-12-10T00:00:00Z"), "nothing");
}

#[test]
fn a_version_is_suspended_and_resumed() {
    let state = accepted(&world(), TERMS, DAY_BEFORE);
    let suspend = |at: &str| AgreementAct::Suspend(id(1), time(at), String::from("not paid"));
    let resume = |at: &str| AgreementAct::Resume(id(1), time(at), String::from("paid"));
    let now = "2026-12-02T00:00:00Z";
    check(
        &state,
        now,
        Client,
        suspend("2026-12-03T00:00:00Z"),
        &expect![[r#"
        agreement gold/1 was proposed by the provider: it cannot be suspended by the client
    "#]],
    );
    check(
        &state,
        now,
        Provider,
        resume("2026-12-03T00:00:00Z"),
        &expect![[r#"
            at: it is not suspended
        "#]],
    );
    let off = done(&state, now, Provider, suspend("2026-12-03T00:00:00Z"));
    check(
        &off,
        now,
        Provider,
        suspend("2026-12-04T00:00:00Z"),
        &expect![[r#"
            at: it is suspended from 2026-12-03T00:00:00Z on already
        "#]],
    );
    check(
        &off,
        now,
        Provider,
        resume("2026-12-03T00:00:00Z"),
        &expect![[r#"
            ~ agreement gold/1: not suspended after all: paid
        "#]],
    );
    let on = done(&off, now, Provider, resume("2026-12-04T00:00:00Z"));
    for (at, expected) in
        [("2026-12-02T23:59:59Z", "1"), ("2026-12-03T00:00:00Z", "nothing"), ("2026-12-04T00:00:00Z", "1")]
    {
        assert_eq!(in_force(&on, at), expected, "{at}");
    }
    assert_eq!(standing(version(&on, 1), time("2026-12-03T12:00:00Z")), Standing::Suspended);
    // What another agreement took over meanwhile cannot be taken back.
    let silver = TERMS.replace("gold", "silver").replace("12-01", "12-05");
    let proposed = done(&off, now, Provider, AgreementAct::Propose(document(&silver)));
    let silver = VersionId { name: AgreementName::new("silver").expect("a name"), version: 1 };
    let digest = proposed.agreement(&silver.object()).expect("it is proposed").terms_sha256;
    let taken = done(&proposed, now, Client, AgreementAct::Accept(silver, digest));
    check(
        &taken,
        now,
        Provider,
        resume("2026-12-04T00:00:00Z"),
        &expect![[r#"
        sites: site shop is in agreement silver/1 without an end
    "#]],
    );
}

#[test]
fn for_a_site_there_is_one_agreement_at_a_time() {
    let gold = accepted(&world(), &format!("{TERMS}until: 2026-12-10T00:00:00Z\n"), DAY_BEFORE);
    let silver = |from: &str| TERMS.replace("gold", "silver").replace("2026-12-01", from);
    let accept = |from: &str| {
        let proposed = done(&gold, DAY_BEFORE, Provider, AgreementAct::Propose(document(&silver(from))));
        let id = VersionId { name: AgreementName::new("silver").expect("a name"), version: 1 };
        let digest = proposed.agreement(&id.object()).expect("it is proposed").terms_sha256;
        did(&proposed, DAY_BEFORE, Client, AgreementAct::Accept(id, digest)).map(|_| ())
    };
    assert_eq!(accept("2026-12-10"), Ok(()));
    let refused = String::from("sites: site shop is in agreement gold/1 until 2026-12-10T00:00:00Z");
    assert_eq!(accept("2026-12-09"), Err(refused));
    // A name that differs in case only is another's.
    let refused =
        did(&gold, DAY_BEFORE, Provider, AgreementAct::Propose(document(&TERMS.replace("gold", "Gold"))));
    assert_eq!(refused.err().as_deref(), Some("agreement Gold: name: is the name of another agreement"));
}

#[test]
fn every_mistake_of_the_terms_is_named() {
    let mistakes = |text: &str| {
        let file = crate::SourceFile { name: "f.yaml", bytes: text.as_bytes() };
        let found = crate::parse_files(&[file]).expect_err("there are mistakes");
        found.iter().map(|mistake| format!("{mistake}\n")).collect::<String>()
    };
    expect![[r#"
        f.yaml:4: document 1 (agreement gold): sites: must list at least one site
        f.yaml:5: document 1 (agreement gold): effective_from: must be a whole multiple of five minutes of UTC
        f.yaml:6: document 1 (agreement gold): until: must be after effective_from
        f.yaml:7: document 1 (agreement gold): notice: must be whole seconds from 0 to 31622400s
        f.yaml:9: document 1 (agreement gold): cdns_in[0].cdns: rented is not among the `cdns` that may be used at all
        f.yaml:10: document 1 (agreement gold): return_band_permille: must be a whole number from 0 to 500, not `501`
        f.yaml:11: document 1 (agreement gold): dwell: must be whole seconds from 0 to 86400s
        f.yaml:12: document 1 (agreement gold): graded_return: is not available: traffic returns to the origin all at once
        f.yaml:13: document 1 (agreement gold): on_silence.hold: is missing
    "#]].assert_eq(&mistakes(
        "kind: agreement\nname: gold\nclient: acme\nsites: []\neffective_from: 2026-12-01T00:01:00Z\n\
         until: 2026-11-01T00:00:00Z\nnotice: 0.5s\ncdns: [own]\ncdns_in: [{network: as64500, cdns: [rented]}]\n\
         return_band_permille: 501\ndwell: 25h\ngraded_return: true\non_silence: {then: cdn}\n",
    ));
    expect![[r#"
        f.yaml:11: document 1 (agreement gold): service_level.steps[1]: must have a lower bound than the step before it
        f.yaml:12: document 1 (agreement gold): service_level.steps[2]: must have a greater credit than the step before it
        f.yaml:14: document 1 (agreement gold): service_level.cap_minor: repeats cap_ppm: a cap is in money or in ppm, not in both
        f.yaml:15: document 1 (agreement gold): service_level.maintenance[0].to: must be after `from`
        f.yaml:16: document 1 (agreement gold): billing.rate_card: `standard` is not a rate card and its version, such as standard/1
        f.yaml:16: document 1 (agreement gold): billing.currency: `euro` is not the code of a currency, such as EUR
        f.yaml:16: document 1 (agreement gold): billing.zone: `Europe//Berlin` is not the name of a time zone, such as Europe/Berlin
        f.yaml:16: document 1 (agreement gold): billing.seal_day: must be a whole number from 1 to 28, not `31`
        f.yaml:16: document 1 (agreement gold): billing.taxes[1]: a is listed twice: it is also taxes[0]
    "#]].assert_eq(&mistakes(&format!(
        "{TERMS}service_level:\n  steps:\n  - {{below_ppm: 999000, credit_basis_points: 500}}\n  \
         - {{below_ppm: 999000, credit_basis_points: 600}}\n  - {{below_ppm: 900000, credit_basis_points: 500}}\n  \
         cap_ppm: 1\n  cap_minor: 1\n  maintenance: [{{from: 2026-12-02T00:00:00Z, to: 2026-12-01T00:00:00Z}}]\n\
         billing: {{rate_card: standard, currency: euro, zone: 'Europe//Berlin', seal_day: 31, taxes: [{{code: a, rate_ppm: 1}}, {{code: a, rate_ppm: 2}}]}}\n"
    )));
}

#[test]
fn terms_that_do_not_fit_what_is_provisioned_are_refused() {
    let state = with(
        world(),
        "more",
        "kind: client\nname: other\n---\nkind: site\nname: theirs\nclient: other\nhosts: [theirs.example.com]\n",
    );
    let propose = |text: &str| {
        let parsed = parsed(text);
        let act = AgreementAct::Propose(parsed.objects[0].clone());
        match decide(&state, &at(DAY_BEFORE, Provider, act)) {
            Err(Refusal::Faults { faults, unlisted }) => {
                let mistakes = parsed.positions.mistakes(&faults, unlisted);
                mistakes.iter().map(|mistake| format!("{mistake}\n")).collect()
            }
            other => shown(&state, other),
        }
    };
    expect![[r#"
        f.yaml:10: document 1 (agreement gold): cdns_in[0].network: there is no network nowhere
        f.yaml:9: document 1 (agreement gold): cdns[1]: site shop has no CDN missing
        f.yaml:10: document 1 (agreement gold): cdns_in[0].cdns[0]: site shop has no CDN missing
        f.yaml:7: document 1 (agreement gold): objectives[0]: a window of 60s with a sample every 10s holds 6 samples of a probe; the 5 % of them beyond percentile 95 are 0.30, fewer than 3: site shop is probed every 10s
        f.yaml:8: document 1 (agreement gold): objectives[1]: a window of 600s with a sample every 300s holds 2 samples of a probe; the 5 % of them beyond percentile 95 are 0.10, fewer than 3: site shop is probed every 300s
        f.yaml:4: document 1 (agreement gold): sites[1]: client acme has no site theirs
        f.yaml:4: document 1 (agreement gold): sites[2]: client acme has no site none
        f.yaml:5: document 1 (agreement gold): effective_from: must be at least a minute ahead, so that it can be accepted; it is 2026-11-30T00:00:00Z
    "#]].assert_eq(&propose(
        "kind: agreement\nname: gold\nclient: acme\nsites: [shop, theirs, none]\neffective_from: 2026-11-30T00:00:00Z\n\
         objectives:\n- {metric: response_time, threshold: 300ms, window: 60s, percentile: 95}\n\
         - {metric: available_bandwidth, threshold: 20Mbit/s, window: 10min}\n\
         cdns: [own, missing]\ncdns_in: [{network: nowhere, cdns: [missing]}]\n",
    ));
    expect![[r#"
        f.yaml:1: document 1 (client acme): kind: must be an agreement, not a client
    "#]]
    .assert_eq(&propose("kind: client\nname: acme\n"));
}
