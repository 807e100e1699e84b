//! Counts and kinds of chains, by mode and protocol.

use model::peers::PeerMode;

use super::{Speaks, rows};

fn kinds(mode: PeerMode, speaks: Speaks) -> Vec<(bool, bool)> {
    rows(mode, speaks).iter().map(|row| (row.http, row.terminates)).collect()
}

#[test]
fn strict_terminates_everything() {
    for speaks in [Speaks::Auto, Speaks::Http, Speaks::Opaque] {
        assert!(kinds(PeerMode::Strict, speaks).iter().all(|(_, terminates)| *terminates), "{speaks:?}");
    }
}

#[test]
fn disable_terminates_nothing() {
    for speaks in [Speaks::Auto, Speaks::Http, Speaks::Opaque] {
        assert!(!kinds(PeerMode::Disable, speaks).iter().any(|(_, terminates)| *terminates), "{speaks:?}");
    }
}

#[test]
fn there_are_five_two_three_chains_two_one_one_and_two_one_one() {
    let counts = |mode| [Speaks::Auto, Speaks::Http, Speaks::Opaque].map(|speaks| rows(mode, speaks).len());
    assert_eq!(counts(PeerMode::Permissive), [5, 2, 3]);
    assert_eq!(counts(PeerMode::Strict), [2, 1, 1]);
    assert_eq!(counts(PeerMode::Disable), [2, 1, 1]);
}

#[test]
fn conditions_of_a_port_are_all_different() {
    for mode in [PeerMode::Permissive, PeerMode::Strict, PeerMode::Disable] {
        for speaks in [Speaks::Auto, Speaks::Http, Speaks::Opaque] {
            let conditions: Vec<_> = rows(mode, speaks).iter().map(|row| row.conditions(Some(80))).collect();
            for (at, one) in conditions.iter().enumerate() {
                assert!(!conditions[..at].contains(one), "{mode:?} {speaks:?}");
            }
        }
    }
}
