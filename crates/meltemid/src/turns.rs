//! When an object may be written again: what was written and did not stay, or could not be, comes ever more rarely.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use api::ObjectId;

/// Never more rarely than this.
const LATE: Duration = Duration::from_secs(600);

/// Objects that were written a while ago, with when each may be written again and after how long after that.
#[derive(Default)]
pub(crate) struct Turns(BTreeMap<ObjectId, (Instant, Duration)>);

impl Turns {
    /// Whether an object may be written at `now`. If so it is taken for written, and may be again after `first`, then after twice as long.
    pub(crate) fn take(&mut self, object: &ObjectId, first: Duration, now: Instant) -> bool {
        let pause = match self.0.get(object) {
            Some((due, _)) if *due > now => return false,
            Some((_, pause)) => (*pause * 2).min(LATE),
            None => first,
        };
        self.0.insert(object.clone(), (now + pause, pause));
        true
    }

    /// Forgets those that are as they are to be, and were for a while.
    pub(crate) fn keep(&mut self, wanted: &BTreeSet<&ObjectId>, now: Instant) {
        self.0.retain(|object, (due, _)| wanted.contains(object) || *due > now);
    }
}

#[cfg(test)]
mod tests {
    use api::Kind;

    use super::*;

    #[test]
    fn what_does_not_stay_is_written_ever_more_rarely() {
        let object = ObjectId { kind: Kind::VirtualService, namespace: "shop".into(), name: "r".into() };
        let (mut turns, first) = (Turns::default(), Duration::from_secs(1));
        let mut now = Instant::now();
        let mut written = 0;
        for _ in 0..1000 {
            written += usize::from(turns.take(&object, first, now));
            turns.keep(&[&object].into(), now);
            now += first;
        }
        assert_eq!(written, 10, "after 1, 2, 4 and so on seconds");
        now += LATE;
        turns.keep(&BTreeSet::new(), now);
        assert!(turns.take(&object, first, now));
        assert!(turns.take(&object, first, now + first), "what was right for a while begins anew");
    }
}
