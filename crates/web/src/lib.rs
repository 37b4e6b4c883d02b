//! The HTTP API of a running system: it accepts provisioning and explains decisions.
//!
//! | call | effect |
//! |---|---|
//! | `POST /v1/provisioning[?dry_run=true][&id=ID]` | applies YAML documents, or `{"files": [{"name", "text"}]}`; returns the changes, or all mistakes (422) |
//! | `DELETE /v1/{kind}/{name}[?dry_run=true][&id=ID]` | deletes an object that is not in use |
//! | `GET /v1/provisioning` | everything provisioned, as YAML documents |
//! | `GET /v1/explain/{site}[?network=N][&at=T]` | the decision records in force at that time, and what holds now |
//! | `GET /v1/probes` | what every probe has tried lately, by site and target: outcomes, and failures by cause |
//! | `GET /ready` | 200 while the API answers; the body lists the roles of the process and the state of its routing table |
//!
//! | `GET /v1/tokens` | the tokens, without their texts |
//! | `POST /v1/tokens[?dry_run=true][&id=ID]` | creates a token: `{"role", "subject", "note", "expires_at"}`; its text is in this answer only |
//! | `DELETE /v1/tokens/{id}[?dry_run=true][&id=ID]` | revokes a token |
//!
//! Every call but `/ready` needs a token (`Authorization: Bearer TOKEN`), whose role says what it may do ([`ROUTES`]).
#![warn(missing_docs)]

mod access;
mod answer;
mod api;
mod explain;
mod provisioning;
mod router;
mod tokens;

pub use access::{Permission, ROUTES, may};
pub use api::{Api, ReadyBody};
pub use router::router;
