//! `meltemi-agent redirect`: prints, applies or removes the rules that lead a workload's traffic through its proxy.

use std::io::Write;
use std::process::{Command, ExitCode, Stdio};

use agent::bootstrap::truth;
use agent::redirect::{Capture, Family, Host, Options, iptables, iptables_cleanup, nftables, nftables_cleanup, routes};
use anyhow::{Context, bail, ensure};
use clap::{ArgAction, Args, ValueEnum};

/// Leads the traffic of this network namespace through the proxy, by the flags and variables of istio-iptables.
///
/// Exit code 0 done, 1 refused (then nothing was changed or printed), 2 wrong usage.
#[derive(Args)]
#[command(
    args_override_self = true,
    after_help = "Examples:\n  meltemi-agent redirect --dry-run -p 15001 -z 15006 -u 1337 -b '*' -i '*' -d 15090,15021,15020\n  \
                  meltemi-agent redirect --backend nftables -b '*' -i '*'\n  meltemi-agent redirect --cleanup-only -b '*' -i '*'"
)]
pub(crate) struct Redirect {
    #[command(flatten)]
    options: Options,
    /// Prints the rules and changes nothing.
    #[arg(short = 'n', long, value_name = "BOOL", env = "DRY_RUN", action = ArgAction::Set, num_args = 0..=1,
          require_equals = true, default_value_t = false, default_missing_value = "true")]
    dry_run: bool,
    /// Takes the rules away instead.
    #[arg(long, value_name = "BOOL", env = "CLEANUP_ONLY", action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          default_value_t = false, default_missing_value = "true")]
    cleanup_only: bool,
    /// What the rules are written for.
    #[arg(long, default_value = "iptables")]
    backend: Backend,
    /// As `--backend nftables`.
    #[arg(long, value_name = "BOOL", env = "NATIVE_NFTABLES", action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          default_value_t = false, default_missing_value = "true")]
    native_nftables: bool,
    /// Checks that the rules are there; exit code 126 when they are not.
    #[arg(long, value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          default_value_t = false, default_missing_value = "true")]
    run_validation: bool,
    /// Sets no rules: somebody else does, or has.
    #[arg(long, value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          default_value_t = false, default_missing_value = "true")]
    skip_rule_apply: bool,
    #[command(flatten)]
    variables: Variables,
}

/// Settings that have variables only, as with Istio. The flags are not shown.
#[derive(Args)]
struct Variables {
    #[arg(long, hide = true, env = "ISTIO_OUTBOUND_OWNER_GROUPS")]
    owner_groups: Option<String>,
    #[arg(long, hide = true, env = "ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE")]
    owner_groups_exclude: Option<String>,
    #[arg(long, hide = true, env = "ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR")]
    loopback_cidr: Option<String>,
    /// What the agent beside answers for is led to it, without a further word.
    #[arg(long, hide = true, env = "ISTIO_META_DNS_CAPTURE")]
    dns_capture: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Backend {
    Iptables,
    Nftables,
}

/// The exit code by which whoever sets rules from outside the pod knows that it has yet to (`istio: tools/istio-iptables/pkg/constants`).
const NOT_THERE: u8 = 126;

impl Redirect {
    pub(crate) fn run(&self) -> ExitCode {
        let set = if self.skip_rule_apply { Ok(()) } else { self.set() };
        if set.is_err() || !self.run_validation {
            return super::ended(set);
        }
        let checked = self.options.inbound_capture_port.parse().context("--inbound-capture-port");
        match checked.and_then(|port| super::validation::run(&super::host::addresses(), port)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                super::ended(Err(error));
                ExitCode::from(NOT_THERE)
            }
        }
    }

    fn set(&self) -> anyhow::Result<()> {
        let mut options = self.options.clone();
        options.owner_groups.clone_from(&self.variables.owner_groups);
        options.owner_groups_exclude.clone_from(&self.variables.owner_groups_exclude);
        options.loopback_cidr.clone_from(&self.variables.loopback_cidr);
        options.redirect_dns |= self.variables.dns_capture.as_deref().and_then(truth).unwrap_or(false);
        let (capture, warnings) = Capture::new(&options, &host(&options))?;
        warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
        let backend = if self.native_nftables { Backend::Nftables } else { self.backend };
        if self.dry_run {
            super::print(&printed(&capture, backend, self.cleanup_only));
            return Ok(());
        }
        match backend {
            Backend::Nftables => {
                // Removed and added in one transaction: there is no moment without rules.
                let add = if self.cleanup_only { String::new() } else { nftables(&capture) };
                feed("nft", &["-f", "-"], &(nftables_cleanup(&capture) + &add))?;
            }
            Backend::Iptables => self.iptables(&capture, &options.force_iptables_binary)?,
        }
        for route in routes(&capture) {
            self.route(&route)?;
        }
        eprintln!("{}", if self.cleanup_only { "rules removed" } else { "rules applied" });
        Ok(())
    }

    /// Adds or removes an address, a route or a rule of routing, once: of rules the system would keep two that are equal.
    fn route(&self, route: &str) -> anyhow::Result<()> {
        let ip = |order: &str| {
            Command::new("ip").args(order.split(' ')).output().context("running ip; is iproute2 installed?")
        };
        ip(&route.replacen(" add ", " del ", 1))?;
        if !self.cleanup_only {
            let out = ip(route)?;
            ensure!(out.status.success(), "ip {route}: {}", String::from_utf8_lossy(&out.stderr).trim());
        }
        Ok(())
    }

    fn iptables(&self, capture: &Capture, kind: &str) -> anyhow::Result<()> {
        for family in capture.families() {
            let name = match family {
                Family::V4 => "iptables",
                Family::V6 => "ip6tables",
            };
            let program = if kind.is_empty() { format!("{name}-restore") } else { format!("{name}-{kind}-restore") };
            let removed = feed(&program, &["--noflush"], &iptables_cleanup(capture, *family));
            if self.cleanup_only {
                removed?;
            } else {
                // Most often nothing was there to remove, which iptables takes for an error.
                feed(&program, &["--noflush"], &iptables(capture, *family))?;
            }
        }
        Ok(())
    }
}

/// The rules as text, and as comments what else belongs to them.
fn printed(capture: &Capture, backend: Backend, cleanup: bool) -> String {
    let mut out = String::new();
    match backend {
        Backend::Nftables if cleanup => out += &nftables_cleanup(capture),
        Backend::Nftables => out += &nftables(capture),
        Backend::Iptables => {
            for family in capture.families() {
                out += match family {
                    Family::V4 => "# iptables-restore\n",
                    Family::V6 => "# ip6tables-restore\n",
                };
                out += &if cleanup { iptables_cleanup(capture, *family) } else { iptables(capture, *family) };
            }
        }
    }
    for route in if cleanup { Vec::new() } else { routes(capture) } {
        out += &format!("# ip {route}\n");
    }
    out
}

/// Runs a program that reads its orders from standard input and carries out all or none.
fn feed(program: &str, arguments: &[&str], orders: &str) -> anyhow::Result<()> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("running {program}; is it installed?"))?;
    let mut input = child.stdin.take().context("a child with a piped input has one")?;
    input.write_all(orders.as_bytes()).with_context(|| format!("writing to {program}"))?;
    drop(input);
    let out = child.wait_with_output().with_context(|| format!("waiting for {program}"))?;
    if !out.status.success() {
        let error = String::from_utf8_lossy(&out.stderr);
        bail!("{program}: {}; is the capability NET_ADMIN there?", error.trim());
    }
    Ok(())
}

/// What the options leave to the machine; it is looked at only for these.
fn host(options: &Options) -> Host {
    let mut host = Host::default();
    if options.ipv6.is_none() {
        host.addresses = super::host::addresses();
    }
    if options.redirect_dns && !options.capture_all_dns && options.dns_servers.is_none() {
        let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
        let server = |line: &str| line.trim().strip_prefix("nameserver").map(|rest| rest.trim().to_owned());
        host.dns_servers = text.lines().filter_map(server).collect();
    }
    host
}
