//! A client that behaves like Envoy: clusters, their endpoints, listeners, their route tables, virtual hosts; it acks what it takes, holds
//! the ack of clusters back while they warm, and offers what it has when it reconnects.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use anyhow::{Context, bail};
use bytes::{Buf, Bytes, BytesMut};
use http::Request;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use proto::envoy::config::core::v3::Node;
use proto::envoy::service::discovery::v3::{DeltaDiscoveryRequest, DeltaDiscoveryResponse};
use proto::google::rpc::Status;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use xds::ResourceType;

/// A stream.
pub struct Client {
    requests: mpsc::Sender<Bytes>,
    body: Incoming,
    buffer: BytesMut,
    node: Option<Node>,
    /// Who it is.
    pub me: Node,
    /// What was taken: name and version by type.
    pub has: BTreeMap<ResourceType, BTreeMap<String, String>>,
    /// Resources received on this stream.
    pub received: u64,
    asked: BTreeSet<ResourceType>,
    names: BTreeMap<ResourceType, BTreeSet<String>>,
    /// Acks that wait for endpoints.
    warming: Option<(String, BTreeSet<String>)>,
}

/// The node of a sidecar.
#[must_use]
pub fn sidecar(number: usize, namespace: &str) -> Node {
    let address = format!("10.200.{}.{}", number / 250, number % 250 + 1);
    Node { id: format!("sidecar~{address}~app-{number}.{namespace}~{namespace}.svc.cluster.local"), ..Node::default() }
}

impl Client {
    /// Connects and says nothing yet.
    ///
    /// # Errors
    /// When there is nobody.
    pub async fn open(
        address: SocketAddr,
        node: Node,
        has: BTreeMap<ResourceType, BTreeMap<String, String>>,
    ) -> anyhow::Result<Self> {
        let socket = tokio::net::TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        Self::over(socket, node, has).await
    }

    /// As [`Self::open`], over a connection that is there.
    ///
    /// # Errors
    /// When the other side does not speak xDS.
    pub async fn over(
        io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        node: Node,
        has: BTreeMap<ResourceType, BTreeMap<String, String>>,
    ) -> anyhow::Result<Self> {
        let (mut sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(1024 * 1024)
            .handshake(TokioIo::new(io))
            .await?;
        #[expect(clippy::disallowed_methods, reason = "a test client's connection ends with it")]
        tokio::spawn(async move { drop(connection.await) });
        let (requests, queue) = mpsc::channel::<Bytes>(64);
        let body = StreamBody::new(Queue(queue));
        let request = Request::post(
            "http://istiod.istio-system.svc/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources",
        )
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(body)?;
        let response = sender.send_request(request).await?;
        Ok(Self {
            requests,
            body: response.into_body(),
            buffer: BytesMut::new(),
            node: Some(node.clone()),
            me: node,
            has,
            received: 0,
            asked: BTreeSet::new(),
            names: BTreeMap::new(),
            warming: None,
        })
    }

    /// Connects and asks for clusters and listeners, offering what it has.
    ///
    /// # Errors
    /// When there is nobody.
    pub async fn connect(
        address: SocketAddr,
        node: Node,
        has: BTreeMap<ResourceType, BTreeMap<String, String>>,
    ) -> anyhow::Result<Self> {
        let mut client = Self::open(address, node, has).await?;
        client.begin().await?;
        Ok(client)
    }

    /// Asks for clusters and listeners, offering what it has.
    ///
    /// # Errors
    /// When the stream is broken.
    pub async fn begin(&mut self) -> anyhow::Result<()> {
        self.ask(ResourceType::Cds, &[]).await?;
        self.ask(ResourceType::Lds, &[]).await?;
        for kind in [ResourceType::Eds, ResourceType::Rds, ResourceType::Vhds] {
            let known: Vec<String> = self.has.get(&kind).into_iter().flat_map(|has| has.keys().cloned()).collect();
            if !known.is_empty() {
                let names = if kind == ResourceType::Vhds { Vec::new() } else { known };
                self.ask(kind, &names).await?;
            }
        }
        Ok(())
    }

    /// Subscribes to names of a type.
    ///
    /// # Errors
    /// When the stream is broken.
    pub async fn ask(&mut self, kind: ResourceType, names: &[String]) -> anyhow::Result<()> {
        let first = self.asked.insert(kind);
        let initial = self.has.get(&kind).filter(|_| first).cloned().unwrap_or_default();
        self.names.entry(kind).or_default().extend(names.iter().cloned());
        let request = DeltaDiscoveryRequest {
            node: self.node.take(),
            type_url: kind.url().to_owned(),
            resource_names_subscribe: names.to_vec(),
            initial_resource_versions: initial,
            ..DeltaDiscoveryRequest::default()
        };
        self.send(&request).await
    }

    async fn send(&self, request: &DeltaDiscoveryRequest) -> anyhow::Result<()> {
        let mut framed = vec![0];
        framed.extend_from_slice(&u32::try_from(request.encoded_len())?.to_be_bytes());
        request.encode(&mut framed)?;
        self.requests.send(Bytes::from(framed)).await.context("the stream is closed")
    }

    /// Answers a response.
    ///
    /// # Errors
    /// When the stream is broken.
    pub async fn answer(&self, url: &str, nonce: &str, error: Option<&str>) -> anyhow::Result<()> {
        let request = DeltaDiscoveryRequest {
            type_url: url.to_owned(),
            response_nonce: nonce.to_owned(),
            error_detail: error.map(|message| Status { code: 13, message: message.to_owned(), details: Vec::new() }),
            ..DeltaDiscoveryRequest::default()
        };
        self.send(&request).await
    }

    /// The next response, unanswered.
    ///
    /// # Errors
    /// When the stream ended.
    pub async fn next(&mut self) -> anyhow::Result<DeltaDiscoveryResponse> {
        loop {
            if self.buffer.len() >= 5 {
                let length =
                    u32::from_be_bytes([self.buffer[1], self.buffer[2], self.buffer[3], self.buffer[4]]) as usize;
                if self.buffer.len() >= 5 + length {
                    self.buffer.advance(5);
                    return Ok(DeltaDiscoveryResponse::decode(self.buffer.split_to(length))?);
                }
            }
            match self.body.frame().await {
                None => bail!("the stream ended"),
                Some(frame) => match frame?.into_data() {
                    Ok(data) => self.buffer.extend_from_slice(&data),
                    Err(frame) => bail!("the stream ended: {:?}", frame.trailers_ref()),
                },
            }
        }
    }

    /// Takes the next response as Envoy does: keeps it, asks for what it leads to, and acks. Gives its type and how many resources it had.
    ///
    /// # Errors
    /// When the stream ended.
    pub async fn step(&mut self) -> anyhow::Result<(ResourceType, usize)> {
        let response = self.next().await?;
        let kind = ResourceType::of(&response.type_url).context("an unknown type")?;
        self.received += response.resources.len() as u64;
        let mut led = Vec::new();
        let mut vhds = false;
        let has = self.has.entry(kind).or_default();
        for resource in &response.resources {
            has.insert(resource.name.clone(), resource.version.clone());
            let body = resource.resource.as_ref().map(|any| any.value.as_slice()).unwrap_or_default();
            led.extend(references(kind, body));
            vhds |= kind == ResourceType::Rds && has_vhds(body);
        }
        response.removed_resources.iter().for_each(|name| _ = has.remove(name));
        let next = if kind == ResourceType::Cds { ResourceType::Eds } else { ResourceType::Rds };
        let known = self.names.get(&next).cloned().unwrap_or_default();
        let new: Vec<String> = led.iter().filter(|name| !known.contains(*name)).cloned().collect();
        if !new.is_empty() {
            self.ask(next, &new).await?;
        }
        if vhds && !self.asked.contains(&ResourceType::Vhds) {
            self.ask(ResourceType::Vhds, &[]).await?;
        }
        self.settle(kind, &response, led).await?;
        Ok((kind, response.resources.len()))
    }

    /// Clusters are acked when all of them have their endpoints.
    async fn settle(
        &mut self,
        kind: ResourceType,
        response: &DeltaDiscoveryResponse,
        led: Vec<String>,
    ) -> anyhow::Result<()> {
        if kind == ResourceType::Cds && !led.is_empty() {
            self.warming = Some((response.nonce.clone(), led.into_iter().collect()));
            return Ok(());
        }
        self.answer(&response.type_url, &response.nonce, None).await?;
        if kind == ResourceType::Eds
            && let Some((nonce, waiting)) = &mut self.warming
        {
            response.resources.iter().for_each(|resource| _ = waiting.remove(&resource.name));
            if waiting.is_empty() {
                let nonce = std::mem::take(nonce);
                self.warming = None;
                self.answer(ResourceType::Cds.url(), &nonce, None).await?;
            }
        }
        Ok(())
    }

    /// Steps until nothing is missing: every name that was asked for is there.
    ///
    /// # Errors
    /// When the stream ended.
    pub async fn settle_all(&mut self) -> anyhow::Result<()> {
        while !self.complete() {
            self.step().await?;
        }
        Ok(())
    }

    /// Whether clusters, listeners and all that they lead to are there.
    #[must_use]
    pub fn complete(&self) -> bool {
        let there = |kind: ResourceType| self.has.get(&kind).is_some_and(|has| !has.is_empty());
        let named = |kind: ResourceType| {
            let has = self.has.get(&kind);
            self.names
                .get(&kind)
                .is_none_or(|names| names.iter().all(|name| has.is_some_and(|has| has.contains_key(name))))
        };
        there(ResourceType::Cds)
            && there(ResourceType::Lds)
            && named(ResourceType::Eds)
            && named(ResourceType::Rds)
            && (!self.asked.contains(&ResourceType::Vhds) || there(ResourceType::Vhds))
            && self.warming.is_none()
    }
}

/// What a cluster or listener needs: the endpoints of its name, or its route tables.
fn references(kind: ResourceType, body: &[u8]) -> Vec<String> {
    match kind {
        ResourceType::Cds => {
            use proto::envoy::config::cluster::v3::Cluster;
            let cluster = Cluster::decode(body).unwrap_or_default();
            cluster.eds_cluster_config.map(|_| cluster.name).into_iter().collect()
        }
        ResourceType::Lds => {
            use proto::envoy::config::listener::v3::{Listener, filter};
            use proto::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
            use proto::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::RouteSpecifier;
            let listener = Listener::decode(body).unwrap_or_default();
            let filters = listener.filter_chains.into_iter().flat_map(|chain| chain.filters);
            let tables = filters.filter_map(|filter| match filter.config_type {
                Some(filter::ConfigType::TypedConfig(any)) if any.type_url.ends_with("HttpConnectionManager") => {
                    match HttpConnectionManager::decode(any.value.as_slice()).ok()?.route_specifier? {
                        RouteSpecifier::Rds(rds) => Some(rds.route_config_name),
                        _ => None,
                    }
                }
                _ => None,
            });
            tables.collect()
        }
        _ => Vec::new(),
    }
}

fn has_vhds(body: &[u8]) -> bool {
    proto::envoy::config::route::v3::RouteConfiguration::decode(body).is_ok_and(|table| table.vhds.is_some())
}

/// Requests as a body.
pub(crate) struct Queue(pub(crate) mpsc::Receiver<Bytes>);

impl futures_core::Stream for Queue {
    type Item = Result<Frame<Bytes>, std::convert::Infallible>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}
