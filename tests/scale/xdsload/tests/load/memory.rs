//! What a client costs in memory.

use serde_json::json;

use crate::plane;
use crate::program::Program;

/// Bytes of a client beyond its socket. `h2` holds 28 KiB of it: 16 to write, 8 to read and 4 for headers. When all come back together the
/// allocator keeps some of what that took for a moment, or does not: 52 to 58 KB were seen.
const LIMIT: u64 = 60 * 1024;
const CLIENTS: u64 = 300;

#[test]
fn clients_are_small() {
    let plane = plane();
    let program = Program::start(plane.xds(), &[]).unwrap();
    let resident = || program.get("/report").unwrap()["rss_bytes"].as_u64().unwrap();
    // What the first client brings, others share.
    program.complete(&json!({"count": 1, "from": CLIENTS})).unwrap();
    let before = resident();
    program.complete(&json!({"count": CLIENTS})).unwrap();
    let each = |now: u64| now.saturating_sub(before) / CLIENTS;
    let first = each(resident());
    program.post("/drop", &json!({"keep": true})).unwrap();
    program.post("/wait", &json!({"for": "complete", "timeout_s": 60})).unwrap();
    let back = each(resident());
    println!("a client has {first} bytes, {back} after a reconnect");
    assert!(first <= LIMIT && back <= LIMIT, "{first} and {back} bytes");
}
