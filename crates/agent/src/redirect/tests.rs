//! What is printed is read back and shown packets: both printers must give each the same fate, and known packets a known one.

use std::collections::BTreeMap;

use clap::Parser;
use proptest::prelude::*;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    options: Options,
}

fn capture(line: &str) -> Result<Capture, String> {
    let words = std::iter::once("redirect").chain(line.split_whitespace()).map(|word| word.replace("''", ""));
    let line = Line::try_parse_from(words).map_err(|error| error.to_string())?;
    Ok(Capture::new(&line.options, &Host::default()).map_err(|error| error.to_string())?.0)
}

/// A packet of IPv4 as it meets the rules.
#[derive(Clone, Debug)]
struct Packet {
    hook: &'static str,
    protocol: &'static str,
    from: &'static str,
    to: &'static str,
    port: u16,
    source_port: u16,
    interface: &'static str,
    user: u32,
    group: u32,
    mark: u32,
    connection_mark: u32,
    state: &'static str,
}

const OUT: Packet = Packet {
    hook: "OUTPUT",
    protocol: "tcp",
    from: "10.0.0.5",
    to: "10.9.9.9",
    port: 80,
    source_port: 40000,
    interface: "eth0",
    user: 1000,
    group: 1000,
    mark: 0,
    connection_mark: 0,
    state: "new",
};
const IN: Packet = Packet { hook: "PREROUTING", from: "10.9.9.9", to: "10.0.0.5", ..OUT };

/// What became of a packet.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Fate {
    redirect: Option<u16>,
    tproxy: Option<u16>,
    dropped: bool,
    mark: u32,
    connection_mark: u32,
    zone: u16,
}

/// A rule in neutral words: `(not, key, value)` and the target.
type Read = (Vec<(bool, String, String)>, Vec<String>);
type Chains = BTreeMap<String, Vec<Read>>;

fn read_iptables(text: &str) -> Chains {
    let (mut chains, mut table) = (Chains::new(), String::new());
    for line in text.lines().filter(|line| !line.starts_with('#') && *line != "COMMIT") {
        if let Some(name) = line.strip_prefix('*') {
            table = name.to_owned();
        } else if let Some(chain) = line.strip_prefix(':') {
            chains.insert(format!("{table}_{}", chain.split(' ').next().unwrap()), Vec::new());
        } else {
            let words: Vec<&str> = line.strip_prefix("-A ").unwrap().split(' ').collect();
            let jump = words.iter().position(|word| *word == "-j").unwrap();
            let (mut when, mut not, mut at) = (Vec::new(), false, 1);
            while at < jump {
                match words[at] {
                    "!" => not = true,
                    "-m" => at += 1,
                    key => {
                        at += 1;
                        when.push((std::mem::take(&mut not), key.to_owned(), words[at].to_owned()));
                    }
                }
                at += 1;
            }
            let mut then: Vec<String> = words[jump + 1..].iter().map(|word| (*word).to_owned()).collect();
            if !["RETURN", "ACCEPT", "DROP", "REDIRECT", "TPROXY", "MARK", "CONNMARK", "CT"].contains(&&*then[0]) {
                then = vec!["JUMP".to_owned(), format!("{table}_{}", then[0])];
            }
            chains.entry(format!("{table}_{}", words[0])).or_default().push((when, then));
        }
    }
    chains
}

fn read_nftables(text: &str) -> Chains {
    let (mut chains, mut chain) = (Chains::new(), String::new());
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("chain ") {
            chain = name.trim_end_matches(" {").to_owned();
            chains.insert(chain.clone(), Vec::new());
        } else if !line.starts_with("table") && line != "}" && !line.starts_with("type ") {
            chains.get_mut(&chain).unwrap().push(nft_rule(line));
        }
    }
    chains
}

fn nft_rule(line: &str) -> Read {
    let mut words: std::collections::VecDeque<&str> = line.split(' ').collect();
    let mut when = Vec::new();
    loop {
        let two = words.iter().take(2).copied().collect::<Vec<_>>().join(" ");
        let third = words.get(2).copied().unwrap_or_default();
        let key = match &*two {
            "meta l4proto" => "-p",
            "meta nfproto" => "nfproto",
            "ip saddr" => "-s",
            "ip daddr" => "-d",
            "tcp dport" | "udp dport" => "--dport",
            "tcp sport" | "udp sport" => "--sport",
            "meta skuid" => "--uid-owner",
            "meta skgid" => "--gid-owner",
            "meta mark" if third != "set" => "mark --mark",
            "ct mark" if third != "set" => "connmark --mark",
            "ct state" => "--ctstate",
            _ if words[0] == "iifname" => "-i",
            _ if words[0] == "oifname" => "-o",
            _ => break,
        };
        words.drain(..if words[0].ends_with("ifname") { 1 } else { 2 });
        let not = words[0] == "!=";
        if not {
            words.pop_front();
        }
        let mut value = words.pop_front().unwrap().trim_matches('"').to_owned();
        if value == "{" {
            value.clear();
            while let Some(word) = words.pop_front().filter(|word| *word != "}") {
                value += word;
            }
        }
        when.push((not, key.to_owned(), value.replace('-', ":").replace("related", "RELATED")));
    }
    let rest: Vec<&str> = words.into();
    let then = match rest.as_slice() {
        ["jump", chain] => vec!["JUMP", chain],
        ["return"] => vec!["RETURN"],
        ["accept"] => vec!["ACCEPT"],
        ["drop"] => vec!["DROP"],
        ["redirect", "to", port] => vec!["REDIRECT", "--to-ports", port.trim_start_matches(':')],
        ["meta", "mark", "set", mark, "tproxy", "ip", "to", port, "accept"] => {
            vec!["TPROXY", "--on-port", port.trim_start_matches(':'), "--tproxy-mark", mark]
        }
        ["meta", "mark", "set", "ct", "mark"] => vec!["CONNMARK", "--restore-mark"],
        ["ct", "mark", "set", "meta", "mark"] => vec!["CONNMARK", "--save-mark"],
        ["meta", "mark", "set", mark] => vec!["MARK", "--set-mark", mark],
        ["ct", "zone", "set", zone] => vec!["CT", "--zone", zone],
        other => panic!("{other:?} in {line}"),
    };
    (when, then.into_iter().map(str::to_owned).collect())
}

fn fits(packet: &Packet, fate: &Fate, (not, key, value): &(bool, String, String), module: &mut &str) -> bool {
    let within = |address: &str| {
        value
            .parse::<ipnet::IpNet>()
            .map_or_else(|_| value == address, |range| range.contains(&address.parse::<std::net::IpAddr>().unwrap()))
    };
    let port = |port: u16| {
        value.split(',').any(|item| {
            let (from, to) = item.split_once(':').unwrap_or((item, item));
            (from.parse().unwrap()..=to.parse().unwrap()).contains(&port)
        })
    };
    let yes = match &**key {
        "-p" => value == packet.protocol,
        "nfproto" => value == "ipv4",
        "-s" => within(packet.from),
        "-d" => within(packet.to),
        "-i" => packet.hook == "PREROUTING" && value == packet.interface,
        "-o" => packet.hook == "OUTPUT" && value == packet.interface,
        "--dport" | "--dports" => port(packet.port),
        "--sport" => port(packet.source_port),
        "--uid-owner" => *value == packet.user.to_string(),
        "--gid-owner" => *value == packet.group.to_string(),
        "--mark" | "mark --mark" if *module != "connmark" => *value == fate.mark.to_string(),
        "--mark" | "connmark --mark" => *value == fate.connection_mark.to_string(),
        "--ctstate" => value.to_lowercase().contains(packet.state),
        other => panic!("{other}"),
    };
    yes != *not
}

/// True when the packet is done with this table.
fn walk(chains: &Chains, chain: &str, packet: &Packet, fate: &mut Fate) -> bool {
    for (when, then) in chains.get(chain).into_iter().flatten() {
        // Restoring is the only thing that asks for the connection's mark.
        let mut module = if then.get(1).is_some_and(|word| word == "--restore-mark") { "connmark" } else { "mark" };
        if !when.iter().all(|each| fits(packet, fate, each, &mut module)) {
            continue;
        }
        let number = |at: usize| then[at].trim_end_matches("/0xffffffff").parse::<u32>().unwrap();
        match &*then[0] {
            "JUMP" if walk(chains, &then[1], packet, fate) => return true,
            "JUMP" => {}
            "RETURN" => return false,
            "ACCEPT" => return true,
            "DROP" => {
                fate.dropped = true;
                return true;
            }
            "REDIRECT" => {
                fate.redirect = Some(u16::try_from(number(2)).unwrap());
                return true;
            }
            "TPROXY" => {
                fate.tproxy = Some(u16::try_from(number(2)).unwrap());
                fate.mark = number(4);
                return true;
            }
            "MARK" => fate.mark = number(2),
            "CONNMARK" if then[1] == "--save-mark" => fate.connection_mark = fate.mark,
            "CONNMARK" => fate.mark = fate.connection_mark,
            // The first zone stays.
            "CT" if fate.zone == 0 => fate.zone = u16::try_from(number(2)).unwrap(),
            "CT" => {}
            other => panic!("{other}"),
        }
    }
    false
}

fn fate(chains: &Chains, packet: &Packet) -> Fate {
    let mut fate = Fate { mark: packet.mark, connection_mark: packet.connection_mark, ..Fate::default() };
    for table in ["raw", "mangle", "nat"] {
        walk(chains, &format!("{table}_{}", packet.hook), packet, &mut fate);
        if fate.dropped {
            break;
        }
    }
    fate
}

fn both(capture: &Capture) -> [Chains; 2] {
    let nft = nftables(capture);
    let v4 = nft.split("table inet").find(|table| table.contains("-v4")).unwrap().lines().skip(1).collect::<Vec<_>>();
    // The rule that leaves the other family alone is not for these packets.
    let v4: Vec<&str> = v4.into_iter().filter(|line| !line.contains("nfproto ipv6")).collect();
    [read_iptables(&iptables(capture, Family::V4)), read_nftables(&v4.join("\n"))]
}

/// Where the packet is redirected to.
fn goes(line: &str, packet: &Packet) -> Option<u16> {
    let [one, other] = both(&capture(line).unwrap()).map(|chains| fate(&chains, packet));
    assert_eq!(one, other, "{line} {packet:?}");
    one.redirect.or(one.tproxy)
}

const USUAL: &str = "-p 15001 -z 15006 -u 1337 -g 1337 -b * -i * -d 15090,15021,15020";

#[test]
fn the_usual_pod_is_captured_both_ways_and_its_proxy_is_not() {
    assert_eq!(goes(USUAL, &IN), Some(15006));
    assert_eq!(goes(USUAL, &OUT), Some(15001));
    for port in [15090, 15021, 15020, 15008] {
        assert_eq!(goes(USUAL, &Packet { port, ..IN }), None, "{port}");
    }
    assert_eq!(goes(USUAL, &Packet { user: 1337, ..OUT }), None);
    assert_eq!(goes(USUAL, &Packet { group: 1337, ..OUT }), None);
    assert_eq!(goes(USUAL, &Packet { protocol: "udp", ..OUT }), None);
    // To itself: by its own address from the application, and from the proxy.
    let own = Packet { to: "10.0.0.5", interface: "lo", ..OUT };
    assert_eq!(goes(USUAL, &own), None);
    assert_eq!(goes(USUAL, &Packet { user: 1337, ..own }), Some(15006));
    assert_eq!(goes(USUAL, &Packet { user: 1337, port: 15008, ..own }), None);
    assert_eq!(goes(USUAL, &Packet { user: 1337, from: "127.0.0.6", ..own }), None);
    assert_eq!(goes(USUAL, &Packet { to: "127.0.0.1", user: 1337, ..own }), None);
}

#[test]
fn lists_of_ports_ranges_and_interfaces_narrow_the_capture() {
    let line = "-b 8080,9000 -i 10.0.0.0/8 -x 10.9.0.0/16 -o 3306 -q 443 -c eth1";
    assert_eq!(goes(line, &Packet { port: 8080, ..IN }), Some(15006));
    assert_eq!(goes(line, &IN), None);
    assert_eq!(goes(line, &Packet { port: 8080, interface: "eth1", ..IN }), None);
    assert_eq!(goes(line, &Packet { to: "10.8.0.1", ..OUT }), Some(15001));
    assert_eq!(goes(line, &OUT), None, "excluded range");
    assert_eq!(goes(line, &Packet { to: "10.8.0.1", port: 3306, ..OUT }), None);
    assert_eq!(goes(line, &Packet { to: "192.168.0.1", port: 443, ..OUT }), Some(15001));
    assert_eq!(goes(line, &Packet { to: "192.168.0.1", ..OUT }), None);
    assert_eq!(goes(line, &Packet { to: "10.8.0.1", interface: "eth1", ..OUT }), None);
    assert_eq!(goes("-i *", &IN), None, "no inbound ports, no capture");
    assert_eq!(goes("-b *", &OUT), None);
    assert_eq!(goes("-i * -k tap0", &Packet { interface: "tap0", ..IN }), Some(15001));
}

#[test]
fn dns_goes_to_the_agent_and_keeps_its_zones() {
    let line = "-i * --redirect-dns --dns-servers 10.96.0.10";
    let query = Packet { protocol: "udp", port: 53, to: "10.96.0.10", ..OUT };
    assert_eq!(goes(line, &query), Some(15053));
    assert_eq!(goes(line, &Packet { protocol: "tcp", ..query }), Some(15053));
    assert_eq!(goes(line, &Packet { to: "8.8.8.8", ..query }), None);
    assert_eq!(goes("-i * --redirect-dns --capture-all-dns", &Packet { to: "8.8.8.8", ..query }), Some(15053));
    let [rules, _] = both(&capture(line).unwrap());
    assert_eq!(fate(&rules, &query).zone, 2);
    assert_eq!(fate(&rules, &Packet { user: 1337, ..query }).zone, 1);
    assert_eq!(fate(&rules, &Packet { user: 1337, ..query }).redirect, None);
    assert_eq!(fate(&rules, &Packet { protocol: "udp", source_port: 53, from: "10.96.0.10", ..IN }).zone, 1);
    assert_eq!(goes("-i * --redirect-dns", &Packet { protocol: "udp", port: 53, ..OUT }), None, "no server is known");
}

#[test]
fn tproxy_keeps_addresses_and_marks_connections() {
    let line = "-m TPROXY -b * -i * -t 1337";
    let [rules, _] = both(&capture(line).unwrap());
    let new = fate(&rules, &IN);
    assert_eq!((new.tproxy, new.redirect, new.mark), (Some(15006), None, 1337));
    assert_eq!(fate(&rules, &Packet { state: "established", ..IN }), Fate { mark: 1337, ..Fate::default() });
    assert_eq!(fate(&rules, &Packet { mark: 1337, ..IN }).connection_mark, 1337);
    assert_eq!(fate(&rules, &Packet { connection_mark: 1337, ..OUT }).mark, 1337);
    let again = Packet { interface: "lo", user: 1337, to: "10.0.0.5", ..OUT };
    assert_eq!(fate(&rules, &again).mark, 1338);
    assert_eq!(
        routes(&capture(line).unwrap()),
        ["-4 rule add fwmark 1337 lookup 133", "-4 route add local 0.0.0.0/0 dev lo table 133"]
    );
    assert!(routes(&capture("-m TPROXY -i *").unwrap()).is_empty());
}

#[test]
fn what_makes_no_sense_is_refused() {
    for line in [
        "-x *",
        "-i *,10.0.0.0/8",
        "-i 10.0.0.0",
        "-i 10.0.0.0/33",
        "-b 70000",
        "-b a",
        "-o *",
        "-d 1-",
        "-p 0x1",
        "-m NONE",
        "-u a;b",
        "-c eth0\n-j",
        "-t x -m TPROXY",
        "--force-iptables-binary other",
        "--redirect-dns --dns-servers x",
    ] {
        assert!(capture(line).is_err(), "{line}");
    }
    let groups = |include: &str, loopback: &str| {
        let mut options = Line::try_parse_from(["redirect"]).unwrap().options;
        (options.owner_groups, options.loopback_cidr) = (Some(include.to_owned()), Some(loopback.to_owned()));
        Capture::new(&options, &Host::default()).map(|(capture, _)| iptables(&capture, Family::V4))
    };
    let many = |count: usize| (0..count).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    assert!(groups(&many(64), "127.0.0.1/32").is_ok());
    assert!(groups(&many(65), "127.0.0.1/32").is_err());
    assert!(
        groups("*", "127.0.0.0/7").is_err() && groups("*", "10.0.0.0/8").is_err() && groups("*", "::1/128").is_err()
    );
    assert!(
        groups("java,202", "127.0.0.0/8").unwrap().contains("! --gid-owner java -m owner ! --gid-owner 202 -j RETURN")
    );
}

fn packets() -> impl Strategy<Value = Packet> {
    let places = prop_oneof![Just(&IN), Just(&OUT)];
    let addresses = ["10.0.0.5", "10.9.9.9", "127.0.0.1", "127.0.0.6", "127.1.1.1", "10.96.0.10", "192.168.1.1"];
    let ports = [53_u16, 80, 443, 15008, 15020, 15053, 8085];
    let select = proptest::sample::select::<u16>;
    let numbers = proptest::sample::select(vec![0_u32, 1337, 1338, 1000]);
    (
        (
            places,
            proptest::sample::select(vec!["tcp", "udp"]),
            proptest::sample::select(vec!["eth0", "lo", "eth1", "tap0"]),
        ),
        (proptest::sample::select(addresses.to_vec()), proptest::sample::select(addresses.to_vec())),
        (select(ports.to_vec()), select(ports.to_vec())),
        (numbers.clone(), numbers.clone(), numbers.clone(), numbers),
        proptest::sample::select(vec!["new", "established", "invalid"]),
    )
        .prop_map(|((place, protocol, interface), (from, to), (port, source_port), marks, state)| {
            let (user, group, mark, connection_mark) = marks;
            Packet {
                hook: place.hook,
                protocol,
                from,
                to,
                port,
                source_port,
                interface,
                user,
                group,
                mark,
                connection_mark,
                state,
            }
        })
}

proptest! {
    #[test]
    fn both_printers_mean_the_same(
        inbound in proptest::sample::select(vec!["''", "*", "80,8080:8090"]),
        ranges in proptest::sample::select(vec!["''", "*", "10.0.0.0/8", "127.0.0.1/32,10.96.0.0/12"]),
        mode in proptest::sample::select(vec!["REDIRECT", "TPROXY"]),
        extra in proptest::collection::vec(proptest::sample::select(vec![
            "-d 15020,80", "-x 10.9.0.0/16", "-o 443,15008", "-q 443", "-c eth1", "-k tap0", "--drop-invalid", "-u 1337,1000",
            "-g 1338", "--redirect-dns --dns-servers 10.96.0.10,fd00::1", "--capture-all-dns", "-e 8085", "--ipv6",
        ]), 0..6),
        packets in proptest::collection::vec(packets(), 40),
    ) {
        let line = format!("-b {inbound} -i {ranges} -m {mode} {}", extra.join(" "));
        let [one, other] = both(&capture(&line).unwrap());
        for packet in &packets {
            prop_assert_eq!(fate(&one, packet), fate(&other, packet), "{} {:?}", line, packet);
        }
    }
}
