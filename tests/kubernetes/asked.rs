//! What istioctl asks on a cluster, with the tokens that it makes there: an account of the control plane's namespace is told of all
//! proxies, another of its own, and a token that is for somebody else opens nothing.

use std::time::Duration;

use anyhow::Context;
use bed::cluster::{Cluster, Options};
use bed::process::eventually;
use prost::Message;
use proto::envoy::service::discovery::v3::{DiscoveryRequest, DiscoveryResponse};
use proto::envoy::service::status::v3::ClientConfig;
use tests::client::{Client, sidecar};
use tests::need;
use tests::plane::Plane;
use tests::secured::{Refused, Secured};

use super::rights::as_shipped;
use super::tools;

const PATIENCE: Duration = Duration::from_secs(60);
const STREAM: &str = "envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources";
const SHOP: &str =
    "{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop}, spec: {ports: [{name: http, port: 80}]}}";

/// The proxies that whoever has a token is told of, or the code of the refusal.
async fn told(plane: &Plane, token: &str) -> anyhow::Result<Result<Vec<String>, i32>> {
    let roots = std::fs::read_to_string(plane.folder().join("ca/root-cert.pem"))?;
    let address = plane.secure().context("there is a secured port")?;
    let mut client = Secured::connect(address, &roots, None).await?.with_token(token.trim());
    let request = DiscoveryRequest { type_url: "istio.io/debug/syncz".to_owned(), ..DiscoveryRequest::default() };
    let answer = tokio::time::timeout(PATIENCE, client.first::<_, DiscoveryResponse>(STREAM, &request)).await??;
    let answer = match answer {
        Ok(answer) => answer,
        Err(Refused(code, _)) => return Ok(Err(code)),
    };
    let who = answer.control_plane.context("who answers")?.identifier;
    anyhow::ensure!(who.contains(r#""ID":"istiod-1""#), "{who}");
    let read = answer.resources.iter().map(|any| {
        let config = ClientConfig::decode(any.value.as_slice())?;
        Ok(config.node.context("a node")?.id)
    });
    Ok(Ok(read.collect::<anyhow::Result<_>>()?))
}

#[test]
fn accounts_of_the_control_planes_namespace_are_told_of_all_proxies_and_others_of_their_own() {
    if !need("questions on a cluster", tools().err()) {
        return;
    }
    let cluster = Cluster::start(Options::new(tools().unwrap())).unwrap();
    cluster.apply(&install::yaml(&install::objects(&install::Values::profile("default").unwrap())).unwrap()).unwrap();
    cluster.kubectl(&["create", "namespace", "shop"]).unwrap();
    cluster.apply(SHOP).unwrap();
    let config = as_shipped(&cluster).unwrap();
    let plane = Plane::on(&config, &["--webhook-address", "127.0.0.1:0", "--pod-name", "istiod-1"]).unwrap();
    plane.ready(PATIENCE).unwrap();
    let token = |namespace: &str, more: &[&str]| {
        let arguments = [&["create", "token", "default", "-n", namespace], more].concat();
        eventually("the namespace's account", PATIENCE, || cluster.kubectl(&arguments)).unwrap()
    };
    let audience = ["--audience", "istio-ca"];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut proxies = Vec::new();
        for (number, namespace) in [(1, "shop"), (2, "default")] {
            let mut client =
                Client::connect(plane.xds(), sidecar(number, namespace), Default::default()).await.unwrap();
            tokio::time::timeout(PATIENCE, client.settle_all()).await.unwrap().unwrap();
            proxies.push(client);
        }
        for (token, expected) in [
            (token("istio-system", &audience), Ok(vec!["app-1.shop".to_owned(), "app-2.default".to_owned()])),
            (token("shop", &audience), Ok(vec!["app-1.shop".to_owned()])),
            (token("kube-system", &audience), Ok(Vec::new())),
            (token("istio-system", &["--audience", "somebody-else"]), Err(16)),
        ] {
            assert_eq!(told(&plane, &token).await.unwrap(), expected);
        }
    });
}
