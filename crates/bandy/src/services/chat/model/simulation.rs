//! Many people, many commands, from a seed.
