//! Who is let in, and for how long while the log cannot be read.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::sync::Arc;
use std::time::Duration;

use spillway_control::{Access, AccessError, CommandHead, Provisioner, digest_of, new_token};
use spillway_eventlog::{EmbeddedLog, EventLog};
use spillway_events::{Role, TimeMicros, topics};
use spillway_provisioning::{Caller, NewToken};

const NOW: TimeMicros = TimeMicros(1_000_000);

fn operator(expires_at_us: Option<TimeMicros>) -> (String, NewToken) {
    let token = new_token().unwrap();
    let (role, subject, note) = (Role::Operator, None, String::from("test"));
    let sha256 = digest_of(&token).unwrap();
    (token, NewToken { sha256, role, subject, note, expires_at_us })
}

#[test]
fn a_token_is_accepted_until_it_expires() {
    let folder = tempfile::tempdir().unwrap();
    let log: Arc<dyn EventLog> = Arc::new(EmbeddedLog::create(folder.path()).unwrap());
    log.create_topic(topics::PROVISIONING, 1).unwrap();
    let provisioner = Arc::new(Provisioner::new(log));
    let (token, new) = operator(Some(TimeMicros(NOW.0 + 10)));
    let access = Access::new(Arc::clone(&provisioner));
    assert!(matches!(access.identify(&token, NOW), Err(AccessError::Refused)));
    provisioner.create_token(new, b"", CommandHead::on_log("one", NOW)).unwrap();
    // Known at once, because the same process wrote it.
    let identity = access.identify(&token, TimeMicros(NOW.0 + 9)).unwrap();
    assert_eq!(identity.caller, Caller::Operator);
    assert!(identity.author.starts_with("operator "), "{}", identity.author);
    assert!(matches!(access.identify(&token, TimeMicros(NOW.0 + 10)), Err(AccessError::Refused)));
    assert!(matches!(access.identify(&token[1..], NOW), Err(AccessError::Malformed)));
}

/// Another process writes to the log, of which this one learns by reading.
#[test]
fn a_revocation_by_another_process_takes_effect() {
    let folder = tempfile::tempdir().unwrap();
    let log: Arc<dyn EventLog> = Arc::new(EmbeddedLog::create(folder.path()).unwrap());
    log.create_topic(topics::PROVISIONING, 1).unwrap();
    let (here, there) = (Arc::new(Provisioner::new(Arc::clone(&log))), Provisioner::new(log));
    let (token, new) = operator(None);
    let id = spillway_provisioning::token_id(new.sha256);
    there.create_token(new, b"", CommandHead::on_log("one", NOW)).unwrap();
    there.create_token(operator(None).1, b"", CommandHead::on_log("two", NOW)).unwrap();
    let access = Access::new(here);
    access.identify(&token, NOW).unwrap();
    there.revoke_token(&id, CommandHead::on_log("three", NOW)).unwrap();
    let is_refused = || matches!(access.identify(&token, NOW), Err(AccessError::Refused));
    // At most 5 seconds, of which a slow machine may take longer to notice.
    for _ in 0..100 {
        if is_refused() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("the revoked token is still accepted");
}

/// Records that were to be read next are gone, as a stand-in for a log that cannot be read.
#[test]
fn while_the_log_cannot_be_read_known_tokens_are_accepted_for_a_while() {
    let folder = tempfile::tempdir().unwrap();
    let log: Arc<dyn EventLog> = Arc::new(EmbeddedLog::create(folder.path()).unwrap());
    log.create_topic(topics::PROVISIONING, 1).unwrap();
    let (here, there) = (Arc::new(Provisioner::new(Arc::clone(&log))), Provisioner::new(Arc::clone(&log)));
    let (token, new) = operator(None);
    there.create_token(new, b"", CommandHead::on_log("one", NOW)).unwrap();
    let lenient = Access::new(Arc::clone(&here));
    let strict = Access::new(here).with_stale_age_max(Duration::from_millis(1));
    strict.identify(&token, NOW).unwrap();
    for id in ["two", "three"] {
        there.create_token(operator(None).1, b"", CommandHead::on_log(id, NOW)).unwrap();
    }
    log.truncate_before(topics::PROVISIONING, 0, 3).unwrap();
    // Until then the provisioning that was read last counts.
    std::thread::sleep(Duration::from_millis(2_100));
    assert!(matches!(strict.identify(&token, NOW), Err(AccessError::Unavailable)));
    lenient.identify(&token, NOW).unwrap();
    let (unknown, _) = operator(None);
    assert!(matches!(lenient.identify(&unknown, NOW), Err(AccessError::Refused)));
}
