//! Secrets for the proxy, by the names that it knows: `default` and `ROOTCA` of the mesh, `file-cert:CHAIN~KEY` and `file-root:FILE` of
//! files. Whatever changes is sent to those who asked for it (`istio: security/pkg/nodeagent/sds/sdsservice.go`).

use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use prost::Message;
use proto::envoy::config::core::v3::{DataSource, data_source::Specifier};
use proto::envoy::extensions::transport_sockets::tls::v3::secret::Type;
use proto::envoy::extensions::transport_sockets::tls::v3::{CertificateValidationContext, Secret, TlsCertificate};
use proto::envoy::service::discovery::v3::{DiscoveryRequest, DiscoveryResponse};
use tonic::Status;
use xds::grpc::{self, Answer, Messages, Out};

use crate::identity::Current;
use crate::trust::{Slot, Taken};

/// A request is not longer than this, in bytes.
const LONGEST: usize = 1024 * 1024;
/// The name of the mesh's roots.
const ROOTS: &str = "ROOTCA";
/// How often files are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// Answers a stream.
pub(crate) fn stream(request: Request<Incoming>, current: Current, taken: Arc<Taken>) -> Answer {
    let (out, answer) = grpc::open();
    let messages = Messages::new(request.into_body(), LONGEST);
    #[expect(clippy::disallowed_methods, reason = "it ends with the stream")]
    tokio::spawn(async move {
        if let Err(status) = serve(messages, &out, current, &taken).await {
            out.fail(status).await;
        }
    });
    answer
}

async fn serve(mut messages: Messages, out: &Out, mut current: Current, taken: &Arc<Taken>) -> Result<(), Status> {
    let mut names: Vec<String> = Vec::new();
    let mut sent: Vec<Secret> = Vec::new();
    let mut version = 0_u64;
    // The roots that were sent last, and the stream among those that ask for them.
    let mut roots: (Arc<str>, Option<Slot>) = ("".into(), None);
    let mut look = tokio::time::interval(LOOK);
    loop {
        let asked = tokio::select! {
            message = messages.next() => match message? {
                None => return Ok(()),
                Some(message) => {
                    let request = DiscoveryRequest::decode(message).map_err(|error| Status::invalid_argument(error.to_string()))?;
                    match (&request.error_detail, &roots.1) {
                        (Some(error), _) => tracing::warn!("the proxy refused a secret: {}", error.message),
                        (None, Some(slot)) if request.response_nonce == version.to_string() => slot.took(&roots.0),
                        (None, _) => {}
                    }
                    let new = request.resource_names != names;
                    for name in request.resource_names.iter().filter(|name| new && !known(name)) {
                        tracing::warn!(name, "the proxy asks for a secret that the agent does not have");
                    }
                    names = request.resource_names;
                    let asks = names.iter().any(|name| name == ROOTS);
                    roots.1 = asks.then(|| roots.1.take().unwrap_or_else(|| taken.asked()));
                    new
                }
            },
            changed = current.changed() => {
                if changed.is_err() {
                    return Err(Status::unavailable("the agent is ending"));
                }
                false
            }
            // Only files change without a word.
            _ = look.tick(), if names.iter().any(|name| name.starts_with("file-")) => false,
        };
        let identity = current.borrow_and_update().clone();
        let found: Vec<Secret> = names.iter().filter_map(|name| secret(name, identity.as_deref())).collect();
        // A secret that is not there yet is waited for: the proxy asks without end.
        if found.is_empty() || (!asked && found == sent) {
            continue;
        }
        version += 1;
        let resources = found.iter().map(proto::any).collect();
        let response = DiscoveryResponse {
            version_info: version.to_string(),
            nonce: version.to_string(),
            type_url: <Secret as prost::Name>::type_url(),
            resources,
            ..DiscoveryResponse::default()
        };
        out.send(&response).await?;
        roots.0 = identity.as_ref().map(|identity| identity.roots.as_str()).unwrap_or_default().into();
        sent = found;
    }
}

fn inline(text: impl Into<Vec<u8>>) -> Option<DataSource> {
    Some(DataSource { specifier: Some(Specifier::InlineBytes(text.into())), ..DataSource::default() })
}

/// Whether a name may stand for a secret.
fn known(name: &str) -> bool {
    matches!(name, "default" | ROOTS) || name.starts_with("file-cert:") || name.starts_with("file-root:")
}

/// The secret of a name, if there is one now.
fn secret(name: &str, identity: Option<&crate::identity::Identity>) -> Option<Secret> {
    let certificate = |chain: Vec<u8>, key: Vec<u8>| {
        Type::TlsCertificate(TlsCertificate {
            certificate_chain: inline(chain),
            private_key: inline(key),
            ..Default::default()
        })
    };
    let roots = |roots: Vec<u8>| {
        Type::ValidationContext(CertificateValidationContext { trusted_ca: inline(roots), ..Default::default() })
    };
    let file =
        |path: &str| std::fs::read(path).inspect_err(|error| tracing::warn!(%error, path, "reading a secret")).ok();
    let kind = match name {
        "default" => {
            let identity = identity?;
            certificate(identity.chain.clone().into(), identity.key().into())
        }
        ROOTS => roots(identity?.roots.clone().into()),
        other => match (other.strip_prefix("file-cert:"), other.strip_prefix("file-root:")) {
            (Some(files), _) => {
                let (chain, key) = files.split_once('~')?;
                certificate(file(chain)?, file(key)?)
            }
            (_, Some(path)) => roots(file(path)?),
            _ => return None,
        },
    };
    Some(Secret { name: name.to_owned(), r#type: Some(kind) })
}
