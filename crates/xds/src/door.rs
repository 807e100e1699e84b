//! What stands at a port before the server: makes connections of sockets, says who calls, and answers what is not discovery.

use std::future::Future;

use http::{HeaderMap, Request};
use hyper::body::Incoming;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tonic::Status;

use crate::grpc::{self, Answer};
use crate::inquiry::{Inquiry, Reply};
use crate::shared::Caller;

/// A door.
pub trait Door: Clone + Send + Sync + 'static {
    /// What bytes go over.
    type Io: AsyncRead + AsyncWrite + Unpin + Send + 'static;
    /// What is known of the other side of a connection.
    type Peer: Send + Sync + 'static;

    /// Makes a connection of a socket; `None` when it comes to nothing.
    fn admit(&self, socket: TcpStream) -> impl Future<Output = Option<(Self::Io, Self::Peer)>> + Send;
    /// Who calls, by the connection and the headers of the call.
    fn caller(&self, peer: &Self::Peer, headers: &HeaderMap) -> impl Future<Output = Result<Caller, Status>> + Send;
    /// Answers what a stream asks the control plane itself. Without an answer of its own a door knows nobody who may ask.
    fn told(&self, _: &Caller, _: Inquiry) -> impl Future<Output = Result<Reply, Status>> + Send {
        std::future::ready(Err(Status::unauthenticated("authentication required")))
    }
    /// Answers a call that is not discovery.
    fn other(&self, peer: &Self::Peer, request: Request<Incoming>) -> impl Future<Output = Answer> + Send;
}

/// Plain text for everybody: callers are anonymous.
#[derive(Clone)]
pub(crate) struct Open;

impl Door for Open {
    type Io = TcpStream;
    type Peer = ();

    async fn admit(&self, socket: TcpStream) -> Option<(TcpStream, ())> {
        Some((socket, ()))
    }

    async fn caller(&self, _: &(), _: &HeaderMap) -> Result<Caller, Status> {
        Ok(Caller::Anonymous)
    }

    async fn other(&self, _: &(), _: Request<Incoming>) -> Answer {
        grpc::refuse(Status::unimplemented("no such method"))
    }
}
