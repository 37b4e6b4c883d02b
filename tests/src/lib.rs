//! Help for tests of the whole system.
//!
//! [`reference()`] is the steering rule, over recorded rows, written a second time, apart
//! from the code: slow and obvious, to compare the real one with. It shares no code with `spillway-steering` and
//! `spillway-dataflow`; keep it so.
//!
//! [`stories`] tells the rules of steering as small text files, and checks each of them at every layer.
#![warn(missing_docs)]

pub mod binary;
pub mod installation;
pub mod load;
mod reference;
pub mod running;
pub mod stories;

pub use reference::{Columns, Line, Objects, Row, read_rows, reference};
