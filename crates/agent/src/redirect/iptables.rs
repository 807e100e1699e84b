//! Rules in the words of `iptables-restore`.

use std::fmt::Write;

use super::capture::Ports;
use super::ruleset::{Match, Protocol, Rule, Ruleset, State, Table, Then};

fn name(table: Table) -> &'static str {
    match table {
        Table::Raw => "raw",
        Table::Mangle => "mangle",
        Table::Nat => "nat",
    }
}

/// Adds the rules.
pub(super) fn restore(rules: &Ruleset) -> String {
    let mut out = String::new();
    for table in rules.tables() {
        let _ = writeln!(out, "*{}", name(table));
        for (chain, _) in rules.chains(table).filter(|(chain, _)| !chain.is_base()) {
            let _ = writeln!(out, ":{} - [0:0]", chain.name());
        }
        for (chain, rules) in rules.chains(table) {
            for rule in rules {
                let _ = writeln!(out, "-A {}{}", chain.name(), text(rule));
            }
        }
        out.push_str("COMMIT\n");
    }
    out
}

/// Takes them away.
pub(super) fn cleanup(rules: &Ruleset) -> String {
    let mut out = String::new();
    for table in rules.tables() {
        let _ = writeln!(out, "*{}", name(table));
        for (chain, rules) in rules.chains(table).filter(|(chain, _)| chain.is_base()) {
            for rule in rules {
                let _ = writeln!(out, "-D {}{}", chain.name(), text(rule));
            }
        }
        for command in ["-F", "-X"] {
            for (chain, _) in rules.chains(table).filter(|(chain, _)| !chain.is_base()) {
                let _ = writeln!(out, "{command} {}", chain.name());
            }
        }
        out.push_str("COMMIT\n");
    }
    out
}

fn text(rule: &Rule) -> String {
    let mut out = String::new();
    for each in &rule.when {
        out.push(' ');
        matches(&mut out, each);
    }
    out.push_str(" -j ");
    let _ = match &rule.then {
        Then::Jump(chain) => write!(out, "{}", chain.name()),
        Then::Return => write!(out, "RETURN"),
        Then::Accept => write!(out, "ACCEPT"),
        Then::Drop => write!(out, "DROP"),
        Then::Redirect(port) => write!(out, "REDIRECT --to-ports {port}"),
        Then::Tproxy { port, mark } => write!(out, "TPROXY --on-port {port} --tproxy-mark {mark}/0xffffffff"),
        Then::Mark(mark) => write!(out, "MARK --set-mark {mark}"),
        Then::SaveMark => write!(out, "CONNMARK --save-mark"),
        Then::RestoreMark => write!(out, "CONNMARK --restore-mark"),
        Then::Zone(zone) => write!(out, "CT --zone {zone}"),
    };
    out
}

fn ports(ports: &Ports) -> String {
    match (ports.start(), ports.end()) {
        (from, to) if from == to => from.to_string(),
        (from, to) => format!("{from}:{to}"),
    }
}

fn matches(out: &mut String, each: &Match) {
    let not = |not: bool| if not { "! " } else { "" };
    let _ = match each {
        Match::Protocol(Protocol::Tcp) => write!(out, "-p tcp"),
        Match::Protocol(Protocol::Udp) => write!(out, "-p udp"),
        Match::From(range) => write!(out, "-s {range}"),
        Match::To { not: turned, range } => write!(out, "{}-d {range}", not(*turned)),
        Match::In(name) => write!(out, "-i {name}"),
        Match::Out(name) => write!(out, "-o {name}"),
        Match::Port(range) => write!(out, "--dport {}", ports(range)),
        Match::NotPorts(list) => match list.as_slice() {
            [one] => write!(out, "! --dport {one}"),
            list => {
                let list: Vec<String> = list.iter().map(u16::to_string).collect();
                write!(out, "-m multiport ! --dports {}", list.join(","))
            }
        },
        Match::FromPort(port) => write!(out, "--sport {port}"),
        Match::User { not: turned, id } => write!(out, "-m owner {}--uid-owner {id}", not(*turned)),
        Match::Group { not: turned, id } => write!(out, "-m owner {}--gid-owner {id}", not(*turned)),
        Match::Mark { not: turned, mark } => write!(out, "-m mark {}--mark {mark}", not(*turned)),
        Match::ConnectionMark(mark) => write!(out, "-m connmark --mark {mark}"),
        Match::State(State::Invalid) => write!(out, "-m conntrack --ctstate INVALID"),
        Match::State(State::Established) => write!(out, "-m conntrack --ctstate RELATED,ESTABLISHED"),
    };
}
