//! Header edits.

use model::networking::{HeaderOperations, Headers, HttpRoute};
use proto::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use proto::envoy::config::core::v3::{HeaderValue, HeaderValueOption};
use proto::envoy::config::route::v3::Route;

/// Edits as Envoy holds them; the authority is not a header to Envoy but a rewrite.
#[derive(Default)]
pub(super) struct Edits {
    pub(super) request_add: Vec<HeaderValueOption>,
    pub(super) request_remove: Vec<String>,
    pub(super) response_add: Vec<HeaderValueOption>,
    pub(super) response_remove: Vec<String>,
    pub(super) authority: Option<String>,
}

pub(super) fn edits(headers: Option<&Headers>) -> Edits {
    let mut edits = Edits::default();
    let Some(headers) = headers else { return edits };
    if let Some(request) = &headers.request {
        let is_authority = |name: &str| name.eq_ignore_ascii_case(":authority") || name.eq_ignore_ascii_case("host");
        edits.authority = request.set.iter().find(|(name, _)| is_authority(name)).map(|(_, value)| value.to_string());
        edits.request_add =
            values(request).filter(|option| option.header.as_ref().is_none_or(|h| !is_authority(&h.key))).collect();
        edits.request_remove = request.remove.iter().map(ToString::to_string).collect();
    }
    if let Some(response) = &headers.response {
        edits.response_add = values(response).collect();
        edits.response_remove = response.remove.iter().map(ToString::to_string).collect();
    }
    edits
}

fn values(operations: &HeaderOperations) -> impl Iterator<Item = HeaderValueOption> {
    let set = operations.set.iter().map(|pair| (pair, HeaderAppendAction::OverwriteIfExistsOrAdd));
    let add = operations.add.iter().map(|pair| (pair, HeaderAppendAction::AppendIfExistsOrAdd));
    set.chain(add).map(|((name, value), action)| HeaderValueOption {
        header: Some(HeaderValue { key: name.to_string(), value: value.to_string(), ..HeaderValue::default() }),
        append_action: action as i32,
        ..HeaderValueOption::default()
    })
}

/// The rule's edits, and those of its only destination.
pub(super) fn on_route(http: &HttpRoute, route: &mut Route) {
    let single = if let [only] = http.route.as_slice() { only.headers.as_ref() } else { None };
    for edits in [edits(http.headers.as_ref()), edits(single)] {
        route.request_headers_to_add.extend(edits.request_add);
        route.request_headers_to_remove.extend(edits.request_remove);
        route.response_headers_to_add.extend(edits.response_add);
        route.response_headers_to_remove.extend(edits.response_remove);
    }
}
