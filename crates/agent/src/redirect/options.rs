//! What was typed: flags and variables of `istio-iptables`.

use std::net::IpAddr;

use clap::{ArgAction, Args};

/// Flags of `istio-iptables`, short and long, with its variables. The last one given counts.
#[derive(Args, Clone, Debug)]
#[command(args_override_self = true)]
pub struct Options {
    /// Port of the proxy that takes outbound connections.
    #[arg(short = 'p', long, default_value = "15001", value_name = "PORT")]
    pub envoy_port: String,
    /// Port of the proxy that takes inbound connections.
    #[arg(short = 'z', long, default_value = "15006", value_name = "PORT", env = "INBOUND_CAPTURE_PORT")]
    pub inbound_capture_port: String,
    /// Inbound connections to this port are not captured: the tunnel ends there.
    #[arg(short = 'e', long, default_value = "15008", value_name = "PORT", env = "INBOUND_TUNNEL_PORT")]
    pub inbound_tunnel_port: String,
    /// Users whose traffic is not captured: the proxy itself. 1337 when none is given.
    #[arg(short = 'u', long, default_value = "", hide_default_value = true, value_name = "UIDS", env = "PROXY_UID")]
    pub proxy_uid: String,
    /// Groups whose traffic is not captured. The users' numbers when none is given.
    #[arg(short = 'g', long, default_value = "", hide_default_value = true, value_name = "GIDS", env = "PROXY_GID")]
    pub proxy_gid: String,
    /// REDIRECT, or TPROXY, which keeps the source address of inbound connections.
    #[arg(
        short = 'm',
        long,
        default_value = "",
        hide_default_value = true,
        value_name = "MODE",
        env = "ISTIO_INBOUND_INTERCEPTION_MODE"
    )]
    pub istio_inbound_interception_mode: String,
    /// Inbound ports to capture: a list, `*` for all, or empty for none.
    #[arg(
        short = 'b',
        long,
        default_value = "",
        hide_default_value = true,
        value_name = "PORTS",
        env = "ISTIO_INBOUND_PORTS"
    )]
    pub istio_inbound_ports: String,
    /// Inbound ports not to capture, where all others are.
    #[arg(
        short = 'd',
        long,
        default_value = "",
        hide_default_value = true,
        value_name = "PORTS",
        env = "ISTIO_LOCAL_EXCLUDE_PORTS"
    )]
    pub istio_local_exclude_ports: String,
    /// Outbound address ranges to capture: a list, `*` for all, or empty for none.
    #[arg(
        short = 'i',
        long,
        default_value = "",
        hide_default_value = true,
        value_name = "CIDRS",
        env = "ISTIO_SERVICE_CIDR"
    )]
    pub istio_service_cidr: String,
    /// Outbound address ranges not to capture.
    #[arg(
        short = 'x',
        long,
        default_value = "",
        hide_default_value = true,
        value_name = "CIDRS",
        env = "ISTIO_SERVICE_EXCLUDE_CIDR"
    )]
    pub istio_service_exclude_cidr: String,
    /// Outbound ports to capture whatever the address.
    #[arg(
        short = 'q',
        long,
        default_value = "",
        hide_default_value = true,
        value_name = "PORTS",
        env = "ISTIO_OUTBOUND_PORTS"
    )]
    pub istio_outbound_ports: String,
    /// Outbound ports not to capture.
    #[arg(
        short = 'o',
        long,
        default_value = "",
        hide_default_value = true,
        value_name = "PORTS",
        env = "ISTIO_LOCAL_OUTBOUND_PORTS_EXCLUDE"
    )]
    pub istio_local_outbound_ports_exclude: String,
    /// Mark of packets that are to be routed to the proxy (TPROXY).
    #[arg(short = 't', long, default_value = "1337", value_name = "MARK", env = "ISTIO_INBOUND_TPROXY_MARK")]
    pub istio_inbound_tproxy_mark: String,
    /// Routing table of marked packets (TPROXY).
    #[arg(short = 'r', long, default_value = "133", value_name = "TABLE", env = "ISTIO_INBOUND_TPROXY_ROUTE_TABLE")]
    pub istio_inbound_tproxy_route_table: String,
    /// Interfaces whose traffic is not captured.
    #[arg(
        short = 'c',
        long,
        default_value = "",
        hide_default_value = true,
        value_name = "NAMES",
        env = "ISTIO_EXCLUDE_INTERFACES"
    )]
    pub istio_exclude_interfaces: String,
    /// Interfaces whose inbound traffic is treated as outbound: those of virtual machines.
    #[arg(
        short = 'k',
        long,
        default_value = "",
        hide_default_value = true,
        value_name = "NAMES",
        env = "KUBE_VIRT_INTERFACES"
    )]
    pub kube_virt_interfaces: String,
    /// DNS goes to the agent, as far as it is meant for the servers of `--dns-servers`.
    #[arg(long, value_name = "BOOL", env = "REDIRECT_DNS", action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          default_value_t = false, default_missing_value = "true")]
    pub redirect_dns: bool,
    /// With `--redirect-dns`: whatever server it is meant for.
    #[arg(long, value_name = "BOOL", env = "CAPTURE_ALL_DNS", action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          default_value_t = false, default_missing_value = "true")]
    pub capture_all_dns: bool,
    /// Packets that belong to no known connection are dropped instead of reset.
    #[arg(long, value_name = "BOOL", env = "INVALID_DROP", action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          default_value_t = false, default_missing_value = "true")]
    pub drop_invalid: bool,
    /// IPv6 is captured where any address of the host is IPv6, not only where the first one is.
    #[arg(long, value_name = "BOOL", env = "ISTIO_DUAL_STACK", action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          default_value_t = false, default_missing_value = "true")]
    pub dual_stack: bool,
    /// Whether IPv6 is captured; without it, the host's addresses decide.
    #[arg(long, value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          default_missing_value = "true")]
    pub ipv6: Option<bool>,
    /// DNS servers of the workload; without it, those of /etc/resolv.conf.
    #[arg(long, value_name = "ADDRESSES")]
    pub dns_servers: Option<String>,
    /// Which iptables to use: legacy or nft.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "KIND", env = "FORCE_IPTABLES_BINARY")]
    pub force_iptables_binary: String,
    /// Groups whose outbound traffic is captured: a list, or `*` for all.
    #[arg(skip)]
    pub owner_groups: Option<String>,
    /// Groups whose outbound traffic is not captured, where that of all others is.
    #[arg(skip)]
    pub owner_groups_exclude: Option<String>,
    /// Addresses of the workload itself.
    #[arg(skip)]
    pub loopback_cidr: Option<String>,
}

/// What the machine would add to the options that were not given.
#[derive(Clone, Default, Debug)]
pub struct Host {
    /// Addresses of the interfaces, in their order, without loopback and link-local ones.
    pub addresses: Vec<IpAddr>,
    /// Name servers of the resolver's configuration.
    pub dns_servers: Vec<String>,
}
