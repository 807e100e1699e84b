//! How much the agent tells: `RUST_LOG`, else what `--log_output_level` says as Istio's programs understand it.

use tracing_subscriber::EnvFilter;

/// What is written down. Of `default:info,ads:debug` only the default counts: other scopes are Istio's own.
pub(super) fn filter(said: &str) -> EnvFilter {
    if std::env::var_os(EnvFilter::DEFAULT_ENV).is_some() {
        return EnvFilter::from_default_env();
    }
    EnvFilter::new(level(said))
}

fn level(said: &str) -> &'static str {
    let pairs = said.split(',').map(str::trim).map(|each| each.split_once(':').unwrap_or(("default", each)));
    let mut level = "info";
    for (scope, wanted) in pairs {
        if matches!(scope, "default" | "all") {
            level = match wanted {
                "debug" => "debug",
                "warn" => "warn",
                "error" | "fatal" => "error",
                "none" => "off",
                _ => "info",
            };
        }
    }
    level
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_default_counts() {
        let said = ["", "info", "default:debug", "ads:debug,default:warn", "all:none", "fatal", "ads:debug"];
        assert_eq!(said.map(level), ["info", "info", "debug", "warn", "off", "error", "info"]);
    }
}
