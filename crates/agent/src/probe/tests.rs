use std::convert::Infallible;
use std::sync::Arc;

use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use xds::grpc;

use super::*;

/// Answers by path; with TLS it offers these protocols.
async fn server(tls: Option<&[&[u8]]>) -> u16 {
    let acceptor = tls.map(|protocols| {
        let made = rcgen::generate_simple_self_signed(["elsewhere.test".to_owned()]).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config =
            rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let mut config = config.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    #[expect(clippy::disallowed_methods, reason = "it ends with the test")]
    tokio::spawn(async move {
        loop {
            let (socket, from) = listener.accept().await.unwrap();
            assert_eq!(from.ip(), BESIDE_V4, "capture rules look at it");
            let acceptor = acceptor.clone();
            let service =
                hyper::service::service_fn(
                    move |request| async move { Ok::<_, Infallible>(answer(request, port).await) },
                );
            tokio::spawn(async move {
                let builder = auto::Builder::new(TokioExecutor::new());
                let _ = match acceptor {
                    None => builder.serve_connection(TokioIo::new(socket), service).await,
                    Some(acceptor) => {
                        let Ok(socket) = acceptor.accept(socket).await else { return };
                        builder.serve_connection(TokioIo::new(socket), service).await
                    }
                };
            });
        }
    });
    port
}

async fn answer(request: Request<Incoming>, port: u16) -> grpc::Answer {
    let (path, version) = (request.uri().path().to_owned(), request.version());
    let named = request.uri().authority().map(ToString::to_string);
    let host = named.or_else(|| request.headers().get("host").map(|host| host.to_str().unwrap().to_owned()));
    let text = |code: u16, text: String| {
        Response::builder().status(code).body(Full::new(Bytes::from(text)).boxed_unsync()).unwrap()
    };
    let moved = |to: String| {
        let mut response = text(302, String::new());
        response.headers_mut().insert(header::LOCATION, to.parse().unwrap());
        response
    };
    match path.as_str() {
        "/well" => text(200, format!("{version:?} {}", host.unwrap_or_default())),
        "/ill" => text(503, "it is ill".into()),
        "/long" => text(200, "x".repeat(2 * LONGEST)),
        "/moved" => moved("/well?again".into()),
        "/moved-whole" => moved(format!("http://127.0.0.1:{port}/ill")),
        "/outside" => moved("http://elsewhere.test/ill".into()),
        "/round" => moved("/round".into()),
        "/grpc.health.v1.Health/Check" => {
            grpc::unary(request, 1000, |asked: Check| async move {
                match asked.service.as_str() {
                    "well" => Ok(Checked { status: SERVING }),
                    "ill" => Ok(Checked { status: 2 }),
                    _ => Err(tonic::Status::not_found("no such service")),
                }
            })
            .await
        }
        _ => text(404, String::new()),
    }
}

fn asker() -> Asker {
    Asker::new(Ipv4Addr::LOCALHOST.into())
}

async fn get(tls: bool, port: u16, path: &str, host: Option<&str>) -> Result<(u16, String), String> {
    let mut headers = HeaderMap::new();
    host.map(|host| headers.insert(header::HOST, host.parse().unwrap()));
    let get = Get { tls, host: None, port, path: path.to_owned(), headers };
    let (code, body) = asker().get(&get).await.map_err(|error| format!("{error:#}"))?;
    Ok((code.as_u16(), String::from_utf8(body.to_vec()).unwrap()))
}

#[tokio::test]
async fn a_workload_is_asked_by_http_and_its_answer_is_passed_on() {
    let port = server(None).await;
    let well = |shown: String| Ok((200, shown));
    assert_eq!(get(false, port, "/well", None).await, well(format!("HTTP/1.1 127.0.0.1:{port}")));
    assert_eq!(get(false, port, "/well", Some("web.test")).await, well("HTTP/1.1 web.test".into()));
    assert_eq!(get(false, port, "/ill", None).await, Ok((503, "it is ill".into())));
    assert_eq!(get(false, port, "/long", None).await.unwrap().1.len(), LONGEST);
    assert!(get(true, port, "/well", None).await.is_err(), "it speaks no TLS");
}

#[tokio::test]
async fn another_place_on_the_host_is_asked_and_one_elsewhere_means_well() {
    let port = server(None).await;
    assert_eq!(get(false, port, "/moved", None).await.unwrap().0, 200);
    assert_eq!(get(false, port, "/moved-whole", None).await.unwrap(), (503, "it is ill".into()));
    assert_eq!(get(false, port, "/outside", None).await.unwrap(), (200, String::new()));
    assert!(get(false, port, "/round", None).await.is_err());
}

#[tokio::test]
async fn certificates_are_not_looked_at_and_both_versions_spoken() {
    for (protocols, version) in [(&[&b"h2"[..]][..], "HTTP/2.0"), (&[b"http/1.1"], "HTTP/1.1"), (&[], "HTTP/1.1")] {
        let port = server(Some(protocols)).await;
        assert_eq!(get(true, port, "/well", Some("web.test")).await, Ok((200, format!("{version} web.test"))));
        assert_eq!(get(true, port, "/ill", None).await.unwrap().0, 503);
        assert!(get(false, port, "/well", None).await.is_err(), "it speaks TLS only");
    }
}

#[tokio::test]
async fn grpc_services_say_themselves_whether_they_are_well() {
    let port = server(None).await;
    asker().health(port, "well", "kube-probe").await.unwrap();
    let why = async |service: &str| format!("{:#}", asker().health(port, service, "kube-probe").await.unwrap_err());
    assert!(why("ill").await.contains("says 2"));
    assert!(why("other").await.contains("status 5"));
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    assert!(asker().health(closed, "well", "kube-probe").await.is_err());
}
