//! The grammar of Istio's cluster names, which istioctl, Kiali and telemetry key on
//! (`istio: pilot/pkg/model/service.go BuildSubsetKey`).

use std::fmt;

use crate::{Hostname, Name};

/// Which way a cluster's traffic goes, seen from the proxy.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Direction {
    /// To a service of the mesh or outside it.
    Outbound,
    /// To a service, for gateways that pass mutual TLS on by its server name: the name is that server name.
    Passed,
    /// To the proxy's own workload.
    Inbound,
}

/// `outbound|<port>|<subset or empty>|<host>`, `outbound_.<port>_.<subset or empty>_.<host>` or `inbound|<target port>||`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ClusterName {
    /// First part.
    pub direction: Direction,
    /// The service port (outbound) or the target port (inbound).
    pub port: u16,
    /// The subset, if the cluster is of one.
    pub subset: Option<Name>,
    /// The host; empty for inbound.
    pub host: Name,
}

impl ClusterName {
    /// The cluster of a service port, or of one subset of it.
    #[must_use]
    pub fn outbound(port: u16, subset: Option<&Name>, host: &Hostname) -> Self {
        Self { direction: Direction::Outbound, port, subset: subset.cloned(), host: host.name().clone() }
    }

    /// The same of a gateway that passes mutual TLS on.
    #[must_use]
    pub fn passed(port: u16, subset: Option<&Name>, host: &Hostname) -> Self {
        Self { direction: Direction::Passed, ..Self::outbound(port, subset, host) }
    }

    /// The cluster of the proxy's own application port.
    #[must_use]
    pub fn inbound(port: u16) -> Self {
        Self { direction: Direction::Inbound, port, subset: None, host: Name::default() }
    }

    /// The SNI of Istio mTLS to this cluster: `outbound_.<port>_.<subset>_.<host>`.
    #[must_use]
    pub fn sni(&self) -> String {
        format!("outbound_.{}_.{}_.{}", self.port, self.subset.as_deref().unwrap_or_default(), self.host)
    }

    /// As `Display` writes it. Views have thousands of them, so those of services go without its machinery.
    #[must_use]
    pub fn name(&self) -> Name {
        if self.direction != Direction::Outbound {
            return Name::from(self.to_string());
        }
        let (port, subset) = (self.port.to_string(), self.subset.as_deref().unwrap_or_default());
        Name::from(["outbound|", &port, "|", subset, "|", self.host.as_str()].concat())
    }

    /// Reads the form that `Display` writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let passed = text.starts_with("outbound_.");
        let mut parts = text.splitn(4, if passed { "_." } else { "|" });
        let direction = match parts.next()? {
            "outbound" if passed => Direction::Passed,
            "outbound" => Direction::Outbound,
            "inbound" => Direction::Inbound,
            _ => return None,
        };
        let port = parts.next()?.parse().ok()?;
        let subset = Some(parts.next()?).filter(|subset| !subset.is_empty()).map(Name::from);
        Some(Self { direction, port, subset, host: Name::from(parts.next()?) })
    }
}

impl fmt::Display for ClusterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let direction = match self.direction {
            Direction::Passed => return f.write_str(&self.sni()),
            Direction::Outbound => "outbound",
            Direction::Inbound => "inbound",
        };
        write!(f, "{direction}|{}|{}|{}", self.port, self.subset.as_deref().unwrap_or_default(), self.host)
    }
}

#[cfg(test)]
mod tests;
