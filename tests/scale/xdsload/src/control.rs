//! What the process is told over HTTP, and what it answers: JSON in and out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::client::Behaviour;
use crate::fleet::{Fleet, Until, Wave};
use crate::kinds::Kind;

/// What handlers know.
#[derive(Clone)]
struct Desk {
    fleet: Arc<Fleet>,
    stop: CancellationToken,
}

/// Answers until the process is told to end.
///
/// # Errors
/// When connections cannot be accepted any more.
pub(crate) async fn serve(listener: TcpListener, fleet: Arc<Fleet>, stop: CancellationToken) -> anyhow::Result<()> {
    let desk = Desk { fleet, stop: stop.clone() };
    let router = Router::new()
        .route("/connect", post(connect))
        .route("/wait", post(wait))
        .route("/mark", post(mark))
        .route("/report", get(report))
        .route("/drop", post(drop_connections))
        .route("/config", get(config))
        .route("/quit", post(quit))
        .with_state(desk);
    Ok(axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await?)
}

/// What went wrong, and whose mistake it is.
struct Refused(StatusCode, Value);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(self.1)).into_response()
    }
}

impl From<anyhow::Error> for Refused {
    fn from(error: anyhow::Error) -> Self {
        bad(&format!("{error:#}"))
    }
}

type Answer = Result<Json<Value>, Refused>;

fn bad(why: &str) -> Refused {
    Refused(StatusCode::BAD_REQUEST, json!({ "error": why }))
}

/// A body; an empty one says nothing of anything.
fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Refused> {
    let body = if body.is_empty() { b"{}" } else { &body[..] };
    serde_json::from_slice(body).map_err(|error| bad(&error.to_string()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Connect {
    count: usize,
    #[serde(default)]
    from: usize,
    #[serde(default)]
    kind: Name,
    #[serde(default = "second")]
    delay_ms: u64,
    #[serde(default = "some")]
    at_once: u16,
    #[serde(default)]
    record: bool,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "lowercase")]
enum Name {
    #[default]
    Reader,
    Slow,
    Frozen,
    Nacking,
}

fn second() -> u64 {
    1000
}

fn some() -> u16 {
    64
}

async fn connect(State(desk): State<Desk>, body: Bytes) -> Answer {
    let asked: Connect = read(&body)?;
    let behaviour = match asked.kind {
        Name::Reader => Behaviour::Reader,
        Name::Slow => Behaviour::Slow(Duration::from_millis(asked.delay_ms)),
        Name::Frozen => Behaviour::Frozen,
        Name::Nacking => Behaviour::Nacking,
    };
    if asked.from.saturating_add(asked.count) > LIMIT {
        return Err(bad(&format!("clients have numbers below {LIMIT}: one address each")));
    }
    let Connect { from, count, record, .. } = asked;
    desk.fleet.connect(Wave { from, count, behaviour, record, at_once: usize::from(asked.at_once.max(1)) }).await?;
    Ok(Json(json!({ "started": count })))
}

/// As many clients as there are addresses in 10.200.0.0/16, 250 to each third number.
const LIMIT: usize = 256 * 250;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wait {
    r#for: Condition,
    #[serde(default)]
    clients: usize,
    #[serde(default = "short")]
    quiet_ms: u64,
    #[serde(default = "long")]
    timeout_s: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Condition {
    Complete,
    Touched,
}

fn short() -> u64 {
    100
}

fn long() -> u64 {
    120
}

async fn wait(State(desk): State<Desk>, body: Bytes) -> Answer {
    let asked: Wait = read(&body)?;
    let until = match asked.r#for {
        Condition::Complete => Until::Complete,
        Condition::Touched => Until::Touched(asked.clients),
    };
    let (quiet, limit) = (Duration::from_millis(asked.quiet_ms), Duration::from_secs(asked.timeout_s));
    if desk.fleet.wait(until, quiet, limit).await {
        return Ok(shown(&desk));
    }
    let Json(mut answer) = shown(&desk);
    answer["error"] = json!(format!("not within {} s", asked.timeout_s));
    answer["missing"] = json!(desk.fleet.missing());
    Err(Refused(StatusCode::GATEWAY_TIMEOUT, answer))
}

fn shown(desk: &Desk) -> Json<Value> {
    Json(json!(desk.fleet.report()))
}

async fn mark(State(desk): State<Desk>) -> Json<Value> {
    Json(json!({ "unix_ns": desk.fleet.mark() }))
}

async fn report(State(desk): State<Desk>) -> Json<Value> {
    shown(&desk)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Drop {
    #[serde(default)]
    keep: bool,
    clients: Option<usize>,
    #[serde(default)]
    backoff: bool,
}

async fn drop_connections(State(desk): State<Desk>, body: Bytes) -> Answer {
    let asked: Drop = read(&body)?;
    desk.fleet.disconnect(asked.clients, asked.keep, asked.backoff).await;
    Ok(Json(json!({})))
}

#[derive(Deserialize)]
struct Config {
    client: usize,
    #[serde(default)]
    bodies: u8,
}

/// What a client has: hashes of bodies by name, or the bodies themselves in base64.
async fn config(State(desk): State<Desk>, Query(asked): Query<Config>) -> Answer {
    let missing = || Refused(StatusCode::NOT_FOUND, json!({ "error": format!("no client {}", asked.client) }));
    let client = desk.fleet.client(asked.client).ok_or_else(missing)?;
    let bodies = asked.bodies != 0;
    if bodies && !client.records() {
        return Err(bad("only clients that were connected with \"record\" have bodies"));
    }
    let names = &desk.fleet.shared.library.names;
    let mut all = BTreeMap::new();
    for kind in Kind::ALL {
        let held = client.session(|session| session.held(kind).clone());
        let shown = held.resources.iter().map(|resource| {
            let body = match &resource.recorded {
                Some(body) if bodies => data_encoding::BASE64.encode(body),
                _ => format!("{:016x}", resource.body),
            };
            (names.text(resource.name).to_string(), body)
        });
        all.insert(kind.short(), shown.collect::<BTreeMap<_, _>>());
    }
    Ok(Json(json!(all)))
}

async fn quit(State(desk): State<Desk>) -> Json<Value> {
    desk.stop.cancel();
    Json(json!({}))
}
