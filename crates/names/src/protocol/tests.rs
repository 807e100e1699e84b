use super::*;

#[test]
fn port_names_tell_the_protocol() {
    let of = |name| Protocol::of_service_port(8080, name, "TCP", None);
    assert_eq!(of("http"), Protocol::Http);
    assert_eq!(of("http2-api"), Protocol::Http2);
    assert_eq!(of("grpc-web-x"), Protocol::GrpcWeb);
    assert_eq!(of("GRPC"), Protocol::Grpc);
    assert_eq!(of("web"), Protocol::Auto);
    assert_eq!(of(""), Protocol::Auto);
    assert_eq!(Protocol::of_service_port(53, "", "UDP", None), Protocol::Udp);
    assert_eq!(Protocol::of_service_port(3306, "", "TCP", None), Protocol::Tcp);
    assert_eq!(Protocol::of_service_port(80, "tcp-x", "TCP", Some("http")), Protocol::Http);
    assert_eq!(Protocol::of_service_port(80, "x", "TCP", Some("kubernetes.io/h2c")), Protocol::Http2);
}
