use super::*;

fn node(id: &str) -> Node {
    Node { id: id.to_owned(), ..Node::default() }
}

#[test]
fn ids_have_four_parts_and_metadata_overrides_them() {
    let read = proxy(&node("sidecar~10.0.0.1~web-0.shop~shop.svc.cluster.local"), Variant::Delta, false).unwrap();
    assert_eq!((read.kind, read.namespace.as_str(), read.name.as_str()), (Kind::Sidecar, "shop", "web-0"));
    assert_eq!(read.addresses, ["10.0.0.1".parse::<IpAddr>().unwrap()]);
    assert!(read.caps.vhds && !read.caps.istio_filters);
    assert!(!proxy(&node("router~10.0.0.1~x.y~z"), Variant::Sotw, false).unwrap().caps.vhds);
    for bad in ["", "sidecar~10.0.0.1~web.shop", "pigeon~10.0.0.1~a.b~c", "sidecar~nowhere~a.b~c"] {
        assert!(proxy(&node(bad), Variant::Delta, false).is_err(), "{bad}");
    }
}
