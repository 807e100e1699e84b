//! `meltemi-agent request`: asks Envoy's admin page, or the agent's own pages, from inside the pod.
//! Source: istio: pilot/cmd/pilot-agent/app/request.go.

use anyhow::{Context, ensure};
use bytes::Bytes;
use clap::Args;
use http::{Method, Response, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

/// An answer may be so long, in bytes: the configuration of a large mesh.
const LONGEST: usize = 1 << 30;

/// Sends a request to Envoy's admin page and prints the answer.
///
/// Exit code 0 when the answer is a success, 1 otherwise.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  meltemi-agent request GET config_dump\n  meltemi-agent request --debug-port=15020 POST drain"
)]
pub(crate) struct Request {
    /// The port that is asked; 15020 is the agent's.
    #[arg(long = "debug-port", default_value_t = 15000, value_name = "PORT")]
    port: u16,
    /// GET, POST or another.
    method: Method,
    /// What is asked for.
    path: String,
    /// What is sent with it.
    #[arg(default_value = "", hide_default_value = true)]
    body: String,
}

impl Request {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let uri = format!("http://localhost:{}/{}", self.port, self.path.trim_start_matches('/'));
        let uri: Uri = uri.parse().with_context(|| format!("{uri:?} is no URL"))?;
        let answer = super::block_on(ask(self.method.clone(), uri.clone(), self.body.clone()))?;
        let text = String::from_utf8_lossy(answer.body());
        ensure!(answer.status().is_success(), "{uri}: status {}: {}", answer.status(), text.trim());
        super::print(&text);
        Ok(())
    }
}

/// The answer to a request.
pub(super) async fn ask(method: Method, uri: Uri, body: String) -> anyhow::Result<Response<Bytes>> {
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let request = http::Request::builder().method(method).uri(uri.clone()).body(Full::new(Bytes::from(body)))?;
    let answer = client.request(request).await.with_context(|| format!("asking {uri}"))?;
    let (head, body) = answer.into_parts();
    let body =
        Limited::new(body, LONGEST).collect().await.map_err(|error| anyhow::anyhow!("reading {uri}: {error}"))?;
    Ok(Response::from_parts(head, body.to_bytes()))
}
