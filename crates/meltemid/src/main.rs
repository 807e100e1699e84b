//! `meltemid` (skeleton).
fn main() {}
