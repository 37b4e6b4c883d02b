//! Followers of the provisioning are woken by a change, whoever made it.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::sync::Arc;
use std::time::Duration;

use spillway_control::{CommandHead, Provisioner};
use spillway_eventlog::{EmbeddedLog, EventLog};
use spillway_events::{TimeMicros, topics};
use spillway_provisioning::SourceFile;

/// Longer than the test may take: a wait that nothing ends would show as a test that hangs.
const FOR_EVER: Duration = Duration::from_secs(3_600);

fn apply(provisioner: &Provisioner, client: &str) {
    let text = format!("kind: client\nname: {client}\n");
    let file = SourceFile { name: "test", bytes: text.as_bytes() };
    provisioner.apply(&[file], CommandHead::on_log(client, TimeMicros(0))).unwrap();
}

#[test]
fn a_change_ends_the_wait() {
    let folder = tempfile::tempdir().unwrap();
    let log: Arc<dyn EventLog> = Arc::new(EmbeddedLog::create(folder.path()).unwrap());
    log.create_topic(topics::PROVISIONING, 1).unwrap();
    let (one, other) = (Provisioner::new(Arc::clone(&log)), Provisioner::new(Arc::clone(&log)));
    assert_eq!(one.wait_for_change(0, Duration::ZERO).unwrap().revision(), 0, "nothing has changed");
    apply(&other, "first");
    assert_eq!(one.wait_for_change(0, FOR_EVER).unwrap().revision(), 1, "it had changed before");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| one.wait_for_change(1, FOR_EVER).unwrap().revision());
        apply(&other, "second");
        assert_eq!(waiting.join().unwrap(), 2);
    });
}
