//! The bandy program.
fn main() {}
