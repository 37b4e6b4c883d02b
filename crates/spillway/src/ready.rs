//! The body of `/ready`: how the roles of the process are, and its routing table.

use std::sync::Arc;

use serde_json::{Value, json};
use spillway_edge::follower::{Follower, Ignored, SharedTable, Status};
use spillway_runtime::ClockStatus;

use crate::clock::now;
use crate::supervise::RoleStates;

/// Where the state of a DNS node can be read.
#[derive(Clone)]
pub(crate) struct Node {
    table: SharedTable,
    status: Arc<Status>,
}

impl Node {
    pub(crate) fn of(follower: &Follower) -> Self {
        Self { table: follower.table(), status: follower.status() }
    }
}

/// `node` is none if the process has no DNS node.
pub(crate) fn body(roles: &RoleStates, node: Option<&Node>, clock: &ClockStatus) -> Value {
    let apart_ms = clock.apart_us().map(|apart_us| apart_us / 1_000);
    json!({ "roles": roles.list(), "table": node.map(table), "clock_apart_ms": apart_ms })
}

fn table(Node { table, status }: &Node) -> Value {
    let current = table.load();
    let current = current.as_ref();
    // The clock of the ticks may be ahead of this machine's.
    let age_us = |heard_at: i64| now().0.saturating_sub(heard_at).max(0);
    json!({
        "version": current.map(|table| table.version()),
        "installation": current.map(|table| table.installation()),
        "age_ms": current.map(|table| age_us(table.heard_at().0) / 1_000),
        "ignored": status.ignored().map(Ignored::as_str),
        "save_failing": status.is_save_failing(),
        "undecodable": status.undecodable(),
        "refused": status.refused(),
    })
}
