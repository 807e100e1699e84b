//! The keys of Secrets go to proxies whose account may read Secrets, as the cluster's authorization says, and to no others.

use std::time::Duration;

use anyhow::Context;
use bed::cluster::{Cluster, Options};
use prost_types::value::Kind;
use prost_types::{Struct, Value};
use proto::envoy::config::core::v3::Node;
use proto::envoy::service::discovery::v3::{DiscoveryRequest, DiscoveryResponse};
use tests::need;
use tests::plane::Plane;
use tests::secured::Secured;

use super::rights::as_shipped;
use super::tools;

const PATIENCE: Duration = Duration::from_secs(60);
const SECRETS: &str = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";
const STREAM: &str = "envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources";

/// A gateway's proxy of an account; the first answer to its wish for a key: how many it is sent.
pub(super) fn first_answer(
    cluster: &Cluster,
    plane: &Plane,
    namespace: &str,
    account: &str,
    name: &str,
) -> anyhow::Result<usize> {
    let token = cluster.kubectl(&["create", "token", account, "-n", namespace, "--audience", "istio-ca"])?;
    let roots = std::fs::read_to_string(plane.folder().join("ca/root-cert.pem"))?;
    let address = plane.secure().context("there is a secured port")?;
    let text = |text: &str| Value { kind: Some(Kind::StringValue(text.to_owned())) };
    let labels = Struct { fields: [("app".to_owned(), text("edge"))].into() };
    let fields = [
        ("SERVICE_ACCOUNT".to_owned(), text(account)),
        ("LABELS".to_owned(), Value { kind: Some(Kind::StructValue(labels)) }),
    ];
    let node = Node {
        id: format!("router~10.9.0.1~{account}.{namespace}~{namespace}.svc.cluster.local"),
        metadata: Some(Struct { fields: fields.into() }),
        ..Node::default()
    };
    let request = DiscoveryRequest {
        node: Some(node),
        type_url: SECRETS.to_owned(),
        resource_names: vec![name.to_owned()],
        ..DiscoveryRequest::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut client = Secured::connect(address, &roots, None).await?.with_token(token.trim());
        let answer = tokio::time::timeout(PATIENCE, client.first::<_, DiscoveryResponse>(STREAM, &request)).await??;
        let answer = answer.map_err(|refused| anyhow::anyhow!("{refused:?}"))?;
        anyhow::ensure!(answer.type_url == SECRETS, "{}", answer.type_url);
        Ok(answer.resources.len())
    })
}

#[test]
fn an_account_has_keys_when_it_may_read_secrets_and_not_before() {
    if !need("a control plane on a cluster", tools().err()) {
        return;
    }
    let cluster = Cluster::start(Options::new(tools().unwrap())).unwrap();
    cluster.apply(&install::yaml(&install::objects(&install::Values::profile("default").unwrap())).unwrap()).unwrap();
    for arguments in [
        &["create", "namespace", "edge"][..],
        &["create", "serviceaccount", "reader", "-n", "edge"],
        &["create", "serviceaccount", "stranger", "-n", "edge"],
        &["create", "role", "sds", "-n", "edge", "--verb", "get,watch,list", "--resource", "secrets"],
        &["create", "rolebinding", "sds", "-n", "edge", "--role", "sds", "--serviceaccount", "edge:reader"],
    ] {
        cluster.kubectl(arguments).unwrap();
    }
    let key = rcgen::generate_simple_self_signed(["shop.example.com".to_owned()]).unwrap();
    let indented = |pem: &str| pem.replace('\n', "\n    ");
    cluster
        .apply(&format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: shop, namespace: edge}}\ntype: kubernetes.io/tls\nstringData:\n  \
             tls.crt: |\n    {}\n  tls.key: |\n    {}\n---\napiVersion: networking.istio.io/v1\nkind: Gateway\n\
             metadata: {{name: shop, namespace: edge}}\nspec:\n  selector: {{app: edge}}\n  servers:\n  \
             - {{port: {{number: 443, name: https, protocol: HTTPS}}, hosts: [shop.example.com], \
             tls: {{mode: SIMPLE, credentialName: shop}}}}\n",
            indented(&key.cert.pem()),
            indented(&key.signing_key.serialize_pem()),
        ))
        .unwrap();
    let config = as_shipped(&cluster).unwrap();
    // What was applied is known before it is ready.
    let plane = Plane::on(&config, &["--webhook-address", "127.0.0.1:0", "--pod-name", "istiod-1"]).unwrap();
    plane.ready(PATIENCE).unwrap();
    let sent = |account: &str| first_answer(&cluster, &plane, "edge", account, "kubernetes://shop").unwrap();
    assert_eq!(sent("reader"), 1);
    assert_eq!(sent("stranger"), 0, "a stranger of the same namespace");
    // It stays so for the next connection, for which nobody has to be asked.
    assert_eq!((sent("reader"), sent("stranger")), (1, 0));
}
