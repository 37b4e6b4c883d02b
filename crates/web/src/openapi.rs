//! The OpenAPI document: made from the handlers, and completed by what the routes have in common.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Extension;
use axum::http::{Method, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use utoipa::openapi::OpenApi;

use crate::access::{Permission, ROUTES};
use crate::problems::problem_types;

/// The statuses of problems that any call may be answered with.
const COMMON: [u16; 7] = [400, 403, 408, 421, 429, 500, 503];
/// Those of calls with a body besides.
const OF_BODIES: [u16; 2] = [413, 415];
/// Those of calls that change something besides.
const OF_CHANGES: [u16; 2] = [409, 422];
/// Those of calls on the version of an object besides.
const OF_VERSIONS: [u16; 2] = [412, 428];

/// The text of the document.
#[derive(Debug, Clone)]
pub(crate) struct Document(pub(crate) Arc<str>);

/// This document.
#[utoipa::path(
    get, path = "/v1/openapi.json", operation_id = "openapi",
    responses((status = 200, description = "An OpenAPI 3.1 document", content_type = "application/json", body = Object)),
)]
pub(crate) async fn served(Extension(Document(text)): Extension<Document>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text.to_string()).into_response()
}

/// The whole document: what the handlers say, and what holds for many of them.
pub(crate) fn document(of_handlers: &OpenApi) -> Value {
    let mut document = serde_json::to_value(of_handlers).unwrap_or_default();
    document["info"] = json!({
        "title": "Spillway", "version": "1",
        "description": "Steers web traffic by measured performance. Every error is a problem (RFC 9457).",
        "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
    });
    document["components"]["securitySchemes"] = json!({"token": {"type": "http", "scheme": "bearer"}});
    let of_handlers = document["paths"].as_object_mut().map(std::mem::take).unwrap_or_default();
    let mut paths = Map::new();
    for (route, mut item) in of_handlers {
        // OpenAPI has no parameters of several segments.
        let path = route.replace("{*", "{");
        for (name, operation) in item.as_object_mut().into_iter().flatten() {
            let is_it = |method: &Method| method.as_str().eq_ignore_ascii_case(name);
            let listed = ROUTES.iter().find(|(method, of, _)| is_it(method) && *of == route);
            if let Some((method, _, permission)) = listed {
                complete(operation, method, &path, *permission);
            }
        }
        paths.insert(path, item);
    }
    document["paths"] = Value::Object(paths);
    document
}

/// Adds what holds for every route with this method and permission.
fn complete(operation: &mut Value, method: &Method, path: &str, permission: Permission) {
    if permission != Permission::Public {
        operation["security"] = json!([{"token": []}]);
    }
    let is_change = *method != Method::GET;
    let mut parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
    parameters.iter_mut().for_each(|parameter| without_null(&mut parameter["schema"]));
    parameters.extend(parameters_of_changes().into_iter().filter(|_| is_change));
    operation["parameters"] = Value::Array(parameters);
    // A string would have to be quoted in YAML.
    if let Some(yaml) = operation.pointer_mut("/requestBody/content/application~1yaml/schema") {
        *yaml = json!({"description": "Documents in YAML"});
    }
    let mut statuses = COMMON.to_vec();
    statuses.extend((permission != Permission::Public).then_some(401));
    statuses.extend((path.contains('{') || is_change).then_some(404));
    statuses.extend(OF_BODIES.iter().filter(|_| is_change && *method != Method::DELETE));
    statuses.extend(OF_CHANGES.iter().filter(|_| is_change));
    statuses.extend(OF_VERSIONS.iter().filter(|_| is_change && path == "/v1/{kind}/{name}"));
    let names = names_by_status();
    for status in statuses {
        let description = names.get(&status).map_or_else(String::new, |names| names.join(", "));
        operation["responses"][status.to_string()] = json!({
            "description": description,
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
        });
    }
}

/// A parameter that may be left out cannot be null, as `Option` can in a body.
fn without_null(schema: &mut Value) {
    if let Some(types) = schema.get_mut("type").and_then(Value::as_array_mut) {
        types.retain(|kind| kind != "null");
    }
    if let Some(values) = schema.get_mut("enum").and_then(Value::as_array_mut) {
        values.retain(|value| !value.is_null());
    }
    if let Some(others) = schema.get_mut("oneOf").and_then(Value::as_array_mut) {
        others.retain(|other| other["type"] != "null");
    }
}

/// The names of the types of problems by their status.
fn names_by_status() -> BTreeMap<u16, Vec<&'static str>> {
    let mut names: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
    for kind in problem_types() {
        names.entry(kind.status.as_u16()).or_default().push(kind.name);
    }
    names
}

fn parameters_of_changes() -> [Value; 2] {
    [
        json!({
            "name": "dry_run", "in": "query", "schema": {"type": "boolean"},
            "description": "Whether to say only what would change.",
        }),
        json!({
            "name": "Idempotency-Key", "in": "header",
            "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
            "description": "A retry with the same key and body returns the first result.",
        }),
    ]
}
