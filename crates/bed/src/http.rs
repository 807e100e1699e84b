//! Single requests, for questions to admin pages.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, bail};

/// The answer to one request.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Head, as sent.
    pub head: String,
    /// Body.
    pub body: String,
}

/// How long an answer may take.
const USUAL: Duration = Duration::from_secs(5);

/// `GET path` over a fresh connection, with a Host header and others.
///
/// # Errors
/// When there is no complete answer within 5 s.
pub fn get(address: SocketAddr, host: &str, path: &str, headers: &[(&str, &str)]) -> anyhow::Result<Answer> {
    let extra: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    // In one write: Envoy's HTTP inspector takes a head whose first line comes in pieces for something else than HTTP.
    ask(address, &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{extra}\r\n"), USUAL)
}

/// `POST path` with JSON over a fresh connection.
///
/// # Errors
/// When there is no complete answer within 5 s.
pub fn post(address: SocketAddr, path: &str, json: &str) -> anyhow::Result<Answer> {
    post_within(address, path, json, USUAL)
}

/// As [`post`], for an answer that may take longer.
///
/// # Errors
/// When nothing more of the answer comes for so long.
pub fn post_within(address: SocketAddr, path: &str, json: &str, limit: Duration) -> anyhow::Result<Answer> {
    let fixed = "Connection: close\r\nContent-Type: application/json";
    let length = json.len();
    ask(
        address,
        &format!("POST {path} HTTP/1.1\r\nHost: {address}\r\n{fixed}\r\nContent-Length: {length}\r\n\r\n{json}"),
        limit,
    )
}

fn ask(address: SocketAddr, request: &str, limit: Duration) -> anyhow::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&address, limit).with_context(|| format!("connecting to {address}"))?;
    stream.set_read_timeout(Some(limit))?;
    stream.write_all(request.as_bytes())?;
    let mut raw = Vec::new();
    stream.read_to_end(&mut raw).with_context(|| format!("reading the answer of {address}"))?;
    let text = String::from_utf8_lossy(&raw);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { bail!("{address} gave no answer") };
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).context("no status line")?;
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let body = if chunked { unchunk(body) } else { body.to_owned() };
    Ok(Answer { status, head: head.to_owned(), body })
}

fn unchunk(mut body: &str) -> String {
    let mut out = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let Ok(size) = usize::from_str_radix(size.trim(), 16) else { break };
        if size == 0 || rest.len() < size {
            break;
        }
        out.push_str(&rest[..size]);
        body = rest[size..].trim_start_matches("\r\n");
    }
    out
}
