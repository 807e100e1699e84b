//! Which first bytes are looked at on which ports: what a server that speaks first needs not is not waited for.

use std::collections::{BTreeMap, BTreeSet};

use proto::envoy::config::listener::v3::listener_filter_chain_match_predicate::{MatchSet, Rule};
use proto::envoy::config::listener::v3::{FilterChain, ListenerFilter, ListenerFilterChainMatchPredicate};
use proto::envoy::r#type::v3::Int32Range;

use super::super::{http_inspector, tls_inspector};

/// The inspectors that some chain needs, switched off on the ports that do not.
pub(super) fn of(chains: &[FilterChain]) -> Vec<ListenerFilter> {
    let tls = needs(chains, |conditions| conditions.transport_protocol == "tls");
    let http = needs(chains, |conditions| {
        conditions.transport_protocol == "raw_buffer" && !conditions.application_protocols.is_empty()
    });
    let made = [(tls, tls_inspector()), (http, http_inspector())].into_iter().filter_map(|(needs, filter)| {
        let used = needs.values().any(|needed| *needed);
        used.then(|| ListenerFilter { filter_disabled: disabled(&needs), ..filter })
    });
    made.collect()
}

/// By port, whether one of its chains asks; under no port, what holds for all others.
type Needs = BTreeMap<Option<u32>, bool>;

fn needs(
    chains: &[FilterChain],
    asks: impl Fn(&proto::envoy::config::listener::v3::FilterChainMatch) -> bool,
) -> Needs {
    let mut needs = Needs::new();
    // A chain that only refuses says nothing of its port.
    for conditions in chains.iter().filter_map(|chain| chain.filter_chain_match.as_ref()) {
        *needs.entry(conditions.destination_port).or_default() |= asks(conditions);
    }
    needs
}

fn disabled(needs: &Needs) -> Option<ListenerFilterChainMatchPredicate> {
    let elsewhere = needs.get(&None).copied();
    let general = elsewhere.unwrap_or(true);
    let special: BTreeSet<u32> = needs
        .iter()
        .filter(|(port, needed)| port.is_some() && **needed != general)
        .filter_map(|(port, _)| *port)
        .collect();
    let ports = any(special.into_iter().map(at).collect())?;
    if general {
        return Some(ports);
    }
    Some(ListenerFilterChainMatchPredicate { rule: Some(Rule::NotMatch(Box::new(ports))) })
}

fn at(port: u32) -> ListenerFilterChainMatchPredicate {
    let port = i32::try_from(port).unwrap_or(i32::MAX);
    let range = Int32Range { start: port, end: port.saturating_add(1) };
    ListenerFilterChainMatchPredicate { rule: Some(Rule::DestinationPortRange(range)) }
}

/// Any of the rules; nothing for none.
fn any(mut rules: Vec<ListenerFilterChainMatchPredicate>) -> Option<ListenerFilterChainMatchPredicate> {
    if rules.len() < 2 {
        return rules.pop();
    }
    Some(ListenerFilterChainMatchPredicate { rule: Some(Rule::OrMatch(MatchSet { rules })) })
}
