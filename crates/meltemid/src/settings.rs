//! Settings: parsed once, printed at start, passed as values.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ca::Lifetimes;
use clap::builder::BoolishValueParser;
use clap::{ArgAction, Parser};
use inject::NativeSidecars;
use kubernetes::Place;
use model::settings::Base;
use names::Name;
use serde::Deserialize;

/// An issuer of JWTs, as JSON.
fn jwt_rule(text: &str) -> Result<JwtRule, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

/// Meltemi's control plane: tells the proxies of a mesh what its configuration means.
#[derive(Parser, Clone, Debug)]
#[command(name = "meltemid", version)]
pub struct Settings {
    /// Directory (or file) of YAML to serve; may be given several times. Changes are followed. Without it the cluster is served that
    /// --kubeconfig names, or the one that this process runs in.
    #[arg(long = "config-dir", value_name = "PATH")]
    pub config: Vec<PathBuf>,
    /// Address of plaintext xDS.
    #[arg(long, default_value = "127.0.0.1:15010", value_name = "ADDRESS", env = "MELTEMI_XDS_ADDRESS")]
    pub xds_address: SocketAddr,
    /// Folder of the certificate authority: ca-cert.pem, ca-key.pem, root-cert.pem and cert-chain.pem, or tls.crt, tls.key and ca.crt.
    /// When it is empty, a self-signed authority is made there; where a cluster is served, it is that of the Secrets `cacerts` or
    /// `istio-ca-secret`, made there if need be. Without it there is no secured port.
    #[arg(long, value_name = "FOLDER", env = "ROOT_CA_DIR")]
    pub ca_dir: Option<PathBuf>,
    /// Folder that remembers which authority is in use, so that another replaces it in stages also over restarts; `in-use` in --ca-dir
    /// without it. `root-cert.pem` in it has all roots that are trusted now: it is what agents are given.
    #[arg(long, value_name = "FOLDER", requires = "ca_dir")]
    pub ca_state: Option<PathBuf>,
    /// Address of the secured port: discovery and certificates over TLS. Needs --ca-dir.
    #[arg(long, default_value = "127.0.0.1:15012", value_name = "ADDRESS", env = "MELTEMI_SECURE_ADDRESS")]
    pub secure_address: SocketAddr,
    /// Address of the port that the API server calls to validate and to inject. Needs --ca-dir, and a cluster.
    #[arg(long, default_value = "127.0.0.1:15017", value_name = "ADDRESS", env = "MELTEMI_WEBHOOK_ADDRESS")]
    pub webhook_address: SocketAddr,
    /// File of tokens that callers may show instead of a certificate: `TOKEN NAMESPACE/ACCOUNT` a line.
    #[arg(long, value_name = "FILE", requires = "ca_dir")]
    pub token_file: Option<PathBuf>,
    /// Issuer whose JWTs callers may show, as JSON: issuer, audiences, and jwks or jwksUri (https:// or file://).
    /// Without either, the keys are where the issuer's discovery document says.
    #[arg(long, value_name = "JSON", env = "JWT_RULE", value_parser = jwt_rule)]
    pub jwt_rule: Option<JwtRule>,
    /// Roots that vouch for the servers of JWT issuers, in place of this machine's.
    #[arg(long, value_name = "FILE")]
    pub jwks_roots: Option<PathBuf>,
    /// The cluster to serve, unless there is --config-dir, and whose API server is asked about tokens (TokenReview). Within a cluster it is
    /// that one without this.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Set by Kubernetes in its containers.
    #[arg(long, hide = true, env = "KUBERNETES_SERVICE_HOST")]
    pub kubernetes_service_host: Option<String>,
    /// For whom the tokens of service accounts must be; any of these.
    #[arg(long, default_value = "istio-ca", value_name = "AUDIENCES", env = "TOKEN_AUDIENCES", value_delimiter = ',')]
    pub token_audiences: Vec<String>,
    /// Whose tokens count. `first-party-jwt` are those that every pod has for the API server itself: they never change, and who steals
    /// one of them is its workload.
    #[arg(long, default_value = "third-party-jwt", value_name = "POLICY", env = "JWT_POLICY", value_enum)]
    pub jwt_policy: JwtPolicy,
    /// Networks of gateways whose header `x-forwarded-client-cert` says who calls. None is trusted by itself, loopback neither.
    #[arg(long, value_name = "CIDRS", env = "TRUSTED_GATEWAY_CIDR", value_delimiter = ',')]
    pub trusted_gateway_cidr: Vec<ipnet::IpNet>,
    /// Service accounts of node agents, which may ask for the certificates of the workloads on their nodes.
    #[arg(long, value_name = "NAMESPACE/NAME", env = "CA_TRUSTED_NODE_ACCOUNTS", value_delimiter = ',')]
    pub trusted_node_accounts: Vec<NodeAccount>,
    /// Further DNS names of this control plane, for its certificate.
    #[arg(long, value_name = "NAMES", env = "ISTIOD_CUSTOM_HOST", value_delimiter = ',')]
    pub custom_host: Vec<String>,
    /// How long a workload's certificate lasts when it asks for no time.
    #[arg(long, default_value = "24h", value_name = "DURATION", env = "DEFAULT_WORKLOAD_CERT_TTL", value_parser = api::scalars::Duration::parse_seconds)]
    pub workload_cert_ttl: i64,
    /// How long a workload's certificate may last; who asks for longer is refused.
    #[arg(long, default_value = "2160h", value_name = "DURATION", env = "MAX_WORKLOAD_CERT_TTL", value_parser = api::scalars::Duration::parse_seconds)]
    pub max_workload_cert_ttl: i64,
    /// How long a new root is made known at least before anything is signed below it. After a start it is six times as long, since all
    /// proxies are reconnecting. Proxies beside Istio's agents have it only with their next certificate, which these ask for at once: where
    /// their keys take long to make (RSA of 4096 bits and more), more time is needed.
    #[arg(long, default_value = "10s", value_name = "DURATION", env = "MELTEMI_ROOT_SETTLE", value_parser = api::scalars::Duration::parse_seconds)]
    pub root_settle: i64,
    /// Take another authority into use at once. Handshakes will fail: this is for measuring what the stages are good for.
    #[arg(long, hide = true)]
    pub unstaged: bool,
    /// Address of readiness, metrics and debug pages. Readiness and metrics are for everybody; debug pages for this machine, and for identities
    /// where there is an authority.
    #[arg(long, default_value = "127.0.0.1:15014", value_name = "ADDRESS", env = "MELTEMI_HTTP_ADDRESS")]
    pub http_address: SocketAddr,
    /// Address of a port with readiness and the debug pages, by the same rule; none without it.
    #[arg(long, value_name = "ADDRESS", env = "MELTEMI_READY_ADDRESS")]
    pub ready_address: Option<SocketAddr>,
    /// Namespaces whose identities may see all debug pages, besides the control plane's own.
    #[arg(long, value_name = "NAMESPACES", env = "DEBUG_ENDPOINT_AUTH_ALLOWED_NAMESPACES", value_delimiter = ',')]
    pub debug_namespaces: Vec<String>,
    /// Have debug pages that do something: `force_disconnect` ends the stream of a proxy.
    #[arg(long, value_name = "BOOL", env = "UNSAFE_ENABLE_ADMIN_ENDPOINTS", default_value = "false", value_parser = BoolishValueParser::new(), action = ArgAction::Set)]
    pub unsafe_pages: bool,
    /// DNS domain of Services.
    #[arg(long, default_value = "cluster.local", value_name = "DOMAIN")]
    pub domain: String,
    /// Name of the cluster.
    #[arg(long = "clusterID", default_value = "Kubernetes", value_name = "NAME", env = "CLUSTER_ID")]
    pub cluster_id: String,
    /// Namespace of mesh-wide objects.
    #[arg(long, default_value = "istio-system", value_name = "NAMESPACE", env = "POD_NAMESPACE")]
    pub root_namespace: String,
    /// Namespace of the gateways that serve Ingresses, and of the Service in front of them; that of mesh-wide objects without it.
    #[arg(long, value_name = "NAMESPACE", env = "K8S_INGRESS_NS")]
    pub ingress_namespace: Option<String>,
    /// When injected proxies are init containers that stay: auto (where all nodes know them for good), true, false.
    #[arg(long, default_value = "auto", value_name = "WHEN", env = "ENABLE_NATIVE_SIDECARS", value_parser = NativeSidecars::parse)]
    pub native_sidecars: NativeSidecars,
    /// How long a watch of the API server lasts, in seconds; one that is silent for longer is begun anew.
    #[arg(long, default_value_t = 60, value_name = "SECONDS", env = "MELTEMI_WATCH_SECONDS", value_parser = clap::value_parser!(u32).range(1..=290))]
    pub watch_seconds: u32,
    /// Who this replica is among others.
    #[arg(long, value_name = "NAME", env = "POD_NAME")]
    pub pod_name: Option<String>,
    /// The revision of this control plane: objects labelled `istio.io/rev` with another are not used, and settings are read from
    /// ConfigMap `istio`, or `istio-<revision>` where this is not `default`.
    #[arg(long, default_value = "default", value_name = "REVISION", env = "REVISION")]
    pub revision: String,
    /// Say in the status of objects what is wrong with them (`validationMessages`), on a cluster. Off as in Istio: each finding is a write.
    #[arg(long, value_name = "BOOL", env = "PILOT_ENABLE_ANALYSIS", default_value = "false", value_parser = BoolishValueParser::new(), action = ArgAction::Set)]
    pub enable_analysis: bool,
    /// How long it takes at least from one analysis to the next.
    #[arg(long, default_value = "10s", value_name = "DURATION", env = "PILOT_ANALYSIS_INTERVAL", value_parser = api::scalars::Duration::parse_seconds)]
    pub analysis_interval: i64,
    /// Give the hosts of ServiceEntries that have no addresses some of 240.240.0.0/16 and 2001:2::/48, on a cluster: agents that resolve
    /// names answer with them, and proxies tell connections by them.
    #[arg(long, value_name = "BOOL", env = "PILOT_ENABLE_IP_AUTOALLOCATE", default_value = "true", value_parser = BoolishValueParser::new(), action = ArgAction::Set)]
    pub allocate_addresses: bool,
    /// Send route tables whole to every proxy, instead of host by host to those that can take them so.
    #[arg(long)]
    pub whole_route_tables: bool,
    /// Send changes in no particular order. Requests will fail during changes: this is for measuring what the order is good for.
    #[arg(long, hide = true)]
    pub unordered: bool,
    /// Edits wait so long for further ones, in milliseconds.
    #[arg(long, default_value_t = 0, value_name = "MILLISECONDS", env = "MELTEMI_DEBOUNCE_MS")]
    pub debounce_ms: u64,
    /// How long streams may take to end at shutdown, in seconds.
    #[arg(long, default_value_t = 10, value_name = "SECONDS")]
    pub shutdown_seconds: u64,
}

/// An issuer whose JWTs are trusted, in the words of Istio's `JWT_RULE`.
#[derive(Deserialize, Clone, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JwtRule {
    /// Who issues.
    pub issuer: String,
    /// For whom tokens must be; any of these.
    #[serde(default)]
    pub audiences: Vec<String>,
    /// The issuer's keys.
    #[serde(default)]
    pub jwks: String,
    /// Where they are: `https://…`, `file:///…`. Without either, where the issuer's discovery document says.
    #[serde(default, alias = "jwks_uri")]
    pub jwks_uri: String,
}

/// A service account that may ask for others: namespace and name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeAccount(pub Name, pub Name);

impl std::str::FromStr for NodeAccount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim().split_once('/') {
            Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && !name.contains('/') => {
                Ok(Self(namespace.into(), name.into()))
            }
            _ => Err(format!("{text:?} is not NAMESPACE/NAME of a service account")),
        }
    }
}

/// Whose tokens of service accounts count.
#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum JwtPolicy {
    /// Those made for a mesh.
    ThirdPartyJwt,
    /// Those made for the API server.
    FirstPartyJwt,
}

impl Settings {
    /// Where the API server is, if there is one.
    #[must_use]
    pub fn place(&self) -> Option<Place> {
        match (&self.kubeconfig, &self.kubernetes_service_host) {
            (Some(file), _) => Some(Place::File(file.clone())),
            (None, Some(_)) => Some(Place::Here),
            (None, None) => None,
        }
    }

    /// Who this replica is among others.
    #[must_use]
    pub fn replica(&self) -> String {
        self.pod_name.clone().unwrap_or_else(|| format!("meltemid-{}", std::process::id()))
    }

    /// What the model is told.
    #[must_use]
    pub fn base(&self) -> Base {
        Base {
            root_namespace: Name::from(&self.root_namespace),
            cluster: Name::from(&self.cluster_id),
            domain: Name::from(&self.domain),
            config_map: match self.revision.as_str() {
                "default" => Name::from("istio"),
                other => Name::from(format!("istio-{other}")),
            },
            ingress_namespace: Name::from(self.ingress_namespace.as_ref().unwrap_or(&self.root_namespace)),
            revision: Name::from(&self.revision),
        }
    }

    /// The DNS names that this control plane answers to (`istio: pilot/pkg/bootstrap/server.go`).
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let mut services: Vec<String> = ["istiod", "istiod-remote", "istio-pilot"].map(str::to_owned).into();
        if self.revision != "default" {
            services.push(format!("istiod-{}", self.revision));
        }
        let own = services.iter().map(|service| format!("{service}.{}.svc", self.root_namespace));
        own.chain(self.custom_host.iter().filter(|name| !name.is_empty()).cloned()).collect()
    }

    /// How long workloads' certificates last.
    #[must_use]
    pub fn lifetimes(&self) -> Lifetimes {
        Lifetimes { usual: self.workload_cert_ttl, most: self.max_workload_cert_ttl }
    }

    /// The folder that remembers which authority is in use, where there is one.
    #[must_use]
    pub fn ca_memory(&self) -> Option<PathBuf> {
        let folder = self.ca_dir.as_ref()?;
        Some(self.ca_state.clone().unwrap_or_else(|| folder.join("in-use")))
    }

    /// How often analysis says at most what it finds, if it does.
    #[must_use]
    pub fn analysis(&self) -> Option<Duration> {
        let interval = Duration::from_secs(self.analysis_interval.unsigned_abs().max(1));
        self.enable_analysis.then_some(interval)
    }

    /// How long streams may take to end at shutdown.
    #[must_use]
    pub fn grace(&self) -> Duration {
        Duration::from_secs(self.shutdown_seconds)
    }
}
