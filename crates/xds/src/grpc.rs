//! gRPC over HTTP/2: messages out of bodies and into them. Knows no service.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::{Body, Frame};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use tokio::sync::mpsc;
use tonic::Status;

/// An answer as it goes to the connection.
pub type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// An answer that is a status alone.
#[must_use]
pub fn refuse(status: Status) -> Answer {
    status.into_http::<Empty<Bytes>>().map(BodyExt::boxed_unsync)
}

/// An answer of frames.
pub(crate) fn stream(frames: mpsc::Receiver<Result<Bytes, Status>>) -> Answer {
    let mut response = Response::new(AnswerBody { frames, ended: false }.boxed_unsync());
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

/// The way into an answer of many messages.
pub struct Out(mpsc::Sender<Result<Bytes, Status>>);

impl Out {
    /// Sends a message when the other side takes it.
    ///
    /// # Errors
    /// When the other side is gone.
    pub async fn send(&self, message: &impl prost::Message) -> Result<(), Status> {
        self.0.send(Ok(framed(message))).await.map_err(|_| Status::cancelled("the caller is gone"))
    }

    /// Ends the answer with a status.
    pub async fn fail(&self, status: Status) {
        // Nobody may be there to hear of it.
        let _ = self.0.send(Err(status)).await;
    }
}

/// An answer of many messages, and the way into it.
#[must_use]
pub fn open() -> (Out, Answer) {
    let (out, frames) = mpsc::channel(1);
    (Out(out), stream(frames))
}

/// A message with its length before it.
#[must_use]
pub fn framed(message: &impl prost::Message) -> Bytes {
    let length = message.encoded_len();
    let mut frame = BytesMut::with_capacity(5 + length);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    frame.extend_from_slice(&message.encode_to_vec());
    frame.freeze()
}

/// Answers a method that takes one message, of at most `limit` bytes, and gives one.
pub async fn unary<Q, A, F>(request: Request<Incoming>, limit: usize, answer: impl FnOnce(Q) -> F) -> Answer
where
    Q: prost::Message + Default,
    A: prost::Message,
    F: Future<Output = Result<A, Status>>,
{
    let asked = async {
        let message = Messages::new(request.into_body(), limit).next().await?;
        let message = message.ok_or_else(|| Status::invalid_argument("there is no message"))?;
        Q::decode(message).map_err(|error| Status::invalid_argument(format!("the message does not parse: {error}")))
    };
    let answered = match asked.await {
        Ok(message) => answer(message).await,
        Err(status) => Err(status),
    };
    match answered {
        Err(status) => refuse(status),
        Ok(message) => {
            let (out, frames) = mpsc::channel(1);
            // The channel has room for it.
            let _ = out.try_send(Ok(framed(&message)));
            stream(frames)
        }
    }
}

/// Cuts gRPC messages out of a body.
pub struct Messages {
    body: Incoming,
    buffer: BytesMut,
    limit: usize,
}

impl Messages {
    /// Messages of at most `limit` bytes.
    #[must_use]
    pub fn new(body: Incoming, limit: usize) -> Self {
        Self { body, buffer: BytesMut::new(), limit }
    }

    /// The next message; `None` at the end.
    ///
    /// # Errors
    /// When a message is too long or the connection breaks.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Status> {
        loop {
            if self.buffer.len() >= 5 {
                let length =
                    u32::from_be_bytes([self.buffer[1], self.buffer[2], self.buffer[3], self.buffer[4]]) as usize;
                if self.buffer[0] != 0 {
                    return Err(Status::unimplemented("compressed requests are not supported"));
                }
                if length > self.limit {
                    return Err(Status::resource_exhausted(format!("a request of {length} bytes is too large")));
                }
                if self.buffer.len() >= 5 + length {
                    self.buffer.advance(5);
                    let message = self.buffer.split_to(length).freeze();
                    if self.buffer.is_empty() {
                        // The room that one large message took is not kept while the stream is silent.
                        self.buffer = BytesMut::new();
                    }
                    return Ok(Some(message));
                }
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(error)) => return Err(Status::cancelled(format!("the connection broke: {error}"))),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
            }
        }
    }
}

/// Hands out frames as they are asked for; backpressure is the channel's.
pub(crate) struct AnswerBody {
    frames: mpsc::Receiver<Result<Bytes, Status>>,
    ended: bool,
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let status = match self.frames.poll_recv(context) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Some(Ok(bytes))) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
            Poll::Ready(Some(Err(status))) => status,
            Poll::Ready(None) => Status::ok(""),
        };
        self.ended = true;
        let mut trailers = HeaderMap::new();
        if status.add_header(&mut trailers).is_err() {
            trailers.insert("grpc-status", HeaderValue::from_static("13"));
        }
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }
}
