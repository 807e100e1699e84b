//! Answers of the proxy. A refusal names a response, not a resource: which of its resources was bad is read from its words, or found by
//! halving.

use super::*;

impl Session {
    /// Takes in the answer in a request, if there is one.
    pub(super) fn answered(&mut self, kind: ResourceType, request: &Request<'_>, now: Instant) -> Option<Nack> {
        if request.nonce.is_empty() {
            return None;
        }
        let nonce = request.nonce.parse::<u64>().ok();
        let state = self.types[kind.index()].as_deref_mut()?;
        let Some(at) = state.open.iter().position(|open| Some(open.nonce) == nonce) else {
            self.expired += 1;
            return None;
        };
        let mut answered: Vec<Open> = state.open.drain(..=at).collect();
        let open = answered.pop()?;
        match request.error {
            None => {
                state.acked = state.acked.max(open.revision);
                if state.open.is_empty() && state.force.is_empty() && state.retry.is_empty() && state.rest.is_none() {
                    state.acked = state.acked.max(state.sent);
                }
                state.refusal = state.refusal.take().filter(|_| !state.rejected.is_empty());
                state.accepted.clone_from(&state.made);
                let held: BTreeSet<&Name> = state.rejected.keys().chain(state.retry.iter().flatten()).collect();
                state.kept.retain(|name, _| held.contains(name));
                None
            }
            Some(why) => {
                let sotw = self.variant == Variant::Sotw;
                let (nack, bad) = state.refuse(kind, &open, why, sotw);
                for (name, version) in bad {
                    self.peer.refused(kind, &name, version, why, now);
                }
                Some(nack)
            }
        }
    }
}

impl State {
    /// Notes a refusal; gives what is now known to be bad beside it.
    fn refuse(&mut self, kind: ResourceType, open: &Open, why: &str, sotw: bool) -> (Nack, Vec<(Name, Version)>) {
        self.refusal = Some(why.to_owned());
        let sent = open.resources.iter().map(|encoded| (Name::from(encoded.name()), encoded.version()));
        let (mut bad, mut good): (Vec<_>, Vec<_>) = sent.partition(|(name, _)| mentions(why, name));
        let names: Vec<Name> = bad.iter().map(|(name, _)| name.clone()).collect();
        if sotw {
            // A full answer: what was taken before cannot be it.
            let held: BTreeSet<&Name> = self.rejected.keys().chain(self.retry.iter().flatten()).collect();
            good.retain(|(name, version)| !held.contains(name) && self.taken_version(name) != Some(*version));
        }
        if bad.is_empty() && good.len() == 1 {
            bad.append(&mut good);
        }
        if bad.is_empty() {
            let suspects: Vec<Name> = good.iter().map(|(name, _)| name.clone()).collect();
            let (first, second) = suspects.split_at(suspects.len() / 2);
            let halves = [first.to_vec(), second.to_vec()].into_iter().filter(|half| !half.is_empty());
            self.keep(suspects.iter(), sotw);
            self.retry.extend(halves);
        } else {
            self.keep(bad.iter().map(|(name, _)| name), sotw);
            self.rejected.extend(bad.iter().cloned());
            // By delta the others are not there yet either.
            let rest: Vec<Name> = good.into_iter().map(|(name, _)| name).collect();
            self.retry.extend(Some(rest).filter(|rest| !rest.is_empty() && !sotw));
        }
        (Nack { kind, why: why.to_owned(), names }, bad)
    }

    fn taken_version(&self, name: &Name) -> Option<Version> {
        let taken = match self.kept.get(name) {
            Some(kept) => kept.as_ref(),
            None => self.accepted.as_ref()?.get(&self.views, name),
        };
        taken.map(Encoded::version)
    }

    pub(super) fn keep_all(&mut self, names: &[(Name, Version)]) {
        self.keep(names.iter().map(|(name, _)| name), true);
    }

    /// Remembers what was taken last of names that are held back: a full answer goes on with it.
    fn keep<'n>(&mut self, names: impl Iterator<Item = &'n Name>, sotw: bool) {
        if !sotw {
            return;
        }
        for name in names {
            if !self.kept.contains_key(name) {
                let taken = self.accepted.as_ref().and_then(|accepted| accepted.get(&self.views, name)).cloned();
                self.kept.insert(name.clone(), taken);
            }
        }
    }
}

/// Whether an error text names a resource: as a whole word, since names are parts of each other.
fn mentions(text: &str, name: &str) -> bool {
    let part = |byte: Option<&u8>| {
        byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'|'))
    };
    text.match_indices(name).any(|(at, _)| {
        let bytes = text.as_bytes();
        let before = at.checked_sub(1).and_then(|at| bytes.get(at));
        let after = bytes.get(at + name.len());
        // A full stop or colon ends a name in prose.
        let ends = after.is_none_or(|byte| *byte == b'.' && !part(bytes.get(at + name.len() + 1)));
        !part(before) && (ends || !part(after))
    })
}
