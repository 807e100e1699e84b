//! Which filter chains a port has: by what is taken from peers and by what the port speaks
//! (`istio: pilot/pkg/networking/core/filterchain_options.go`).

use model::peers::PeerMode;
use proto::envoy::config::listener::v3::FilterChainMatch;

use crate::mutual;

/// HTTP in plain text, as the HTTP inspector reports it.
const PLAIN_HTTP: &[&str] = &["http/1.1", "h2c"];

/// What a port speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Speaks {
    /// HTTP of any version.
    Http,
    /// Not HTTP.
    Opaque,
    /// To be found out.
    Auto,
}

/// One filter chain of a port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Row {
    transport: &'static str,
    alpn: &'static [&'static str],
    /// HTTP is opened.
    pub(super) http: bool,
    /// Mutual TLS is terminated.
    pub(super) terminates: bool,
}

const fn mutual_tls(alpn: &'static [&'static str], http: bool) -> Row {
    Row { transport: "tls", alpn, http, terminates: true }
}

const fn plain(alpn: &'static [&'static str], http: bool) -> Row {
    Row { transport: "raw_buffer", alpn, http, terminates: false }
}

/// TLS of the application's own, that goes through unopened.
const FOREIGN_TLS: Row = Row { transport: "tls", alpn: &[], http: false, terminates: false };

/// The chains, in order.
pub(super) fn rows(mode: PeerMode, speaks: Speaks) -> &'static [Row] {
    const PERMISSIVE_AUTO: &[Row] = &[
        mutual_tls(mutual::ALPN_HTTP, true),
        plain(PLAIN_HTTP, true),
        mutual_tls(mutual::ALPN_OPAQUE, false),
        plain(&[], false),
        FOREIGN_TLS,
    ];
    const PERMISSIVE_HTTP: &[Row] = &[mutual_tls(mutual::ALPN_ANY, true), plain(&[], true)];
    const PERMISSIVE_OPAQUE: &[Row] = &[mutual_tls(mutual::ALPN_ANY, false), FOREIGN_TLS, plain(&[], false)];
    const STRICT_AUTO: &[Row] = &[mutual_tls(mutual::ALPN_HTTP, true), mutual_tls(&[], false)];
    match (mode, speaks) {
        (PeerMode::Permissive, Speaks::Auto) => PERMISSIVE_AUTO,
        (PeerMode::Permissive, Speaks::Http) => PERMISSIVE_HTTP,
        (PeerMode::Permissive, Speaks::Opaque) => PERMISSIVE_OPAQUE,
        (PeerMode::Strict, Speaks::Auto) => STRICT_AUTO,
        (PeerMode::Strict, Speaks::Http) => &const { [mutual_tls(&[], true)] },
        (PeerMode::Strict, Speaks::Opaque) => &const { [mutual_tls(&[], false)] },
        (PeerMode::Disable, Speaks::Auto) => &const { [plain(PLAIN_HTTP, true), plain(&[], false)] },
        (PeerMode::Disable, Speaks::Http) => &const { [plain(&[], true)] },
        (PeerMode::Disable, Speaks::Opaque) => &const { [plain(&[], false)] },
    }
}

impl Row {
    /// Its conditions, on one port or on all.
    pub(super) fn conditions(self, port: Option<u16>) -> FilterChainMatch {
        FilterChainMatch {
            destination_port: port.map(u32::from),
            transport_protocol: self.transport.to_owned(),
            application_protocols: self.alpn.iter().map(ToString::to_string).collect(),
            ..FilterChainMatch::default()
        }
    }

    /// What the server agrees to inside the mesh's TLS. Never `istio` itself: nothing could be told by it.
    pub(super) fn agrees(self) -> &'static [&'static str] {
        if self.http { &["h2", "http/1.1"] } else { &["istio-peer-exchange", "h2", "http/1.1"] }
    }
}

#[cfg(test)]
mod tests;
