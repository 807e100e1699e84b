use proto::envoy::config::core::v3 as core;
use proto::envoy::service::discovery::v3::{DeltaDiscoveryRequest, DiscoveryRequest};

use super::*;

fn joined(common: &Common) -> Vec<u8> {
    common.parts(7, "shop").concat()
}

#[test]
fn the_full_form_is_as_long_as_envoys_and_lists_as_many_extensions() {
    let common = Common::new(Mode::Delta, Metadata::Full);
    let first = DeltaDiscoveryRequest::decode(&common.parts(0, "ns-0").concat()[..]).unwrap().node.unwrap();
    assert_eq!((first.encoded_len(), first.extensions.len()), (FULL, EXTENSIONS));
    let other = DeltaDiscoveryRequest::decode(&joined(&common)[..]).unwrap().node.unwrap();
    assert_eq!(other.extensions, first.extensions);
}

#[test]
fn a_client_is_the_sidecar_that_other_tests_know() {
    let node = DiscoveryRequest::decode(&joined(&Common::new(Mode::Sotw, Metadata::Short))[..]).unwrap().node.unwrap();
    assert_eq!(node.id, ::tests::client::sidecar(7, "shop").id);
    let text = |key: &str| match node.metadata.as_ref().unwrap().fields[key].kind.as_ref().unwrap() {
        Is::StringValue(text) => text.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!((text("NAMESPACE").as_str(), text("INSTANCE_IPS").as_str()), ("shop", "10.200.0.8"));
    assert!(node.extensions.is_empty() && node.encoded_len() < 1024);
    assert!(matches!(node.user_agent_version_type, Some(core::node::UserAgentVersionType::UserAgentBuildVersion(_))));
}
