//! Labels and annotations that every template with a proxy gives.

use crate::annotations::REVISION;
use crate::parts::Metadata;
use crate::pod;

use super::Context;

const NAME: &str = "service.istio.io/canonical-name";
const VERSION: &str = "service.istio.io/canonical-revision";
const DEFAULT: [&str; 2] = ["kubectl.kubernetes.io/default-logs-container", "kubectl.kubernetes.io/default-container"];
/// The longest value of a label.
const LONGEST: usize = 63;

/// Names of the service in telemetry, and the container that kubectl takes when none is named.
pub(super) fn common(context: &Context<'_>) -> Metadata {
    let mut metadata = Metadata::default();
    let said = |labels: &[&str]| {
        let values = labels.iter().filter_map(|label| context.labels.get(*label));
        values.into_iter().find(|value| !value.is_empty()).cloned()
    };
    let name = said(&[NAME, "app.kubernetes.io/name", "app"]).unwrap_or_else(|| context.workload.name.clone());
    let version = said(&[VERSION, "app.kubernetes.io/version", "version"]).unwrap_or_else(|| "latest".to_owned());
    metadata.labels.insert(NAME, label(&name));
    metadata.labels.insert(VERSION, version);
    metadata.annotations.insert(REVISION, context.revision().to_owned());
    if let Some(first) = context.applications().next() {
        let missing = DEFAULT.into_iter().filter(|key| !context.annotations.contains_key(*key));
        metadata.annotations.extend(missing.map(|key| (key, pod::name(first).to_owned())));
    }
    metadata
}

/// A name as the value of a label: cut, and without marks at its ends.
fn label(name: &str) -> String {
    let cut: String = name.chars().take(LONGEST).collect();
    cut.trim_matches(['-', '_', '.']).to_owned()
}
