//! The DNS node and the follower, through the crate's public interface and real sockets.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;
mod dns;
mod follower;
