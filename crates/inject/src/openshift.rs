//! Users and groups of pods on OpenShift, which gives each namespace ranges of its own and refuses others
//! (`istio: pkg/kube/inject/openshift.go`).

use crate::pod::Strings;

const USERS: &str = "openshift.io/sa.scc.uid-range";
const GROUPS: &str = "openshift.io/sa.scc.supplemental-groups";
/// User and group of the proxy elsewhere.
const PROXY: i64 = 1337;

/// User and group of the proxy in a namespace with these annotations: the last of the ranges, which no application gets by itself.
pub(crate) fn user_and_group(annotations: Option<&Strings>) -> (i64, i64) {
    let said = |name: &str| annotations.and_then(|annotations| annotations.get(name)).filter(|text| !text.is_empty());
    let users = said(USERS).and_then(|text| last(text));
    let groups = match annotations.and_then(|annotations| annotations.get(GROUPS)) {
        Some(_) => said(GROUPS),
        None => said(USERS),
    };
    let first = groups.and_then(|text| {
        let ends: Option<Vec<i64>> = text.split(',').map(last).collect();
        ends?.first().copied()
    });
    (users.unwrap_or(PROXY), first.unwrap_or(PROXY))
}

/// The last number of `first/count` or `first-last`.
fn last(range: &str) -> Option<i64> {
    let number = |text: &str| text.trim().parse::<u32>().ok();
    let last = match range.split_once('/') {
        Some((first, count)) => number(first)?.checked_add(number(count)?)?.checked_sub(1)?,
        None => number(range.split_once('-')?.1)?,
    };
    Some(i64::from(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_a_range_is_the_proxys() {
        let of = |pairs: &[(&str, &str)]| {
            let annotations: Strings =
                pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            user_and_group(Some(&annotations))
        };
        assert_eq!(of(&[(USERS, "1000620000/10000"), (GROUPS, "2000-2999,5000/10")]), (1_000_629_999, 2999));
        assert_eq!(of(&[(USERS, "100/10")]), (109, 109));
        assert_eq!(of(&[(USERS, "many"), (GROUPS, "")]), (1337, 1337));
        assert_eq!(user_and_group(None), (1337, 1337));
    }
}
