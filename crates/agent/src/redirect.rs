//! Capture: which packets of a workload go to its proxy. [`Options`] is what was typed, [`Capture`] what is meant by it, [`rules`] what
//! follows from that for one address family; two printers say the same in the words of iptables and of nftables.
//! Source of the behaviour: istio: tools/istio-iptables/pkg/capture/run.go.

mod capture;
mod iptables;
mod nftables;
mod options;
mod rules;
mod ruleset;

#[cfg(test)]
mod tests;

pub use capture::{Capture, Family, Invalid, Mode};
pub use options::{Host, Options};

/// The input of `iptables-restore --noflush`, for one family.
#[must_use]
pub fn iptables(capture: &Capture, family: Family) -> String {
    iptables::restore(&rules::rules(capture, family))
}

/// Takes away what [`iptables`] added: input of `iptables-restore --noflush`.
#[must_use]
pub fn iptables_cleanup(capture: &Capture, family: Family) -> String {
    iptables::cleanup(&rules::rules(capture, family))
}

/// A script for `nft -f`, for all families of the capture.
#[must_use]
pub fn nftables(capture: &Capture) -> String {
    capture.families().iter().map(|family| nftables::script(*family, &rules::rules(capture, *family))).collect()
}

/// Takes away what [`nftables`] added, also when nothing is there: a script for `nft -f`.
#[must_use]
pub fn nftables_cleanup(capture: &Capture) -> String {
    capture.families().iter().map(|family| nftables::cleanup(*family)).collect()
}

/// What else the rules need of the machine, as arguments of `ip`.
#[must_use]
pub fn routes(capture: &Capture) -> Vec<String> {
    let mut all = Vec::new();
    if capture.families().contains(&Family::V6) {
        // The source address of what the proxy sends on to the workload: for IPv4 all of 127.0.0.0/8 is there.
        all.push("-6 addr add ::6/128 dev lo".to_owned());
    }
    if let (Mode::Tproxy { mark, table }, true) = (capture.mode, capture.captures_inbound()) {
        for family in capture.families() {
            let (option, everything) = match family {
                Family::V4 => ("-4", "0.0.0.0/0"),
                Family::V6 => ("-6", "::/0"),
            };
            all.push(format!("{option} rule add fwmark {mark} lookup {table}"));
            all.push(format!("{option} route add local {everything} dev lo table {table}"));
        }
    }
    all
}
