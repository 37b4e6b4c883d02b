//! `GET /v1/events`: what has happened, as CloudEvents 1.0, from any point on.

use axum::extract::{Query, State};
use axum::{Extension, Json};
use serde::Serialize;
use serde_json::Value;
use spillway_control::{FeedError, FeedEvent, FeedPage, Identity, Position, Reader};
use spillway_events::format_time;
use spillway_provisioning::Caller;
use spillway_serve::Problem;
use utoipa::ToSchema;

use crate::answer::blocking;
use crate::api::Api;
use crate::parameters::{Parameters, bad_parameter};
use crate::problems::LOG_UNAVAILABLE;
use crate::text::{chain, from_hexadecimal, shorten, to_hexadecimal};

const ITEMS_DEFAULT: u64 = 100;
const ITEMS_MAX: u64 = 1_000;

/// Events in an order that never changes.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventsPage {
    items: Vec<CloudEvent>,
    /// The `after` of the next page, also if there are no more events yet.
    next: String,
    /// Whether there may be more events by now.
    has_more: bool,
}

/// An event (CloudEvents 1.0).
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CloudEvent {
    specversion: &'static str,
    /// What no other event has.
    id: String,
    source: &'static str,
    /// `spillway.KIND.created`, `.changed` or `.deleted` of an object, `spillway.decision`, `spillway.token.created` or `.revoked`,
    /// `spillway.gap.accepted`, or `spillway.clock.reset`.
    r#type: String,
    /// What it happened to, such as `site/shop`.
    subject: String,
    /// When.
    time: String,
    datacontenttype: &'static str,
    #[schema(value_type = Object)]
    data: Value,
    /// The `after` of a reader that has handled this event.
    cursor: String,
}

/// What has happened, from the start of the log or after a cursor: a client's people see what is theirs.
#[utoipa::path(
    get, path = "/v1/events", operation_id = "events",
    params(
        ("after" = Option<String>, Query, description = "The cursor of the last event that was handled, or the `next` of a page"),
        ("limit" = Option<u64>, Query, description = "How many", minimum = 1, maximum = 1000),
    ),
    responses((status = 200, description = "A page; with fewer events than the limit there may still be more", body = EventsPage)),
)]
pub(crate) async fn list(
    State(api): State<Api>,
    Extension(identity): Extension<Identity>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Json<EventsPage>, Problem> {
    blocking(move || {
        let parameters = Parameters::read(query, &["after", "limit"])?;
        let limit = parameters.number("limit", 1..=ITEMS_MAX)?.unwrap_or(ITEMS_DEFAULT);
        let after = parameters.value("after", position)?.unwrap_or_default();
        let reader = reader(&identity.caller);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let page = api.feed.page(&reader, &after, limit).map_err(|error| match error {
            FeedError::UnknownPosition => bad_parameter("after", &error.to_string()),
            FeedError::Log(_) | FeedError::Read(_) => Problem::new(&LOG_UNAVAILABLE, chain(&error)),
        })?;
        let FeedPage { events, next, has_more } = page;
        let items = events.into_iter().map(cloud_event).collect();
        Ok(Json(EventsPage { items, next: cursor(&next), has_more }))
    })
    .await
}

fn reader(caller: &Caller) -> Reader {
    match caller {
        Caller::Operator => Reader::Operator,
        Caller::ClientAdmin(client) | Caller::ClientViewer(client) => Reader::Client(client.clone()),
        // The permission lets no machines in.
        Caller::Analyst | Caller::Cdn(_) | Caller::Probe(_) => Reader::Analyst,
    }
}

fn cloud_event(event: FeedEvent) -> CloudEvent {
    let FeedEvent { id, kind, subject, at, data, position } = event;
    CloudEvent {
        specversion: "1.0",
        id,
        source: "/v1/events",
        r#type: format!("spillway.{kind}"),
        subject,
        time: format_time(at),
        datacontenttype: "application/json",
        data,
        cursor: cursor(&position),
    }
}

/// In hexadecimal, because clients must not depend on what is in it.
fn cursor(position: &Position) -> String {
    to_hexadecimal(&position.to_string())
}

fn position(text: &str) -> Result<Position, String> {
    let position = from_hexadecimal(text).and_then(|text| text.parse().ok());
    position.ok_or_else(|| format!("`{}` is not the cursor of an event", shorten(text)))
}
