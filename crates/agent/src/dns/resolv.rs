//! The resolver's configuration (`resolv.conf`), as far as a DNS server wants to know it.

use std::net::IpAddr;

/// Name servers and search domains.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Resolv {
    /// Whom to ask.
    pub servers: Vec<IpAddr>,
    /// What clients append to names, first one first; lower case, without a dot at the end.
    pub search: Vec<String>,
}

impl Resolv {
    /// Reads the text of a file. What is not understood is passed over, and of several lists of search domains the last one counts.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut found = Self::default();
        for line in text.lines() {
            let line = line.split(['#', ';']).next().unwrap_or_default();
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") => found.servers.extend(words.next().and_then(address)),
                Some("search" | "domain") => {
                    let domains = words.map(|word| word.trim_end_matches('.').to_ascii_lowercase());
                    found.search = domains.filter(|domain| !domain.is_empty()).collect();
                }
                _ => {}
            }
        }
        found
    }
}

/// An address; the interface that may follow one of the link is left out.
fn address(word: &str) -> Option<IpAddr> {
    word.split('%').next()?.parse().ok()
}
