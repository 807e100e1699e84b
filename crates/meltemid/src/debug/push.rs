//! What came of what was published last: what proxies refuse or lack, and what was left out because it conflicts. In the form of istiod's
//! page, a reason, then what it is about, then the proxy and words (`istio: pilot/pkg/model/push_context.go ProxyStatus`); of its reasons
//! the refusals have the names of its metrics, the others are ours.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::asked::{Asked, Connected, Said};
use super::objects::unread;
use crate::control::View;

/// By reason and by what it is about.
type Reasons = BTreeMap<String, BTreeMap<String, Value>>;

/// All of it, for the proxies that are here.
pub(super) fn push_status(asked: &Asked<'_>) -> Said {
    let Some(view) = &asked.view else { return unread() };
    let mut reasons = Reasons::new();
    last(view, &mut reasons);
    for connected in asked.proxies() {
        of_proxy(&connected, &mut reasons);
    }
    let mut left_out = BTreeMap::<&str, Vec<&str>>::new();
    for note in view.mesh.db().notes() {
        left_out.entry(&note.about).or_default().push(&note.message);
    }
    for (about, messages) in left_out {
        say(&mut reasons, "meltemi_left_out", about, json!({ "message": messages.join("; ") }));
    }
    json!(reasons).into()
}

/// What was published.
fn last(view: &View, reasons: &mut Reasons) {
    let took = format!("{:?}", view.last_commit);
    for (about, message) in [
        ("revision", view.mesh.db().revision().to_string()),
        ("commits", view.commits.to_string()),
        ("last commit took", took),
    ] {
        say(reasons, "meltemi_push", about, json!({ "message": message }));
    }
}

/// What a proxy refuses, by its connection and the resources; and the types of which it has not all.
fn of_proxy(connected: &Connected, reasons: &mut Reasons) {
    let proxy = connected.name();
    for (of, live) in &connected.status.types {
        if let Some(why) = &of.refusal {
            let names: Vec<&str> = of.rejected.iter().map(|name| name.as_str()).collect();
            let about = format!("{} {}", connected.id(), names.join(" "));
            let refused = json!({ "proxy": proxy, "message": why });
            say(reasons, &format!("pilot_xds_{}_reject", of.kind.short()), about.trim_end(), refused);
        }
        if !live {
            let message = format!("was sent revision {} and took {}", of.sent, of.acked);
            let about = format!("{} {}", connected.id(), of.kind.short());
            say(reasons, "meltemi_not_live", &about, json!({ "proxy": proxy, "message": message }));
        }
    }
}

fn say(reasons: &mut Reasons, reason: &str, about: &str, what: Value) {
    reasons.entry(reason.to_owned()).or_default().insert(about.to_owned(), what);
}
