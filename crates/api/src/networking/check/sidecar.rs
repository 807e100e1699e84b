//! Rules of Sidecars (`istio: pkg/config/validation/validation.go ValidateSidecar`).

use crate::networking::Sidecar;
use crate::{Issues, ObjectMeta, rules};

pub(in crate::networking) fn check(spec: &Sidecar, _: &ObjectMeta, issues: &mut Issues) {
    let says_nothing = spec.ingress.is_empty()
        && spec.egress.is_empty()
        && spec.outbound_traffic_policy.is_none()
        && spec.inbound_connection_pool.is_none();
    if says_nothing {
        issues.error("spec", "one of ingress, egress, outboundTrafficPolicy and inboundConnectionPool is needed");
    }
    for (at, listener) in spec.ingress.iter().enumerate() {
        let path = format!("spec.ingress[{at}]");
        match &listener.port {
            Some(port) => rules::port(&format!("{path}.port.number"), port.number.into(), issues),
            None => issues.error(format!("{path}.port"), "a port is needed"),
        }
    }
    for (at, listener) in spec.egress.iter().enumerate() {
        let path = format!("spec.egress[{at}]");
        if listener.hosts.is_empty() {
            issues.error(format!("{path}.hosts"), "at least one host is needed");
        }
        for (number, host) in listener.hosts.iter().enumerate() {
            let path = format!("{path}.hosts[{number}]");
            match host.split_once('/') {
                Some((_, dns)) => rules::host(&path, dns, issues),
                None => issues.error(path, format!("write {host:?} as namespace/host, such as ./* or */{host}")),
            }
        }
        let last = at + 1 == spec.egress.len();
        if listener.port.is_none() && !last {
            issues.error(path, "the listener without port comes last, and there is only one");
        }
    }
}
