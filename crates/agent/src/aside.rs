//! What the agent itself says and hears on the proxy's stream to the control plane: after the proxy's first request for listeners it asks
//! for names, and tells how the workload is; names are taken out of what comes back. The proxy sees none of it.
//! Source: istio: pkg/istio-agent/xds_proxy.go, xds_proxy_delta.go.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use http_body::{Body, Frame};
use prost::Message;
use proto::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};
use proto::google::rpc::Status;
use proto::istio::mesh::v1alpha1::ProxyConfig;
use proto::istio::networking::nds::v1::NameTable;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use xds::{ResourceType, Variant};

use crate::dns::Known;
use crate::trust::Trust;

/// Bytes before each message: whether it is compressed, and its length.
const HEAD: usize = 5;
/// gRPC's code for an error that is our own.
const INTERNAL: i32 = 13;
/// Types that are for Envoy; others it would not understand.
const FOR_ENVOY: &str = "type.googleapis.com/envoy.";
const WORKLOADS: &str = "type.googleapis.com/istio.workload.Workload";

/// What the agent has to do with the stream.
#[derive(Default)]
pub struct Aside {
    /// Takes the names that are asked for.
    names: Option<Arc<Known>>,
    /// Takes the roots of the mesh.
    trust: Option<Arc<Trust>>,
    said: Mutex<Said>,
}

/// What was said last without being asked, and to whom further words go.
#[derive(Default)]
struct Said {
    last: Option<(&'static str, Option<String>)>,
    streams: Vec<(Variant, UnboundedSender<Bytes>)>,
}

impl Aside {
    /// Asks for names and for the roots of the mesh, when somebody takes them.
    #[must_use]
    pub fn new(names: Option<Arc<Known>>, trust: Option<Arc<Trust>>) -> Arc<Self> {
        Arc::new(Self { names, trust, said: Mutex::default() })
    }

    /// Says something that has no answer: a type, and perhaps an error. Streams that begin later hear the last word.
    pub fn say(&self, type_url: &'static str, error: Option<String>) {
        let mut said = self.said.lock().expect("no holder of this lock panics");
        said.streams.retain(|(variant, stream)| stream.send(request(*variant, type_url, None, error.clone())).is_ok());
        said.last = Some((type_url, error));
    }

    /// The two sides of a stream: what goes up, and how what comes down is looked at.
    pub(crate) fn join<B>(self: &Arc<Self>, variant: Variant, proxy: B) -> (Up<B>, Down) {
        let (own, queue) = unbounded_channel();
        let up = Up {
            proxy,
            messages: Messages::default(),
            own: own.clone(),
            queue,
            aside: self.clone(),
            variant,
            begun: false,
        };
        (up, Down { own, aside: self.clone(), variant })
    }

    /// The agent's own first requests go into the queue of a stream.
    fn begin(&self, variant: Variant, own: &UnboundedSender<Bytes>) {
        // The receiver is held by the one who calls.
        if self.names.is_some() {
            let _ = own.send(request(variant, ResourceType::Nds.url(), None, None));
        }
        if self.trust.is_some() {
            let _ = own.send(request(variant, ResourceType::Pcds.url(), None, None));
        }
        let mut said = self.said.lock().expect("no holder of this lock panics");
        if let Some((type_url, error)) = &said.last {
            let _ = own.send(request(variant, type_url, None, error.clone()));
        }
        said.streams.retain(|(_, stream)| !stream.is_closed());
        said.streams.push((variant, own.clone()));
    }
}

/// A request of the agent's, or its answer to a response.
fn request(variant: Variant, type_url: &str, answered: Option<&Head>, error: Option<String>) -> Bytes {
    let (type_url, nonce) = (type_url.to_owned(), answered.map(|head| head.nonce.clone()).unwrap_or_default());
    let error_detail = error.map(|message| Status { code: INTERNAL, message, details: Vec::new() });
    match variant {
        Variant::Delta => {
            let request = DeltaDiscoveryRequest { type_url, response_nonce: nonce, error_detail, ..Default::default() };
            xds::grpc::framed(&request)
        }
        Variant::Sotw => xds::grpc::framed(&DiscoveryRequest {
            version_info: answered.map(|head| head.version.clone()).unwrap_or_default(),
            type_url,
            response_nonce: nonce,
            error_detail,
            ..Default::default()
        }),
    }
}

/// The type of a delta request; the other fields are passed over.
#[derive(Clone, PartialEq, Message)]
struct DeltaAsked {
    #[prost(string, tag = "2")]
    type_url: String,
}

/// The type of a request for the state of the world.
#[derive(Clone, PartialEq, Message)]
struct SotwAsked {
    #[prost(string, tag = "4")]
    type_url: String,
}

/// What both responses have in the same places.
#[derive(Clone, PartialEq, Message)]
struct Head {
    #[prost(string, tag = "1")]
    version: String,
    #[prost(string, tag = "4")]
    type_url: String,
    #[prost(string, tag = "5")]
    nonce: String,
}

/// Cuts bytes into messages, their heads with them.
#[derive(Default)]
struct Messages {
    buffer: BytesMut,
}

impl Messages {
    fn next(&mut self) -> Option<Bytes> {
        let head = self.buffer.get(..HEAD)?;
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        (self.buffer.len() >= HEAD + length).then(|| self.buffer.split_to(HEAD + length).freeze())
    }
}

/// The body of a message; `None` when it is compressed.
fn body(message: &Bytes) -> Option<Bytes> {
    (message[0] == 0).then(|| message.slice(HEAD..))
}

/// The requests that go to the control plane: the proxy's and the agent's.
pub(crate) struct Up<B> {
    proxy: B,
    messages: Messages,
    own: UnboundedSender<Bytes>,
    queue: UnboundedReceiver<Bytes>,
    aside: Arc<Aside>,
    variant: Variant,
    /// The proxy has asked for listeners: it has said who it is, and the agent may speak.
    begun: bool,
}

impl<B> Up<B> {
    fn look(&mut self, message: &Bytes) {
        let Some(body) = body(message).filter(|_| !self.begun) else { return };
        let type_url = match self.variant {
            Variant::Delta => DeltaAsked::decode(body).map(|asked| asked.type_url),
            Variant::Sotw => SotwAsked::decode(body).map(|asked| asked.type_url),
        };
        if type_url.is_ok_and(|url| url == ResourceType::Lds.url()) {
            self.begun = true;
            self.aside.begin(self.variant, &self.own);
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Up<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        loop {
            // First what is queued, so that the agent's requests come right after the one that they follow.
            if let Poll::Ready(Some(message)) = self.queue.poll_recv(context) {
                return Poll::Ready(Some(Ok(Frame::data(message))));
            }
            if let Some(message) = self.messages.next() {
                self.look(&message);
                return Poll::Ready(Some(Ok(Frame::data(message))));
            }
            match ready!(Pin::new(&mut self.proxy).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(mut data) => self.messages.buffer.extend_from_slice(&data.copy_to_bytes(data.remaining())),
                    Err(frame) => return Poll::Ready(Some(Ok(frame))),
                },
                ended => return Poll::Ready(ended),
            }
        }
    }
}

/// How responses are looked at.
pub(crate) struct Down {
    own: UnboundedSender<Bytes>,
    aside: Arc<Aside>,
    variant: Variant,
}

impl Down {
    /// The answer as the proxy sees it.
    pub(crate) fn of<B>(self, control: B) -> Seen<B> {
        Seen { control, messages: Messages::default(), down: self }
    }

    /// Whether a message is for the proxy; one for the agent is taken and answered.
    fn is_for_proxy(&self, message: &Bytes) -> bool {
        let Some(body) = body(message) else { return true };
        let Ok(head) = Head::decode(body.clone()) else { return true };
        if head.type_url == ResourceType::Nds.url()
            && let Some(known) = &self.aside.names
        {
            self.take_names(known, &head, body);
            return false;
        }
        if head.type_url == ResourceType::Pcds.url()
            && let Some(trust) = &self.aside.trust
        {
            self.take_roots(trust, head, body);
            return false;
        }
        let known = head.type_url.starts_with(FOR_ENVOY) || head.type_url == WORKLOADS;
        if !known {
            tracing::warn!(kind = head.type_url, "the control plane sends a type that is not Envoy's");
        }
        known
    }

    /// The first resource of a response: there is one, if any.
    fn first<M: Message + Default>(&self, body: Bytes) -> Result<Option<M>, prost::DecodeError> {
        let resource = match self.variant {
            Variant::Delta => DeltaDiscoveryResponse::decode(body)
                .map(|response| response.resources.into_iter().next().and_then(|resource| resource.resource)),
            Variant::Sotw => DiscoveryResponse::decode(body).map(|response| response.resources.into_iter().next()),
        };
        resource.and_then(|any| any.map(|any| M::decode(any.value.as_slice())).transpose())
    }

    /// Roots are taken when the proxy has them, and answered then.
    fn take_roots(&self, trust: &Arc<Trust>, head: Head, body: Bytes) {
        let roots = match self.first::<ProxyConfig>(body) {
            // There are none: the control plane has no authority.
            Ok(None) => return,
            Ok(Some(config)) => config.ca_certificates_pem.concat(),
            Err(error) => {
                let error = Some(format!("no configuration of an agent: {error}"));
                let _ = self.own.send(request(self.variant, &head.type_url, Some(&head), error));
                return;
            }
        };
        if let Err(error) = trust.tell(&roots) {
            let error = Some(format!("these are no roots: {error}"));
            let _ = self.own.send(request(self.variant, &head.type_url, Some(&head), error));
            return;
        }
        let (trust, own, variant) = (trust.clone(), self.own.clone(), self.variant);
        #[expect(clippy::disallowed_methods, reason = "it ends when others are told, or with the stream")]
        tokio::spawn(async move {
            let known = tokio::select! {
                known = trust.known(&roots) => known,
                () = own.closed() => false,
            };
            if known {
                let _ = own.send(request(variant, &head.type_url, Some(&head), None));
            }
        });
    }

    fn take_names(&self, known: &Known, head: &Head, body: Bytes) {
        let error = match self.first::<NameTable>(body) {
            // An empty response is not answered: there is nothing that could be taken.
            Ok(None) => return,
            Ok(Some(table)) => {
                known.take(table);
                None
            }
            Err(error) => Some(format!("not a name table: {error}")),
        };
        // A stream that has ended needs no answer.
        let _ = self.own.send(request(self.variant, &head.type_url, Some(head), error));
    }
}

/// Responses, without those for the agent. The end without trailers is the end of the stream.
pub(crate) struct Seen<B> {
    control: B,
    messages: Messages,
    down: Down,
}

impl<B: Body<Data = Bytes> + Unpin> Body for Seen<B>
where
    B::Error: std::fmt::Display,
{
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        loop {
            while let Some(message) = self.messages.next() {
                if self.down.is_for_proxy(&message) {
                    return Poll::Ready(Some(Ok(Frame::data(message))));
                }
            }
            match ready!(Pin::new(&mut self.control).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.messages.buffer.extend_from_slice(&data),
                    Err(frame) => return Poll::Ready(Some(Ok(frame))),
                },
                Some(Err(error)) => {
                    tracing::debug!(%error, "a stream of the control plane broke");
                    return Poll::Ready(None);
                }
                None => return Poll::Ready(None),
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
