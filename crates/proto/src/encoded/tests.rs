use prost::Message;

use super::*;
use crate::envoy::config::route::v3::VirtualHost;
use crate::envoy::service::discovery::v3::{DeltaDiscoveryResponse, DiscoveryResponse};

fn host() -> VirtualHost {
    VirtualHost { name: "a:80".into(), domains: vec!["a".into(), "b".into()], ..VirtualHost::default() }
}

#[test]
fn one_frame_reads_as_both_responses() {
    let encoded = Encoded::new("table/a:80", &host());
    let delta = DeltaDiscoveryResponse::decode(encoded.delta_frame()).unwrap();
    assert_eq!(delta.resources.len(), 1);
    assert_eq!(delta.resources[0].name, "table/a:80");
    assert_eq!(delta.resources[0].version, encoded.version().to_string());
    let sotw = DiscoveryResponse::decode(encoded.sotw_frame()).unwrap();
    assert_eq!(sotw.resources, vec![delta.resources[0].resource.clone().unwrap()]);
    assert_eq!(sotw.resources[0], encoded.any());
    assert_eq!(VirtualHost::decode(&sotw.resources[0].value[..]).unwrap(), host());
}

#[test]
fn the_version_is_the_hash_of_type_and_content_only() {
    let one = Encoded::new("x", &host());
    let other_name = Encoded::new("y", &host());
    assert_eq!(one.version(), other_name.version());
    let other_type = Encoded::from_body("x", "type.googleapis.com/other", &host().encode_to_vec());
    assert_ne!(one.version(), other_type.version());
    assert_eq!(Version::parse(one.version().to_string().as_bytes()), Some(one.version()));
    assert_eq!(Version::parse(b"17"), None);
}
