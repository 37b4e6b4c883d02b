//! Why an answer was given, and what probes do.

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use spillway_control::{ExplainError, Explanation, Identity, Moment};
use spillway_events::{ClientName, NetworkName, SiteName, parse_time};
use spillway_provisioning::State as Provisioned;
use spillway_serve::Problem;

use crate::answer::{chain, provision_problem, respond};
use crate::api::Api;

#[derive(Debug, Deserialize)]
pub(crate) struct ExplainQuery {
    network: Option<String>,
    at: Option<String>,
}

pub(crate) async fn explained(
    State(api): State<Api>,
    Extension(identity): Extension<Identity>,
    Path(site): Path<String>,
    Query(query): Query<ExplainQuery>,
) -> Response {
    respond(move || {
        let bad = |detail: &str| Problem::new(StatusCode::BAD_REQUEST, detail).into_response();
        let Ok(site) = SiteName::new(site) else { return bad("the site's name is not a valid name") };
        let Ok(network) = query.network.map(NetworkName::new).transpose() else {
            return bad("network: is not a valid name");
        };
        let at = match query.at.map(|at| parse_time(&at)).transpose() {
            Ok(at) => at,
            Err(error) => return bad(&format!("at: {error}")),
        };
        let state = match api.provisioner.state() {
            Ok(state) => state,
            Err(error) => return provision_problem(&error),
        };
        // Whose it was at the time that is asked for, and whose it is now, which is shown beside it.
        let then = match at.map(|at| api.history.state(Moment::Time(at))).transpose() {
            Ok(then) => then.unwrap_or_else(|| state.clone()),
            Err(error) => return provision_problem(&error),
        };
        let owns = |state: &Provisioned, client: &ClientName| {
            state.site(&site).is_some_and(|of| of.site.client == *client)
        };
        if identity.caller.client().is_some_and(|client| !owns(&state, client) || !owns(&then, client)) {
            return Problem::new(StatusCode::NOT_FOUND, format!("there is no site {site}")).into_response();
        }
        let explained = api.explainer.explain(&state, &site, network.as_ref(), at).and_then(|decisions| {
            let now = api.recent.site(&state, &site, network.as_ref())?;
            Ok(Explanation { decisions, now })
        });
        match explained {
            Ok(explanation) => Json(explanation).into_response(),
            Err(error) => explain_problem(&error),
        }
    })
    .await
}

pub(crate) async fn probes(State(api): State<Api>) -> Response {
    respond(move || {
        let state = match api.provisioner.state() {
            Ok(state) => state,
            Err(error) => return provision_problem(&error),
        };
        match api.recent.probes(&state) {
            Ok(report) => Json(report).into_response(),
            Err(error) => Problem::new(StatusCode::SERVICE_UNAVAILABLE, chain(&error)).into_response(),
        }
    })
    .await
}

fn explain_problem(error: &ExplainError) -> Response {
    let status = if error.is_not_found() { StatusCode::NOT_FOUND } else { StatusCode::SERVICE_UNAVAILABLE };
    Problem::new(status, chain(error)).into_response()
}
