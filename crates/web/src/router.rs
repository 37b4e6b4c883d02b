//! The routes. What each needs is in [`crate::access`].

use axum::extract::State;
use axum::middleware::from_fn_with_state;
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use spillway_serve::{not_found, wrong_method};

use crate::access::authorize;
use crate::api::Api;
use crate::{changes, explain, problems, provisioning, resources, tokens};

/// All routes.
pub fn router(api: Api) -> Router {
    Router::new()
        .route("/v1/provisioning", get(provisioning::provisioned).post(provisioning::apply))
        .route("/v1/{kind}", get(resources::list))
        // A probe's name, AGENT/NETWORK, may be written with its slash or with `%2F`.
        .route("/v1/{kind}/{*name}", get(resources::one).put(resources::put).delete(resources::delete))
        .route("/v1/gaps", post(provisioning::accept_loss))
        .route("/v1/clock-resets", post(provisioning::reset_clock))
        .route("/v1/explain/{site}", get(explain::explained))
        .route("/v1/probes", get(explain::probes))
        .route("/v1/changes", get(changes::list))
        .route("/v1/tokens", get(tokens::list).post(tokens::create))
        .route("/v1/tokens/{id}", delete(tokens::revoke))
        .route("/ready", get(ready))
        .route("/problems/{name}", get(problems::page))
        .route_layer(from_fn_with_state(api.clone(), authorize))
        .fallback(not_found)
        .method_not_allowed_fallback(wrong_method)
        .with_state(api)
}

async fn ready(State(api): State<Api>) -> Json<serde_json::Value> {
    Json((api.ready)())
}
