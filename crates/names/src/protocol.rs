//! Application protocols of ports, as Istio derives them from `appProtocol` and port names.

/// What a port speaks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Protocol {
    /// HTTP/1.1 in plain text.
    Http,
    /// HTTP/2 in plain text.
    Http2,
    /// gRPC in plain text.
    Grpc,
    /// gRPC-Web in plain text.
    GrpcWeb,
    /// HTTP proxy (CONNECT).
    HttpProxy,
    /// HTTP inside TLS that the proxy does not open.
    Https,
    /// TLS that the proxy does not open.
    Tls,
    /// Opaque bytes.
    Tcp,
    /// Opaque bytes, the server may speak first.
    Mongo,
    /// Opaque bytes.
    Redis,
    /// Opaque bytes, the server speaks first.
    MySql,
    /// No listener is made for it.
    Udp,
    /// Not said: detected from the first bytes.
    Auto,
}

impl Protocol {
    /// A protocol by its name in any case (`istio: pkg/config/protocol/instance.go Parse`); `None` when unknown.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text.to_ascii_lowercase().as_str() {
            "tcp" => Self::Tcp,
            "udp" => Self::Udp,
            "grpc" => Self::Grpc,
            "grpc-web" => Self::GrpcWeb,
            "http" => Self::Http,
            "http_proxy" => Self::HttpProxy,
            "http2" => Self::Http2,
            "https" => Self::Https,
            "tls" => Self::Tls,
            "mongo" => Self::Mongo,
            "redis" => Self::Redis,
            "mysql" => Self::MySql,
            _ => return None,
        })
    }

    /// The protocol of a Kubernetes service port (`istio: pkg/config/kube/conversion.go ConvertProtocol`): UDP stays UDP, then
    /// `appProtocol`, then the port name up to its first `-`, else detection. SMTP, DNS and MySQL's well-known
    /// ports are server-first and therefore TCP when nothing is said.
    #[must_use]
    pub fn of_service_port(port: u16, name: &str, transport: &str, app_protocol: Option<&str>) -> Self {
        if transport.eq_ignore_ascii_case("udp") {
            return Self::Udp;
        }
        if let Some(app) = app_protocol.filter(|app| !app.is_empty()) {
            return match app {
                "kubernetes.io/h2c" => Self::Http2,
                "kubernetes.io/ws" => Self::Http,
                "kubernetes.io/wss" => Self::Https,
                _ => Self::from_name(app),
            };
        }
        match Self::from_name(name) {
            Self::Auto if matches!(port, 25 | 53 | 3306 | 27017) => Self::Tcp,
            found => found,
        }
    }

    /// The protocol that a port's name tells: all of it, or what stands before the first `-`.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        let lower = name.to_ascii_lowercase();
        if lower == "grpc-web" || lower.starts_with("grpc-web-") {
            return Self::GrpcWeb;
        }
        let head = lower.split('-').next().unwrap_or_default();
        Self::parse(head).unwrap_or(Self::Auto)
    }

    /// Routed by HTTP rules.
    #[must_use]
    pub fn is_http(self) -> bool {
        match self {
            Self::Http | Self::Http2 | Self::Grpc | Self::GrpcWeb | Self::HttpProxy => true,
            Self::Https | Self::Tls | Self::Tcp | Self::Mongo | Self::Redis | Self::MySql | Self::Udp | Self::Auto => {
                false
            }
        }
    }

    /// HTTP/2 towards the upstream.
    #[must_use]
    pub fn is_http2(self) -> bool {
        matches!(self, Self::Http2 | Self::Grpc | Self::GrpcWeb)
    }

    /// Routed by SNI without being opened.
    #[must_use]
    pub fn is_tls(self) -> bool {
        matches!(self, Self::Https | Self::Tls)
    }
}

#[cfg(test)]
mod tests;
