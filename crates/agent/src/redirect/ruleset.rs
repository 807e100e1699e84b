//! Rules without the words of a program: tables, chains, what a packet must be like, and what then becomes of it.

use ipnet::IpNet;

use super::capture::Ports;

/// Tables, in the order in which a packet meets them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Table {
    Raw,
    Mangle,
    Nat,
}

/// Chains: two of the system, and ours.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Chain {
    Prerouting,
    Output,
    Inbound,
    InboundRedirect,
    OutboundRedirect,
    OutboundRules,
    Dns,
    Divert,
    Tproxy,
    Drop,
}

impl Chain {
    /// Istio's names: tools look for them.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Prerouting => "PREROUTING",
            Self::Output => "OUTPUT",
            Self::Inbound => "ISTIO_INBOUND",
            Self::InboundRedirect => "ISTIO_IN_REDIRECT",
            Self::OutboundRedirect => "ISTIO_REDIRECT",
            Self::OutboundRules => "ISTIO_OUTPUT",
            Self::Dns => "ISTIO_OUTPUT_DNS",
            Self::Divert => "ISTIO_DIVERT",
            Self::Tproxy => "ISTIO_TPROXY",
            Self::Drop => "ISTIO_DROP",
        }
    }

    /// Whether packets come here by themselves.
    pub(super) fn is_base(self) -> bool {
        matches!(self, Self::Prerouting | Self::Output)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Protocol {
    Tcp,
    Udp,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    Invalid,
    Established,
}

/// What a packet must be like. `not` turns it round.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Match {
    Protocol(Protocol),
    From(IpNet),
    To {
        not: bool,
        range: IpNet,
    },
    In(String),
    Out(String),
    /// With a protocol before it.
    Port(Ports),
    NotPorts(Vec<u16>),
    FromPort(u16),
    User {
        not: bool,
        id: String,
    },
    Group {
        not: bool,
        id: String,
    },
    Mark {
        not: bool,
        mark: u32,
    },
    ConnectionMark(u32),
    State(State),
}

/// What becomes of the packet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Then {
    Jump(Chain),
    Return,
    Accept,
    Drop,
    Redirect(u16),
    Tproxy { port: u16, mark: u32 },
    Mark(u32),
    SaveMark,
    RestoreMark,
    Zone(u16),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Rule {
    pub(super) when: Vec<Match>,
    pub(super) then: Then,
}

/// All rules of one family, by table and chain. A chain that is jumped to is there, rules or not.
#[derive(Default, Debug)]
pub(super) struct Ruleset(std::collections::BTreeMap<(Table, Chain), Vec<Rule>>);

impl Ruleset {
    pub(super) fn append(&mut self, table: Table, chain: Chain, when: Vec<Match>, then: Then) {
        if let Then::Jump(to) = then {
            self.0.entry((table, to)).or_default();
        }
        self.0.entry((table, chain)).or_default().push(Rule { when, then });
    }

    /// Before what is there already.
    pub(super) fn prepend(&mut self, table: Table, chain: Chain, when: Vec<Match>, then: Then) {
        self.append(table, chain, when, then);
        if let Some(rules) = self.0.get_mut(&(table, chain)) {
            rules.rotate_right(1);
        }
    }

    /// The tables that have chains.
    pub(super) fn tables(&self) -> Vec<Table> {
        let mut tables: Vec<Table> = self.0.keys().map(|(table, _)| *table).collect();
        tables.dedup();
        tables
    }

    /// The chains of a table, with their rules.
    pub(super) fn chains(&self, table: Table) -> impl Iterator<Item = (Chain, &[Rule])> {
        self.0.iter().filter(move |((of, _), _)| *of == table).map(|((_, chain), rules)| (*chain, rules.as_slice()))
    }
}
