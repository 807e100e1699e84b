//! `meltemi` (skeleton).
fn main() {}
