use super::*;

fn node(id: &str) -> NodeFacts {
    NodeFacts { id: id.to_owned(), vhds: true, ..NodeFacts::default() }
}

#[test]
fn ids_have_four_parts_and_metadata_overrides_them() {
    let read = node("sidecar~10.0.0.1~web-0.shop~shop.svc.cluster.local").proxy().unwrap();
    assert_eq!((read.kind, read.namespace.as_str(), read.name.as_str()), (Kind::Sidecar, "shop", "web-0"));
    assert_eq!(read.addresses, ["10.0.0.1".parse::<IpAddr>().unwrap()]);
    assert!(read.caps.vhds && !read.caps.istio_filters);
    let mut other = node("sidecar~10.0.0.1~web-0.shop~shop.svc.cluster.local");
    other.texts.insert("NAMESPACE".into(), "yard".into());
    other.texts.insert("GENERATOR".into(), "grpc".into());
    assert_eq!(other.proxy().map(|read| (read.kind, read.namespace.to_string())), Ok((Kind::Grpc, "yard".to_owned())));
    for bad in ["", "sidecar~10.0.0.1~web.shop", "pigeon~10.0.0.1~a.b~c", "sidecar~nowhere~a.b~c"] {
        assert!(node(bad).proxy().is_err(), "{bad}");
    }
}
