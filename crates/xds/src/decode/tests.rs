use proptest::prelude::*;
use prost::Message;
use proto::envoy::config::core::v3::Node;
use proto::envoy::service::discovery::v3::{DeltaDiscoveryRequest, DiscoveryRequest};
use proto::google::rpc::Status;

use super::*;

fn texts() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec("[a-z|.0-9]{0,30}", 0..8)
}

proptest! {
    #[test]
    fn requests_read_as_prost_reads_them(
        names in texts(), gone in texts(), versions in prop::collection::btree_map("[a-z]{1,9}", "[0-9a-f]{0,32}", 0..5),
        url in "[a-z./]{0,40}", nonce in "[0-9]{0,8}", error in prop::option::of("[ -~]{0,60}"), id in "[a-z~.]{0,30}",
    ) {
        let node = Node { id, ..Node::default() };
        let error_detail = error.clone().map(|message| Status { code: 13, message, details: Vec::new() });
        let message = DeltaDiscoveryRequest {
            node: Some(node.clone()), type_url: url.clone(), resource_names_subscribe: names.clone(),
            resource_names_unsubscribe: gone.clone(), initial_resource_versions: versions.clone(),
            response_nonce: nonce.clone(), error_detail: error_detail.clone(), ..DeltaDiscoveryRequest::default()
        };
        let bytes = message.encode_to_vec();
        let read = delta(&bytes).unwrap();
        prop_assert_eq!(read.node.map(|bytes| Node::decode(bytes).unwrap()), Some(node.clone()));
        prop_assert_eq!(read.type_url, &url);
        prop_assert_eq!(&read.subscribe, &names);
        prop_assert_eq!(&read.unsubscribe, &gone);
        prop_assert_eq!(read.nonce, &nonce);
        prop_assert_eq!(read.error, error.as_deref());
        let initial: Vec<_> = versions.iter().map(|(name, version)| (name.as_str(), version.as_bytes())).collect();
        prop_assert_eq!(read.initial, initial);

        let message = DiscoveryRequest {
            node: Some(node), type_url: url.clone(), resource_names: names.clone(), response_nonce: nonce, error_detail,
            ..DiscoveryRequest::default()
        };
        let bytes = message.encode_to_vec();
        let read = sotw(&bytes).unwrap();
        prop_assert_eq!((read.type_url, &read.subscribe, read.error), (url.as_str(), &names.iter().map(String::as_str).collect(), error.as_deref()));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = delta(&bytes);
        let _ = sotw(&bytes);
    }
}
