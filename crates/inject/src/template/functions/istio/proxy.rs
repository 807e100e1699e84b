//! A message as JSON in the pod; of a proxy's settings, only what differs from the defaults that its agent has anyway.

use std::rc::Rc;

use super::super::encoding::unless_wrong;
use super::super::{Args, Outcome, Runtime, Value};
use crate::template::json;
use crate::template::value::{Record, Span};

/// Fields that are left out when they hold this (istio: pkg/config/mesh/mesh.go, DefaultProxyConfig). The others of its defaults are
/// absent or zero, which is left out in any case.
fn is_default(field: &str, value: &Value) -> bool {
    let text = |default: &str| value.text() == Some(default);
    let number = |default: i128| matches!(value, Value::Whole(number, _) if *number == default);
    let seconds = |seconds: i64| matches!(value, Value::Duration(span) if *span == Span { seconds, nanos: 0 });
    match field {
        "ConfigPath" => text("./etc/istio/proxy"),
        "BinaryPath" => text("/usr/local/bin/envoy"),
        "ServiceCluster" => text("istio-proxy"),
        "DrainDuration" => seconds(45),
        "TerminationDrainDuration" => seconds(5),
        "DiscoveryAddress" => text("istiod.istio-system.svc:15012"),
        "ProxyAdminPort" => number(15000),
        "ControlPlaneAuthPolicy" => matches!(value, Value::Enum(1, _)),
        "StatNameLength" => number(189),
        "StatusPort" => number(15020),
        _ => false,
    }
}

pub(in super::super) fn proto_to_json(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let message = match args.any(0) {
        Value::Missing | Value::Null | Value::Nil(_) => return runtime.text("{}"),
        value => match value.indirect() {
            Value::Record(config) if config.shape.name == "v1alpha1.ProxyConfig" => {
                Value::Record(Rc::new(cleaned(config)))
            }
            value => value.clone(),
        },
    };
    let text = json::message(runtime, &message, 0).and_then(|text| runtime.text(text));
    unless_wrong(text, || runtime.text("{}"))
}

fn cleaned(config: &Record) -> Record {
    let fields = config.shape.fields.iter().zip(&config.fields);
    let kept = fields.map(|(field, value)| value.clone().filter(|value| !is_default(field.name, value)));
    Record { shape: config.shape, fields: kept.collect(), extra: config.extra.clone() }
}
