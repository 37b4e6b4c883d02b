//! A probe agent in this process, which appends what it measures to the log itself.

use std::sync::Arc;
use std::time::Duration;

use spillway_eventlog::EventLog;
use spillway_events::{AgentName, MeasurementBatch, Prefix, SourceName, encode, partition_of, topics};
use spillway_probe::{Agent, AgentSettings, Assignment, Limits};
use tokio::sync::watch;

use super::now;

/// Measures what is assigned until told to stop.
pub(crate) async fn run(
    log: Arc<dyn EventLog>,
    agent: &AgentName,
    allowed: Vec<Prefix>,
    assigned: watch::Receiver<Arc<Vec<Assignment>>>,
    stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let settings = AgentSettings {
        source: SourceName::new(agent.as_str())?,
        boot: u64::try_from(now().0)?,
        seed: 1,
        limits: Limits { allowed, ..Limits::default() },
        flush_interval: Duration::from_millis(100),
        batch_records_max: 500,
        queue_batches_max: 1_000,
        retry_interval: Duration::from_millis(100),
        stop_timeout: Duration::from_secs(1),
        now,
    };
    let partition = partition_of(agent.as_str(), partitions(&log).await?);
    let sink = |batch: MeasurementBatch| {
        let log = Arc::clone(&log);
        async move {
            let append = move || {
                let bytes = encode(&batch).map_err(|error| error.to_string())?;
                log.append(topics::MEASUREMENTS, partition, &[&bytes])
                    .map(drop)
                    .map_err(|error| error.to_string())
            };
            tokio::task::spawn_blocking(append).await.map_err(|error| error.to_string())?
        }
    };
    Agent::new(settings).run(assigned, sink, stop).await;
    Ok(())
}

async fn partitions(log: &Arc<dyn EventLog>) -> anyhow::Result<u32> {
    let log = Arc::clone(log);
    Ok(tokio::task::spawn_blocking(move || log.partitions(topics::MEASUREMENTS)).await??)
}
