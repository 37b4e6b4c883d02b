//! `/v1/changes`: the audit trail, and its changes undone.

use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use spillway_control::{Applied, ChangesFilter, Identity};
use spillway_events::ObjectKind;
use spillway_serve::Problem;

use crate::answer::blocking;
use crate::api::Api;
use crate::call::Call;
use crate::parameters::{NUMBER_MAX, Parameters, bad_parameter, whole_number};
use crate::problems::read_problem;
use crate::schemas::{self, OTHER_KINDS};
use crate::text::shorten;

const ITEMS_DEFAULT: u64 = 100;
const ITEMS_MAX: u64 = 1_000;

/// Who changed what, the latest first.
#[utoipa::path(
    get, path = "/v1/changes", operation_id = "changes",
    params(
        ("kind" = inline(Option<schemas::ChangedKind>), Query, description = "Only changes of this kind"),
        ("name" = Option<String>, Query, description = "Only changes of objects with this name"),
        ("author" = Option<String>, Query, description = "Only changes of this author, or of the token with this id"),
        ("before" = Option<u64>, Query, description = "Only changes before the record of this number", minimum = 0),
        ("limit" = Option<u64>, Query, description = "How many", minimum = 1, maximum = 1000),
    ),
    responses((status = 200, description = "A page", body = schemas::ChangesPage)),
)]
pub(crate) async fn list(
    State(api): State<Api>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Response, Problem> {
    blocking(move || {
        let (filter, limit) = wanted(query)?;
        let page = api.changes.page(&filter, limit);
        let page = page.map_err(|error| read_problem(&error))?;
        Ok(Json(page).into_response())
    })
    .await
}

/// Undoes a change: what it changed is as it was before it, as a change of its own.
#[utoipa::path(
    post, path = "/v1/changes/{number}/undo", operation_id = "undo",
    params(("number" = u64, Path, description = "The number of the record of the change")),
    responses((status = 200, description = "What changed", body = schemas::Applied)),
)]
pub(crate) async fn undo(
    State(api): State<Api>,
    Extension(identity): Extension<Identity>,
    Path(number): Path<String>,
    call: Call,
) -> Result<Json<Applied>, Problem> {
    blocking(move || {
        let Some(number) = whole_number(&number) else {
            return Err(bad_parameter(
                "number",
                &format!("`{}` is not the number of a record", shorten(&number)),
            ));
        };
        let undone = call.run(&identity, (api.now)(), None, |head| api.provisioner.undo(number, head));
        undone.map(Json).map_err(|error| read_problem(&error))
    })
    .await
}

fn wanted(query: Vec<(String, String)>) -> Result<(ChangesFilter, usize), Problem> {
    let known = ["limit", "before", "kind", "name", "author"];
    let parameters = Parameters::read(query, &known)?;
    let limit = parameters.number("limit", 1..=ITEMS_MAX)?.unwrap_or(ITEMS_DEFAULT);
    let kind = parameters.value("kind", |text| {
        let objects = ObjectKind::ALL.map(ObjectKind::as_str);
        let mut kinds = objects.iter().chain(&OTHER_KINDS);
        if kinds.any(|kind| *kind == text) {
            return Ok(text.to_owned());
        }
        let (objects, others) = (objects.join(", "), OTHER_KINDS.join(", "));
        Err(format!("`{}` is none of the kinds {objects}, {others}", shorten(text)))
    });
    let text = |key| parameters.value(key, |text| Ok(text.to_owned()));
    let filter = ChangesFilter {
        kind: kind?,
        name: text("name")?,
        author: text("author")?,
        before: parameters.number("before", 0..=NUMBER_MAX)?,
    };
    Ok((filter, usize::try_from(limit).unwrap_or(usize::MAX)))
}
