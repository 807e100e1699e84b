//! One line for each rule: what is written, and what is said of it.

use names::Name;

use crate::yaml::documents;
use crate::{Mode, Severity, decode};

fn said(spec: &str) -> Vec<String> {
    let head = "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: x, namespace: shop}\n";
    let document = documents(&format!("{head}spec: {spec}\n"), Some(&Name::from("t"))).unwrap().remove(0);
    let (_, issues) = decode(&document, Mode::Strict);
    issues.iter().filter(|issue| issue.severity == Severity::Error).map(|issue| issue.path.clone()).collect()
}

#[test]
fn peer_authentications() {
    for (spec, wanted) in [
        ("{mtls: {mode: STRICT}}", ""),
        ("{}", ""),
        ("{selector: {matchLabels: {app: a}}, portLevelMtls: {8080: {mode: DISABLE}}}", ""),
        ("{portLevelMtls: {8080: {mode: DISABLE}}}", "spec.portLevelMtls"),
        ("{selector: {matchLabels: {}}, portLevelMtls: {8080: {mode: DISABLE}}}", "spec.portLevelMtls"),
        ("{selector: {matchLabels: {app: a}}, portLevelMtls: {0: {mode: DISABLE}}}", "spec.portLevelMtls.0"),
        ("{selector: {matchLabels: {app: a}}, portLevelMtls: {70000: {mode: DISABLE}}}", "spec.portLevelMtls.70000"),
        ("{mtls: {mode: MAYBE}}", "spec.mtls.mode"),
        ("{mode: STRICT}", "spec.mode"),
    ] {
        let wanted: Vec<&str> = if wanted.is_empty() { Vec::new() } else { vec![wanted] };
        assert_eq!(said(spec), wanted, "{spec}");
    }
}
