//! The bandy program.

#[allow(dead_code)] // Until the command line names it.
mod trust;

fn main() {}
