//! What a gateway that ended the TLS of a caller says of its certificate: header `x-forwarded-client-cert`
//! (Envoy: "x-forwarded-client-cert"). Whether the gateway is trusted is for others to know.

use http::HeaderMap;
use names::SpiffeId;

/// The header is not longer than this, in bytes.
const LONGEST: usize = 16 * 1024;

/// The identities of the certificate that the gateway itself saw: that is the last one; those before it are hearsay, which Istio takes
/// too. `None` when there is none.
pub(super) fn identities(headers: &HeaderMap) -> Option<Vec<SpiffeId>> {
    let value = headers.get_all("x-forwarded-client-cert").iter().next_back()?.to_str().ok()?;
    let last = split(value.get(..).filter(|value| value.len() <= LONGEST)?, ',').pop()?;
    let found: Vec<SpiffeId> = split(last, ';')
        .into_iter()
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(key, _)| key.eq_ignore_ascii_case("uri"))
        .filter_map(|(_, uri)| uri.trim_matches('"').parse().ok())
        .collect();
    Some(found).filter(|found| !found.is_empty())
}

/// Parts between separators that do not stand in quotes.
fn split(text: &str, separator: char) -> Vec<&str> {
    let (mut parts, mut from, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if character == separator && !quoted => {
                parts.push(&text[from..at]);
                from = at + character.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[from..]);
    parts
}
