use spillway_events::{Client, ClientName, ObjectKind, RECORD_BYTES_MAX};

use super::{command, with, world};
use crate::{Change, Command, Object, ObjectId, Precondition, Refusal, State, decide};

/// The longest record that the log holds, and one byte more.
#[test]
fn a_record_may_have_as_many_bytes_as_the_log_holds() {
    let titled = |bytes: usize| {
        let client = Client { name: ClientName::new("c").expect("a name"), title: Some("t".repeat(bytes)) };
        let change = Change::Apply(vec![Object::Client(client)]);
        decide(&State::default(), &command("long", change)).map(|events| events.len())
    };
    let Err(Refusal::TooLong { bytes, .. }) = titled(RECORD_BYTES_MAX) else {
        panic!("the rest takes bytes too")
    };
    let longest = RECORD_BYTES_MAX - (bytes - RECORD_BYTES_MAX);
    assert_eq!(titled(longest), Ok(1));
    assert_eq!(titled(longest + 1), Err(Refusal::TooLong { events: 1, bytes: RECORD_BYTES_MAX + 1 }));
}

#[test]
fn a_command_is_refused_if_its_sender_has_not_seen_the_last_change() {
    let state = with(world(), "b", "{kind: client, name: acme, title: Acme}");
    let (acme, nobody) =
        (ObjectId::new(ObjectKind::Client, "acme"), ObjectId::new(ObjectKind::Client, "nobody"));
    let refused = |precondition| {
        let precondition = Some(precondition);
        let command = Command { precondition, ..command("c", Change::Apply(Vec::new())) };
        decide(&state, &command).err().map(|refusal| refusal.to_string())
    };
    let exists = Some(String::from("client acme exists, and was last changed by record 1: read it again"));
    let missing = Some(String::from("there is no client nobody"));
    assert_eq!(refused(Precondition::Absent(acme.clone())), exists);
    assert_eq!(refused(Precondition::Present(acme.clone())), None);
    assert_eq!(refused(Precondition::LastChange(acme.clone(), 1)), None);
    assert_eq!(refused(Precondition::LastChange(acme, 0)), exists);
    assert_eq!(refused(Precondition::Absent(nobody.clone())), None);
    assert_eq!(refused(Precondition::Present(nobody.clone())), missing);
    assert_eq!(refused(Precondition::LastChange(nobody, 1)), missing);
}
