//! Help for tests of the whole system.
//!
//! [`reference()`] is the steering rule (DESIGN §5, over recorded rows as in §4.1) written a second time, from the
//! design alone: slow and obvious, to hold the real one against. It shares no code with `spillway-steering` and
//! `spillway-dataflow`; keep it so.
//!
//! [`stories`] tells the rules of steering as small text files, and checks each of them at every layer.
#![warn(missing_docs)]

pub mod binary;
pub mod installation;
pub mod load;
mod reference;
pub mod stories;

pub use reference::{Columns, Line, Objects, Row, read_rows, reference};
