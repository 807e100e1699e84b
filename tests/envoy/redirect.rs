//! The kernel takes the agent's rules by both backends, a second time as well, leads a connection where they say, and is as before
//! when they are removed.

use std::process::Command;

use tests::need;

/// Runs a script in a network namespace of its own, `$agent` being the agent.
fn inside(script: &str) -> Result<String, String> {
    let script = format!("set -ef; agent={}; ip link set lo up; {script}", super::agent().display());
    let out =
        Command::new("unshare").args(["-n", "bash", "-c", &script]).output().map_err(|error| error.to_string())?;
    let text = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    if out.status.success() { Ok(text) } else { Err(text) }
}

fn ready(test: &str, backend: &str) -> bool {
    let tool = if backend == "nftables" { "nft" } else { "iptables-restore" };
    let missing = inside(&format!("command -v {tool}")).err().map(|_| format!("root and {tool}"));
    need(test, missing)
}

#[test]
fn the_kernel_takes_the_rules_and_gives_them_back() {
    for backend in ["nftables", "iptables"] {
        if !ready("redirect: the kernel takes the rules", backend) {
            continue;
        }
        for flags in [
            "-b * -i * -d 15090,15021",
            "-b 80,8000:9000 -i 10.1.2.3/8 -x 10.9.0.0/16 -o 1:5 -q 443 -c eth1,eth+ -k tap0 --drop-invalid --ipv6",
            "-m TPROXY -b * -i * --ipv6 -d 80 --redirect-dns --dns-servers 10.0.0.10,fd00::1",
            "-m TPROXY -b 80 --redirect-dns --capture-all-dns --ipv6",
        ] {
            let run = format!("$agent redirect --backend {backend} {flags}");
            let count = "nft list ruleset | grep -c ' jump ' || true";
            let script = format!("{run}; {count}; {run}; {count}; {run} --cleanup-only; {count}; ip rule");
            let text = inside(&script).unwrap_or_else(|error| panic!("{backend} {flags}: {error}"));
            let counts: Vec<u32> = text.lines().filter_map(|line| line.parse().ok()).collect();
            assert!(counts[0] > 0 && counts[0] == counts[1] && counts[2] == 0, "{backend} {flags}: {text}");
            assert!(!text.contains("lookup 133"), "{text}");
        }
    }
}

#[test]
fn the_variable_that_has_the_agent_answer_for_names_leads_them_there() {
    let printed = |flag: &str, variable: &str| {
        let mut command = Command::new(super::agent());
        command
            .args(["redirect", "--dry-run", "-i", "*", "--dns-servers", "10.0.0.10"])
            .env("ISTIO_META_DNS_CAPTURE", variable);
        let out = command.args(Some(flag).filter(|flag| !flag.is_empty())).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    };
    let with = printed("--redirect-dns", "false");
    assert!(with.contains("15053"), "{with}");
    assert_eq!(printed("", "true"), with);
    assert!(!printed("", "nonsense").contains("15053"));
}

#[test]
fn a_connection_goes_where_the_rules_say() {
    // A workload's call to a service's address ends at the proxy's port, unless the proxy makes it.
    let call = |as_user: u32| {
        format!(
            "setpriv --reuid {as_user} --regid {as_user} --clear-groups \
             timeout 2 bash -c 'exec 5<>/dev/tcp/10.9.9.9/80; echo answer $(head -c 5 <&5)' || echo no answer"
        )
    };
    let server = "python3 -c 'import socket\ns = socket.create_server((\"0.0.0.0\", 15001))\nprint(1, flush=True)\nwhile True: \
                  s.accept()[0].send(b\"proxy\")'";
    for backend in ["nftables", "iptables"] {
        if !ready("redirect: a connection goes where the rules say", backend) {
            continue;
        }
        let rules = format!("$agent redirect --backend {backend} -i *");
        let [workload, proxy] = [call(1000), call(1337)];
        let script = format!(
            "ip link add eth0 type veth peer name peer0; ip link set eth0 up; ip link set peer0 up; ip addr add 10.0.0.5/8 dev eth0; exec 3< <({server}); read -u 3; {rules}; {workload}; {proxy}; kill $!"
        );
        let text = inside(&script).unwrap_or_else(|error| panic!("{backend}: {error}"));
        let answers: Vec<&str> = text.lines().filter(|line| line.contains("answer")).collect();
        assert_eq!(answers, ["answer proxy", "no answer"], "{backend}: {text}");
    }
}
