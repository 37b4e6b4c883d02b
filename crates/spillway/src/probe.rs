//! The probe role: an agent for every provisioned agent, each appending what it measures to the log.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use spillway_control::Provisioner;
use spillway_eventlog::EventLog;
use spillway_events::{AgentName, MeasurementBatch, Prefix, SourceName, encode, partition_of, topics};
use spillway_probe::{Agent, AgentSettings, Assignment, Limits, assignments};
use spillway_provisioning::State;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::clock::now;

/// How long one call waits for a change of the provisioning; this delays the end of the role.
const WAIT_TIMEOUT: Duration = Duration::from_millis(500);

/// The sender of an agent's assignments, and its task.
type RunningAgent = (watch::Sender<Arc<Vec<Assignment>>>, JoinHandle<anyhow::Result<()>>);

/// Runs an agent for every agent that is provisioned until cancelled, each with its current assignments.
pub(crate) async fn run(
    log: Arc<dyn EventLog>,
    provisioner: Arc<Provisioner>,
    allowed: Vec<Prefix>,
    cancel: CancellationToken,
) -> anyhow::Result<()> {
    let mut agents: BTreeMap<AgentName, RunningAgent> = BTreeMap::new();
    let mut revision = None;
    while !cancel.is_cancelled() {
        let reader = Arc::clone(&provisioner);
        let read = move || match revision {
            Some(revision) => reader.wait_for_change(revision, WAIT_TIMEOUT),
            None => reader.state(),
        };
        let state = match tokio::task::spawn_blocking(read).await? {
            Ok(state) => state,
            Err(_) if cancel.is_cancelled() => break,
            Err(error) => return Err(error.into()),
        };
        if revision != Some(state.revision()) {
            revision = Some(state.revision());
            let mut wanted = by_agent(&state);
            for name in agents.keys() {
                wanted.entry(name.clone()).or_default();
            }
            for (name, assigned) in wanted {
                let agent = agents.entry(name.clone()).or_insert_with(|| {
                    let (sender, receiver) = watch::channel(Arc::default());
                    let (log, allowed, cancel) = (Arc::clone(&log), allowed.clone(), cancel.clone());
                    let task = async move { run_agent(log, &name, allowed, receiver, cancel).await };
                    (sender, tokio::spawn(task))
                });
                agent.0.send_replace(Arc::new(assigned));
            }
        }
    }
    for (_, task) in agents.into_values() {
        task.await??;
    }
    Ok(())
}

fn by_agent(state: &State) -> BTreeMap<AgentName, Vec<Assignment>> {
    let mut wanted: BTreeMap<AgentName, Vec<Assignment>> = BTreeMap::new();
    for probe in state.probes() {
        let sites = state.sites().map(|site| &**site.site);
        let assigned = assignments(sites, |cdn| state.cdn(cdn), probe);
        wanted.entry(probe.agent.clone()).or_default().extend(assigned);
    }
    wanted
}

/// Measures what is assigned until cancelled.
async fn run_agent(
    log: Arc<dyn EventLog>,
    agent: &AgentName,
    allowed: Vec<Prefix>,
    assigned: watch::Receiver<Arc<Vec<Assignment>>>,
    cancel: CancellationToken,
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
    Agent::new(settings).run(assigned, sink, cancel).await;
    Ok(())
}

async fn partitions(log: &Arc<dyn EventLog>) -> anyhow::Result<u32> {
    let log = Arc::clone(log);
    Ok(tokio::task::spawn_blocking(move || log.partitions(topics::MEASUREMENTS)).await??)
}
