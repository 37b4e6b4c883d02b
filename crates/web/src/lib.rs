//! The HTTP API of a running system: it accepts provisioning and explains decisions.
//!
//! | call | effect |
//! |---|---|
//! | `POST /v1/provisioning[?dry_run=true][&id=ID]` | applies YAML documents, or `{"files": [{"name", "text"}]}`; returns the changes, or all mistakes (422) |
//! | `PUT /v1/{kind}/{name}[?dry_run=true][&id=ID]` | creates or replaces the object that the body describes, a JSON or YAML document |
//! | `DELETE /v1/{kind}/{name}[?dry_run=true][&id=ID]` | deletes an object that is not in use |
//! | `GET /v1/provisioning` | everything provisioned, as YAML documents |
//! | `GET /v1/{kind}[?limit=N][&cursor=C][&client=NAME]` | the objects of a kind by name, 100 or N of at most 1000: `{"revision", "items", "next"}`; `next` is the cursor of the next page |
//! | `GET /v1/{kind}/{name}` | an object: `{"kind", "name", "revision", "spec", "status"}`; its `ETag` is its revision, and `If-None-Match` gives 304 |
//! | `GET /v1/explain/{site}[?network=N][&at=T]` | the decision records in force at that time, and what holds now |
//! | `GET /v1/probes` | what every probe has tried lately, by site and target: outcomes, and failures by cause |
//! | `GET /problems/{name}` | what a type of problem means |
//! | `GET /v1/openapi.json` | the OpenAPI 3.1 document of these calls |
//! | `GET /ready` | 200 while the API answers; the body lists the roles of the process and the state of its routing table |
//! | `GET /v1/changes[?kind=K][&name=N][&author=A][&before=NUMBER][&limit=N]` | who changed what, the latest first: `{"items", "next"}`; `next` is the `before` of the next page |
//! | `POST /v1/changes/{number}/undo[?dry_run=true][&id=ID]` | makes everything as it was before a change, as a change of its own |
//! | `POST /v1/agreements[?dry_run=true][&id=ID]` | proposes the agreement that the body describes; returns `version` and `terms_sha256` |
//! | `POST /v1/agreement-drafts[?dry_run=true][&id=ID]` | keeps it as a draft, which the other party does not see |
//! | `POST /v1/agreements/{name}/{version}/counter[?dry_run=true][&id=ID]` | proposes it instead of the other party's proposal |
//! | `POST /v1/agreements/{name}/{version}/{act}[?dry_run=true][&id=ID]` | answers a proposal or changes when a version is in force: `propose` (a draft), `accept` `{"terms_sha256"}`, `reject` and `withdraw` `{"reason"}`, `suspend`, `resume` and `terminate` `{"at", "reason"}` |
//! | `GET /v1/events[?after=CURSOR][&limit=N]` | what has happened, as CloudEvents 1.0 in an order that never changes: `{"items", "next", "has_more"}` |
//! | `GET /v1/tokens` | the tokens, without their texts |
//! | `POST /v1/tokens[?dry_run=true][&id=ID]` | creates a token: `{"role", "subject", "note", "expires_at"}`; its text is in this answer only |
//! | `DELETE /v1/tokens/{id}[?dry_run=true][&id=ID]` | revokes a token |
//!
//! The kinds are `client`, `network`, `cdn`, `probe`, `site`, `rate_card`, `agreement` and `override`; a probe's name is `AGENT/NETWORK`, that of a version of a
//! rate card or of an agreement `NAME/VERSION`. Reads of objects take two
//! more parameters:
//!
//! - `min_revision=N` waits, at most 5 s, until the provisioning has the revision that a write returned; then 503.
//! - `at=NUMBER` or `at=TIME` reads the objects as they were after the provisioning record of that number, or after the last
//!   one at or before that time. They come without `status`, which is always that of the present.
//!
//! `spec` is the object as its document has it. `status` has `users`, the number of objects that refer to it, and of a site
//! `agreement`, the number of the record that set what is agreed now, and `agreed_in`, where that is said. The `status` of a version of an
//! agreement has `standing`, `terms_sha256`, and for each site how soon each objective shows an outage. The `ETag` is that of the `spec`: `users` may change
//! without it.
//!
//! An object's `revision` is the number of the record that last changed it, which `at` takes. The `revision` of a page and of a
//! write counts the records: it is the number of the last record plus 1, which `min_revision` takes.
//!
//! PUT and DELETE of an object need `If-None-Match: *` to create it, or `If-Match` with the ETag that was read (or `*`) to change
//! it: 428 without, 412 where it is another by now. The id of a command may come as `Idempotency-Key` too: the same command
//! returns its first result for ever, another one with its id is refused (422). While the first request is not answered, a second
//! one with its id gets 409. Each token has ids of its own: those of another one say nothing.
//!
//! Every answer of a route has `RateLimit` and `RateLimit-Policy`: a token, or an address without a valid token, that sends too
//! many requests is answered with 429 and `Retry-After`.
//!
//! Every error is a problem (RFC 9457). Its `type` is `/problems/NAME`, which never changes and has a page there
//! ([`problem_types`]). `errors` has an item for each part of the request that is wrong: `{"detail"}` with `pointer` (a JSON
//! pointer into the body), `parameter` or `header` where it can be named.
//!
//! Every call but `/ready`, `/problems/{name}` and `/v1/openapi.json` needs a token (`Authorization: Bearer TOKEN`), whose role says what it may do ([`ROUTES`]).
#![warn(missing_docs)]

mod access;
mod agreements;
mod answer;
mod api;
mod call;
mod changes;
mod events;
mod explain;
mod in_flight;
mod openapi;
mod parameters;
mod problems;
mod provisioning;
mod rate_limit;
mod resources;
mod router;
mod schemas;
mod text;
mod tokens;

pub use access::{Permission, ROUTES, may};
pub use api::{Api, ReadyBody};
pub use problems::problem_types;
pub use rate_limit::{Rate, RateLimits};
pub use router::{openapi_document, router};
