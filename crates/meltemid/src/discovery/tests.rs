//! Whatever a node says of itself, it is a proxy within limits, or is told why not.

use proptest::prelude::*;
use prost_types::value::Kind;
use prost_types::{Struct, Value};
use proto::envoy::config::core::v3 as core;

use super::*;

/// A node message with these strings in its metadata.
fn message(id: &str, texts: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| Value { kind: Some(Kind::StringValue(text.to_owned())) };
    let fields = texts.iter().map(|(key, value)| ((*key).to_owned(), text(value))).collect();
    let node = core::Node { id: id.to_owned(), metadata: Some(Struct { fields }), ..core::Node::default() };
    // Five bytes stand before a message.
    xds::grpc::framed(&node)[5..].to_vec()
}

/// What becomes of it; `None` for bytes that are no node.
fn proxy(bytes: &[u8]) -> Option<Result<Proxy, String>> {
    Some(facts(&Node::decode(bytes).ok()?, true).proxy())
}

const ID: &str = "sidecar~10.1.0.9~web-1.shop~shop.svc.cluster.local";

#[test]
fn a_node_of_very_many_addresses_is_refused() {
    let of = |count: usize| {
        let all: Vec<String> = (0..count).map(|number| format!("10.1.{}.{}", number / 250, number % 250)).collect();
        proxy(&message(ID, &[("INSTANCE_IPS", &all.join(","))])).unwrap()
    };
    assert_eq!(of(64).unwrap().addresses.len(), 64);
    assert!(of(65).unwrap_err().contains("65 addresses"));
}

proptest! {
    #[test]
    fn what_a_node_says_gives_it_no_secrets(
        kind in "(sidecar|router|waypoint|ztunnel|[a-z~]{0,9})", address in "([0-9]{1,3}(\\.[0-9]{1,3}){3}|[0-9a-f:]{0,40}|.{0,9})",
        name in ".{0,40}", domain in "[a-z.~]{0,30}", key in "(GENERATOR|INSTANCE_IPS|NAMESPACE|INTERCEPTION_MODE|.{0,12})", value in ".{0,60}",
    ) {
        let id = format!("{kind}~{address}~{name}~{domain}");
        if let Some(Ok(proxy)) = proxy(&message(&id, &[(&key, &value)])) {
            prop_assert!((1..=64).contains(&proxy.addresses.len()));
            prop_assert_eq!(proxy.secrets, SecretAccess::Denied);
            prop_assert_eq!(id.matches('~').count(), 3);
        }
    }

    #[test]
    fn no_damage_makes_it_panic(at: usize, byte: u8, cut: usize) {
        let mut bytes = message(ID, &[("INSTANCE_IPS", "10.1.0.9,fd00::9"), ("NAMESPACE", "shop"), ("GENERATOR", "grpc")]);
        let at = at % bytes.len();
        bytes[at] = byte;
        bytes.truncate(cut % (bytes.len() + 1));
        let _ = proxy(&bytes);
    }
}
