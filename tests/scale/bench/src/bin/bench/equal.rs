//! Whether two servers sent the same: what they cost can be compared only then.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use serde_json::Value;

/// Names of one type, with a hash of each body.
type Sent = BTreeMap<String, Value>;

/// Fails when some client was sent other names; says how many bodies are the same.
pub(crate) fn check(one: &[Value], other: &[Value]) -> anyhow::Result<()> {
    let (mut all, mut same) = (0, 0);
    for (one, other) in one.iter().zip(other) {
        let (one, other) = (types(one)?, types(other)?);
        for kind in one.keys().chain(other.keys().filter(|kind| !one.contains_key(*kind))) {
            let none = Sent::new();
            let (one, other) = (one.get(kind).unwrap_or(&none), other.get(kind).unwrap_or(&none));
            let lacks = |from: &Sent, of: &Sent| {
                from.keys().filter(|name| !of.contains_key(*name)).take(5).cloned().collect::<Vec<_>>()
            };
            let (more, less) = (lacks(one, other), lacks(other, one));
            if !more.is_empty() || !less.is_empty() {
                bail!("the servers do not send the same {kind}: only the first has {more:?}, only the second {less:?}");
            }
            all += one.len();
            same += one.iter().filter(|(name, body)| other.get(*name) == Some(*body)).count();
        }
    }
    eprintln!("both servers sent the same names; {same} of {all} bodies are equal byte for byte");
    Ok(())
}

fn types(sent: &Value) -> anyhow::Result<BTreeMap<String, Sent>> {
    serde_json::from_value(sent.clone()).context("reading what a client was sent")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn other_names_are_no_comparison_and_other_bodies_are() {
        let sent = |names: &[(&str, &str)]| {
            let names: BTreeMap<_, _> = names.iter().copied().collect();
            vec![json!({ "cds": names })]
        };
        check(&sent(&[("a", "1"), ("b", "2")]), &sent(&[("a", "1"), ("b", "3")])).unwrap();
        assert!(check(&sent(&[("a", "1")]), &sent(&[("a", "1"), ("b", "2")])).is_err());
        assert!(check(&sent(&[("a", "1")]), &[json!({})]).is_err());
    }
}
