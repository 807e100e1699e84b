//! pilot-agent's command line, as the containers of injected pods use it: its words for our commands, and its flags, of which those
//! that we do not have are named. Source: istio: pilot/cmd/pilot-agent/app/cmd.go, tools/istio-iptables/pkg/cmd/root.go.

use clap::{Arg, Command};

/// Words of pilot-agent that begin a command, and what they are here.
const WORDS: [(&str, &[&str]); 5] = [
    ("istio-iptables", &["redirect"]),
    ("istio-clean-iptables", &["redirect", "--cleanup-only"]),
    ("proxy", &["proxy"]),
    ("request", &["request"]),
    ("wait", &["wait"]),
];
/// Flags of pilot-agent that have no value.
const SWITCHES: [&str; 6] = ["--profiling", "--cni-mode", "--reconcile", "--log_as_json", "--ctrlz", FORCE];
/// Rules always take the place of those that are there.
const FORCE: &str = "--force-apply";
/// Every container is given it; commands that end at once have nothing of which it could be more or less.
const LEVEL: &str = "--log_output_level";

/// The arguments as ours, and the flags that have no effect here. Of a command that pilot-agent does not have nothing is changed.
pub(crate) fn arguments(ours: &Command, given: impl IntoIterator<Item = String>) -> (Vec<String>, Vec<String>) {
    let mut given = given.into_iter().peekable();
    let mut words: Vec<String> = given.next().into_iter().collect();
    let mut unused = Vec::new();
    let known = given.peek().and_then(|first| WORDS.iter().find(|(theirs, _)| theirs == first));
    let Some((_, here)) = known else {
        words.extend(given);
        return (words, unused);
    };
    given.next();
    words.extend(here.iter().map(|word| (*word).to_owned()));
    let command = here.first().and_then(|name| ours.find_subcommand(name));
    while let Some(word) = given.next() {
        if word == "--" {
            words.push(word);
            break;
        }
        if !word.starts_with('-') || word == "-" {
            words.push(word);
            continue;
        }
        let (name, valued) = word.split_once('=').map_or((word.as_str(), false), |(name, _)| (name, true));
        if let Some(takes) = command.and_then(|command| takes_value(command, name)) {
            let joined = valued || (!word.starts_with("--") && word.chars().count() > 2);
            words.push(word);
            if takes && !joined {
                words.extend(given.next());
            }
            continue;
        }
        let name = name.to_owned();
        if !valued && !SWITCHES.contains(&name.as_str()) {
            given.next_if(|next| !next.starts_with('-'));
        }
        if name != FORCE && name != LEVEL {
            unused.push(name);
        }
    }
    words.extend(given);
    (words, unused)
}

/// Whether a flag of ours is followed by a value; none when there is no such flag.
fn takes_value(command: &Command, name: &str) -> Option<bool> {
    if matches!(name, "--help" | "-h") {
        return Some(false);
    }
    let flag = |argument: &&Arg| match name.strip_prefix("--") {
        Some(long) => argument.get_long() == Some(long),
        None => argument.get_short().is_some() && argument.get_short() == name.chars().nth(1),
    };
    let flag = command.get_arguments().find(flag)?;
    Some(flag.get_action().takes_values() && !flag.is_require_equals_set())
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    fn of(line: &str) -> (String, Vec<String>) {
        let (words, unused) = arguments(&crate::Arguments::command(), line.split(' ').map(str::to_owned));
        (words.join(" "), unused)
    }

    #[test]
    fn what_injection_writes_is_understood() {
        let line = "pilot-agent istio-iptables -p 15001 -z 15006 -u 1337 -m REDIRECT -i * -x  -b * -d 15090,15021,15020 --log_output_level=default:info --force-apply";
        let expected = "pilot-agent redirect -p 15001 -z 15006 -u 1337 -m REDIRECT -i * -x  -b * -d 15090,15021,15020";
        assert_eq!(of(line), (expected.to_owned(), Vec::new()));
        let line = "pilot-agent proxy sidecar --domain shop.svc.cluster.local --proxyLogLevel=warning --proxyComponentLogLevel=misc:error --log_output_level=default:info";
        assert_eq!(of(line), (line.to_owned(), Vec::new()));
        assert!(crate::Arguments::try_parse_from(line.split(' ')).is_ok());
    }

    #[test]
    fn flags_that_are_unknown_go_with_their_values() {
        let (words, unused) =
            of("pilot-agent proxy --templateFile /t.json router --serviceregistry=x --stsPort 15463 -- -l info");
        assert_eq!(words, "pilot-agent proxy router -- -l info");
        assert_eq!(unused, ["--templateFile", "--serviceregistry", "--stsPort"]);
        assert_eq!(of("pilot-agent proxy --profiling router").0, "pilot-agent proxy router");
        assert_eq!(of("pilot-agent proxy --vklog 9 router").0, "pilot-agent proxy router");
        assert_eq!(of("meltemi-agent redirect --unknown"), ("meltemi-agent redirect --unknown".to_owned(), Vec::new()));
        assert_eq!(of("pilot-agent istio-clean-iptables").0, "pilot-agent redirect --cleanup-only");
    }
}
