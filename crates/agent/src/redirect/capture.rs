//! What is meant: options with their defaults, checked once.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net};

use super::options::{Host, Options};

/// Groups that one rule can name: each is a match, and kernels allow a limited number of these.
/// Source: istio: tools/common/config/validation.go.
const MOST_GROUPS: usize = 64;

/// An address family.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// How inbound connections come to the proxy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Their destination is rewritten.
    Redirect,
    /// They are routed to it as they are.
    Tproxy {
        /// The mark that routing knows them by.
        mark: u32,
        /// The routing table for that mark.
        table: u32,
    },
}

/// A port, or a run of them.
pub(super) type Ports = RangeInclusive<u16>;

/// All of something, or a list of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Which<T> {
    /// `*`.
    All,
    /// What is listed; nothing, when empty.
    Listed(Vec<T>),
}

/// Options that make no sense.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Invalid(String);

impl std::fmt::Display for Invalid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Invalid {}

/// What is to be captured.
#[derive(Clone, Debug)]
pub struct Capture {
    pub(super) outbound_port: u16,
    pub(super) inbound_port: u16,
    pub(super) tunnel_port: u16,
    pub(super) uids: Vec<String>,
    pub(super) gids: Vec<String>,
    pub(super) mode: Mode,
    pub(super) inbound: Which<Ports>,
    pub(super) inbound_exclude: Vec<Ports>,
    pub(super) ranges: Which<IpNet>,
    pub(super) ranges_exclude: Vec<IpNet>,
    pub(super) outbound_ports: Vec<Ports>,
    pub(super) outbound_ports_exclude: Vec<Ports>,
    pub(super) interfaces_exclude: Vec<String>,
    pub(super) virtual_interfaces: Vec<String>,
    /// `Listed`: of these groups only. `All`: of all but [`Self::groups_exclude`].
    pub(super) groups: Which<String>,
    pub(super) groups_exclude: Vec<String>,
    /// The workload itself, in IPv4.
    pub(super) loopback: Ipv4Net,
    /// Servers whose DNS is captured.
    pub(super) dns: Option<Which<IpAddr>>,
    pub(super) drop_invalid: bool,
    ipv6: bool,
}

impl Capture {
    /// Checks the options. What is worth a warning comes with it.
    ///
    /// # Errors
    /// The first option that makes no sense.
    pub fn new(options: &Options, host: &Host) -> Result<(Self, Vec<String>), Invalid> {
        let mut warnings = Vec::new();
        let groups = options.owner_groups.as_deref().unwrap_or("*");
        let uids = words("--proxy-uid", if options.proxy_uid.is_empty() { "1337" } else { &options.proxy_uid })?;
        let capture = Self {
            outbound_port: number("--envoy-port", &options.envoy_port)?,
            inbound_port: number("--inbound-capture-port", &options.inbound_capture_port)?,
            tunnel_port: number("--inbound-tunnel-port", &options.inbound_tunnel_port)?,
            gids: if options.proxy_gid.is_empty() { uids.clone() } else { words("--proxy-gid", &options.proxy_gid)? },
            uids,
            mode: mode(options)?,
            inbound: which(&options.istio_inbound_ports, |text| ports("--istio-inbound-ports", text))?,
            inbound_exclude: ports("--istio-local-exclude-ports", &options.istio_local_exclude_ports)?,
            ranges: which(&options.istio_service_cidr, |text| cidrs("--istio-service-cidr", text))?,
            ranges_exclude: cidrs("--istio-service-exclude-cidr", &options.istio_service_exclude_cidr)?,
            outbound_ports: ports("--istio-outbound-ports", &options.istio_outbound_ports)?,
            outbound_ports_exclude: ports(
                "--istio-local-outbound-ports-exclude",
                &options.istio_local_outbound_ports_exclude,
            )?,
            interfaces_exclude: words("--istio-exclude-interfaces", &options.istio_exclude_interfaces)?,
            virtual_interfaces: words("--kube-virt-interfaces", &options.kube_virt_interfaces)?,
            groups: which(groups, |text| words("ISTIO_OUTBOUND_OWNER_GROUPS", text))?,
            groups_exclude: words(
                "ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE",
                options.owner_groups_exclude.as_deref().unwrap_or_default(),
            )?,
            loopback: loopback(options.loopback_cidr.as_deref().unwrap_or("127.0.0.1/32"))?,
            dns: dns(options, host, &mut warnings)?,
            drop_invalid: options.drop_invalid,
            ipv6: options.ipv6.unwrap_or_else(|| has_ipv6(host, options.dual_stack)),
        };
        if !matches!(options.force_iptables_binary.as_str(), "" | "legacy" | "nft") {
            return invalid("--force-iptables-binary", &options.force_iptables_binary, "legacy or nft");
        }
        if let Which::Listed(groups) = &capture.groups
            && groups.len() > MOST_GROUPS
        {
            let text =
                format!("ISTIO_OUTBOUND_OWNER_GROUPS has {} groups; at most {MOST_GROUPS} are possible", groups.len());
            return Err(Invalid(text));
        }
        Ok((capture, warnings))
    }

    /// The families that have rules.
    #[must_use]
    pub fn families(&self) -> &'static [Family] {
        if self.ipv6 { &[Family::V4, Family::V6] } else { &[Family::V4] }
    }

    /// Whether any inbound port is captured.
    #[must_use]
    pub fn captures_inbound(&self) -> bool {
        self.inbound != Which::Listed(Vec::new())
    }

    /// Whether loopback addresses are among the ranges to capture.
    pub(super) fn captures_loopback(&self) -> bool {
        matches!(&self.ranges, Which::Listed(ranges) if ranges.iter().any(|range| range.addr().is_loopback()))
    }
}

fn invalid<T>(option: &str, value: &str, wanted: &str) -> Result<T, Invalid> {
    Err(Invalid(format!("{option}: {value:?} is not {wanted}")))
}

fn number<T: FromStr>(option: &str, value: &str) -> Result<T, Invalid> {
    value.trim().parse().or_else(|_| invalid(option, value, "a number in range"))
}

fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

fn which<T>(text: &str, listed: impl FnOnce(&str) -> Result<Vec<T>, Invalid>) -> Result<Which<T>, Invalid> {
    if text == "*" { Ok(Which::All) } else { listed(text).map(Which::Listed) }
}

/// Names of users, groups or interfaces: printed as given, so they must not be able to say anything else.
fn words(option: &str, text: &str) -> Result<Vec<String>, Invalid> {
    let fine =
        |word: &str| word.chars().all(|c| c.is_ascii_alphanumeric() || "_.-+@:".contains(c)) && !word.starts_with('-');
    list(text)
        .map(|word| if fine(word) { Ok(word.to_owned()) } else { invalid(option, word, "a name or a number") })
        .collect()
}

fn ports(option: &str, text: &str) -> Result<Vec<Ports>, Invalid> {
    let port = |item: &str| {
        let (from, to) = item.split_once([':', '-']).unwrap_or((item, item));
        match (from.parse::<u16>(), to.parse::<u16>()) {
            (Ok(from), Ok(to)) if from <= to => Ok(from..=to),
            _ => invalid(option, item, "a port"),
        }
    };
    list(text).map(port).collect()
}

fn cidrs(option: &str, text: &str) -> Result<Vec<IpNet>, Invalid> {
    list(text).map(|item| item.parse().or_else(|_| invalid(option, item, "an address range in CIDR form"))).collect()
}

fn mode(options: &Options) -> Result<Mode, Invalid> {
    match options.istio_inbound_interception_mode.as_str() {
        "" | "REDIRECT" => Ok(Mode::Redirect),
        "TPROXY" => Ok(Mode::Tproxy {
            mark: number("--istio-inbound-tproxy-mark", &options.istio_inbound_tproxy_mark)?,
            table: number("--istio-inbound-tproxy-route-table", &options.istio_inbound_tproxy_route_table)?,
        }),
        other => invalid("--istio-inbound-interception-mode", other, "REDIRECT or TPROXY"),
    }
}

fn loopback(text: &str) -> Result<Ipv4Net, Invalid> {
    match text.parse::<Ipv4Net>() {
        Ok(range) if range.addr().is_loopback() && range.prefix_len() >= 8 => Ok(range),
        _ => invalid("ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR", text, "a range within 127.0.0.0/8"),
    }
}

fn dns(options: &Options, host: &Host, warnings: &mut Vec<String>) -> Result<Option<Which<IpAddr>>, Invalid> {
    if !options.redirect_dns {
        return Ok(None);
    }
    if options.capture_all_dns {
        return Ok(Some(Which::All));
    }
    let servers = match &options.dns_servers {
        Some(given) => {
            let address = |item: &str| item.parse().or_else(|_| invalid("--dns-servers", item, "an address"));
            list(given).map(address).collect::<Result<Vec<IpAddr>, _>>()?
        }
        None => host.dns_servers.iter().filter_map(|server| server.parse().ok()).collect(),
    };
    if servers.is_empty() {
        warnings.push("DNS is not captured: no DNS server is known, and --capture-all-dns is not given".to_owned());
        return Ok(None);
    }
    Ok(Some(Which::Listed(servers)))
}

fn has_ipv6(host: &Host, any: bool) -> bool {
    let considered = if any { host.addresses.len() } else { 1 };
    host.addresses.iter().take(considered).any(IpAddr::is_ipv6)
}
