//! Why an answer was given, and what probes do.

use axum::extract::{Path, Query, State};
use axum::{Extension, Json};
use spillway_control::{ExplainError, Explanation, Identity, Moment, ProbesReport};
use spillway_events::{ClientName, NetworkName, SiteName, parse_time};
use spillway_provisioning::State as Provisioned;
use spillway_serve::Problem;

use crate::answer::blocking;
use crate::api::Api;
use crate::parameters::{Parameters, bad_parameter};
use crate::problems::{LOG_UNAVAILABLE, NOT_FOUND, read_problem};
use crate::schemas;
use crate::text::chain;

/// The decision records in force at a time, and what holds now.
#[utoipa::path(
    get, path = "/v1/explain/{site}", operation_id = "explain",
    params(
        ("site" = String, Path, description = "The name of the site", pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"),
        ("network" = Option<String>, Query, description = "Only in this access network", pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"),
        ("at" = Option<String>, Query, description = "A time such as 2026-05-01T12:00:00Z; now if it is not given"),
    ),
    responses((status = 200, description = "Why", body = schemas::Explanation)),
)]
pub(crate) async fn explained(
    State(api): State<Api>,
    Extension(identity): Extension<Identity>,
    Path(site): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Json<Explanation>, Problem> {
    blocking(move || {
        let site = SiteName::new(site).map_err(|error| bad_parameter("site", &error.to_string()))?;
        let parameters = Parameters::read(query, &["network", "at"])?;
        let network =
            parameters.value("network", |text| NetworkName::new(text).map_err(|error| error.to_string()))?;
        let at = parameters.value("at", |text| parse_time(text).map_err(|error| error.to_string()))?;
        let state = api.provisioner.state().map_err(|error| read_problem(&error))?;
        // Whose it was at the time that is asked for, and whose it is now, which is shown beside it.
        let then = at.map(|at| api.history.state(Moment::Time(at))).transpose();
        let then = then.map_err(|error| read_problem(&error))?.unwrap_or_else(|| state.clone());
        let owns = |state: &Provisioned, client: &ClientName| {
            state.site(&site).is_some_and(|of| of.site.client == *client)
        };
        if identity.caller.client().is_some_and(|client| !owns(&state, client) || !owns(&then, client)) {
            return Err(Problem::new(&NOT_FOUND, format!("there is no site {site}")));
        }
        let explained = api.explainer.explain(&state, &site, network.as_ref(), at).and_then(|decisions| {
            let now = api.recent.site(&state, &site, network.as_ref())?;
            Ok(Explanation::new(&state, decisions, now))
        });
        explained.map(Json).map_err(|error| explain_problem(&error))
    })
    .await
}

/// What every probe has tried lately.
#[utoipa::path(
    get, path = "/v1/probes", operation_id = "probes",
    responses((status = 200, description = "Outcomes, and failures by cause", body = schemas::ProbesReport)),
)]
pub(crate) async fn probes(State(api): State<Api>) -> Result<Json<ProbesReport>, Problem> {
    blocking(move || {
        let state = api.provisioner.state().map_err(|error| read_problem(&error))?;
        let report = api.recent.probes(&state);
        report.map(Json).map_err(|error| Problem::new(&LOG_UNAVAILABLE, chain(&error)))
    })
    .await
}

fn explain_problem(error: &ExplainError) -> Problem {
    let kind = if error.is_not_found() { &NOT_FOUND } else { &LOG_UNAVAILABLE };
    Problem::new(kind, chain(error))
}
