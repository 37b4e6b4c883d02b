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
//! There are no tokens yet, so it listens on loopback by default.
#![warn(missing_docs)]

mod api;

pub use api::{Api, ReadyBody, router};
