//! The routes. What each needs is in [`crate::access`].

use axum::extract::State;
use axum::middleware::from_fn_with_state;
use axum::{Extension, Json, Router};
use serde_json::Value;
use spillway_serve::{not_found, wrong_method};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::authorize;
use crate::api::Api;
use crate::openapi::{Document, document};
use crate::{agreements, changes, events, explain, openapi, problems, provisioning, resources, tokens};

/// All routes.
pub fn router(api: Api) -> Router {
    let (router, of_handlers) = handlers().split_for_parts();
    let text = format!("{:#}", document(&of_handlers));
    router
        .route_layer(from_fn_with_state(api.clone(), authorize))
        .layer(Extension(Document(text.into())))
        .fallback(not_found)
        .method_not_allowed_fallback(wrong_method)
        .with_state(api)
}

/// The OpenAPI document of all routes.
#[must_use]
pub fn openapi_document() -> Value {
    document(&handlers().into_openapi())
}

/// A probe's name, AGENT/NETWORK, may be written with its slash or with `%2F`.
fn handlers() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(provisioning::provisioned, provisioning::apply))
        .routes(routes!(resources::list))
        .routes(routes!(resources::one, resources::put, resources::delete))
        .routes(routes!(provisioning::accept_loss))
        .routes(routes!(provisioning::reset_clock))
        .routes(routes!(explain::explained))
        .routes(routes!(explain::probes))
        .routes(routes!(changes::list))
        .routes(routes!(changes::undo))
        .routes(routes!(events::list))
        .routes(routes!(agreements::propose))
        .routes(routes!(agreements::draft))
        .routes(routes!(agreements::counter))
        .routes(routes!(agreements::act))
        .routes(routes!(tokens::list, tokens::create))
        .routes(routes!(tokens::revoke))
        .routes(routes!(problems::page))
        .routes(routes!(openapi::served))
        .routes(routes!(ready))
}

/// How the process is, while the API answers.
#[utoipa::path(
    get, path = "/ready", operation_id = "ready",
    responses((status = 200, description = "The roles of the process and its routing table", body = Object)),
)]
async fn ready(State(api): State<Api>) -> Json<Value> {
    Json((api.ready)())
}
