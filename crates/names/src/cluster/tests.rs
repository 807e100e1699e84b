use super::*;

#[test]
fn names_read_back_as_written() {
    let host = Hostname::new("cart.shop.svc.cluster.local");
    for name in [
        ClusterName::outbound(8080, None, &host),
        ClusterName::outbound(8080, Some(&Name::from("v1")), &host),
        ClusterName::passed(8080, None, &host),
        ClusterName::passed(8080, Some(&Name::from("v1")), &host),
        ClusterName::inbound(9080),
    ] {
        assert_eq!(ClusterName::parse(&name.to_string()), Some(name));
    }
    assert_eq!(ClusterName::inbound(9080).to_string(), "inbound|9080||");
    assert_eq!(ClusterName::outbound(80, None, &host).sni(), "outbound_.80_._.cart.shop.svc.cluster.local");
    assert_eq!(ClusterName::parse("BlackHoleCluster"), None);
}
