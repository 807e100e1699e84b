//! Retries.

use model::networking::HttpRetry;
use proto::envoy::config::route::v3::RetryPolicy;
use proto::envoy::config::route::v3::retry_policy::{
    RetryBackOff, RetryHostPredicate, RetryPriority, retry_host_predicate, retry_priority,
};
use proto::envoy::extensions::retry::host::previous_hosts::v3::PreviousHostsPredicate;
use proto::envoy::extensions::retry::priority::previous_priorities::v3::PreviousPrioritiesConfig;

use crate::wire::duration;

/// Failures of the connection, not of the request: nothing is sent twice that an application may have seen.
const DEFAULT_CONDITIONS: &str = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes";
/// Two tries beside the first.
const DEFAULT_ATTEMPTS: u32 = 2;
/// How often another endpoint is looked for.
const HOST_SELECTION_ATTEMPTS: i64 = 5;

/// What holds when nothing is said is two retries; 0 attempts means none.
pub(super) fn policy(written: Option<&HttpRetry>, hashed: bool) -> Option<RetryPolicy> {
    let Some(written) = written else {
        return Some(with_hosts(DEFAULT_CONDITIONS.to_owned(), DEFAULT_ATTEMPTS, !hashed));
    };
    let attempts = u32::try_from(written.attempts).ok().filter(|attempts| *attempts > 0)?;
    let elsewhere = written.retry_ignore_previous_hosts.unwrap_or(true) && !hashed;
    let mut policy = with_hosts(DEFAULT_CONDITIONS.to_owned(), attempts, elsewhere);
    if !written.retry_on.is_empty() {
        conditions(&written.retry_on, &mut policy);
    }
    policy.per_try_timeout = written.per_try_timeout.map(duration);
    policy.retry_back_off =
        written.backoff.map(|base| RetryBackOff { base_interval: Some(duration(base)), ..RetryBackOff::default() });
    if written.retry_remote_localities == Some(true) {
        let config = PreviousPrioritiesConfig { update_frequency: 2 };
        policy.retry_priority = Some(RetryPriority {
            name: "envoy.retry_priorities.previous_priorities".to_owned(),
            config_type: Some(retry_priority::ConfigType::TypedConfig(proto::any(&config))),
        });
    }
    Some(policy)
}

/// With a hash the same endpoint is the right one, also for the next try.
fn with_hosts(retry_on: String, attempts: u32, elsewhere: bool) -> RetryPolicy {
    let predicate = RetryHostPredicate {
        name: "envoy.retry_host_predicates.previous_hosts".to_owned(),
        config_type: Some(retry_host_predicate::ConfigType::TypedConfig(proto::any(&PreviousHostsPredicate {}))),
    };
    RetryPolicy {
        retry_on,
        num_retries: Some(attempts),
        retry_host_predicate: if elsewhere { vec![predicate] } else { Vec::new() },
        host_selection_retry_max_attempts: if elsewhere { HOST_SELECTION_ATTEMPTS } else { 0 },
        ..RetryPolicy::default()
    }
}

/// Numbers among the conditions are status codes.
fn conditions(written: &str, policy: &mut RetryPolicy) {
    let mut named = Vec::new();
    for part in written.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        match part.parse() {
            Ok(status) => policy.retriable_status_codes.push(status),
            Err(_) => named.push(part),
        }
    }
    if !policy.retriable_status_codes.is_empty() && !named.contains(&"retriable-status-codes") {
        named.push("retriable-status-codes");
    }
    policy.retry_on = named.join(",");
}
