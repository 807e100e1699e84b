//! Answers of the proxy. A refusal names a response, not a resource: which of its resources was bad is read from its words, or found by
//! halving.

use super::*;

impl Session {
    /// Takes in the answer in a request, if there is one.
    pub(super) fn answered(&mut self, kind: ResourceType, request: &Request<'_>, _: Instant) -> Option<Nack> {
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
                state.accepted.clone_from(&state.last);
                None
            }
            Some(why) => Some(state.refuse(kind, open, why)),
        }
    }
}

impl State {
    fn refuse(&mut self, kind: ResourceType, open: Open, why: &str) -> Nack {
        self.refusal = Some(why.to_owned());
        let sent = open.resources.iter().map(|encoded| (Name::from(encoded.name()), encoded.version()));
        let (bad, good): (Vec<_>, Vec<_>) = sent.partition(|(name, _)| mentions(why, name));
        let names: Vec<Name> = bad.iter().map(|(name, _)| name.clone()).collect();
        let rest: Vec<Name> = good.iter().map(|(name, _)| name.clone()).collect();
        if bad.is_empty() && good.len() == 1 {
            self.rejected.extend(good);
        } else if bad.is_empty() {
            let (first, second) = rest.split_at(rest.len() / 2);
            self.retry.extend([first.to_vec(), second.to_vec()].into_iter().filter(|half| !half.is_empty()));
        } else {
            self.rejected.extend(bad);
            self.retry.extend(Some(rest).filter(|rest| !rest.is_empty()));
        }
        Nack { kind, why: why.to_owned(), names }
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
