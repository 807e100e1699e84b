//! The program, started and asked over HTTP.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use bed::process::{Running, eventually};
use serde_json::{Value, json};

/// A running program; it is ended when this is dropped.
pub(crate) struct Program {
    /// Its process.
    pub(crate) process: Running,
    log: PathBuf,
    control: SocketAddr,
}

impl Program {
    /// Starts it for a server.
    pub(crate) fn start(target: SocketAddr, arguments: &[&str]) -> anyhow::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let log = std::env::temp_dir().join(format!("xdsload-{}-{number}", std::process::id()));
        let mut command = Command::new(env!("CARGO_BIN_EXE_xdsload"));
        command.args(["--target", &target.to_string()]).args(arguments);
        let mut process = Running::start("xdsload", &mut command, &log)?;
        let control = eventually("where it is told", Duration::from_secs(20), || {
            process.check()?;
            let text = std::fs::read_to_string(&log)?;
            let (line, _) = text.split_once('\n').context("nothing yet")?;
            let said: Value = serde_json::from_str(line).with_context(|| format!("it said {line:?}"))?;
            Ok(said["control"].as_str().context("no address")?.parse()?)
        })?;
        Ok(Self { process, log, control })
    }

    /// Says something and gives status and answer, however long it takes.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &Value) -> anyhow::Result<(u16, Value)> {
        let mut stream = TcpStream::connect(self.control)?;
        stream.set_read_timeout(Some(Duration::from_secs(100)))?;
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: xdsload\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no answer")?;
        let status = head.split(' ').nth(1).context("no status")?.parse()?;
        Ok((status, serde_json::from_str(body).with_context(|| answer.clone())?))
    }

    /// Says something that is to work.
    pub(crate) fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let (status, answer) = self.ask("POST", path, body)?;
        ensure!(status == 200, "{path}: {status} {answer}");
        Ok(answer)
    }

    /// Asks something that is to be known.
    pub(crate) fn get(&self, path: &str) -> anyhow::Result<Value> {
        let (status, answer) = self.ask("GET", path, &Value::Null)?;
        ensure!(status == 200, "{path}: {status} {answer}");
        Ok(answer)
    }

    /// Starts clients and waits until they have everything.
    pub(crate) fn complete(&self, connect: &Value) -> anyhow::Result<Value> {
        self.post("/connect", connect)?;
        self.post("/wait", &json!({"for": "complete", "timeout_s": 60}))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.log);
    }
}
