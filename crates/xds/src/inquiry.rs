//! What is asked over a stream and is not discovery: questions to the control plane itself, as istioctl puts them (types `istio.io/debug` and
//! below it). Each has one answer and begins no subscription, and a stream that asks nothing else is no proxy. Who answers is the
//! [`Door`](crate::Door), since what is told depends on who calls. (`istio: pilot/pkg/xds/ads.go processRequest`, `debuggen.go`, `statusgen.go`.)

use bytes::Bytes;
use proto::envoy::config::core::v3::ControlPlane;
use proto::envoy::service::discovery::v3::{DeltaDiscoveryResponse, DiscoveryResponse, Resource};
use tonic::Status;

use crate::decode::{Request, Variant};
use crate::grpc;

/// The type of questions for a page, and what the types of all other questions begin with.
const PREFIX: &str = "istio.io/debug";
/// Names of a question are not longer than this together, in bytes.
const LONGEST: usize = 4096;
/// Answers of one stream that wait to be taken; who asks on is refused.
const MOST: usize = 4;

/// A question.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Inquiry {
    /// Its type URL.
    pub kind: String,
    /// The names that it asks for.
    pub names: Vec<String>,
}

/// What is answered.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Reply {
    /// Who answers: `control_plane.identifier`.
    pub identifier: String,
    /// Names and what is told under each. State of the world has no names.
    pub resources: Vec<(String, prost_types::Any)>,
}

impl Reply {
    /// A text in the place of an answer.
    #[must_use]
    pub fn text(text: &str) -> Self {
        let any = prost_types::Any { type_url: PREFIX.to_owned(), value: text.as_bytes().to_vec() };
        Self { identifier: String::new(), resources: vec![(String::new(), any)] }
    }
}

/// Whether requests of a type are questions.
pub(crate) fn is_inquiry(type_url: &str) -> bool {
    type_url.strip_prefix(PREFIX).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The side of a stream that asks.
pub(crate) struct Asker {
    variant: Variant,
    /// Answers so far.
    count: u64,
    /// Those that were not taken yet.
    waiting: usize,
}

impl Asker {
    pub(crate) fn new(variant: Variant) -> Self {
        Self { variant, count: 0, waiting: 0 }
    }

    /// What a request asks. Nothing, where it says that the last answer was taken or was not liked. Any other nonce counts for none:
    /// istioctl writes the time there.
    pub(crate) fn asked(&self, request: &Request<'_>) -> Result<Option<Inquiry>, Status> {
        if request.error.is_some() || request.nonce == self.nonce() {
            return Ok(None);
        }
        if self.waiting >= MOST {
            return Err(Status::resource_exhausted("more is asked than answers are taken"));
        }
        if request.subscribe.iter().map(|name| name.len()).sum::<usize>() > LONGEST {
            return Err(Status::invalid_argument(format!("the names of a question are at most {LONGEST} bytes long")));
        }
        let names = request.subscribe.iter().map(|name| (*name).to_owned()).collect();
        Ok(Some(Inquiry { kind: request.type_url.to_owned(), names }))
    }

    /// An answer as a message of the stream. Clients wait for one with a version (`istio: pkg/adsc/adsc.go WaitVersion`).
    pub(crate) fn framed(&mut self, inquiry: &Inquiry, reply: Reply) -> Bytes {
        self.count += 1;
        self.waiting += 1;
        let (type_url, nonce, version) = (inquiry.kind.clone(), self.nonce(), self.count.to_string());
        let control_plane = Some(ControlPlane { identifier: reply.identifier });
        match self.variant {
            Variant::Sotw => grpc::framed(&DiscoveryResponse {
                version_info: version,
                resources: reply.resources.into_iter().map(|(_, any)| any).collect(),
                type_url,
                nonce,
                control_plane,
                ..DiscoveryResponse::default()
            }),
            Variant::Delta => {
                let resource = |(name, any)| Resource {
                    name,
                    version: version.clone(),
                    resource: Some(any),
                    ..Resource::default()
                };
                grpc::framed(&DeltaDiscoveryResponse {
                    system_version_info: version.clone(),
                    resources: reply.resources.into_iter().map(resource).collect(),
                    type_url,
                    nonce,
                    control_plane,
                    ..DeltaDiscoveryResponse::default()
                })
            }
        }
    }

    /// An answer was taken.
    pub(crate) fn taken(&mut self) {
        self.waiting = self.waiting.saturating_sub(1);
    }

    /// The nonce of the last answer; numbers alone are those of discovery.
    fn nonce(&self) -> String {
        format!("debug-{}", self.count)
    }
}

#[cfg(test)]
mod tests;
