//! The application: answers over HTTP/1.1 and HTTP/2 with who it is and what it was asked, calls its upstreams, and echoes gRPC.

use std::convert::Infallible;
use std::net::SocketAddr;

use anyhow::Context;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

/// Who an application is and whom it calls.
#[derive(Clone, Debug)]
pub struct App {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Host and address of each upstream.
    pub calls: Vec<(String, SocketAddr)>,
}

/// What it answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Answer {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The path it was asked for.
    pub path: String,
    /// The Host it was asked for.
    pub host: String,
    /// Who called, as its proxy says (`x-forwarded-client-cert`).
    #[serde(default)]
    pub client: String,
    /// The address that it was called from.
    #[serde(default)]
    pub peer: String,
    /// What its upstreams answered.
    pub calls: Vec<Called>,
}

/// What one upstream answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Called {
    /// Its host.
    pub host: String,
    /// The status, or 0 when there was no answer.
    pub status: u16,
    /// The answer.
    pub answer: Option<Box<Answer>>,
    /// What went wrong.
    pub error: Option<String>,
}

type Reply = Response<UnsyncBoxBody<Bytes, Infallible>>;

impl App {
    /// Serves until the process ends.
    ///
    /// # Errors
    /// When the address is taken.
    pub async fn serve(self, address: SocketAddr) -> anyhow::Result<()> {
        let listener = TcpListener::bind(address).await.with_context(|| format!("binding {address}"))?;
        loop {
            let (socket, peer) = listener.accept().await?;
            socket.set_nodelay(true)?;
            let app = self.clone();
            #[expect(clippy::disallowed_methods, reason = "connections of a test application end with it")]
            tokio::spawn(async move {
                let service = hyper::service::service_fn(|request| {
                    let app = app.clone();
                    async move { Ok::<_, Infallible>(app.reply(request, peer).await) }
                });
                // A client that goes away is no event.
                let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(socket), service).await;
            });
        }
    }

    async fn reply(&self, request: Request<Incoming>, peer: SocketAddr) -> Reply {
        let grpc = request
            .headers()
            .get(http::header::CONTENT_TYPE)
            .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"));
        if grpc {
            return echo(&self.version, request).await;
        }
        let host = request.headers().get(http::header::HOST).and_then(|host| host.to_str().ok()).map(str::to_owned);
        let host = host.or_else(|| request.uri().authority().map(ToString::to_string)).unwrap_or_default();
        let mut calls = Vec::new();
        for (upstream, address) in &self.calls {
            calls.push(call(upstream.clone(), *address).await);
        }
        let client = request.headers().get("x-forwarded-client-cert").and_then(|client| client.to_str().ok());
        let client = client.unwrap_or_default().to_owned();
        let path = request.uri().path().to_owned();
        let (name, version, peer) = (self.name.clone(), self.version.clone(), peer.ip().to_string());
        let answer = Answer { name, version, path, host, client, peer, calls };
        let body = serde_json::to_vec(&answer).unwrap_or_default();
        let mut reply = Response::new(Full::new(Bytes::from(body)).boxed_unsync());
        reply.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        reply
    }
}

/// The same message back, with the version as a trailer.
async fn echo(version: &str, request: Request<Incoming>) -> Reply {
    let body = match request.into_body().collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => Bytes::new(),
    };
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    if let Ok(value) = HeaderValue::from_str(version) {
        trailers.insert("x-version", value);
    }
    let frames = [Ok(Frame::data(body)), Ok(Frame::trailers(trailers))];
    let mut reply = Response::new(StreamBody::new(Frames(frames.into_iter())).boxed_unsync());
    reply.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    reply
}

/// A stream of frames that are there already.
struct Frames<I>(I);

impl<I: Iterator<Item = Result<Frame<Bytes>, Infallible>> + Unpin> futures_core::Stream for Frames<I> {
    type Item = Result<Frame<Bytes>, Infallible>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Ready(self.0.next())
    }
}

async fn call(host: String, address: SocketAddr) -> Called {
    let asked = host.clone();
    let called = tokio::task::spawn_blocking(move || crate::http::get(address, &asked, "/", &[])).await;
    let failed = |why: String| Called { host: host.clone(), status: 0, answer: None, error: Some(why) };
    match called {
        Ok(Ok(answer)) => Called {
            host: host.clone(),
            status: answer.status,
            answer: serde_json::from_str(&answer.body).ok().map(Box::new),
            error: (answer.status != 200).then_some(answer.body),
        },
        Ok(Err(error)) => failed(format!("{error:#}")),
        Err(error) => failed(error.to_string()),
    }
}
