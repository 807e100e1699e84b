//! What one client asks for and answers, as Envoy does: a state machine without I/O. It asks for clusters and listeners, then for what
//! they lead to; it acks what it takes, and holds the ack of clusters back while they warm.

use std::sync::Arc;

use crate::held::{Held, lacking};
use crate::kinds::Kind;
use crate::library::Library;
use crate::names::Name;
use crate::request::{self, Request};
use crate::response::Response;
use crate::settings::Mode;

/// One stream, and what is kept from one to the next.
pub(crate) struct Session {
    mode: Mode,
    library: Arc<Library>,
    types: [State; Kind::COUNT],
    warming: Option<Box<Warming>>,
}

/// The state of one type.
#[derive(Default)]
struct State {
    held: Arc<Held>,
    asked: bool,
    answered: bool,
    /// Names that were asked for and that the server says are not there.
    absent: Vec<Name>,
    /// State of the world: what was taken last, and the last response.
    version: Box<str>,
    nonce: Box<str>,
}

/// Answers to clusters that wait for endpoints.
struct Warming {
    answers: Vec<(Box<str>, Box<str>)>,
    left: Vec<Name>,
}

/// What a response leads to.
#[derive(Default, Debug)]
pub(crate) struct Taken {
    /// What is to be said, in this order.
    pub(crate) requests: Vec<Request>,
    /// It was refused.
    pub(crate) refused: bool,
}

impl Session {
    /// A client that has nothing.
    #[must_use]
    pub(crate) fn new(mode: Mode, library: Arc<Library>) -> Self {
        Self { mode, library, types: Default::default(), warming: None }
    }

    /// What it has of a type.
    #[must_use]
    pub(crate) fn held(&self, kind: Kind) -> &Arc<Held> {
        &self.types[kind.index()].held
    }

    fn state(&mut self, kind: Kind) -> &mut State {
        &mut self.types[kind.index()]
    }

    /// Loses all that it has.
    pub(crate) fn forget(&mut self) {
        self.types = Default::default();
        self.warming = None;
    }

    /// The first requests of a new stream. What is there is offered.
    pub(crate) fn begin(&mut self) -> Vec<Request> {
        self.warming = None;
        let mut requests = Vec::new();
        for kind in Kind::ASKED {
            let wanted = self.wanted(kind);
            let hosts = kind == Kind::Vhds && self.mode == Mode::Delta && self.held(Kind::Rds).vhds;
            let asked = kind.whole() || !wanted.is_empty() || hosts;
            let State { held, version, .. } = std::mem::take(self.state(kind));
            if asked {
                requests.push(match self.mode {
                    Mode::Delta => self.offer(kind, &wanted, &held),
                    Mode::Sotw => Request::sotw(kind, (&version, ""), self.names(kind, &wanted), None),
                });
            }
            *self.state(kind) = State { held, version, asked, ..State::default() };
        }
        requests
    }

    fn offer(&self, kind: Kind, wanted: &[Name], held: &Held) -> Request {
        let make = || request::offer(kind, wanted, held, &self.library.names);
        let usual = !kind.named() || held.resources.iter().map(|resource| resource.name).eq(wanted.iter().copied());
        Request::parts(vec![if usual { held.offer.get_or_init(make).clone() } else { make() }])
    }

    fn names(&self, kind: Kind, wanted: &[Name]) -> bytes::Bytes {
        self.library.request(kind, [wanted, &[]], |names| request::names(wanted, names))
    }

    /// The names of a type that are asked for, sorted: those that others lead to.
    fn wanted(&self, kind: Kind) -> Vec<Name> {
        let from = |parent: Kind| self.held(parent).leads(kind);
        match kind {
            Kind::Eds => from(Kind::Cds).to_vec(),
            Kind::Rds => from(Kind::Lds).to_vec(),
            Kind::Sds => {
                let mut both = [from(Kind::Cds), from(Kind::Lds)].concat();
                both.sort_unstable();
                both.dedup();
                both
            }
            Kind::Cds | Kind::Lds | Kind::Vhds => Vec::new(),
        }
    }

    /// Takes a response, or refuses it.
    pub(crate) fn take(&mut self, response: &Response, refuse: Option<&str>) -> Taken {
        let mut taken = Taken::default();
        let Some(kind) = response.kind else { return taken };
        let state = self.state(kind);
        state.answered = true;
        state.nonce.clone_from(&response.nonce);
        if refuse.is_some() {
            let answer = self.answer(kind, (&response.version, &response.nonce), refuse);
            return Taken { requests: vec![answer], refused: true };
        }
        let whole = self.mode == Mode::Sotw && kind.whole();
        let led = self.led(kind);
        let before: Vec<_> = led.iter().map(|to| self.wanted(*to)).collect();
        let transition = self.library.after(kind, self.held(kind), response, whole);
        let state = self.state(kind);
        state.held = transition.next.clone();
        state.absent.retain(|name| transition.came.binary_search(name).is_err());
        state.absent.extend(response.removed.iter().filter(|_| kind.named()));
        for (to, before) in led.iter().zip(before) {
            taken.requests.extend(self.follow(*to, &before));
        }
        if kind == Kind::Rds && self.mode == Mode::Delta && transition.next.vhds && !self.state(Kind::Vhds).asked {
            self.state(Kind::Vhds).asked = true;
            taken.requests.push(self.offer(Kind::Vhds, &[], self.held(Kind::Vhds)));
        }
        self.settle(kind, response, (&transition.came, &transition.warm), &mut taken.requests);
        taken
    }

    /// The types that a type leads to by names.
    fn led(&self, kind: Kind) -> &'static [Kind] {
        match kind {
            Kind::Cds => &[Kind::Eds, Kind::Sds],
            Kind::Lds => &[Kind::Rds, Kind::Sds],
            Kind::Eds | Kind::Sds | Kind::Rds | Kind::Vhds => &[],
        }
    }

    /// Asks for names that are new, and no more for those that nothing leads to.
    fn follow(&mut self, to: Kind, before: &[Name]) -> Option<Request> {
        let wanted = self.wanted(to);
        let (new, gone) = (lacking(&wanted, before), lacking(before, &wanted));
        if new.is_empty() && gone.is_empty() {
            return None;
        }
        if !gone.is_empty() {
            let left = self.library.without(to, self.held(to), &gone);
            let state = self.state(to);
            state.held = left;
            state.absent.retain(|name| gone.binary_search(name).is_err());
        }
        self.state(to).asked = true;
        let state = &self.types[to.index()];
        Some(match self.mode {
            Mode::Delta => {
                let lists = [&new[..], &gone[..]];
                let make = |names: &crate::names::Names| request::subscribe(to, lists, names);
                Request::parts(vec![self.library.request(to, lists, make)])
            }
            Mode::Sotw => Request::sotw(to, (&state.version, &state.nonce), self.names(to, &wanted), None),
        })
    }

    /// Answers a response; that to clusters when all that warm have their endpoints.
    fn settle(&mut self, kind: Kind, response: &Response, (came, warm): (&[Name], &[Name]), to: &mut Vec<Request>) {
        let answer = (response.version.clone(), response.nonce.clone());
        match kind {
            Kind::Cds if !warm.is_empty() || self.warming.is_some() => {
                let mut warming =
                    self.warming.take().unwrap_or_else(|| Box::new(Warming { answers: Vec::new(), left: Vec::new() }));
                warming.answers.push(answer);
                warming.left.extend_from_slice(warm);
                warming.left.sort_unstable();
                warming.left.dedup();
                let gone = lacking(&warming.left, self.held(Kind::Cds).leads(Kind::Eds));
                warming.left = lacking(&warming.left, &gone);
                self.warming = Some(warming);
            }
            _ => to.push(self.answer(kind, (&answer.0, &answer.1), None)),
        }
        if let Some(warming) = self.warming.as_mut().filter(|_| kind == Kind::Eds) {
            warming.left = lacking(&warming.left, came);
            warming.left.retain(|name| !response.removed.contains(name));
        }
        if let Some(warm) = self.warming.take_if(|warming| warming.left.is_empty()) {
            for (version, nonce) in &warm.answers {
                to.push(self.answer(Kind::Cds, (version, nonce), None));
            }
        }
    }

    fn answer(&mut self, kind: Kind, (version, nonce): (&str, &str), error: Option<&str>) -> Request {
        if self.mode == Mode::Delta {
            return Request::answer(kind, nonce, error);
        }
        if error.is_none() {
            self.state(kind).version = version.into();
        }
        let names = self.names(kind, &self.wanted(kind));
        let version = &self.types[kind.index()].version;
        Request { ack: error.is_none(), ..Request::sotw(kind, (version, nonce), names, error) }
    }

    /// It has clusters, listeners and all that they lead to, and the server answered everything that was asked.
    #[must_use]
    pub(crate) fn complete(&self) -> bool {
        self.covered() && self.types.iter().all(|state| state.answered || !state.asked)
    }

    /// It has clusters, listeners and all that they lead to; some of it may be from an earlier stream, and not confirmed.
    #[must_use]
    pub(crate) fn covered(&self) -> bool {
        let there = |kind: Kind| {
            let state = &self.types[kind.index()];
            state.held.covers(&self.wanted(kind), &state.absent)
        };
        let full = |kind: Kind| !self.held(kind).resources.is_empty();
        self.warming.is_none()
            && full(Kind::Cds)
            && full(Kind::Lds)
            && [Kind::Eds, Kind::Rds, Kind::Sds].into_iter().all(there)
    }

    /// What is missing, in words.
    #[must_use]
    pub(crate) fn missing(&self) -> String {
        let mut all = Vec::new();
        for kind in Kind::ALL {
            let (state, wanted) = (&self.types[kind.index()], self.wanted(kind));
            let missing: Vec<Name> =
                wanted.into_iter().filter(|name| !state.held.covers(&[*name], &state.absent)).collect();
            if let Some(first) = missing.first() {
                all.push(format!("{} of {}, as {}", missing.len(), kind.short(), self.library.names.text(*first)));
            }
            if state.asked && !state.answered {
                all.push(format!("an answer of {}", kind.short()));
            }
            if kind.whole() && state.held.resources.is_empty() {
                all.push(format!("any {}", kind.short()));
            }
        }
        if let Some(warming) = &self.warming {
            let first = warming.left.first().map(|name| self.library.names.text(*name));
            all.push(format!(
                "endpoints of {} warming clusters, as {}",
                warming.left.len(),
                first.as_deref().unwrap_or("")
            ));
        }
        all.join("; ")
    }
}

#[cfg(test)]
mod tests;
