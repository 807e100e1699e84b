//! URLs taken apart and put together, as Go's `net/url` does it. (The crate `url` follows the rules of browsers, which give other results.)

use std::rc::Rc;

use super::{Args, Fault, Outcome, Runtime, Type};
use crate::template::quote::quote;
use crate::template::value::Entries;

/// Which characters a part may have as they are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Path,
    Host,
    Zone,
    User,
    Fragment,
}

#[derive(Default)]
struct Url {
    scheme: String,
    opaque: String,
    user: Option<(String, Option<String>)>,
    host: String,
    path: String,
    query: String,
    fragment: String,
}

pub(super) fn parse(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let url = match Url::parse(args.text(0)?) {
        Ok(url) => url,
        Err(problem) => return Fault::said(format!("unable to parse url: {problem}")),
    };
    let user = url.user_text();
    let hostname = hostname(&url.host).to_owned();
    let parts = [
        ("scheme", url.scheme),
        ("host", url.host),
        ("hostname", hostname),
        ("path", url.path),
        ("query", url.query),
        ("opaque", url.opaque),
        ("fragment", url.fragment),
        ("userinfo", user),
    ];
    let mut entries = Entries::new();
    for (name, part) in parts {
        entries.insert(Rc::from(name), runtime.text(part)?);
    }
    runtime.map(Type::Any, entries)
}

pub(super) fn join(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let entries = args.any(0).entries().unwrap_or_default();
    let part = |key: &str| match entries.get(key) {
        None => Ok(String::new()),
        Some(value) => match value.text() {
            Some(text) => Ok(text.to_owned()),
            None => {
                Fault::said(format!("unable to parse {key} key, must be of type string, but {} found", value.kind()))
            }
        },
    };
    let user = match part("userinfo")? {
        user if user.is_empty() => None,
        user => match Url::parse(&format!("proto://{user}@host")) {
            Ok(url) => url.user,
            Err(problem) => return Fault::said(format!("unable to parse userinfo in dict: {problem}")),
        },
    };
    let url = Url {
        scheme: part("scheme")?,
        host: part("host")?,
        path: part("path")?,
        query: part("query")?,
        opaque: part("opaque")?,
        fragment: part("fragment")?,
        user,
    };
    runtime.text(url.written())
}

impl Url {
    fn parse(text: &str) -> Result<Self, String> {
        let (rest, fragment) = text.split_once('#').unwrap_or((text, ""));
        let mut url = Self::without_fragment(rest).map_err(|problem| format!("parse {}: {problem}", quote(rest)))?;
        url.fragment =
            unescape(fragment, Place::Fragment).map_err(|problem| format!("parse {}: {problem}", quote(text)))?;
        Ok(url)
    }

    fn without_fragment(text: &str) -> Result<Self, String> {
        if text.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
            return Err("net/url: invalid control character in URL".to_owned());
        }
        if text == "*" {
            return Ok(Self { path: "*".to_owned(), ..Self::default() });
        }
        let (scheme, rest) = split_scheme(text)?;
        let mut url = Self { scheme: scheme.to_ascii_lowercase(), ..Self::default() };
        let (mut rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        url.query = query.to_owned();
        if !rest.starts_with('/') {
            if !url.scheme.is_empty() {
                url.opaque = rest.to_owned();
                return Ok(url);
            }
            if rest.split('/').next().is_some_and(|segment| segment.contains(':')) {
                return Err("first path segment in URL cannot contain colon".to_owned());
            }
        }
        if rest.starts_with("//") && (!url.scheme.is_empty() || !rest.starts_with("///")) {
            let authority = &rest[2..];
            let end = authority.find('/').unwrap_or(authority.len());
            rest = &authority[end..];
            url.authority(&authority[..end])?;
        }
        url.path = unescape(rest, Place::Path)?;
        Ok(url)
    }

    fn authority(&mut self, text: &str) -> Result<(), String> {
        let (user, host) = match text.rfind('@') {
            Some(at) => (Some(&text[..at]), &text[at + 1..]),
            None => (None, text),
        };
        self.host = host_of(&self.scheme, host)?;
        let Some(user) = user else { return Ok(()) };
        if !user.chars().all(|c| c.is_ascii_alphanumeric() || "-._:~!$&'()*+,;=%@".contains(c)) {
            return Err("net/url: invalid userinfo".to_owned());
        }
        let (name, password) = match user.split_once(':') {
            Some((name, password)) => (name, Some(unescape(password, Place::User)?)),
            None => (user, None),
        };
        self.user = Some((unescape(name, Place::User)?, password));
        Ok(())
    }

    fn user_text(&self) -> String {
        match &self.user {
            None => String::new(),
            Some((name, None)) => escape(name, Place::User),
            Some((name, Some(password))) => format!("{}:{}", escape(name, Place::User), escape(password, Place::User)),
        }
    }

    fn written(&self) -> String {
        let mut out = String::new();
        if !self.scheme.is_empty() {
            out.push_str(&self.scheme);
            out.push(':');
        }
        if self.opaque.is_empty() {
            self.write_hierarchy(&mut out);
        } else {
            out.push_str(&self.opaque);
        }
        if !self.query.is_empty() {
            out.push('?');
            out.push_str(&self.query);
        }
        if !self.fragment.is_empty() {
            out.push('#');
            out.push_str(&escape(&self.fragment, Place::Fragment));
        }
        out
    }

    fn write_hierarchy(&self, out: &mut String) {
        let has_authority = !self.host.is_empty() || self.user.is_some();
        if has_authority || !self.scheme.is_empty() && !self.path.is_empty() {
            out.push_str("//");
        }
        if self.user.is_some() {
            out.push_str(&self.user_text());
            out.push('@');
        }
        out.push_str(&escape(&self.host, Place::Host));
        let path = if self.path == "*" { "*".to_owned() } else { escape(&self.path, Place::Path) };
        if !path.is_empty() && !path.starts_with('/') && !self.host.is_empty() {
            out.push('/');
        }
        if out.is_empty() && path.split('/').next().is_some_and(|segment| segment.contains(':')) {
            out.push_str("./");
        }
        out.push_str(&path);
    }
}

/// What stands before the first colon, if it is a scheme.
fn split_scheme(text: &str) -> Result<(&str, &str), String> {
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if at > 0 => {}
            b':' if at == 0 => return Err("missing protocol scheme".to_owned()),
            b':' => return Ok((&text[..at], &text[at + 1..])),
            _ => break,
        }
    }
    Ok(("", text))
}

fn host_of(scheme: &str, host: &str) -> Result<String, String> {
    let port = |text: &str| {
        let valid = text.is_empty() || text.starts_with(':') && text[1..].bytes().all(|byte| byte.is_ascii_digit());
        if valid { Ok(()) } else { Err(format!("invalid port {} after host", quote(text))) }
    };
    match host.rfind('[') {
        Some(1..) => return Err("invalid IP-literal".to_owned()),
        Some(_) => {
            let end = host.rfind(']').ok_or("missing ']' in host")?;
            port(&host[end + 1..])?;
            let (address, zone) = host[1..end].split_at(host[1..end].find("%25").unwrap_or(end - 1));
            let (address, zone) = (unescape(address, Place::Host)?, unescape(zone, Place::Zone)?);
            if address.parse::<std::net::Ipv6Addr>().is_err() {
                return Err(format!("invalid host: ParseAddr({}): unable to parse IP", quote(&address)));
            }
            return Ok(format!("[{address}{zone}]{}", &host[end + 1..]));
        }
        None => {}
    }
    if let Some(first) = host.find(':') {
        let strict = matches!(scheme, "http" | "https");
        let from = if strict { first } else { host.rfind(':').unwrap_or(first) };
        port(&host[from..])?;
    }
    unescape(host, Place::Host)
}

/// A host without its port, and without the brackets of an IPv6 address.
fn hostname(host: &str) -> &str {
    let name = match host.rfind(':') {
        Some(colon) if host[colon + 1..].bytes().all(|byte| byte.is_ascii_digit()) => &host[..colon],
        _ => host,
    };
    name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name)
}

fn is_plain(byte: u8, place: Place) -> bool {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => true,
        b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' | b':' | b'[' | b']' | b'<'
        | b'>' | b'"'
            if matches!(place, Place::Host | Place::Zone) =>
        {
            true
        }
        b'$' | b'&' | b'+' | b'=' | b':' | b'@' if place == Place::Path => true,
        b'/' | b';' | b',' if place == Place::Path => true,
        b'$' | b'&' | b'+' | b',' | b';' | b'=' if place == Place::User => true,
        b'$' | b'&' | b'+' | b',' | b'/' | b':' | b';' | b'=' | b'?' | b'@' if place == Place::Fragment => true,
        b'!' | b'(' | b')' | b'*' if place == Place::Fragment => true,
        _ => false,
    }
}

fn escape(text: &str, place: Place) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if is_plain(byte, place) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn unescape(text: &str, place: Place) -> Result<String, String> {
    let mut out = Vec::with_capacity(text.len());
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        if *byte != b'%' {
            let host = matches!(place, Place::Host | Place::Zone);
            if host && byte.is_ascii() && !is_plain(*byte, place) {
                return Err(format!("invalid character {} in host name", quote(&char::from(*byte).to_string())));
            }
            out.push(*byte);
            at += 1;
            continue;
        }
        let end = (at + 3).min(bytes.len());
        let wrong = || format!("invalid URL escape {}", quote(&String::from_utf8_lossy(&bytes[at..end])));
        let digits = std::str::from_utf8(&bytes[at + 1..end]).map_err(|_| wrong())?;
        let valid = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        let value = u8::from_str_radix(digits, 16).ok().filter(|_| valid).ok_or_else(wrong)?;
        let refused = match place {
            Place::Host => value.is_ascii() && digits != "25",
            Place::Zone => digits != "25" && value != b' ' && !is_plain(value, Place::Host),
            _ => false,
        };
        if refused {
            return Err(wrong());
        }
        out.push(value);
        at += 3;
    }
    String::from_utf8(out).map_err(|_| "an escape is no UTF-8 text".to_owned())
}
