//! What follows from a capture for one family. The order is that of Istio, since it decides: istio: tools/istio-iptables/pkg/capture/run.go.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::capture::{Capture, Family, Mode, Ports, Which};
use super::ruleset::{Chain, Match, Protocol, Ruleset, State, Table, Then};

/// Where the agent answers DNS.
const DNS_PORT: u16 = 15053;
/// What the proxy sends to its own workload bears this mark (TPROXY), so that it is not taken for inbound traffic.
const OUTBOUND_MARK: u32 = 1338;

const TCP: Match = Match::Protocol(Protocol::Tcp);
const UDP: Match = Match::Protocol(Protocol::Udp);

/// The rules of one family.
pub(super) fn rules(capture: &Capture, family: Family) -> Ruleset {
    let mut build = Build { capture, family, rules: Ruleset::default() };
    build.interfaces();
    build.inbound();
    build.outbound_head();
    build.proxy_itself();
    build.groups();
    if let Some(servers) = &capture.dns {
        build.dns(servers);
    }
    build.outbound_tail();
    if let Mode::Tproxy { mark, .. } = capture.mode {
        build.marks(mark);
    }
    build.rules
}

struct Build<'a> {
    capture: &'a Capture,
    family: Family,
    rules: Ruleset,
}

impl Build<'_> {
    fn add(&mut self, (table, chain): (Table, Chain), when: impl Into<Vec<Match>>, then: Then) {
        self.rules.append(table, chain, when.into(), then);
    }

    /// An address alone, as a range.
    fn alone(address: IpAddr) -> IpNet {
        IpNet::from(address)
    }

    fn loopback(&self) -> IpNet {
        match self.family {
            Family::V4 => IpNet::V4(self.capture.loopback),
            Family::V6 => Self::alone(Ipv6Addr::LOCALHOST.into()),
        }
    }

    /// From where the proxy sends on what came in.
    fn passthrough(&self) -> IpNet {
        match self.family {
            Family::V4 => Self::alone(Ipv4Addr::new(127, 0, 0, 6).into()),
            Family::V6 => Self::alone(Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, 6).into()),
        }
    }

    fn ours<'b>(&self, ranges: &'b [IpNet]) -> impl Iterator<Item = &'b IpNet> + use<'b> {
        let v4 = self.family == Family::V4;
        ranges.iter().filter(move |range| matches!(range, IpNet::V4(_)) == v4)
    }

    fn interfaces(&mut self) {
        let tables: &[Table] = match self.capture.mode {
            Mode::Redirect => &[Table::Nat],
            Mode::Tproxy { .. } => &[Table::Nat, Table::Mangle],
        };
        for table in tables {
            for name in &self.capture.interfaces_exclude {
                self.add((*table, Chain::Prerouting), [Match::In(name.clone())], Then::Return);
                self.add((*table, Chain::Output), [Match::Out(name.clone())], Then::Return);
            }
        }
        for name in &self.capture.virtual_interfaces {
            self.rules.prepend(Table::Nat, Chain::Prerouting, vec![Match::In(name.clone())], Then::Return);
        }
        if self.capture.drop_invalid {
            let invalid = [Match::State(State::Invalid)];
            self.add((Table::Mangle, Chain::Prerouting), invalid, Then::Jump(Chain::Drop));
            self.add((Table::Mangle, Chain::Drop), [], Then::Drop);
        }
    }

    fn inbound(&mut self) {
        let capture = self.capture;
        let tunnel = Match::Port(capture.tunnel_port..=capture.tunnel_port);
        self.add((Table::Nat, Chain::Inbound), [TCP, tunnel], Then::Return);
        self.add((Table::Nat, Chain::OutboundRedirect), [TCP], Then::Redirect(capture.outbound_port));
        self.add((Table::Nat, Chain::InboundRedirect), [TCP], Then::Redirect(capture.inbound_port));
        if !capture.captures_inbound() {
            return;
        }
        let table = match capture.mode {
            Mode::Redirect => Table::Nat,
            Mode::Tproxy { mark, .. } => {
                self.add((Table::Mangle, Chain::Divert), [], Then::Mark(mark));
                self.add((Table::Mangle, Chain::Divert), [], Then::Accept);
                let elsewhere = Match::To { not: true, range: self.loopback() };
                let take = Then::Tproxy { port: capture.inbound_port, mark };
                self.add((Table::Mangle, Chain::Tproxy), [elsewhere, TCP], take);
                Table::Mangle
            }
        };
        self.add((table, Chain::Prerouting), [TCP], Then::Jump(Chain::Inbound));
        match &capture.inbound {
            Which::All => {
                for ports in &capture.inbound_exclude {
                    self.add((table, Chain::Inbound), [TCP, Match::Port(ports.clone())], Then::Return);
                }
                self.take_inbound(None);
            }
            Which::Listed(listed) => listed.iter().for_each(|ports| self.take_inbound(Some(ports))),
        }
    }

    fn take_inbound(&mut self, ports: Option<&Ports>) {
        let mut when = vec![TCP];
        when.extend(ports.cloned().map(Match::Port));
        if self.capture.mode == Mode::Redirect {
            return self.add((Table::Nat, Chain::Inbound), when, Then::Jump(Chain::InboundRedirect));
        }
        let known = [when.clone(), vec![Match::State(State::Established)]].concat();
        self.add((Table::Mangle, Chain::Inbound), known, Then::Jump(Chain::Divert));
        self.add((Table::Mangle, Chain::Inbound), when, Then::Jump(Chain::Tproxy));
    }

    fn outbound_head(&mut self) {
        self.add((Table::Nat, Chain::Output), [], Then::Jump(Chain::OutboundRules));
        for ports in &self.capture.outbound_ports_exclude {
            for protocol in [TCP, UDP] {
                self.outbound([protocol, Match::Port(ports.clone())], Then::Return);
            }
        }
        let sent_on = [Match::Out("lo".to_owned()), Match::From(self.passthrough())];
        self.outbound(sent_on, Then::Return);
    }

    fn outbound(&mut self, when: impl Into<Vec<Match>>, then: Then) {
        self.add((Table::Nat, Chain::OutboundRules), when, then);
    }

    /// The proxy's own traffic: what it sends to its workload by a service's address comes in again, all else goes out.
    fn proxy_itself(&mut self) {
        let tunnel = self.capture.tunnel_port;
        for id in &self.capture.uids {
            // A workload's DNS over TCP goes agent → server, not agent → proxy → server.
            let not_ports = if self.capture.dns.is_some() { vec![53, tunnel] } else { vec![tunnel] };
            let owner = |not| Match::User { not, id: id.clone() };
            self.owned(owner, not_ports);
        }
        for id in &self.capture.gids {
            let owner = |not| Match::Group { not, id: id.clone() };
            self.owned(owner, vec![tunnel]);
        }
    }

    fn owned(&mut self, owner: impl Fn(bool) -> Match, not_ports: Vec<u16>) {
        let lo = || Match::Out("lo".to_owned());
        let elsewhere = Match::To { not: true, range: self.loopback() };
        let again = [lo(), elsewhere, TCP, Match::NotPorts(not_ports), owner(false)];
        self.outbound(again, Then::Jump(Chain::InboundRedirect));
        if !self.capture.captures_loopback() {
            // A DNS server may run beside the workload, and what goes to it is captured further down.
            let dns = self.capture.dns.as_ref().map(|_| [TCP, Match::NotPorts(vec![53])]);
            let mut to_itself = vec![lo()];
            to_itself.extend(dns.into_iter().flatten());
            to_itself.push(owner(true));
            self.outbound(to_itself, Then::Return);
        }
        self.outbound([owner(false)], Then::Return);
    }

    fn groups(&mut self) {
        match &self.capture.groups {
            Which::All => {
                for id in &self.capture.groups_exclude {
                    self.outbound([Match::Group { not: false, id: id.clone() }], Then::Return);
                }
            }
            Which::Listed(groups) => {
                let none: Vec<Match> = groups.iter().map(|id| Match::Group { not: true, id: id.clone() }).collect();
                self.outbound(none, Then::Return);
            }
        }
    }

    /// DNS goes to the agent; what it asks and what it answers are kept apart by zones of connection tracking.
    fn dns(&mut self, servers: &Which<IpAddr>) {
        let to: Vec<Option<IpNet>> = match servers {
            Which::All => vec![None],
            Which::Listed(servers) => {
                let all: Vec<IpNet> = servers.iter().map(|server| Self::alone(*server)).collect();
                self.ours(&all).copied().map(Some).collect()
            }
        };
        self.add((Table::Raw, Chain::Output), [], Then::Jump(Chain::Dns));
        if !to.is_empty() {
            self.outbound([], Then::Jump(Chain::Dns));
        }
        let port = || Match::Port(53..=53);
        for protocol in [TCP, UDP] {
            for server in &to {
                let mut when = vec![protocol.clone(), port()];
                when.extend(server.map(|range| Match::To { not: false, range }));
                self.add((Table::Nat, Chain::Dns), when, Then::Redirect(DNS_PORT));
            }
        }
        let users = self.capture.uids.iter().map(|id| Match::User { not: false, id: id.clone() });
        let groups = self.capture.gids.iter().map(|id| Match::Group { not: false, id: id.clone() });
        for owner in users.chain(groups) {
            self.add((Table::Raw, Chain::Dns), [UDP, port(), owner.clone()], Then::Zone(1));
            self.add((Table::Raw, Chain::Dns), [UDP, Match::FromPort(DNS_PORT), owner], Then::Zone(2));
        }
        if !to.is_empty() {
            self.add((Table::Raw, Chain::Prerouting), [], Then::Jump(Chain::Inbound));
        }
        for server in to {
            let mut asked = vec![UDP, port()];
            asked.extend(server.map(|range| Match::To { not: false, range }));
            self.add((Table::Raw, Chain::Dns), asked, Then::Zone(2));
            let mut answered = vec![UDP, Match::FromPort(53)];
            answered.extend(server.map(Match::From));
            self.add((Table::Raw, Chain::Inbound), answered, Then::Zone(1));
        }
    }

    fn outbound_tail(&mut self) {
        let capture = self.capture;
        let to = |range: IpNet| Match::To { not: false, range };
        self.outbound([to(self.loopback())], Then::Return);
        for range in self.ours(&capture.ranges_exclude) {
            self.outbound([to(*range)], Then::Return);
        }
        for ports in &capture.outbound_ports {
            self.outbound([TCP, Match::Port(ports.clone())], Then::Jump(Chain::OutboundRedirect));
        }
        let ranges: Vec<Option<IpNet>> = match &capture.ranges {
            Which::All => vec![None],
            Which::Listed(ranges) => self.ours(ranges).copied().map(Some).collect(),
        };
        for range in ranges {
            let when: Vec<Match> = range.map(to).into_iter().collect();
            self.outbound(when.clone(), Then::Jump(Chain::OutboundRedirect));
            for name in &capture.virtual_interfaces {
                let from = [vec![Match::In(name.clone())], when.clone()].concat();
                self.rules.prepend(Table::Nat, Chain::Prerouting, from, Then::Jump(Chain::OutboundRedirect));
            }
        }
    }

    /// TPROXY only: marks keep the two directions apart.
    fn marks(&mut self, mark: u32) {
        let lo = || Match::Out("lo".to_owned());
        let marked = || Match::Mark { not: false, mark };
        self.add((Table::Mangle, Chain::Prerouting), [TCP, marked()], Then::SaveMark);
        self.add((Table::Mangle, Chain::Output), [TCP, lo(), marked()], Then::Return);
        let users = self.capture.uids.iter().map(|id| Match::User { not: false, id: id.clone() });
        let groups = self.capture.gids.iter().map(|id| Match::Group { not: false, id: id.clone() });
        for owner in users.chain(groups) {
            let elsewhere = Match::To { not: true, range: self.loopback() };
            self.add((Table::Mangle, Chain::Output), [elsewhere, TCP, lo(), owner], Then::Mark(OUTBOUND_MARK));
        }
        self.add((Table::Mangle, Chain::Output), [TCP, Match::ConnectionMark(mark)], Then::RestoreMark);
        let enters = || Match::In("lo".to_owned());
        // In front of what captures, the last one first.
        let from_workload = vec![TCP, enters(), Match::Mark { not: true, mark: OUTBOUND_MARK }];
        let sent_on = vec![TCP, Match::From(self.passthrough()), enters()];
        for when in [from_workload, sent_on, vec![TCP, marked()]] {
            self.rules.prepend(Table::Mangle, Chain::Inbound, when, Then::Return);
        }
    }
}
