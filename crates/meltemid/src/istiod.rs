//! `meltemid discovery`: istiod's command line, for whoever starts it as that. Its flags mean what they mean there, and so do its defaults;
//! those that have no meaning here are named. Source: istio: pilot/cmd/pilot-discovery/app/cmd.go.

use clap::CommandFactory;

use crate::Settings;

/// istiod's flags and ours.
const FLAGS: [(&str, &str, Form); 10] = [
    ("--grpcAddr", "--xds-address", Form::Address),
    ("--secureGRPCAddr", "--secure-address", Form::Address),
    ("--monitoringAddr", "--http-address", Form::Address),
    ("--httpsAddr", "--webhook-address", Form::Address),
    ("--httpAddr", "--ready-address", Form::Address),
    ("--shutdownDuration", "--shutdown-seconds", Form::Seconds),
    ("--configDir", "--config-dir", Form::Same),
    ("--namespace", "--root-namespace", Form::Same),
    ("-n", "--root-namespace", Form::Same),
    ("--kubeconfig", "--kubeconfig", Form::Same),
];
/// What istiod does without flags.
const DEFAULTS: [(&str, &str); 5] = [
    ("--xds-address", "[::]:15010"),
    ("--secure-address", "[::]:15012"),
    ("--http-address", "[::]:15014"),
    ("--webhook-address", "[::]:15017"),
    ("--ready-address", "[::]:8080"),
];
/// Flags of istiod that have no value.
const SWITCHES: [&str; 4] = ["--profile", "--log_as_json", "--vklog", "--ctrlz"];

/// How a value is to be rewritten.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Same,
    /// `:15010` is that port of every address.
    Address,
    /// Go's durations.
    Seconds,
}

/// The arguments as ours, and the flags that have no effect here.
#[must_use]
pub fn arguments(given: impl IntoIterator<Item = String>) -> (Vec<String>, Vec<String>) {
    let mut given = given.into_iter().peekable();
    let mut ours: Vec<String> = given.next().into_iter().collect();
    let mut unused = Vec::new();
    if given.next_if(|first| first == "discovery").is_none() {
        ours.extend(given);
        return (ours, unused);
    }
    while let Some(flag) = given.next() {
        let (name, value) = match flag.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (flag.clone(), None),
        };
        if let Some((_, our, form)) = FLAGS.iter().find(|(theirs, ..)| *theirs == name) {
            let value = value.or_else(|| given.next()).unwrap_or_default();
            ours.push(format!("{our}={}", form.rewritten(&value)));
        } else if let Some(valued) = ours_takes_value(&name) {
            ours.push(flag);
            if valued && value.is_none() {
                ours.extend(given.next());
            }
        } else {
            if value.is_none() && !SWITCHES.contains(&name.as_str()) {
                given.next_if(|next| !next.starts_with('-'));
            }
            unused.push(name);
        }
    }
    for (flag, value) in DEFAULTS {
        if !ours.iter().any(|given| given == flag || given.starts_with(&format!("{flag}="))) {
            ours.push(format!("{flag}={value}"));
        }
    }
    (ours, unused)
}

/// Whether a flag of our own command line takes a value; None when it has no such flag.
fn ours_takes_value(name: &str) -> Option<bool> {
    if matches!(name, "--help" | "-h" | "--version" | "-V") {
        return Some(false);
    }
    let long = name.strip_prefix("--")?;
    let command = Settings::command();
    let flag = command.get_arguments().find(|flag| flag.get_long() == Some(long))?;
    Some(flag.get_action().takes_values())
}

impl Form {
    fn rewritten(self, value: &str) -> String {
        match self {
            Self::Address if value.starts_with(':') => format!("[::]{value}"),
            Self::Seconds => match api::scalars::Duration::parse_seconds(value) {
                Ok(seconds) => seconds.to_string(),
                Err(_) => value.to_owned(),
            },
            Self::Same | Self::Address => value.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> (Vec<String>, Vec<String>) {
        arguments(line.split(' ').map(str::to_owned))
    }

    #[test]
    fn what_the_chart_passes_is_understood() {
        let (ours, unused) = of(
            "meltemid discovery --monitoringAddr=:15014 --log_output_level=default:info --domain cluster.local --keepaliveMaxServerConnectionAge 30m --profile --shutdownDuration 1m",
        );
        let expected = ["--http-address=[::]:15014", "--domain", "cluster.local", "--shutdown-seconds=60"];
        assert_eq!(ours[1..5], expected, "{ours:?}");
        assert_eq!(unused, ["--log_output_level", "--keepaliveMaxServerConnectionAge", "--profile"]);
        assert!(ours.contains(&"--secure-address=[::]:15012".to_owned()));
    }

    #[test]
    fn our_own_command_line_stays_as_it_is() {
        let (ours, unused) = of("meltemid --config-dir mesh");
        assert_eq!((ours.join(" ").as_str(), unused.len()), ("meltemid --config-dir mesh", 0));
    }
}
