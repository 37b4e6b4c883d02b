//! The answer to a query.
