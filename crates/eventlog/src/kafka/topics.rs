//! Topics on a cluster: creates them with the settings that Spillway requires, and checks these settings.

use std::time::Duration;

use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, ConfigEntry, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};
use spillway_events::topics::{INBOX_PREFIX, INPUT_RECORD_BYTES_MAX, record_bytes_max};

use super::KafkaLog;
use super::client::{Context, REQUEST_TIMEOUT, refused};
use super::settings::MESSAGE_OVERHEAD_BYTES;
use crate::checks::check_topic;
use crate::{LogError, PARTITIONS_MAX};

/// The retention of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Until they are deleted by [`crate::EventLog::truncate_before`].
    ForEver,
    /// At least this number of days.
    Days(u32),
}

/// The required settings of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    /// Its name.
    pub name: String,
    /// Its number of partitions.
    pub partitions: u32,
    /// Its retention.
    pub kept: Kept,
}

/// A setting that differs from the required one.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct TopicMismatch {
    /// The topic.
    pub topic: String,
    /// Kafka's name of the setting, `partitions`, `replication`, or `topic` if the topic is missing.
    pub setting: String,
    /// The actual value.
    pub is: String,
    /// The required value.
    pub should_be: String,
}

impl TopicSpec {
    /// The topic's settings by Kafka's names.
    fn settings(&self, replication: u32) -> Vec<(&'static str, String)> {
        const DAY_MS: u64 = 86_400_000;
        let retention = match self.kept {
            Kept::ForEver => "-1".to_owned(),
            Kept::Days(days) => (u64::from(days) * DAY_MS).to_string(),
        };
        // Outside producers write to inboxes. Storing their batches uncompressed makes the broker refuse those that exceed
        // the maximum after decompression.
        let (message_bytes_max, compression) = if self.name.starts_with(INBOX_PREFIX) {
            (INPUT_RECORD_BYTES_MAX, "uncompressed")
        } else {
            (record_bytes_max(&self.name) + MESSAGE_OVERHEAD_BYTES, "producer")
        };
        vec![
            // No compaction: a decided number must keep its record.
            ("cleanup.policy", "delete".to_owned()),
            ("retention.ms", retention),
            ("retention.bytes", "-1".to_owned()),
            // Retention uses the time of appending, because producers' clocks may be wrong.
            ("message.timestamp.type", "LogAppendTime".to_owned()),
            ("max.message.bytes", message_bytes_max.to_string()),
            ("compression.type", compression.to_owned()),
            // Brokers do not sync each record, so an acknowledged record must be on more than one of them.
            ("min.insync.replicas", if replication >= 3 { "2" } else { "1" }.to_owned()),
            // A replica that is behind must not become leader: acknowledged records would be lost.
            ("unclean.leader.election.enable", "false".to_owned()),
        ]
    }
}

impl KafkaLog {
    /// Creates a topic with the settings that Spillway requires. Does nothing if it exists with the same number of
    /// partitions, except for an inbox, which an outside producer may have created: it gets those settings.
    ///
    /// # Errors
    /// Those of [`crate::EventLog::create_topic`], and [`LogError::Refused`].
    pub fn create(&self, spec: &TopicSpec) -> Result<(), LogError> {
        Self::check_new(spec)?;
        if let Some(has) = self.ask_partitions(&spec.name)? {
            let (topic, wanted) = (spec.name.clone(), spec.partitions);
            return match has == wanted {
                true if topic.starts_with(INBOX_PREFIX) => self.set(spec),
                true => Ok(()),
                false => Err(LogError::PartitionsDiffer { topic, has, wanted }),
            };
        }
        let what = format!("creating topic `{}`", spec.name);
        let settings = spec.settings(self.settings.replication);
        let partitions = i32::try_from(spec.partitions).unwrap_or(i32::MAX);
        let replication = i32::try_from(self.settings.replication).unwrap_or(i32::MAX);
        let admin = self.admin()?;
        self.health.request(&what, || {
            let fixed = TopicReplication::Fixed(replication);
            let topic =
                settings.iter().fold(NewTopic::new(&spec.name, partitions, fixed), |topic, (name, value)| {
                    topic.set(name, value)
                });
            let made = pollster::block_on(admin.create_topics([&topic], &options()))?;
            match made.into_iter().next() {
                Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) | Some(Ok(_)) | None => Ok(()),
                // A metadata error keeps the code, which tells whether to retry.
                Some(Err((_, code))) => Err(KafkaError::MetadataFetch(code)),
            }
        })?;
        // The controller has created it. Wait until every partition has a leader.
        self.health.request(&what, || {
            let metadata = self.query_client.fetch_metadata(Some(&spec.name), REQUEST_TIMEOUT)?;
            let found = metadata.topics().first();
            let led = found.map_or(0, |topic| topic.partitions().iter().filter(|p| p.leader() >= 0).count());
            if led == spec.partitions as usize {
                Ok(())
            } else {
                Err(KafkaError::MetadataFetch(RDKafkaErrorCode::LeaderNotAvailable))
            }
        })
    }

    /// Changes all settings of an existing topic.
    fn set(&self, spec: &TopicSpec) -> Result<(), LogError> {
        let (what, admin) = (format!("changing the settings of topic `{}`", spec.name), self.admin()?);
        let change = AlterConfig::new(ResourceSpecifier::Topic(&spec.name));
        let settings = spec.settings(self.settings.replication);
        let change = settings.iter().fold(change, |change, (name, value)| change.set(name, value));
        self.health.request(&what, || {
            let set = pollster::block_on(admin.alter_configs([&change], &options()))?;
            match set.into_iter().next() {
                Some(Err((_, code))) => Err(KafkaError::MetadataFetch(code)),
                Some(Ok(_)) | None => Ok(()),
            }
        })
    }

    /// Checks a new topic's name and number of partitions.
    fn check_new(spec: &TopicSpec) -> Result<(), LogError> {
        check_topic(&spec.name)?;
        if spec.partitions == 0 || spec.partitions > PARTITIONS_MAX {
            return Err(LogError::BadPartitionCount {
                topic: spec.name.clone(),
                partitions: spec.partitions,
            });
        }
        Ok(())
    }

    /// Returns the settings that differ from the required ones.
    ///
    /// # Errors
    /// [`LogError::Refused`], [`LogError::Unavailable`], [`LogError::Stopped`].
    pub fn check(&self, specs: &[TopicSpec]) -> Result<Vec<TopicMismatch>, LogError> {
        let admin = self.admin()?;
        let mut found = Vec::new();
        for spec in specs {
            let mut differ = |setting: &str, is: String, should_be: String| {
                let topic = spec.name.clone();
                found.push(TopicMismatch { topic, setting: setting.to_owned(), is, should_be });
            };
            let Some(partitions) = self.ask_partitions(&spec.name)? else {
                differ("topic", "missing".to_owned(), "present".to_owned());
                continue;
            };
            if partitions != spec.partitions {
                differ("partitions", partitions.to_string(), spec.partitions.to_string());
            }
            let replicas = self.replicas(&spec.name)?;
            if replicas < self.settings.replication {
                differ("replication", replicas.to_string(), self.settings.replication.to_string());
            }
            let what = format!("asking for the settings of topic `{}`", spec.name);
            let settings = self.health.request(&what, || {
                let topic = ResourceSpecifier::Topic(&spec.name);
                let mut answers =
                    pollster::block_on(admin.describe_configs([&topic], &options()))?.into_iter();
                match answers.next() {
                    Some(Ok(settings)) => Ok(settings),
                    Some(Err(code)) => Err(KafkaError::MetadataFetch(code)),
                    None => Err(KafkaError::MetadataFetch(RDKafkaErrorCode::OperationTimedOut)),
                }
            })?;
            for (name, should_be) in spec.settings(self.settings.replication) {
                let is = settings.get(name).and_then(|entry: &ConfigEntry| entry.value.clone());
                if is.as_deref() != Some(should_be.as_str()) {
                    differ(name, is.unwrap_or_else(|| "unknown".to_owned()), should_be);
                }
            }
        }
        Ok(found)
    }

    /// Returns the lowest number of replicas of the partitions of a topic.
    fn replicas(&self, topic: &str) -> Result<u32, LogError> {
        let what = format!("looking up topic `{topic}`");
        let metadata =
            self.health.request(&what, || self.query_client.fetch_metadata(Some(topic), REQUEST_TIMEOUT))?;
        let partitions = metadata.topics().iter().flat_map(rdkafka::metadata::MetadataTopic::partitions);
        let fewest = partitions.map(|partition| partition.replicas().len()).min().unwrap_or(0);
        Ok(u32::try_from(fewest).unwrap_or(u32::MAX))
    }

    /// Deletes the records before an offset.
    pub(super) fn delete_before(&self, topic: &str, partition: u32, offset: u64) -> Result<(), LogError> {
        let what = format!("truncating topic `{topic}`, partition {partition}");
        let number = i32::try_from(partition).unwrap_or(i32::MAX);
        let before = Offset::Offset(i64::try_from(offset).unwrap_or(i64::MAX));
        let mut partitions = TopicPartitionList::new();
        partitions.add_partition_offset(topic, number, before).map_err(|error| refused(&what, &error))?;
        let admin = self.admin()?;
        self.health.request(&what, || {
            let answer = pollster::block_on(admin.delete_records(&partitions, &options()))?;
            answer
                .elements()
                .iter()
                .try_for_each(rdkafka::topic_partition_list::TopicPartitionListElem::error)
        })
    }

    fn admin(&self) -> Result<AdminClient<Context>, LogError> {
        let context = Context(std::sync::Arc::clone(&self.health));
        AdminClient::from_config_and_context(&self.settings.admin()?, context)
            .map_err(|error| LogError::Settings { reason: error.to_string() })
    }
}

fn options() -> AdminOptions {
    let timeout: Option<Duration> = Some(REQUEST_TIMEOUT);
    AdminOptions::new().request_timeout(timeout).operation_timeout(timeout)
}
