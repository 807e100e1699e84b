//! The table of mesh settings: MeshConfig, the ProxyConfig of its `defaultConfig` and the messages in them, with all fields
//! (`istio: mesh/v1alpha1/config.proto, proxy.proto`; rules: `istio: pkg/config/validation/agent/validation.go`).

use super::LabelSelector;
use super::schema::Shape::{
    Address, Export, Expressions, Filled, Flag, Labels, Lasting, Many, Named, Object, One, Percent, Shared, Text,
    Texts, Whole, Word, Words,
};
use super::schema::{Message, Shape, shared};
use crate::networking::{
    ClientTlsSettings, ConnectionPoolSettings, HttpRetry, LocalityLbSetting, OutlierDetection, ReadinessProbe,
    TcpKeepalive, ZoneAwareLbSetting,
};

const PORT: Shape = Whole(1, 65535);
const COUNT: Shape = Whole(0, 4_294_967_295);
const SIZE: Shape = Whole(0, 2_147_483_647);
const SOME: Shape = Whole(1, 2_147_483_647);
const WINDOW: Shape = Whole(65535, 2_147_483_647);
const LONG: Shape = Whole(-9_007_199_254_740_992, 9_007_199_254_740_992);
const MILLIS: Shape = Lasting(1, 1);
const ANY_TIME: Shape = Lasting(0, 1);
const SECONDS: Shape = Lasting(1000, 1000);
const TLS: Shape = Shared(shared::<ClientTlsSettings>);
const KEEPALIVE: Shape = Shared(shared::<TcpKeepalive>);
const SELECTOR: Shape = Shared(shared::<LabelSelector>);
const POOL: Shape = Shared(shared::<ConnectionPoolSettings>);
const OUTLIERS: Shape = Shared(shared::<OutlierDetection>);
const RETRY: Shape = Shared(shared::<HttpRetry>);

const VISIBLE: Shape = Word(&["VISIBILITY_UNSPECIFIED", "NONE", "NAMESPACE", "PUBLIC"]);
const CONTEXTS: Shape = Words(&["UNSPECIFIED", "W3C_TRACE_CONTEXT", "GRPC_BIN", "CLOUD_TRACE_CONTEXT", "B3"]);
const CLIENT_CERTIFICATE: Shape =
    Word(&["UNDEFINED", "SANITIZE", "FORWARD_ONLY", "APPEND_FORWARD", "SANITIZE_SET", "ALWAYS_FORWARD_ONLY"]);

const fn message(name: &'static str, fields: &'static [(&'static str, Shape)]) -> Message {
    Message { name, fields, needed: &[], one_of: &[] }
}

const fn needing(
    name: &'static str,
    needed: &'static [&'static str],
    fields: &'static [(&'static str, Shape)],
) -> Message {
    Message { name, fields, needed, one_of: &[] }
}

const fn one_of(
    name: &'static str,
    one_of: &'static [&'static str],
    fields: &'static [(&'static str, Shape)],
) -> Message {
    Message { name, fields, needed: &[], one_of }
}

/// All messages.
pub(super) const MESSAGES: &[Message] = &[
    message(
        "MeshConfig",
        &[
            ("proxyListenPort", PORT),
            ("proxyInboundListenPort", PORT),
            ("proxyHttpPort", Whole(0, 65535)),
            ("connectTimeout", MILLIS),
            ("hboneIdleTimeout", MILLIS),
            ("protocolDetectionTimeout", ANY_TIME),
            ("tcpKeepalive", KEEPALIVE),
            ("ingressClass", Text),
            ("ingressService", Text),
            ("ingressControllerMode", Word(&["UNSPECIFIED", "OFF", "DEFAULT", "STRICT"])),
            ("ingressSelector", Text),
            ("enableTracing", Flag),
            ("accessLogFile", Text),
            ("accessLogFormat", Text),
            ("accessLogEncoding", Word(&["TEXT", "JSON"])),
            ("enableEnvoyAccessLogService", Flag),
            ("disableEnvoyListenerLog", Flag),
            ("defaultConfig", One("ProxyConfig")),
            ("outboundTrafficPolicy", One("OutboundTrafficPolicy")),
            ("inboundTrafficPolicy", One("InboundTrafficPolicy")),
            ("configSources", Many("ConfigSource")),
            ("enableAutoMtls", Flag),
            ("trustDomain", Filled),
            ("trustDomainAliases", Texts),
            ("caCertificates", Many("CertificateData")),
            ("defaultServiceExportTo", Export),
            ("defaultVirtualServiceExportTo", Export),
            ("defaultDestinationRuleExportTo", Export),
            ("rootNamespace", Text),
            ("localityLbSetting", Shared(shared::<LocalityLbSetting>)),
            ("zoneAwareLbSetting", Shared(shared::<ZoneAwareLbSetting>)),
            ("dnsRefreshRate", MILLIS),
            ("h2UpgradePolicy", Word(&["DO_NOT_UPGRADE", "UPGRADE"])),
            ("inboundClusterStatName", Text),
            ("outboundClusterStatName", Text),
            ("certificates", Many("Certificate")),
            ("serviceSettings", Many("ServiceSettings")),
            ("serviceScopeConfigs", Many("ServiceScopeConfigs")),
            ("enablePrometheusMerge", Flag),
            ("verifyCertificateAtClient", Flag),
            ("ca", One("CA")),
            ("extensionProviders", Many("ExtensionProvider")),
            ("defaultProviders", One("DefaultProviders")),
            ("discoverySelectors", Many("LabelSelector")),
            ("pathNormalization", One("PathNormalization")),
            ("defaultHttpRetryPolicy", RETRY),
            ("defaultInboundHttpRetryPolicy", RETRY),
            ("meshMTLS", One("TlsConfig")),
            ("tlsDefaults", One("TlsConfig")),
            ("defaultTrafficPolicy", One("DefaultTrafficPolicy")),
            ("serviceEntryVisibility", One("ServiceEntryVisibility")),
        ],
    ),
    message(
        "OutboundTrafficPolicy",
        &[("mode", Word(&["REGISTRY_ONLY", "ALLOW_ANY", "ALLOW_ANY_DYNAMIC_DNS"])), ("tls", TLS)],
    ),
    message("InboundTrafficPolicy", &[("mode", Word(&["PASSTHROUGH", "LOCALHOST"]))]),
    needing(
        "ConfigSource",
        &["address"],
        &[("address", Filled), ("tlsSettings", TLS), ("subscribedResources", Words(&["SERVICE_REGISTRY"]))],
    ),
    one_of(
        "CertificateData",
        &["pem", "spiffeBundleUrl"],
        &[("pem", Filled), ("spiffeBundleUrl", Filled), ("certSigners", Texts), ("trustDomains", Texts)],
    ),
    message("Certificate", &[("secretName", Text), ("dnsNames", Texts)]),
    message("ServiceSettings", &[("settings", One("ServiceSetting")), ("hosts", Texts)]),
    message("ServiceSetting", &[("clusterLocal", Flag)]),
    message(
        "ServiceScopeConfigs",
        &[("namespaceSelector", SELECTOR), ("servicesSelector", SELECTOR), ("scope", Word(&["LOCAL", "GLOBAL"]))],
    ),
    message("LabelSelector", &[("matchLabels", Labels), ("matchExpressions", Many("LabelSelectorRequirement"))]),
    needing(
        "LabelSelectorRequirement",
        &["key", "operator"],
        &[("key", Filled), ("operator", Word(&["In", "NotIn", "Exists", "DoesNotExist"])), ("values", Texts)],
    ),
    needing(
        "CA",
        &["address"],
        &[("address", Address), ("tlsSettings", TLS), ("requestTimeout", MILLIS), ("istiodSide", Flag)],
    ),
    message("DefaultProviders", &[("tracing", Texts), ("metrics", Texts), ("accessLogging", Texts)]),
    message(
        "PathNormalization",
        &[("normalization", Word(&["DEFAULT", "NONE", "BASE", "MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES"]))],
    ),
    message(
        "TlsConfig",
        &[
            ("minProtocolVersion", Word(&["TLS_AUTO", "TLSV1_2", "TLSV1_3"])),
            (
                "ecdhCurves",
                Words(&["P-224", "P-256", "P-384", "P-521", "X25519", "X25519Kyber768Draft00", "X25519MLKEM768"]),
            ),
            ("cipherSuites", Texts),
        ],
    ),
    message("DefaultTrafficPolicy", &[("connectionPool", POOL), ("outlierDetection", OUTLIERS)]),
    message(
        "ServiceEntryVisibility",
        &[("defaultVisibility", VISIBLE), ("applyToSidecars", Flag), ("policies", Many("VisibilityPolicy"))],
    ),
    message("VisibilityPolicy", &[("visibility", VISIBLE), ("matchingRules", Many("VisibilityRule"))]),
    message("VisibilityRule", &[("namespaceSelector", SELECTOR)]),
    Message {
        name: "ExtensionProvider",
        fields: &[
            ("name", Filled),
            ("envoyExtAuthzHttp", One("ExtAuthzHttp")),
            ("envoyExtAuthzGrpc", One("ExtAuthzGrpc")),
            ("zipkin", One("ZipkinProvider")),
            ("lightstep", One("LightstepProvider")),
            ("datadog", One("DatadogProvider")),
            ("stackdriver", One("StackdriverProvider")),
            ("opencensus", One("OpenCensusProvider")),
            ("skywalking", One("SkyWalkingProvider")),
            ("opentelemetry", One("OpenTelemetryProvider")),
            ("prometheus", One("PrometheusProvider")),
            ("envoyFileAccessLog", One("FileLogProvider")),
            ("envoyHttpAls", One("HttpLogProvider")),
            ("envoyTcpAls", One("TcpLogProvider")),
            ("envoyOtelAls", One("OpenTelemetryLogProvider")),
            ("sds", One("SdsProvider")),
        ],
        needed: &["name"],
        one_of: &[
            "envoyExtAuthzHttp",
            "envoyExtAuthzGrpc",
            "zipkin",
            "lightstep",
            "datadog",
            "stackdriver",
            "opencensus",
            "skywalking",
            "opentelemetry",
            "prometheus",
            "envoyFileAccessLog",
            "envoyHttpAls",
            "envoyTcpAls",
            "envoyOtelAls",
            "sds",
        ],
    },
    needing(
        "ExtAuthzHttp",
        &["service", "port"],
        &[
            ("service", Filled),
            ("port", PORT),
            ("timeout", MILLIS),
            ("pathPrefix", Text),
            ("failOpen", Flag),
            ("clearRouteCache", Flag),
            ("statusOnError", Text),
            ("includeHeadersInCheck", Texts),
            ("includeRequestHeadersInCheck", Texts),
            ("includeAdditionalHeadersInCheck", Labels),
            ("includeRequestBodyInCheck", One("RequestBody")),
            ("headersToUpstreamOnAllow", Texts),
            ("headersToDownstreamOnDeny", Texts),
            ("headersToDownstreamOnAllow", Texts),
        ],
    ),
    needing(
        "ExtAuthzGrpc",
        &["service", "port"],
        &[
            ("service", Filled),
            ("port", PORT),
            ("timeout", MILLIS),
            ("failOpen", Flag),
            ("clearRouteCache", Flag),
            ("statusOnError", Text),
            ("includeRequestBodyInCheck", One("RequestBody")),
        ],
    ),
    message("RequestBody", &[("maxRequestBytes", COUNT), ("allowPartialMessage", Flag), ("packAsBytes", Flag)]),
    needing(
        "ZipkinProvider",
        &["service", "port"],
        &[
            ("service", Filled),
            ("port", PORT),
            ("maxTagLength", COUNT),
            ("enable64bitTraceId", Flag),
            ("path", Text),
            ("traceContextOption", Word(&["USE_B3", "USE_B3_WITH_W3C_PROPAGATION"])),
            ("timeout", MILLIS),
            ("headers", Many("HttpHeader")),
        ],
    ),
    needing(
        "LightstepProvider",
        &["service", "port"],
        &[("service", Filled), ("port", PORT), ("accessToken", Text), ("maxTagLength", COUNT)],
    ),
    needing("DatadogProvider", &["service", "port"], &[("service", Filled), ("port", PORT), ("maxTagLength", COUNT)]),
    needing("SkyWalkingProvider", &["service", "port"], &[("service", Filled), ("port", PORT), ("accessToken", Text)]),
    message(
        "StackdriverProvider",
        &[
            ("debug", Flag),
            ("maxNumberOfAttributes", LONG),
            ("maxNumberOfAnnotations", LONG),
            ("maxNumberOfMessageEvents", LONG),
            ("maxTagLength", COUNT),
            ("logging", One("StackdriverLogging")),
        ],
    ),
    message("StackdriverLogging", &[("labels", Labels)]),
    needing(
        "OpenCensusProvider",
        &["service", "port"],
        &[("service", Filled), ("port", PORT), ("context", CONTEXTS), ("maxTagLength", COUNT)],
    ),
    message("PrometheusProvider", &[]),
    message("FileLogProvider", &[("path", Text), ("logFormat", One("FileLogFormat")), ("omitEmptyValues", Flag)]),
    one_of("FileLogFormat", &["text", "labels"], &[("text", Text), ("labels", Object)]),
    needing(
        "HttpLogProvider",
        &["service", "port"],
        &[
            ("service", Filled),
            ("port", PORT),
            ("logName", Text),
            ("filterStateObjectsToLog", Texts),
            ("additionalRequestHeadersToLog", Texts),
            ("additionalResponseHeadersToLog", Texts),
            ("additionalResponseTrailersToLog", Texts),
        ],
    ),
    needing(
        "TcpLogProvider",
        &["service", "port"],
        &[("service", Filled), ("port", PORT), ("logName", Text), ("filterStateObjectsToLog", Texts)],
    ),
    needing(
        "OpenTelemetryLogProvider",
        &["service", "port"],
        &[("service", Filled), ("port", PORT), ("logName", Text), ("logFormat", One("OpenTelemetryLogFormat"))],
    ),
    message("OpenTelemetryLogFormat", &[("text", Text), ("labels", Object)]),
    Message {
        name: "OpenTelemetryProvider",
        fields: &[
            ("service", Filled),
            ("port", PORT),
            ("maxTagLength", COUNT),
            ("http", One("HttpService")),
            ("grpc", One("GrpcService")),
            ("resourceDetectors", One("ResourceDetectors")),
            ("serviceAttributeEnrichment", Word(&["ISTIO_CANONICAL", "OTEL_SEMANTIC_CONVENTIONS"])),
            ("dynatraceSampler", One("DynatraceSampler")),
        ],
        needed: &["service", "port"],
        one_of: &["http", "grpc"],
    },
    message("ResourceDetectors", &[("environment", Object), ("dynatrace", Object)]),
    message(
        "DynatraceSampler",
        &[
            ("tenant", Text),
            ("clusterId", Whole(-2_147_483_648, 2_147_483_647)),
            ("rootSpansPerMinute", COUNT),
            ("httpService", One("DynatraceApi")),
        ],
    ),
    message("DynatraceApi", &[("service", Filled), ("port", PORT), ("http", One("HttpService"))]),
    message("HttpService", &[("path", Text), ("timeout", MILLIS), ("headers", Many("HttpHeader"))]),
    message("GrpcService", &[("timeout", MILLIS), ("initialMetadata", Many("HttpHeader"))]),
    Message {
        name: "HttpHeader",
        fields: &[("name", Filled), ("value", Text), ("envName", Text)],
        needed: &["name"],
        one_of: &["value", "envName"],
    },
    message("SdsProvider", &[("name", Text), ("service", Filled), ("port", PORT)]),
    one_of(
        "ProxyConfig",
        &["serviceCluster", "tracingServiceName"],
        &[
            ("configPath", Filled),
            ("binaryPath", Filled),
            ("serviceCluster", Filled),
            (
                "tracingServiceName",
                Word(&["APP_LABEL_AND_NAMESPACE", "CANONICAL_NAME_ONLY", "CANONICAL_NAME_AND_NAMESPACE"]),
            ),
            ("drainDuration", SECONDS),
            ("discoveryAddress", Address),
            ("discoveryRefreshDelay", ANY_TIME),
            ("zipkinAddress", Text),
            ("statsdUdpAddress", Address),
            ("envoyMetricsServiceAddress", Text),
            ("proxyAdminPort", PORT),
            ("availabilityZone", Text),
            ("controlPlaneAuthPolicy", Word(&["NONE", "MUTUAL_TLS", "INHERIT"])),
            ("customConfigFile", Text),
            ("statNameLength", SIZE),
            ("concurrency", SIZE),
            ("proxyBootstrapTemplatePath", Text),
            ("interceptionMode", Word(&["REDIRECT", "TPROXY", "NONE"])),
            ("tracing", One("Tracing")),
            ("sds", One("Sds")),
            ("envoyAccessLogService", One("RemoteService")),
            ("envoyMetricsService", One("RemoteService")),
            ("proxyMetadata", Labels),
            ("runtimeValues", Labels),
            ("statusPort", PORT),
            ("extraStatTags", Texts),
            ("gatewayTopology", One("Topology")),
            ("terminationDrainDuration", Lasting(0, 1000)),
            ("meshId", Text),
            ("readinessProbe", Shared(shared::<ReadinessProbe>)),
            ("proxyStatsMatcher", One("ProxyStatsMatcher")),
            ("holdApplicationUntilProxyStarts", Flag),
            ("caCertificatesPem", Texts),
            ("image", One("ProxyImage")),
            ("privateKeyProvider", One("PrivateKeyProvider")),
            ("proxyHeaders", One("ProxyHeaders")),
            ("fileFlushInterval", MILLIS),
            ("fileFlushMinSizeKb", COUNT),
            ("statsCompression", Flag),
            ("connectionSettings", One("ConnectionSettings")),
        ],
    ),
    one_of(
        "Tracing",
        &["zipkin", "lightstep", "datadog", "stackdriver", "openCensusAgent"],
        &[
            ("zipkin", One("AddressOf")),
            ("lightstep", One("Lightstep")),
            ("datadog", One("AddressOf")),
            ("stackdriver", One("Stackdriver")),
            ("openCensusAgent", One("OpenCensusAgent")),
            ("customTags", Named("CustomTag")),
            ("maxPathTagLength", COUNT),
            ("sampling", Percent),
            ("tlsSettings", TLS),
            ("enableIstioTags", Flag),
        ],
    ),
    message("AddressOf", &[("address", Address)]),
    needing("Lightstep", &["accessToken"], &[("address", Address), ("accessToken", Filled)]),
    message(
        "Stackdriver",
        &[
            ("debug", Flag),
            ("maxNumberOfAttributes", LONG),
            ("maxNumberOfAnnotations", LONG),
            ("maxNumberOfMessageEvents", LONG),
        ],
    ),
    message("OpenCensusAgent", &[("address", Text), ("context", CONTEXTS)]),
    one_of(
        "CustomTag",
        &["literal", "environment", "header"],
        &[("literal", One("Literal")), ("environment", One("NameOrDefault")), ("header", One("NameOrDefault"))],
    ),
    message("Literal", &[("value", Text)]),
    message("NameOrDefault", &[("name", Text), ("defaultValue", Text)]),
    message("Sds", &[("enabled", Flag), ("k8sSaJwtPath", Text)]),
    message("RemoteService", &[("address", Address), ("tlsSettings", TLS), ("tcpKeepalive", KEEPALIVE)]),
    message(
        "Topology",
        &[("numTrustedProxies", COUNT), ("forwardClientCertDetails", CLIENT_CERTIFICATE), ("proxyProtocol", Object)],
    ),
    message(
        "ProxyStatsMatcher",
        &[("inclusionPrefixes", Texts), ("inclusionSuffixes", Texts), ("inclusionRegexps", Expressions)],
    ),
    message("ProxyImage", &[("imageType", Text)]),
    one_of("PrivateKeyProvider", &["cryptomb", "qat"], &[("cryptomb", One("KeyPolling")), ("qat", One("KeyPolling"))]),
    needing("KeyPolling", &["pollDelay"], &[("pollDelay", MILLIS), ("fallback", Flag)]),
    message(
        "ProxyHeaders",
        &[
            ("forwardedClientCert", CLIENT_CERTIFICATE),
            ("setCurrentClientCertDetails", One("ClientCertDetails")),
            ("requestId", One("Disabled")),
            ("server", One("ServerHeader")),
            ("attemptCount", One("Disabled")),
            ("envoyDebugHeaders", One("Disabled")),
            ("metadataExchangeHeaders", One("MetadataExchange")),
            ("preserveHttp1HeaderCase", Flag),
            ("xForwardedHost", One("Enabled")),
            ("xForwardedPort", One("Enabled")),
        ],
    ),
    message("ClientCertDetails", &[("subject", Flag), ("cert", Flag), ("chain", Flag), ("dns", Flag), ("uri", Flag)]),
    message("Disabled", &[("disabled", Flag)]),
    message("Enabled", &[("enabled", Flag)]),
    message("ServerHeader", &[("disabled", Flag), ("value", Text)]),
    message("MetadataExchange", &[("mode", Word(&["UNDEFINED", "IN_MESH"]))]),
    message(
        "ConnectionSettings",
        &[
            ("profile", Word(&["SIDECAR", "EDGE"])),
            ("listenerPerConnectionBufferLimitBytes", SIZE),
            ("clusterPerConnectionBufferLimitBytes", SIZE),
            ("httpIdleTimeout", ANY_TIME),
            ("httpMaxConnectionDuration", ANY_TIME),
            ("httpDrainTimeout", ANY_TIME),
            ("httpRequestTimeout", ANY_TIME),
            ("httpRequestHeadersTimeout", ANY_TIME),
            ("httpStreamIdleTimeout", ANY_TIME),
            ("httpMaxStreamDuration", ANY_TIME),
            ("httpMaxConcurrentStreams", SOME),
            ("http2InitialStreamWindowSize", WINDOW),
            ("http2InitialConnectionWindowSize", WINDOW),
            (
                "httpHeadersWithUnderscoresAction",
                Word(&[
                    "HEADERS_WITH_UNDERSCORES_UNSPECIFIED",
                    "HEADERS_WITH_UNDERSCORES_ALLOW",
                    "HEADERS_WITH_UNDERSCORES_REJECT_REQUEST",
                    "HEADERS_WITH_UNDERSCORES_DROP_HEADER",
                ]),
            ),
            ("httpMergeSlashes", Flag),
            (
                "httpPathWithEscapedSlashesAction",
                Word(&[
                    "PATH_WITH_ESCAPED_SLASHES_UNSPECIFIED",
                    "KEEP_UNCHANGED",
                    "REJECT_REQUEST",
                    "UNESCAPE_AND_REDIRECT",
                    "UNESCAPE_AND_FORWARD",
                ]),
            ),
            ("listenerConnectionLimit", SOME),
            ("globalDownstreamConnectionLimit", SOME),
        ],
    ),
];
