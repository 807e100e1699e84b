use proptest::prelude::*;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};

use super::*;

/// A node as Envoy says it, with metadata of every kind.
fn node() -> core::Node {
    let value = |kind| Value { kind: Some(kind) };
    let text = |text: &str| value(Kind::StringValue(text.to_owned()));
    let map = |key: &str, inner: Value| value(Kind::StructValue(Struct { fields: [(key.to_owned(), inner)].into() }));
    let fields = [
        ("NAMESPACE".to_owned(), text("shop")),
        ("LABELS".to_owned(), map("app", text("web"))),
        ("PROXY_CONFIG".to_owned(), map("concurrency", value(Kind::NumberValue(2.0)))),
        (
            "LIST".to_owned(),
            value(Kind::ListValue(ListValue { values: vec![text("a"), value(Kind::BoolValue(true))] })),
        ),
    ];
    core::Node {
        id: "sidecar~10.1.0.9~web-1.shop~shop.svc.cluster.local".to_owned(),
        cluster: "web".to_owned(),
        metadata: Some(Struct { fields: fields.into() }),
        locality: Some(core::Locality { region: "r".to_owned(), zone: "z".to_owned(), sub_zone: "s".to_owned() }),
        user_agent_name: "envoy".to_owned(),
        extensions: vec![core::Extension { name: "istio.alpn".to_owned(), ..core::Extension::default() }],
        ..core::Node::default()
    }
}

/// Looks at everything that can be asked.
fn read(bytes: &[u8]) -> Option<Node> {
    let node = Node::decode(bytes).ok()?;
    let _ = (node.texts().count(), node.map("LABELS").count(), node.map("NAMESPACE").count(), node.map("LIST").count());
    Some(node)
}

#[test]
fn what_is_said_is_read() {
    let read = read(&node().encode_to_vec()).unwrap();
    assert_eq!(read.texts().collect::<Vec<_>>(), [("NAMESPACE", "shop")]);
    assert_eq!(read.map("LABELS").collect::<Vec<_>>(), [("app", "web")]);
    assert!(read.istio_filters && read.lists_extensions && read.locality.2 == "s");
}

/// A field of protobuf with bytes in it.
fn field(number: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    prost::encoding::encode_varint(body.len() as u64, &mut out);
    out.extend_from_slice(body);
    out
}

#[test]
fn metadata_that_is_nested_without_end_is_refused() {
    // Field 5 of a value is a map, whose entry's second field is a value.
    let nested = |depth: usize| {
        let value = (0..depth).fold(Vec::new(), |value, _| field(5, &field(1, &field(2, &value))));
        field(3, &field(1, &[field(1, b"k"), field(2, &value)].concat()))
    };
    assert!(read(&nested(10)).is_some());
    assert!(read(&nested(2_000)).is_none());
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = read(&bytes);
    }

    #[test]
    fn no_damage_makes_it_panic(at: usize, byte: u8, cut: usize) {
        let mut bytes = node().encode_to_vec();
        let at = at % bytes.len();
        bytes[at] = byte;
        bytes.truncate(cut % (bytes.len() + 1));
        let _ = read(&bytes);
    }
}
