//! The Kafka adapter with real brokers: the contract suite, and tests of failing brokers.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use spillway_eventlog::cluster::Cluster;
use spillway_eventlog::{
    Appended, EventLog, KafkaLog, KafkaSettings, Kept, LogError, TopicMismatch, TopicSpec, contract,
};
use tokio_util::sync::CancellationToken;

const ALL: usize = usize::MAX;

fn connect(cluster: &Cluster) -> KafkaLog {
    KafkaLog::connect(KafkaSettings::plain(&cluster.bootstrap), CancellationToken::new()).unwrap()
}

fn delete_all_topics(cluster: &Cluster) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &cluster.bootstrap).create().unwrap();
    let log = connect(cluster);
    let topics = log.topics().unwrap();
    let names: Vec<&str> = topics.iter().map(String::as_str).collect();
    if !names.is_empty() {
        pollster::block_on(admin.delete_topics(&names, &AdminOptions::new())).unwrap();
    }
    while !log.topics().unwrap().is_empty() {
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn keeps_the_contract() {
    let cluster = Cluster::start(1);
    contract::check(|| {
        delete_all_topics(&cluster);
        Arc::new(connect(&cluster))
    });
}

fn offsets(log: &impl EventLog, topic: &str) -> Vec<(u64, Vec<u8>)> {
    let entries = log.read(topic, 0, 0, ALL, ALL).unwrap();
    entries.into_iter().map(|entry| (entry.offset, entry.bytes)).collect()
}

/// Three clients, like three processes, compete for every number. Each number has one winner, all clients read the same
/// winners, and no void record is read.
#[test]
fn processes_that_race_for_numbers_agree_on_the_winners() {
    const NUMBERS: u64 = 60;
    let cluster = Cluster::start(1);
    let logs = [connect(&cluster), connect(&cluster), connect(&cluster)];
    logs[0].create_topic("ticks", 1).unwrap();
    let won: Vec<Vec<(u64, u64)>> = std::thread::scope(|scope| {
        let racers = logs.iter().enumerate().map(|(racer, log)| {
            scope.spawn(move || {
                let mut won = Vec::new();
                let mut number = 0;
                while number < NUMBERS {
                    match log.append_at("ticks", number, format!("{number} by {racer}").as_bytes()).unwrap() {
                        Appended::Won(offset) => {
                            won.push((number, offset));
                            number += 1;
                        }
                        Appended::Lost { next } => number = next,
                    }
                }
                won
            })
        });
        let racers: Vec<_> = racers.collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).collect()
    });
    let winners = offsets(&logs[0], "ticks");
    assert_eq!(winners.len() as u64, NUMBERS);
    for (racer, won) in won.iter().enumerate() {
        for (number, offset) in won {
            let expected = (*offset, format!("{number} by {racer}").into_bytes());
            assert_eq!(winners[usize::try_from(*number).unwrap()], expected);
        }
    }
    assert_eq!(won.iter().map(Vec::len).sum::<usize>() as u64, NUMBERS);
    let void = logs[0].end("ticks", 0).unwrap() - NUMBERS;
    assert!(void > 0, "nobody lost, so that nothing was shown");
    assert_eq!(offsets(&logs[1], "ticks"), winners);
    let late = connect(&cluster);
    assert_eq!(offsets(&late, "ticks"), winners);
    // The same from an offset in the middle, and for a client that starts at a checkpoint's offset.
    let (place, bytes) = &winners[40];
    assert_eq!(late.read("ticks", 0, *place, 1, ALL).unwrap()[0].bytes, *bytes);
    let anchored = connect(&cluster);
    anchored.anchor("ticks", 40, *place);
    let read = anchored.read("ticks", 0, *place, ALL, ALL).unwrap();
    assert!(read.iter().map(|entry| &entry.bytes).eq(winners[40..].iter().map(|(_, bytes)| bytes)));
    assert_eq!(anchored.append_at("ticks", 59, b"too late").unwrap(), Appended::Lost { next: NUMBERS });
    assert_eq!(anchored.append_at("ticks", 40, bytes).unwrap(), Appended::Won(*place));
    assert_eq!(anchored.append_at("ticks", 3, &winners[3].1).unwrap(), Appended::Won(winners[3].0));
}

/// Transactions of another producer: an open one holds the end back, the records of an aborted one are skipped, and a
/// reader reaches the end past the transaction markers.
#[test]
fn transactions_of_strangers_leave_gaps_and_nothing_else() {
    let cluster = Cluster::start(1);
    let log = connect(&cluster);
    log.create_topic("statistics", 1).unwrap();
    let stranger: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &cluster.bootstrap)
        .set("transactional.id", "stranger")
        .create()
        .unwrap();
    stranger.init_transactions(Duration::from_secs(30)).unwrap();
    let send = |text: &str| {
        stranger.send(BaseRecord::<(), _>::to("statistics").partition(0).payload(text)).unwrap();
        stranger.flush(Duration::from_secs(10)).unwrap();
    };
    assert_eq!(log.append("statistics", 0, &[b"a"]).unwrap(), 0);

    stranger.begin_transaction().unwrap();
    send("aborted");
    assert_eq!(log.append("statistics", 0, &[b"b"]).unwrap(), 2);
    assert_eq!(log.end("statistics", 0).unwrap(), 1, "an open transaction holds the stable end back");
    assert!(!log.wait("statistics", 0, 1, Duration::from_millis(300)).unwrap());
    stranger.abort_transaction(Duration::from_secs(30)).unwrap();
    assert!(log.wait("statistics", 0, 1, Duration::from_secs(60)).unwrap());
    assert_eq!(offsets(&log, "statistics"), [(0, b"a".to_vec()), (2, b"b".to_vec())]);

    stranger.begin_transaction().unwrap();
    send("c");
    stranger.commit_transaction(Duration::from_secs(30)).unwrap();
    // After "b" at 2: the abort's marker at 3, "c" at 4, the commit's marker at 5.
    while log.end("statistics", 0).unwrap() < 6 {
        std::thread::sleep(Duration::from_millis(20));
    }
    for _ in 0..3 {
        assert_eq!(log.read("statistics", 0, 3, ALL, ALL).unwrap().len(), 1);
        assert_eq!(log.read("statistics", 0, 5, ALL, ALL).unwrap(), []);
    }
    assert_eq!(log.append("statistics", 0, &[b"d"]).unwrap(), 6);
    assert_eq!(log.read("statistics", 0, 5, ALL, ALL).unwrap()[0].offset, 6);
}

#[test]
fn topics_are_made_as_they_should_be_and_differences_are_named() {
    let cluster = Cluster::start(1);
    let log = connect(&cluster);
    let spec = |name: &str, partitions, kept| TopicSpec { name: name.to_owned(), partitions, kept };
    let specs = [
        spec("ticks", 1, Kept::Days(30)),
        spec("decisions", 4, Kept::ForEver),
        spec("measurements", 2, Kept::Days(30)),
    ];
    specs[..2].iter().for_each(|spec| log.create(spec).unwrap());
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &cluster.bootstrap).create().unwrap();
    use rdkafka::admin::{AlterConfig, ResourceSpecifier};
    let other = AlterConfig::new(ResourceSpecifier::Topic("decisions"))
        .set("retention.ms", "1000")
        .set("cleanup.policy", "compact");
    pollster::block_on(admin.alter_configs([&other], &AdminOptions::new())).unwrap();
    let found = log.check(&specs).unwrap();
    let named = |mismatch: &TopicMismatch| {
        format!("{} {}: {} not {}", mismatch.topic, mismatch.setting, mismatch.is, mismatch.should_be)
    };
    let found: Vec<String> = found.iter().map(named).collect();
    assert!(found.contains(&"decisions cleanup.policy: compact not delete".to_owned()), "{found:?}");
    assert!(found.contains(&"decisions retention.ms: 1000 not -1".to_owned()), "{found:?}");
    assert!(found.contains(&"measurements topic: missing not present".to_owned()), "{found:?}");
    assert!(!found.iter().any(|mismatch| mismatch.starts_with("ticks")), "{found:?}");

    // An inbox that an outside producer created by writing to it gets the required settings.
    let inbox = spec("inbox.cdn", 1, Kept::Days(30));
    let stranger = NewTopic::new("inbox.cdn", 1, TopicReplication::Fixed(1)).set("max.message.bytes", "99");
    pollster::block_on(admin.create_topics([&stranger], &AdminOptions::new())).unwrap();
    log.create_topic("inbox.cdn", 1).unwrap();
    let agrees = || log.check(std::slice::from_ref(&inbox)).unwrap().is_empty();
    let soon = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(100));
        agrees()
    });
    assert!(soon, "{:?}", log.check(&[inbox]));
}

/// Without a broker a call retries until its retry timeout. When the broker is back, pending records are appended once
/// and a reader continues.
#[test]
fn calls_wait_while_no_broker_answers() {
    let cluster = Cluster::start(1);
    let cancel = CancellationToken::new();
    let log = KafkaLog::connect(KafkaSettings::plain(&cluster.bootstrap), cancel.clone()).unwrap();
    log.create_topic("usage", 1).unwrap();
    log.append("usage", 0, &[b"before"]).unwrap();
    assert_eq!(log.read("usage", 0, 0, ALL, ALL).unwrap().len(), 1);
    cluster.stop();
    let settings = KafkaSettings {
        retry_timeout: Some(Duration::from_secs(2)),
        ..KafkaSettings::plain(&cluster.bootstrap)
    };
    let with_timeout = KafkaLog::connect(settings, CancellationToken::new()).unwrap();
    let error = with_timeout.append("usage", 0, &[b"refused"]).unwrap_err();
    assert!(matches!(error, LogError::Unavailable { .. }), "{error:?}");
    std::thread::scope(|scope| {
        let appending = scope.spawn(|| log.append("usage", 0, &[b"during", b"during too"]));
        let reading = scope.spawn(|| log.wait("usage", 0, 1, Duration::from_secs(600)));
        std::thread::sleep(Duration::from_secs(1));
        assert!(!appending.is_finished());
        cluster.restart();
        assert_eq!(appending.join().unwrap().unwrap(), 1);
        assert!(reading.join().unwrap().unwrap());
    });
    let read: Vec<Vec<u8>> = offsets(&log, "usage").into_iter().map(|(_, bytes)| bytes).collect();
    assert_eq!(read, [&b"before"[..], b"during", b"during too"]);
    cluster.stop();
    std::thread::scope(|scope| {
        let appending = scope.spawn(|| log.append("usage", 0, &[b"never"]));
        std::thread::sleep(Duration::from_millis(300));
        cancel.cancel();
        assert!(matches!(appending.join().unwrap(), Err(LogError::Cancelled)));
    });
}

/// A cluster that requires TLS and SCRAM accepts a client with both. Other clients get an error with the reason, and no
/// error or debug text contains the password.
#[cfg(feature = "kafka-tls")]
#[test]
fn tls_and_scram_are_spoken_and_secrets_stay_secret() {
    use spillway_eventlog::KafkaSecurity;
    let cluster = Cluster::start_secure();
    let secret = |name: &str| std::fs::read_to_string(cluster.secrets().join(name)).unwrap();
    let settings = |password: String, ca: bool| KafkaSettings {
        security: Some(KafkaSecurity {
            ca_file: ca.then(|| cluster.secrets().join("ca.pem")),
            user: Some(secret("user")),
            password: Some(password),
        }),
        retry_timeout: Some(Duration::from_secs(8)),
        ..KafkaSettings::plain(&cluster.bootstrap)
    };
    let right = settings(secret("password"), true);
    assert!(!format!("{right:?}").contains(&secret("password")));
    let log = KafkaLog::connect(right, CancellationToken::new()).unwrap();
    log.create_topic("usage", 1).unwrap();
    assert_eq!(log.append("usage", 0, &[b"hidden on the wire"]).unwrap(), 0);
    assert_eq!(offsets(&log, "usage"), [(0, b"hidden on the wire".to_vec())]);

    let wrong =
        KafkaLog::connect(settings("wrong password".to_owned(), true), CancellationToken::new()).unwrap();
    let error = wrong.topics().unwrap_err().to_string();
    assert!(error.contains("Authentication") && !error.contains("wrong password"), "{error}");
    let untrusted = KafkaLog::connect(settings(secret("password"), false), CancellationToken::new()).unwrap();
    let error = untrusted.topics().unwrap_err().to_string();
    assert!(error.to_lowercase().contains("certificate") && !error.contains(&secret("password")), "{error}");
}

/// Of three brokers one is killed under load, then a second when the first is back in sync. Every acknowledged record is
/// read once and in order, and so are the numbers of a deciding topic.
#[test]
fn brokers_are_killed_under_load_and_nothing_is_lost_or_doubled() {
    use rdkafka::consumer::{BaseConsumer, Consumer};
    let cluster = Cluster::start(3);
    let settings = KafkaSettings { replication: 3, ..KafkaSettings::plain(&cluster.bootstrap) };
    let log = KafkaLog::connect(settings, CancellationToken::new()).unwrap();
    log.create_topic("usage", 1).unwrap();
    log.create_topic("ticks", 1).unwrap();
    let query_client: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", &cluster.bootstrap).create().unwrap();
    let in_sync = |topic: &str| {
        let metadata = query_client.fetch_metadata(Some(topic), Duration::from_secs(10));
        metadata.is_ok_and(|metadata| metadata.topics()[0].partitions()[0].isr().len() == 3)
    };
    let (done, progress) = (AtomicBool::new(false), AtomicU64::new(0));
    let until_more_is_appended = || {
        let before = progress.load(Ordering::Acquire);
        for _ in 0..6_000 {
            if progress.load(Ordering::Acquire) >= before + 5 {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        done.store(true, Ordering::Release);
        panic!("nothing is appended any more");
    };
    let appended = std::thread::scope(|scope| {
        let appending = scope.spawn(|| {
            let mut number: u64 = 0;
            while !done.load(Ordering::Acquire) {
                let bytes = number.to_string();
                log.append("usage", 0, &[bytes.as_bytes()]).unwrap();
                assert!(matches!(
                    log.append_at("ticks", number, bytes.as_bytes()).unwrap(),
                    Appended::Won(_)
                ));
                number += 1;
                progress.store(number, Ordering::Release);
            }
            number
        });
        for broker in [1, 2] {
            until_more_is_appended();
            cluster.kill(broker);
            until_more_is_appended();
            cluster.revive(broker);
            while !(in_sync("usage") && in_sync("ticks")) {
                std::thread::sleep(Duration::from_millis(100));
            }
        }
        until_more_is_appended();
        done.store(true, Ordering::Release);
        appending.join().unwrap()
    });
    for topic in ["usage", "ticks"] {
        let read = offsets(&log, topic);
        let expected = (0..appended).map(|number| number.to_string().into_bytes());
        assert!(read.iter().map(|(_, bytes)| bytes.clone()).eq(expected), "{topic}");
    }
}
