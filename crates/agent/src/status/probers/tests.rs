use axum::Router;
use axum::routing::get;

use super::super::tests::{serving, status};
use super::*;

/// Shows what of the request it saw.
async fn echo(headers: HeaderMap) -> (StatusCode, String) {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
    (StatusCode::IM_A_TEAPOT, format!("{} {} {}", text("host"), text("x-probe"), text("connection")))
}

#[tokio::test]
async fn probes_ask_the_workload_with_the_headers_of_who_asks() {
    let port = serving(Router::new().route("/x", get(echo))).await;
    let probers = format!(
        r#"{{"/app-health/a/readyz":{{"httpGet":{{"path":"x","port":{port}}}}},
            "/app-lifecycle/a/prestopz":{{"httpGet":{{"path":"/x","port":{port},"scheme":"HTTP"}}}},
            "/app-health/a/livez":{{"tcpSocket":{{"port":{port}}},"timeoutSeconds":3}},
            "/app-health/b/livez":{{"tcpSocket":{{"port":1}}}},
            "/app-health/b/startupz":{{"grpc":{{"port":{port},"service":null}}}}}}"#
    );
    let status = status(None, Some(&probers), None);
    let asked = async |path: &str, host: &str| {
        let mut headers = HeaderMap::new();
        for (name, value) in [("host", host), ("x-probe", "yes"), ("connection", "keep-alive")] {
            headers.insert(name, value.parse().unwrap());
        }
        let answer = page(State(status.clone()), path.parse().unwrap(), headers).await;
        let code = answer.status().as_u16();
        let body = axum::body::to_bytes(answer.into_body(), 1000).await.unwrap();
        (code, String::from_utf8(body.to_vec()).unwrap())
    };
    let moved = format!("10.0.0.1:{port} yes close");
    assert_eq!(asked("/app-health/a/readyz", "10.0.0.1:15020").await, (418, moved.clone()));
    assert_eq!(asked("/app-lifecycle/a/prestopz", "web.test").await, (418, "web.test yes close".into()));
    assert_eq!(asked("/app-health/a/livez", "x").await.0, 200);
    assert_eq!(asked("/app-health/b/livez", "x").await.0, 500);
    assert_eq!(asked("/app-health/b/startupz", "x").await.0, 500, "it speaks no gRPC");
    assert_eq!(asked("/app-health/c/livez", "x").await.0, 400);
}

#[test]
fn what_injection_would_not_write_is_refused() {
    for wrong in [
        r#"{"/health/a/livez":{"tcpSocket":{"port":1}}}"#,
        r#"{"/app-health/a/other":{"tcpSocket":{"port":1}}}"#,
        r#"{"/app-health/a/b/livez":{"tcpSocket":{"port":1}}}"#,
        r#"{"/app-health/a/livez":{}}"#,
        r#"{"/app-health/a/livez":{"tcpSocket":{"port":1},"grpc":{"port":1}}}"#,
        r#"{"/app-health/a/livez":{"tcpSocket":{"port":"http"}}}"#,
    ] {
        assert!(parse(wrong).is_err(), "{wrong}");
    }
}
