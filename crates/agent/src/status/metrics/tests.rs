use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;

use super::super::tests::{serving, status};
use super::*;

/// A workload that answers each scraper by what it takes, and shows that in a comment.
fn workload() -> Router {
    let plain = |headers: HeaderMap| async move {
        let accept = headers.get(header::ACCEPT).map(|accept| accept.to_str().unwrap().to_owned()).unwrap_or_default();
        let open = accept.split(',').next().is_some_and(|first| first.starts_with(OPEN_METRICS_TYPE));
        let (kind, end) = if open { (OPEN_METRICS[0].1, "# EOF\n") } else { (TEXT, "") };
        ([(header::CONTENT_TYPE, kind)], format!("# accept {accept}\napp_total 1\n{end}"))
    };
    let packed = || async {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(b"packed_total 2").unwrap();
        ([(header::CONTENT_ENCODING, "gzip")], encoder.finish().unwrap())
    };
    let broken = || async { StatusCode::INTERNAL_SERVER_ERROR };
    Router::new().route("/metrics", get(plain)).route("/packed", get(packed)).route("/broken", get(broken))
}

fn envoy() -> Router {
    let stats = |RawQuery(query): RawQuery| async move {
        format!("envoy_total{{query=\"{}\"}} 3\n", query.unwrap_or_default())
    };
    Router::new().route("/stats/prometheus", get(stats))
}

/// Content type, encoding and text of the page.
async fn asked(scrape: &str, query: Option<&str>, headers: &[(&str, &str)]) -> (String, String, Vec<u8>) {
    let admin = format!("127.0.0.1:{}", serving(envoy()).await);
    let status = status(Some(admin), None, Some(scrape));
    let mut all = HeaderMap::new();
    for (name, value) in headers {
        all.insert(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    }
    let answer = page(State(status), RawQuery(query.map(str::to_owned)), all).await;
    let text = |name| answer.headers().get(name).map(|value: &HeaderValue| value.to_str().unwrap().to_owned());
    let (kind, encoding) = (text(header::CONTENT_TYPE).unwrap(), text(header::CONTENT_ENCODING).unwrap_or_default());
    let body = axum::body::to_bytes(answer.into_body(), LONGEST).await.unwrap();
    (kind, encoding, body.to_vec())
}

#[tokio::test]
async fn the_workloads_format_is_that_of_the_whole_and_its_end_is_the_end() {
    let port = serving(workload()).await;
    let scrape = format!(r#"{{"scrape":"true","port":"{port}","path":"/metrics"}}"#);
    let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
    let (kind, _, body) = asked(&scrape, None, &[("accept", prometheus)]).await;
    let body = String::from_utf8(body).unwrap();
    assert_eq!(kind, OPEN_METRICS[0].1);
    let accept = "# accept application/openmetrics-text;version=1.0.0;q=0.2,text/plain;version=0.0.4;q=0.1";
    assert!(body.contains(accept), "{body}");
    assert!(body.find("envoy_total") < body.find("app_total") && body.ends_with("app_total 1\n# EOF\n"), "{body}");
    assert!(body.contains("istio_agent_scrapes_total 1") && body.contains("query=\"usedonly\""), "{body}");

    let (kind, _, body) = asked(&scrape, Some("filter=x"), &[("accept", "application/vnd.google.protobuf")]).await;
    let body = String::from_utf8(body).unwrap();
    assert_eq!(kind, TEXT, "protobuf cannot be merged");
    assert!(body.ends_with("app_total 1\n") && body.contains("query=\"filter=x\""), "{body}");
}

#[tokio::test]
async fn several_targets_are_one_text_and_a_broken_one_takes_nothing_along() {
    let port = serving(workload()).await;
    let targets =
        ["/metrics", "/broken", "/packed", "/metrics"].map(|path| format!(r#"{{"port":"{port}","path":"{path}"}}"#));
    let scrape = format!(r#"{{"targets":[{}]}}"#, targets.join(","));
    let (kind, _, body) = asked(&scrape, None, &[("accept", "application/openmetrics-text")]).await;
    let body = String::from_utf8(body).unwrap();
    assert_eq!(kind, TEXT, "one of them knows only text");
    assert!(
        !body.contains(END) && body.matches("app_total 1\n").count() == 2 && body.contains("packed_total 2\n"),
        "{body}"
    );
    let (_, _, again) = asked(&scrape, None, &[]).await;
    assert!(String::from_utf8(again).unwrap().contains("envoy_total"));
}

#[tokio::test]
async fn answers_are_compressed_for_those_who_take_that() {
    let port = serving(Router::new().route("/metrics", get(|| async { "app_total 1\n".repeat(1000) }))).await;
    let scrape = format!(r#"{{"port":"{port}"}}"#);
    let (_, encoding, body) = asked(&scrape, None, &[("accept-encoding", "br, gzip")]).await;
    assert!(encoding == "gzip" && body.len() < 2000, "{encoding} {}", body.len());
    let mut plain = String::new();
    flate2::read::GzDecoder::new(&*body).read_to_string(&mut plain).unwrap();
    assert!(plain.contains("envoy_total") && plain.ends_with("app_total 1\n"));
    for refused in ["", "br", "gzip;q=0"] {
        let (_, encoding, body) = asked(&scrape, None, &[("accept-encoding", refused)]).await;
        assert!(encoding.is_empty() && body.len() > 10_000, "{refused}");
    }
}

#[test]
fn annotations_name_targets_and_none_of_the_proxys_own() {
    let of = |text: &str| targets(text, 15020).map_err(|error| error.to_string());
    assert_eq!(of(r#"{"scrape":"true"}"#).unwrap(), ["http://localhost:80/metrics"]);
    assert_eq!(of(r#"{"scrape":"false","port":"90"}"#).unwrap(), [""; 0]);
    let two = of(r#"{"targets":[{"port":"9090"},{"port":"9091","path":"/stats"}]}"#).unwrap();
    assert_eq!(two, ["http://localhost:9090/metrics", "http://localhost:9091/stats"]);
    assert!(of(r#"{"port":"015020"}"#).unwrap_err().contains("15020"));
    assert!(of(r#"{"targets":[{"port":"15090"}]}"#).is_err() && of(r#"{"port":"http"}"#).is_err());
}
