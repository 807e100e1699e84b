//! What a container's variables and words are: literal, out of the pod itself, out of ConfigMaps and Secrets, and `$(NAME)` in them.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use k8s_openapi::api::core::v1::{
    ConfigMap, Container, EnvVar, EnvVarSource, ObjectFieldSelector, Pod, ResourceFieldSelector, Secret,
};
use kube::{Api, Client};

/// What a node has, for containers without limits.
pub(super) const CORES: f64 = 64.0;
pub(super) const MEMORY: f64 = 256.0 * 1024.0 * 1024.0 * 1024.0;

/// The addresses that a running pod knows of itself.
#[derive(Clone, Copy)]
pub(super) struct Addresses<'a> {
    pub(super) pod: &'a str,
    pub(super) host: &'a str,
}

/// Values of a ConfigMap or Secret by key; `None` for one that is not there and need not be.
pub(super) type Values = Option<BTreeMap<String, Vec<u8>>>;

/// A ConfigMap's values.
pub(super) async fn config_map(client: &Client, namespace: &str, name: &str, optional: bool) -> anyhow::Result<Values> {
    let found: Option<ConfigMap> = Api::namespaced(client.clone(), namespace).get_opt(name).await?;
    let Some(found) = found else { return absent("configmap", name, optional) };
    let mut values: BTreeMap<String, Vec<u8>> =
        found.data.into_iter().flatten().map(|(key, value)| (key, value.into_bytes())).collect();
    values.extend(found.binary_data.into_iter().flatten().map(|(key, value)| (key, value.0)));
    Ok(Some(values))
}

/// A Secret's values.
pub(super) async fn secret(client: &Client, namespace: &str, name: &str, optional: bool) -> anyhow::Result<Values> {
    let found: Option<Secret> = Api::namespaced(client.clone(), namespace).get_opt(name).await?;
    let Some(found) = found else { return absent("secret", name, optional) };
    Ok(Some(found.data.into_iter().flatten().map(|(key, value)| (key, value.0)).collect()))
}

fn absent(kind: &str, name: &str, optional: bool) -> anyhow::Result<Values> {
    if optional { Ok(None) } else { bail!("{kind} {name:?} not found") }
}

/// A container's variables, in their order.
pub(super) async fn variables(
    client: &Client,
    (pod, container): (&Pod, &Container),
    addresses: Addresses<'_>,
    first: Vec<(String, String)>,
) -> anyhow::Result<Vec<(String, String)>> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let mut variables = first;
    for from in container.env_from.iter().flatten() {
        let prefix = from.prefix.as_deref().unwrap_or_default();
        let values = match (&from.config_map_ref, &from.secret_ref) {
            (Some(of), _) => config_map(client, namespace, &of.name, of.optional.unwrap_or_default()).await?,
            (None, Some(of)) => secret(client, namespace, &of.name, of.optional.unwrap_or_default()).await?,
            (None, None) => None,
        };
        for (key, value) in values.into_iter().flatten() {
            set(&mut variables, format!("{prefix}{key}"), String::from_utf8_lossy(&value).into_owned());
        }
    }
    for variable in container.env.iter().flatten() {
        let EnvVar { name, value, value_from } = variable;
        let value = match value_from {
            None => Some(expand(value.as_deref().unwrap_or_default(), &variables)),
            Some(source) => referred(client, (pod, container), addresses, source)
                .await
                .with_context(|| format!("variable {name} of container {}", container.name))?,
        };
        if let Some(value) = value {
            set(&mut variables, name.clone(), value);
        }
    }
    Ok(variables)
}

fn set(variables: &mut Vec<(String, String)>, name: String, value: String) {
    match variables.iter_mut().find(|(known, _)| *known == name) {
        Some((_, old)) => *old = value,
        None => variables.push((name, value)),
    }
}

async fn referred(
    client: &Client,
    (pod, container): (&Pod, &Container),
    addresses: Addresses<'_>,
    source: &EnvVarSource,
) -> anyhow::Result<Option<String>> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    if let Some(field) = &source.field_ref {
        return self::field(pod, field, Some(addresses)).map(Some);
    }
    if let Some(resource) = &source.resource_field_ref {
        return self::resource(pod, resource, Some(container)).map(Some);
    }
    let (values, key, optional) = match (&source.config_map_key_ref, &source.secret_key_ref) {
        (Some(of), _) => {
            let optional = of.optional.unwrap_or_default();
            (config_map(client, namespace, &of.name, optional).await?, &of.key, optional)
        }
        (None, Some(of)) => {
            let optional = of.optional.unwrap_or_default();
            (secret(client, namespace, &of.name, optional).await?, &of.key, optional)
        }
        (None, None) => bail!("its source is of a kind that is not played"),
    };
    match values.and_then(|mut values| values.remove(key)) {
        Some(value) => Ok(Some(String::from_utf8_lossy(&value).into_owned())),
        None if optional => Ok(None),
        None => bail!("there is no key {key}"),
    }
}

/// A field of the pod; addresses are known to variables only.
pub(super) fn field(
    pod: &Pod,
    selector: &ObjectFieldSelector,
    addresses: Option<Addresses<'_>>,
) -> anyhow::Result<String> {
    let (metadata, path) = (&pod.metadata, selector.field_path.as_str());
    let spec = pod.spec.as_ref().context("a pod has a spec")?;
    let one = |map: &Option<BTreeMap<String, String>>, key: &str| {
        map.as_ref().and_then(|map| map.get(key)).cloned().unwrap_or_default()
    };
    let all = |map: &Option<BTreeMap<String, String>>| {
        let lines = map.iter().flatten().map(|(key, value)| format!("{key}={value:?}"));
        lines.collect::<Vec<_>>().join("\n")
    };
    let keyed = |prefix: &str| path.strip_prefix(prefix)?.strip_prefix("['")?.strip_suffix("']");
    if let Some(key) = keyed("metadata.labels") {
        return Ok(one(&metadata.labels, key));
    }
    if let Some(key) = keyed("metadata.annotations") {
        return Ok(one(&metadata.annotations, key));
    }
    let owned = |value: &Option<String>| value.clone().unwrap_or_default();
    Ok(match (path, addresses) {
        ("metadata.name", _) => owned(&metadata.name),
        ("metadata.namespace", _) => owned(&metadata.namespace),
        ("metadata.uid", _) => owned(&metadata.uid),
        ("metadata.labels", _) => all(&metadata.labels),
        ("metadata.annotations", _) => all(&metadata.annotations),
        ("spec.nodeName", _) => owned(&spec.node_name),
        ("spec.serviceAccountName", _) => owned(&spec.service_account_name),
        ("status.podIP" | "status.podIPs", Some(addresses)) => addresses.pod.to_owned(),
        ("status.hostIP" | "status.hostIPs", Some(addresses)) => addresses.host.to_owned(),
        _ => bail!("there is no field {path}"),
    })
}

/// A limit or request of a container, in units of its divisor, rounded up.
pub(super) fn resource(
    pod: &Pod,
    selector: &ResourceFieldSelector,
    container: Option<&Container>,
) -> anyhow::Result<String> {
    let spec = pod.spec.as_ref().context("a pod has a spec")?;
    let mut all = spec.init_containers.iter().flatten().chain(&spec.containers);
    let named = selector.container_name.as_ref().and_then(|name| all.find(|container| container.name == *name));
    let container = named.or(container).context("it names no container")?;
    let (group, name) = selector.resource.split_once('.').context("a resource is limits.cpu or the like")?;
    let resources = container.resources.as_ref();
    let [limit, request] =
        [resources.and_then(|all| all.limits.as_ref()), resources.and_then(|all| all.requests.as_ref())]
            .map(|group| group.and_then(|group| group.get(name)));
    let given = if group == "limits" { limit } else { request.or(limit) };
    let value = match (given, group, name) {
        (Some(given), ..) => quantity(&given.0)?,
        (None, "limits", "cpu") => CORES,
        (None, "limits", "memory") => MEMORY,
        (None, ..) => 0.0,
    };
    let divisor = selector.divisor.as_ref().map_or(Ok(0.0), |divisor| quantity(&divisor.0))?;
    let divisor = if divisor > 0.0 { divisor } else { 1.0 };
    Ok(format!("{}", (value / divisor).ceil()))
}

/// A quantity as Kubernetes writes it: `100m`, `128Mi`, `1e3`.
fn quantity(text: &str) -> anyhow::Result<f64> {
    const SUFFIXES: [(&str, f64); 13] = [
        ("Ki", 1024.0),
        ("Mi", 1_048_576.0),
        ("Gi", 1_073_741_824.0),
        ("Ti", 1_099_511_627_776.0),
        ("Pi", 1_125_899_906_842_624.0),
        ("n", 1e-9),
        ("u", 1e-6),
        ("m", 1e-3),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
        ("P", 1e15),
    ];
    let found = SUFFIXES.iter().find_map(|(suffix, factor)| Some((text.strip_suffix(suffix)?, *factor)));
    let (number, factor) = found.unwrap_or((text, 1.0));
    let number: f64 = number.parse().with_context(|| format!("{text:?} is no quantity"))?;
    Ok(number * factor)
}

/// `$(NAME)` becomes the variable's value, `$$` a dollar; what names no variable stays
/// (`kubernetes: third_party/forked/golang/expansion/expand.go`).
pub(super) fn expand(text: &str, variables: &[(String, String)]) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let reference = after.strip_prefix('(').and_then(|inner| inner.split_once(')'));
        let value = reference.and_then(|(name, _)| variables.iter().find(|(known, _)| known == name));
        rest = match (after.strip_prefix('$'), reference, value) {
            (Some(after), ..) => {
                out.push('$');
                after
            }
            (None, Some((_, after)), Some((_, value))) => {
                out.push_str(value);
                after
            }
            (None, ..) => {
                out.push('$');
                after
            }
        };
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_expanded_and_strangers_stay() {
        let variables = [("NAME".to_owned(), "web".to_owned())];
        let expanded = |text| expand(text, &variables);
        assert_eq!(expanded("a-$(NAME)-$(OTHER)-$$(NAME)-$5"), "a-web-$(OTHER)-$(NAME)-$5");
    }

    #[test]
    fn quantities_have_their_units() {
        let read = |text| quantity(text).unwrap();
        assert!((read("250m") - 0.25).abs() < 1e-12 && (read("1Gi") - 1_073_741_824.0).abs() < 1e-12);
        assert!((read("2") - 2.0).abs() < 1e-12 && (read("1e3") - 1000.0).abs() < 1e-12 && quantity("x").is_err());
    }
}
