//! Who is given a token, whose token is accepted, and what keeps a token from being revoked.

use spillway_events::{Event, ObjectKind, Role, Sha256, TimeMicros, Token};

use super::{command, record, with, world};
use crate::limits::{COMMAND_TEXT_BYTES_MAX, TOKENS_MAX, TOKENS_PER_SUBJECT_MAX};
use crate::{Caller, Change, Command, NewToken, ObjectId, Refusal, State, decide, token_id};

const NOW: TimeMicros = TimeMicros(1_000_000);
const LATER: TimeMicros = TimeMicros(NOW.0 + 1);

fn new(text: &str, role: Role, subject: Option<&str>) -> NewToken {
    let (sha256, subject) = (Sha256::of(text.as_bytes()), subject.map(str::to_owned));
    NewToken { sha256, role, subject, note: String::from("a test"), expires_at_us: None }
}

fn id(text: &str) -> String {
    token_id(Sha256::of(text.as_bytes()))
}

fn decide_now(state: &State, change: Change) -> Result<Vec<Event>, Refusal> {
    decide(state, &Command { at_us: NOW, ..command("tokens", change) })
}

fn create(state: &State, new: NewToken) -> Result<Vec<Event>, Refusal> {
    decide_now(state, Change::CreateToken(new))
}

fn revoke(state: &State, text: &str) -> Result<Vec<Event>, Refusal> {
    decide_now(state, Change::RevokeToken(id(text)))
}

/// The rule that a new token breaks, with its field.
fn rule(state: &State, new: NewToken) -> String {
    create(state, new).expect_err("it breaks a rule").to_string()
}

fn next(mut state: State, events: Vec<Event>) -> State {
    let record = record(&state, "tokens", events);
    state.apply(&record).expect("the record is next");
    state
}

/// The state after one more token.
fn given(state: State, new: NewToken) -> State {
    let events = create(&state, new).expect("it breaks no rule");
    next(state, events)
}

#[test]
fn a_token_belongs_to_somebody_who_is_provisioned() {
    let state = world();
    let (wanted, missing) = (
        [
            (Role::Operator, None),
            (Role::Analyst, None),
            (Role::ClientAdmin, Some("acme")),
            (Role::ClientViewer, Some("acme")),
            (Role::Cdn, Some("own")),
            (Role::Probe, Some("a1")),
        ],
        [
            (Role::ClientAdmin, "nobody", "client nobody"),
            (Role::ClientViewer, "own", "client own"),
            (Role::Cdn, "acme", "cdn acme"),
            // The agent's name begins so.
            (Role::Probe, "a", "agent a"),
        ],
    );
    for (role, subject) in wanted {
        let events = create(&state, new("one", role, subject)).expect("it breaks no rule");
        let [Event::Token(token)] = &events[..] else { panic!("{events:?}") };
        assert_eq!((&*token.id, token.role, token.subject.as_deref()), (&*id("one"), role, subject));
        assert!(!token.revoked);
        let wrong = if subject.is_some() { None } else { Some("acme") };
        let rule = rule(&state, new("one", role, wrong));
        assert!(rule.starts_with("subject: ") && rule.contains(role.as_str()), "{rule}");
    }
    for (role, subject, shown) in missing {
        let rule = rule(&state, new("one", role, Some(subject)));
        assert_eq!(rule, format!("subject: there is no {shown}"));
    }
    assert_eq!(
        rule(&state, new("one", Role::Cdn, Some("no name"))),
        "subject: role cdn needs the name of a CDN"
    );
}

#[test]
fn a_token_has_a_note_and_an_end_in_the_future() {
    let state = world();
    let operator = || new("one", Role::Operator, None);
    for note in [String::new(), "two\nlines".to_owned(), "x".repeat(COMMAND_TEXT_BYTES_MAX + 1)] {
        assert!(rule(&state, NewToken { note, ..operator() }).starts_with("note: must have 1 to 255 bytes"));
    }
    let ends = |at| NewToken { expires_at_us: Some(at), ..operator() };
    assert_eq!(rule(&state, ends(NOW)), "expires_at: must be in the future");
    let state = given(state, ends(LATER));
    assert_eq!(rule(&state, operator()), "sha256: the token was created before");
}

#[test]
fn the_first_token_is_the_only_one_of_its_kind() {
    let first = |state: &State| decide_now(state, Change::CreateFirstToken(new("one", Role::Operator, None)));
    let state = State::default();
    let state = next(state.clone(), first(&state).expect("there has been none"));
    assert_eq!(first(&state), Err(Refusal::NotFirstToken));
    let state = given(state, new("two", Role::Operator, None));
    let revoked = ["one", "two"].map(|text| token_of(&state, text));
    let state = next(state, revoked.map(|token| Event::Token(Token { revoked: true, ..token })).to_vec());
    assert_eq!(first(&state), Err(Refusal::NotFirstToken), "although none is accepted any more");
}

fn token_of(state: &State, text: &str) -> Token {
    state.token(&id(text)).expect("it was created").clone()
}

/// Who calls with the token of this text.
fn caller(state: &State, text: &str, now: TimeMicros) -> Option<Caller> {
    state.caller(Sha256::of(text.as_bytes()), now).map(|(_, caller)| caller)
}

#[test]
fn a_token_is_accepted_until_its_end_or_its_revocation() {
    let state = given(world(), new("kept", Role::Operator, None));
    let ends = NewToken { expires_at_us: Some(LATER), ..new("ends", Role::Analyst, None) };
    let state = given(state, ends);
    assert_eq!(caller(&state, "ends", NOW), Some(Caller::Analyst));
    assert_eq!(caller(&state, "ends", LATER), None);
    assert_eq!(caller(&state, "ends", TimeMicros(LATER.0 + 1)), None);
    assert_eq!(caller(&state, "kept", TimeMicros(i64::MAX)), Some(Caller::Operator));
    assert_eq!(caller(&state, "another", NOW), None);
    let revoked = revoke(&state, "ends").expect("it is no operator's");
    let state = next(state, revoked);
    assert_eq!(caller(&state, "ends", NOW), None);
    assert_eq!(revoke(&state, "ends"), Ok(Vec::new()), "it was revoked before");
    assert_eq!(revoke(&state, "another"), Err(Refusal::NoToken(id("another"))));
}

/// The id of a token is only the beginning of its digest.
#[test]
fn a_token_is_accepted_by_its_whole_digest() {
    let mut state = given(world(), new("one", Role::Operator, None));
    let other = Token { sha256: Sha256::of(b"two"), ..token_of(&state, "one") };
    state.apply_event(1, &Event::Token(other));
    assert_eq!(caller(&state, "one", NOW), None);
}

#[test]
fn a_token_is_worth_nothing_without_what_it_belongs_to() {
    let holders =
        [(Role::ClientAdmin, "acme"), (Role::ClientViewer, "acme"), (Role::Cdn, "own"), (Role::Probe, "a1")];
    let mut state = world();
    for (role, subject) in holders {
        state = given(state, new(role.as_str(), role, Some(subject)));
    }
    let callers = |state: &State| holders.map(|(role, _)| caller(state, role.as_str(), NOW));
    let found = callers(&state).map(|caller| caller.expect("it is accepted"));
    assert_eq!(
        found.clone().map(|caller| caller.to_string()),
        ["client acme", "client acme", "cdn own", "agent a1"]
    );
    let clients = found.each_ref().map(|caller| caller.client().map(|client| client.as_str()));
    assert_eq!(clients, [Some("acme"), Some("acme"), None, None]);
    assert_eq!((Caller::Operator.client(), Caller::Analyst.client()), (None, None));
    // No command takes them away, but the log may hold anything.
    for id in [(ObjectKind::Client, "acme"), (ObjectKind::Cdn, "own"), (ObjectKind::Probe, "a1/as64500")] {
        state.remove(&ObjectId::new(id.0, id.1));
    }
    assert_eq!(callers(&state), [None, None, None, None]);
}

#[test]
fn the_last_token_of_an_operator_is_not_revoked() {
    let state = given(world(), new("one", Role::Operator, None));
    let state = given(state, new("analyst", Role::Analyst, None));
    let last = |text: &str| Err(Refusal::LastOperatorToken(id(text)));
    assert_eq!(revoke(&state, "one"), last("one"));
    assert!(revoke(&state, "analyst").is_ok(), "only operators are needed");
    let short = NewToken { expires_at_us: Some(LATER), ..new("short", Role::Operator, None) };
    let state = given(state, short);
    assert!(revoke(&state, "one").is_ok(), "another one is accepted now");
    let at_end = |text: &str| {
        decide(&state, &Command { at_us: LATER, ..command("later", Change::RevokeToken(id(text))) })
    };
    assert_eq!(at_end("one"), last("one"));
    assert!(at_end("short").is_ok(), "it has ended by itself");
    let revoked = revoke(&state, "short").expect("there is another one");
    assert_eq!(revoke(&next(state, revoked), "one"), last("one"));
}

#[test]
fn what_has_a_token_is_not_deleted() {
    let state =
        with(world(), "more", "{kind: probe, agent: a1, network: region}\n---\n{kind: client, name: other}");
    let delete = |state: &State, kind, name: &str| {
        let refused = decide_now(state, Change::Delete(vec![ObjectId::new(kind, name)]));
        refused.err().map(|refusal| refusal.to_string())
    };
    let other = |state: &State| delete(state, ObjectKind::Client, "other");
    let of_other = |text: &str| new(text, Role::ClientViewer, Some("other"));
    let ends = NewToken { expires_at_us: Some(LATER), ..of_other("ends") };
    let owned = given(state.clone(), ends);
    let refusal = |object: &str, text: &str| {
        Some(format!("{object} cannot be deleted: token {} belongs to it; revoke it first", id(text)))
    };
    assert_eq!(other(&owned), refusal("client other", "ends"));
    assert_eq!(delete(&owned, ObjectKind::Probe, "a1/region"), None, "it has no token");
    let revoked = revoke(&owned, "ends").expect("it is no operator's");
    assert_eq!(other(&next(owned, revoked)), None);
    // An agent is there as long as one of its probes.
    let agent = given(state, new("agent", Role::Probe, Some("a1")));
    assert_eq!(delete(&agent, ObjectKind::Probe, "a1/region"), None);
    let id = ObjectId::new(ObjectKind::Probe, "a1/region");
    let agent = next(agent.clone(), decide_now(&agent, Change::Delete(vec![id])).expect("it is allowed"));
    assert_eq!(delete(&agent, ObjectKind::Probe, "a1/as64500"), refusal("agent a1", "agent"));
}

/// Tokens of other subjects and of other roles do not count, and neither do revoked ones less.
#[test]
fn a_subject_has_a_bounded_number_of_tokens_of_a_role() {
    let mut state = with(world(), "more", "{kind: client, name: other}");
    let token = |number: usize, role, subject: Option<&str>| {
        let NewToken { sha256, role, subject, note, expires_at_us } = new(&number.to_string(), role, subject);
        let revoked = number.is_multiple_of(2);
        Event::Token(Token { id: token_id(sha256), sha256, role, subject, note, expires_at_us, revoked })
    };
    for number in 1..TOKENS_PER_SUBJECT_MAX {
        state.apply_event(0, &token(number, Role::ClientViewer, Some("acme")));
    }
    let viewer = |subject| new("one more", Role::ClientViewer, Some(subject));
    let state_full = given(state.clone(), viewer("acme"));
    let more = |role, subject| create(&state_full, new("last", role, subject)).err();
    let too_many = Some(Refusal::TooManyTokensOf(String::from("acme")));
    assert_eq!(more(Role::ClientViewer, Some("acme")), too_many);
    assert_eq!(more(Role::ClientAdmin, Some("acme")), None);
    assert_eq!(more(Role::ClientViewer, Some("other")), None);
    for number in 0..TOKENS_PER_SUBJECT_MAX {
        state.apply_event(0, &token(1_000_000 + number, Role::Analyst, None));
    }
    assert_eq!(create(&state, new("last", Role::Analyst, None)).err(), None, "analysts have no subject");
}

/// At the limit; then above it, because operators may create more.
#[test]
fn an_operator_is_never_kept_out_by_the_number_of_tokens() {
    let mut state = world();
    for number in 1..TOKENS_MAX {
        let NewToken { sha256, role, subject, note, expires_at_us } =
            new(&number.to_string(), Role::Analyst, None);
        let token = Token { id: token_id(sha256), sha256, role, subject, note, expires_at_us, revoked: true };
        state.apply_event(0, &Event::Token(token));
    }
    let state = given(state, new("last", Role::Analyst, None));
    let viewer = || new("viewer", Role::ClientViewer, Some("acme"));
    assert_eq!(create(&state, viewer()), Err(Refusal::TooManyTokens));
    let state = given(state, new("operator", Role::Operator, None));
    assert_eq!(create(&state, viewer()), Err(Refusal::TooManyTokens));
}
