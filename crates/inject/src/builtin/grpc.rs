//! Templates for applications that speak xDS themselves: `grpc-agent` with an agent that brings certificates, `grpc-simple` with a bootstrap
//! file only.

use serde_json::json;

use super::agent::{self, Role};
use super::{Context, metadata, volumes};
use crate::annotations::REWRITE_PROBES;
use crate::images;
use crate::parts::{Container, Metadata, Mount, Part, Port, Spec, Variable, Volume};
use crate::pod::{self, PROXY};

/// The agent's port, and the one on which it says that it is ready.
const STATUS: u16 = 15020;

pub(super) fn with_agent(context: &Context<'_>) -> Part {
    let (mounts, of_user) = volumes::of_user(context);
    let wait = ["pilot-agent", "wait", "--url=http://localhost:15020/healthz/ready"];
    let probed = context.status_port() != "0";
    let mut proxy = Container {
        name: PROXY.to_owned(),
        image: images::proxy(context.values(), &context.proxy, &context.annotations),
        image_pull_policy: context.values().global.image_pull_policy.clone(),
        ports: vec![Port { name: "mesh-metrics", container_port: STATUS, protocol: "TCP" }],
        args: agent::arguments(context, Role::Grpc),
        env: agent::environment(context, Role::Grpc),
        resources: context.resources(),
        lifecycle: json!({"postStart": {"exec": {"command": wait}}}),
        readiness_probe: probed.then(|| agent::readiness(context, Role::Grpc, STATUS)),
        volume_mounts: volumes::mounts(context, "istio-xds", false),
        ..Container::default()
    };
    proxy.volume_mounts.extend(mounts);
    let application = |container| Container {
        name: pod::name(container).to_owned(),
        env: vec![
            Variable::text("GRPC_XDS_EXPERIMENTAL_SECURITY_SUPPORT", "true"),
            Variable::text("GRPC_XDS_BOOTSTRAP", "/etc/istio/proxy/grpc-bootstrap.json"),
        ],
        volume_mounts: vec![
            Mount::at("istio-data", "/var/lib/istio/data"),
            Mount::at("istio-xds", "/etc/istio/proxy"),
            volumes::certificates_mount(context),
        ],
        ..Container::default()
    };
    let mut all = volumes::volumes(context, "istio-xds", false);
    all.extend(of_user);
    let mut metadata = metadata::common(context);
    metadata.annotations.insert(REWRITE_PROBES, "false".to_owned());
    let spec = Spec {
        containers: std::iter::once(proxy).chain(context.applications().map(application)).collect(),
        volumes: all,
        image_pull_secrets: volumes::pull_secrets(context),
        ..Spec::default()
    };
    Part { metadata, spec }
}

/// Where the bootstrap of gRPC is.
const FOLDER: &str = "/var/lib/grpc/data/";
const VOLUME: &str = "grpc-io-proxyless-bootstrap";
/// Writes that file; the pod's name and address are known when the container starts.
const WRITE: &str = r#"cat > /var/lib/grpc/data/bootstrap.json <<END
{
  "xds_servers": [
    {
      "server_uri": "dns:///istiod.${ISTIO_NAMESPACE}.svc:15010",
      "channel_creds": [{"type": "insecure"}],
      "server_features": ["xds_v3"]
    }
  ],
  "node": {
    "id": "sidecar~${INSTANCE_IP}~${POD_NAME}.${POD_NAMESPACE}~cluster.local",
    "metadata": {"GENERATOR": "grpc"}
  }
}
END"#;

pub(super) fn simple(context: &Context<'_>) -> Part {
    let writer = Container {
        name: "grpc-bootstrap-init".to_owned(),
        image: "busybox:1.28".to_owned(),
        command: ["sh", "-c", WRITE].map(str::to_owned).to_vec(),
        env: vec![
            Variable::field("INSTANCE_IP", "status.podIP"),
            Variable::field("POD_NAME", "metadata.name"),
            Variable::field("POD_NAMESPACE", "metadata.namespace"),
            Variable::text("ISTIO_NAMESPACE", context.values().global.istio_namespace.as_str()),
        ],
        volume_mounts: vec![Mount::at(VOLUME, FOLDER)],
        ..Container::default()
    };
    let application = |container| Container {
        name: pod::name(container).to_owned(),
        env: vec![
            Variable::text("GRPC_XDS_BOOTSTRAP", "/var/lib/grpc/data/bootstrap.json"),
            Variable::text("GRPC_GO_LOG_VERBOSITY_LEVEL", "99"),
            Variable::text("GRPC_GO_LOG_SEVERITY_LEVEL", "info"),
        ],
        volume_mounts: vec![Mount::at(VOLUME, FOLDER)],
        ..Container::default()
    };
    let spec = Spec {
        init_containers: vec![writer],
        containers: pod::items(&context.pod["spec"]["containers"]).iter().map(application).collect(),
        volumes: vec![Volume::new(VOLUME, "emptyDir", json!({}))],
        ..Spec::default()
    };
    let annotations = [(REWRITE_PROBES, "false".to_owned())].into();
    Part { metadata: Metadata { annotations, ..Metadata::default() }, spec }
}
