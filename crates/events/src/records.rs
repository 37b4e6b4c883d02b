//! The record kinds, one in each file.

pub(crate) mod agreement;
pub(crate) mod billing;
pub(crate) mod checkpoint;
pub(crate) mod decision;
pub(crate) mod frame;
pub(crate) mod measurement;
pub(crate) mod performance;
pub(crate) mod provisioning;
pub(crate) mod rate_card;
pub(crate) mod receipt;
pub(crate) mod rejected;
pub(crate) mod routing;
pub(crate) mod snapshot;
pub(crate) mod statistics;
pub(crate) mod tick;
pub(crate) mod token;

#[cfg(test)]
mod tests;
