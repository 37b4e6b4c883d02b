//! Accepts tokens, and accepts them no more.

use spillway_events::{Event, Role, TimeMicros, Token};

use crate::command::{NewToken, Refusal, is_command_text};
use crate::fault::shorten_name;
use crate::limits::{COMMAND_TEXT_BYTES_MAX, TOKENS_MAX, TOKENS_PER_SUBJECT_MAX};
use crate::state::{Caller, State, is_accepted, token_id};

/// The event that the installation's first token is accepted.
pub(super) fn create_first(state: &State, new: &NewToken, now: TimeMicros) -> Result<Vec<Event>, Refusal> {
    if state.tokens().next().is_some() {
        return Err(Refusal::NotFirstToken);
    }
    create(state, new, now)
}

/// The event that a token is accepted.
pub(super) fn create(state: &State, new: &NewToken, now: TimeMicros) -> Result<Vec<Event>, Refusal> {
    let refuse = |field, rule: String| Err(Refusal::BadToken { field, rule });
    let NewToken { sha256, role, subject, note, expires_at_us } = new.clone();
    if !is_command_text(&note) {
        return refuse(
            "note",
            format!(
                "must have 1 to {COMMAND_TEXT_BYTES_MAX} bytes and no control characters, such as line breaks"
            ),
        );
    }
    if expires_at_us.is_some_and(|end| end <= now) {
        return refuse("expires_at", String::from("must be in the future"));
    }
    let Some(caller) = Caller::new(role, subject.as_deref()) else {
        return refuse("subject", subject_rule(role));
    };
    if !state.has_subject(&caller) {
        return refuse("subject", format!("there is no {}", shorten_name(&caller.to_string())));
    }
    check_count(state, role, subject.as_deref())?;
    let id = token_id(sha256);
    if state.token(&id).is_some() {
        return refuse("sha256", String::from("the token was created before"));
    }
    let token = Token { id, sha256, role, subject, note, expires_at_us, revoked: false };
    Ok(vec![Event::Token(token)])
}

/// Refuses a token when there have been too many: of its subject, which some of its holders may create, or of all but operators,
/// so that these are never kept out.
fn check_count(state: &State, role: Role, subject: Option<&str>) -> Result<(), Refusal> {
    if role == Role::Operator {
        return Ok(());
    }
    let of_subject = state.tokens().filter(|token| token.role == role && token.subject.as_deref() == subject);
    if subject.is_some() && of_subject.take(TOKENS_PER_SUBJECT_MAX).count() == TOKENS_PER_SUBJECT_MAX {
        return Err(Refusal::TooManyTokensOf(subject.unwrap_or_default().to_owned()));
    }
    if state.tokens_count() >= TOKENS_MAX { Err(Refusal::TooManyTokens) } else { Ok(()) }
}

fn subject_rule(role: Role) -> String {
    let needs = match role {
        Role::Operator | Role::Analyst => {
            return format!("{} is a role for all clients and takes no subject", role.as_str());
        }
        Role::ClientAdmin | Role::ClientViewer => "client",
        Role::Cdn => "CDN",
        Role::Probe => "probe's agent",
    };
    format!("role {} needs the name of a {needs}", role.as_str())
}

/// The event that a token is accepted no more; none if it was revoked before.
pub(super) fn revoke(state: &State, id: &str, now: TimeMicros) -> Result<Vec<Event>, Refusal> {
    let Some(token) = state.token(id) else { return Err(Refusal::NoToken(id.to_owned())) };
    if token.revoked {
        return Ok(Vec::new());
    }
    let is_operators = |token: &&Token| token.role == Role::Operator && is_accepted(token, now);
    let is_last = is_operators(&token) && state.tokens().filter(is_operators).nth(1).is_none();
    if is_last {
        return Err(Refusal::LastOperatorToken(id.to_owned()));
    }
    Ok(vec![Event::Token(Token { revoked: true, ..token.clone() })])
}
