//! Rules in the words of `nft`: one `inet` table a family, which leaves the other family's packets alone.

use std::fmt::Write;

use super::capture::{Family, Ports};
use super::ruleset::{Chain, Match, Protocol, Rule, Ruleset, State, Table, Then};

fn table(family: Family) -> &'static str {
    match family {
        Family::V4 => "meltemi-redirect-v4",
        Family::V6 => "meltemi-redirect-v6",
    }
}

/// A chain's name: what are tables to iptables is one table here.
fn chain_name(of: Table, chain: Chain) -> String {
    let of = match of {
        Table::Raw => "raw",
        Table::Mangle => "mangle",
        Table::Nat => "nat",
    };
    format!("{of}_{}", chain.name())
}

/// Where a chain of the system stands: that of iptables' table.
fn hook(of: Table, chain: Chain) -> Option<&'static str> {
    match (chain, of) {
        (Chain::Prerouting, Table::Raw) => Some("type filter hook prerouting priority -300; policy accept;"),
        (Chain::Prerouting, Table::Mangle) => Some("type filter hook prerouting priority -150; policy accept;"),
        (Chain::Prerouting, Table::Nat) => Some("type nat hook prerouting priority -100; policy accept;"),
        (Chain::Output, Table::Raw) => Some("type filter hook output priority -300; policy accept;"),
        // A changed mark has the packet routed anew.
        (Chain::Output, Table::Mangle) => Some("type route hook output priority -150; policy accept;"),
        (Chain::Output, Table::Nat) => Some("type nat hook output priority -100; policy accept;"),
        _ => None,
    }
}

/// Adds the rules.
pub(super) fn script(family: Family, rules: &Ruleset) -> String {
    let mut out = format!("table inet {} {{\n", table(family));
    // Chains are named before they are jumped to.
    let mut all: Vec<_> =
        rules.tables().into_iter().flat_map(|of| rules.chains(of).map(move |(c, r)| (of, c, r))).collect();
    all.sort_by_key(|(of, chain, _)| (chain.is_base(), depth(*chain), *of, *chain));
    for (of, chain, rules) in all {
        let _ = writeln!(out, "    chain {} {{", chain_name(of, chain));
        if let Some(hook) = hook(of, chain) {
            let other = match family {
                Family::V4 => "ipv6",
                Family::V6 => "ipv4",
            };
            let _ = writeln!(out, "        {hook}\n        meta nfproto {other} return");
        }
        for rule in rules {
            let _ = writeln!(out, "        {}", text(family, of, rule));
        }
        out.push_str("    }\n");
    }
    out.push_str("}\n");
    out
}

/// Chains that others jump to come first.
fn depth(chain: Chain) -> u8 {
    match chain {
        Chain::InboundRedirect | Chain::OutboundRedirect | Chain::Dns | Chain::Divert | Chain::Tproxy | Chain::Drop => {
            0
        }
        Chain::Inbound | Chain::OutboundRules => 1,
        Chain::Prerouting | Chain::Output => 2,
    }
}

/// Takes them away, also when they are not there.
pub(super) fn cleanup(family: Family) -> String {
    let table = table(family);
    format!("add table inet {table}\ndelete table inet {table}\n")
}

fn text(family: Family, of: Table, rule: &Rule) -> String {
    let mut out = String::new();
    let protocol = rule.when.iter().find_map(|each| match each {
        Match::Protocol(protocol) => Some(*protocol),
        _ => None,
    });
    for each in &rule.when {
        matches(&mut out, family, protocol, each);
        out.push(' ');
    }
    let _ = match &rule.then {
        Then::Jump(chain) => write!(out, "jump {}", chain_name(of, *chain)),
        Then::Return => write!(out, "return"),
        Then::Accept => write!(out, "accept"),
        Then::Drop => write!(out, "drop"),
        Then::Redirect(port) => write!(out, "redirect to :{port}"),
        // Where the rule says something of an address, nft wants to be told the family again.
        Then::Tproxy { port, mark } => write!(out, "meta mark set {mark} tproxy {} to :{port} accept", ip(family)),
        Then::Mark(mark) => write!(out, "meta mark set {mark}"),
        Then::SaveMark => write!(out, "ct mark set meta mark"),
        Then::RestoreMark => write!(out, "meta mark set ct mark"),
        Then::Zone(zone) => write!(out, "ct zone set {zone}"),
    };
    out
}

fn ip(family: Family) -> &'static str {
    match family {
        Family::V4 => "ip",
        Family::V6 => "ip6",
    }
}

/// iptables takes `eth+` for what begins with `eth`.
fn interface(name: &str) -> String {
    match name.strip_suffix('+') {
        Some(start) => format!("\"{start}*\""),
        None => format!("\"{name}\""),
    }
}

fn ports(ports: &Ports) -> String {
    match (ports.start(), ports.end()) {
        (from, to) if from == to => from.to_string(),
        (from, to) => format!("{from}-{to}"),
    }
}

fn matches(out: &mut String, family: Family, protocol: Option<Protocol>, each: &Match) {
    let ip = ip(family);
    let transport = match protocol {
        Some(Protocol::Tcp) => "tcp",
        Some(Protocol::Udp) => "udp",
        None => "th",
    };
    let not = |not: bool| if not { "!= " } else { "" };
    let _ = match each {
        Match::Protocol(Protocol::Tcp) => write!(out, "meta l4proto tcp"),
        Match::Protocol(Protocol::Udp) => write!(out, "meta l4proto udp"),
        Match::From(range) => write!(out, "{ip} saddr {}", range.trunc()),
        Match::To { not: turned, range } => write!(out, "{ip} daddr {}{}", not(*turned), range.trunc()),
        Match::In(name) => write!(out, "iifname {}", interface(name)),
        Match::Out(name) => write!(out, "oifname {}", interface(name)),
        Match::Port(range) => write!(out, "{transport} dport {}", ports(range)),
        Match::NotPorts(list) => match list.as_slice() {
            [one] => write!(out, "{transport} dport != {one}"),
            list => {
                let list: Vec<String> = list.iter().map(u16::to_string).collect();
                write!(out, "{transport} dport != {{ {} }}", list.join(", "))
            }
        },
        Match::FromPort(port) => write!(out, "{transport} sport {port}"),
        Match::User { not: turned, id } => write!(out, "meta skuid {}{id}", not(*turned)),
        Match::Group { not: turned, id } => write!(out, "meta skgid {}{id}", not(*turned)),
        Match::Mark { not: turned, mark } => write!(out, "meta mark {}{mark}", not(*turned)),
        Match::ConnectionMark(mark) => write!(out, "ct mark {mark}"),
        Match::State(State::Invalid) => write!(out, "ct state invalid"),
        Match::State(State::Established) => write!(out, "ct state related,established"),
    };
}
