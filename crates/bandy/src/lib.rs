//! Bandy.
