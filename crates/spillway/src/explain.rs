//! `explain`: where a site's traffic goes or went, why, and what holds now.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use reqwest::Method;
use spillway_control::{Explainer, Explanation, Provisioner, Recent, SiteNow};
use spillway_eventlog::{EmbeddedLog, EventLog};
use spillway_events::{
    Decision, NetworkName, ObjectiveEvidence, Performance, SiteName, format_time, parse_time,
};

use crate::client::{Server, call};
use crate::output::line;
use crate::probe_status::cause_text;

#[derive(Debug, Args)]
#[command(after_help = "\
Prints the decision that held, with its numbers, and beside it what holds now: as of the last tick, the value of every
target, and why attempts of probes did not succeed in the 10 minutes before. Attempts that were refused move no traffic:
the target is misconfigured, or the probe may not connect to it.

Examples:
  spillway explain shop
  spillway explain shop --network carrier-a --at 2026-05-01T12:00:00Z
  spillway explain shop --log ./data --json")]
pub(crate) struct Options {
    /// The site
    site: String,
    /// Only in this network
    #[arg(long, value_name = "NAME")]
    network: Option<String>,
    /// As of this time; now without it
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Read the folder of an embedded log that nothing has open, instead of asking a running system
    #[arg(long, value_name = "FOLDER")]
    log: Option<PathBuf>,
    /// Print the decision records and what holds now as one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let explanation: Explanation = match &options.log {
        Some(folder) => {
            let site = SiteName::new(options.site.as_str())?;
            let network = options.network.clone().map(NetworkName::new).transpose()?;
            let at = options.at.as_deref().map(parse_time).transpose()?;
            let log: Arc<dyn EventLog> = Arc::new(EmbeddedLog::open_to_read(folder)?);
            let state = Provisioner::new(Arc::clone(&log)).state()?;
            let decisions = Explainer::new(Arc::clone(&log)).explain(&state, &site, network.as_ref(), at)?;
            let now = Recent::new(log).site(&state, &site, network.as_ref())?;
            Explanation::new(&state, decisions, now)
        }
        None => {
            let query = [("network", &options.network), ("at", &options.at)];
            let given: Vec<_> =
                query.iter().filter_map(|(key, value)| Some((*key, value.as_ref()?))).collect();
            serde_json::from_str(&call(
                options.server.request(Method::GET, &["explain", &options.site])?.query(&given),
            )?)?
        }
    };
    if options.json {
        line(format_args!("{}", serde_json::to_string(&explanation)?))?;
        return Ok(ExitCode::SUCCESS);
    }
    for decision in &explanation.decisions {
        print_decision(decision, explanation.agreed_in.get(&decision.agreement))?;
    }
    print_now(&explanation.now)?;
    Ok(ExitCode::SUCCESS)
}

fn print_decision(decision: &Decision, version: Option<&String>) -> anyhow::Result<()> {
    let reason = decision.reason.map_or_else(String::new, |reason| format!(", because of {reason}"));
    line(format_args!(
        "{} in {}: {} since {}",
        decision.site,
        decision.network,
        decision.route,
        format_time(decision.at_us)
    ))?;
    let agreed = match version {
        Some(version) => format!("agreement {version}"),
        None if decision.objectives.is_empty() => String::from("nothing agreed"),
        None => String::from("the site's own objectives, agreed by an operator on both sides"),
    };
    line(format_args!(
        "  verdict {}{reason}; tick {}, {agreed} (record {})",
        decision.verdict, decision.tick, decision.agreement
    ))?;
    for objective in &decision.objectives {
        print_objective(objective)?;
    }
    for candidate in &decision.candidates {
        let level =
            candidate.permille.map_or_else(String::new, |permille| format!(" at {permille} permille"));
        let passed = candidate.passed_over.map_or("chosen", |why| match why {
            spillway_events::PassedOver::NotUsable => "passed over: not usable",
            spillway_events::PassedOver::AtOrAbove => "passed over: at or above the level",
            spillway_events::PassedOver::Unknown => "passed over: no evidence",
            spillway_events::PassedOver::Preferred => "passed over: another is preferred",
        });
        line(format_args!("  cdn {}: {}{level}, {passed}", candidate.cdn, candidate.verdict))?;
    }
    Ok(())
}

fn print_objective(objective: &ObjectiveEvidence) -> anyhow::Result<()> {
    let number = |value: Option<u64>, failed: bool| match value {
        Some(value) => objective.metric.format(value),
        None if failed => String::from("failed"),
        None => String::from("no value"),
    };
    let from = objective
        .evidence_from
        .as_ref()
        .map_or_else(String::new, |network| format!(", evidence of {network}"));
    line(format_args!(
        "  {}: {} of p{} over {}, threshold {}, {}; {} samples of {} probes{from}",
        objective.metric.as_str(),
        number(objective.value, objective.failed),
        objective.percentile,
        spillway_events::format_duration(objective.window_us),
        objective.metric.format(objective.threshold),
        objective.verdict,
        objective.samples,
        objective.probes_count,
    ))?;
    for probe in &objective.probes {
        line(format_args!(
            "    {} in {}: {} of {} samples",
            probe.agent,
            probe.network,
            number(probe.value, true),
            probe.samples
        ))?;
    }
    let unlisted = objective.probes_count.saturating_sub(objective.probes.len() as u64);
    if unlisted > 0 {
        line(format_args!("    and {unlisted} more probes"))?;
    }
    Ok(())
}

fn print_now(now: &SiteNow) -> anyhow::Result<()> {
    let as_of = now.as_of_us.map_or_else(|| String::from("before the first tick"), format_time);
    line(format_args!("now, as of {as_of}:"))?;
    for target in &now.targets {
        let mut has_value = false;
        for value in now.values.iter().filter(|value| value.target == *target) {
            has_value = true;
            print_value(value)?;
        }
        if !has_value {
            line(format_args!("  {target}: no value"))?;
        }
        for failure in now.failures.iter().filter(|failure| failure.target == *target) {
            line(format_args!("  {target} in {}: {}", failure.network, cause_text(&failure.cause)))?;
        }
    }
    let from = now.failures_from_us.map_or_else(|| String::from("the start of the log"), format_time);
    line(format_args!("  attempts are counted from {from} on"))?;
    if now.is_cut {
        line(format_args!("  there is more than is listed; --network narrows it"))?;
    }
    Ok(())
}

fn print_value(value: &Performance) -> anyhow::Result<()> {
    let number = match value.value {
        Some(number) => value.metric.format(number),
        None if value.failed => String::from("failed"),
        None => String::from("no value"),
    };
    line(format_args!(
        "  {} in {}: {} {number} of p{} over {}, threshold {}, {}; {} samples",
        value.target,
        value.network,
        value.metric.as_str(),
        value.percentile,
        spillway_events::format_duration(value.window_us),
        value.metric.format(value.threshold),
        value.verdict,
        value.samples,
    ))
}
