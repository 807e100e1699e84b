//! What HTTP filters do on one route: faults and CORS.

use std::collections::BTreeMap;

use model::networking::{CorsPolicy, Delay, HttpFaultInjection, HttpRoute, UnmatchedPreflights};
use model::scalars::{Percent, StringMatch};
use prost_types::Any;
use proto::envoy::extensions::filters::common::fault::v3::{FaultDelay, fault_delay};
use proto::envoy::extensions::filters::http::cors::v3::CorsPolicy as Cors;
use proto::envoy::extensions::filters::http::fault::v3::{FaultAbort, HttpFault, fault_abort};

use super::matches;
use crate::wire::{duration, fraction};

pub(super) fn per_route(http: &HttpRoute) -> BTreeMap<String, Any> {
    let fault = http.fault.as_ref().map(|rule| ("envoy.filters.http.fault".to_owned(), proto::any(&fault(rule))));
    let cors = http.cors_policy.as_ref().map(|rule| ("envoy.filters.http.cors".to_owned(), proto::any(&cors(rule))));
    fault.into_iter().chain(cors).collect()
}

/// A share that is not said is none.
fn share(percentage: Option<Percent>, old: i32) -> proto::envoy::r#type::v3::FractionalPercent {
    fraction(percentage.map_or_else(|| f64::from(old), |percent| percent.value))
}

fn fault(rule: &HttpFaultInjection) -> HttpFault {
    let delay = rule.delay.as_ref().and_then(|delay: &Delay| {
        let fixed = delay.fixed_delay?;
        Some(FaultDelay {
            percentage: Some(share(delay.percentage, delay.percent)),
            fault_delay_secifier: Some(fault_delay::FaultDelaySecifier::FixedDelay(duration(fixed))),
        })
    });
    let abort = rule.abort.as_ref().and_then(|abort| {
        let http =
            abort.http_status.and_then(|status| u32::try_from(status).ok()).map(fault_abort::ErrorType::HttpStatus);
        let grpc = || abort.grpc_status.as_deref().and_then(grpc_status).map(fault_abort::ErrorType::GrpcStatus);
        let percentage = Some(share(abort.percentage, 0));
        Some(FaultAbort { percentage, error_type: Some(http.or_else(grpc)?), ..FaultAbort::default() })
    });
    HttpFault { delay, abort, ..HttpFault::default() }
}

/// A gRPC status by name or number.
fn grpc_status(name: &str) -> Option<u32> {
    const NAMES: [&str; 17] = [
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    ];
    let found = NAMES.iter().position(|known| known.eq_ignore_ascii_case(name));
    found.and_then(|at| u32::try_from(at).ok()).or_else(|| name.parse().ok())
}

fn cors(rule: &CorsPolicy) -> Cors {
    let old = rule.allow_origin.iter().map(|origin| StringMatch {
        regex: (*origin == "*").then(|| origin.clone()),
        exact: (*origin != "*").then(|| origin.clone()),
        prefix: None,
    });
    let any = StringMatch { regex: Some(".*".into()), ..StringMatch::default() };
    let origins = rule.allow_origins.iter().cloned().chain(old);
    let joined = |list: &[names::Name]| list.iter().map(|item| item.as_str()).collect::<Vec<_>>().join(",");
    Cors {
        allow_origin_string_match: origins
            .filter_map(|origin| matches::string(&origin).or_else(|| matches::string(&any)))
            .collect(),
        allow_methods: joined(&rule.allow_methods),
        allow_headers: joined(&rule.allow_headers),
        expose_headers: joined(&rule.expose_headers),
        max_age: rule.max_age.map(|age| age.std().as_secs().to_string()).unwrap_or_default(),
        allow_credentials: rule.allow_credentials,
        forward_not_matching_preflights: Some(rule.unmatched_preflights != Some(UnmatchedPreflights::Ignore)),
        ..Cors::default()
    }
}
