//! What goes over a wire: what tcpdump has seen of it, taken apart as far as is needed to tell TLS from plain text.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use bed::net::Place;
use bed::process::{Running, eventually};
use bytes::Buf;

/// A running tcpdump.
pub struct Tap {
    running: Running,
    file: PathBuf,
}

impl Tap {
    /// Listens at the interface of a pod, by tcpdump's filter; returns when nothing is missed any more.
    ///
    /// # Errors
    /// When tcpdump cannot listen.
    pub fn open(pod: &Place, filter: &str, folder: &Path) -> anyhow::Result<Self> {
        let (file, log) = (folder.join("wire.pcap"), folder.join("tcpdump.log"));
        let mut command = pod.command(Path::new("tcpdump"));
        // As root, or Debian's tcpdump may not write the file.
        command.args(["-Z", "root", "--immediate-mode", "-U", "-n", "-i", "eth0", "-w"]).arg(&file).arg(filter);
        let mut running = Running::start("tcpdump", &mut command, &log)?;
        eventually("tcpdump to listen", Duration::from_secs(10), || {
            let said = std::fs::read_to_string(&log)?;
            running.check().with_context(|| said.clone())?;
            ensure!(said.contains("listening on") && file.exists(), "{said}");
            Ok(())
        })?;
        Ok(Self { running, file })
    }

    /// What was said from one side to another, once `done` holds for it.
    ///
    /// # Errors
    /// When it does not in time.
    pub fn until(&mut self, done: impl Fn(&[Flow]) -> bool) -> anyhow::Result<Vec<Flow>> {
        eventually("the packets", Duration::from_secs(10), || {
            self.running.check()?;
            let seen = flows(&std::fs::read(&self.file)?)?;
            ensure!(done(&seen), "not in {} flows", seen.len());
            Ok(seen)
        })
    }
}

/// What one side of a TCP connection said, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Flow {
    /// Who said it.
    pub from: SocketAddrV4,
    /// To whom.
    pub to: SocketAddrV4,
    /// What was said.
    pub bytes: Vec<u8>,
}

/// Segments of one side by where they stand, from the first byte on.
#[derive(Default)]
struct Segments {
    first: Option<u32>,
    parts: Vec<(u32, Vec<u8>)>,
}

/// The two sides of each connection in a pcap file of Ethernet frames; a frame that is not complete yet ends it.
///
/// # Errors
/// When it is no such file, or holds something that is not TCP over IPv4, or a connection whose start was missed.
pub fn flows(mut pcap: &[u8]) -> anyhow::Result<Vec<Flow>> {
    const MAGIC: u32 = 0xa1b2_c3d4;
    const ETHERNET: u32 = 1;
    ensure!(pcap.len() >= 24 && pcap.get_u32_le() == MAGIC, "no pcap file");
    pcap.advance(16);
    ensure!(pcap.get_u32_le() == ETHERNET, "frames of another kind than Ethernet");
    let mut all = BTreeMap::<(SocketAddrV4, SocketAddrV4), Segments>::new();
    while pcap.len() >= 16 {
        pcap.advance(8);
        let length = pcap.get_u32_le() as usize;
        pcap.advance(4);
        if pcap.len() < length {
            break;
        }
        let frame = pcap.copy_to_bytes(length);
        let (ends, segment) = segment(&frame).context("a frame that is no TCP over IPv4")?;
        let segments = all.entry(ends).or_default();
        if segment.syn {
            segments.first = Some(segment.number.wrapping_add(1));
        }
        if !segment.payload.is_empty() {
            segments.parts.push((segment.number, segment.payload));
        }
    }
    let each = all.into_iter().map(|((from, to), segments)| {
        let first = segments.first.with_context(|| format!("the start of {from} to {to} was missed"))?;
        Ok(Flow { from, to, bytes: joined(first, segments.parts) })
    });
    each.collect()
}

/// A part of what one side says.
struct Segment {
    number: u32,
    syn: bool,
    payload: Vec<u8>,
}

/// The TCP segment in an Ethernet frame.
fn segment(mut frame: &[u8]) -> Option<((SocketAddrV4, SocketAddrV4), Segment)> {
    const IPV4: u16 = 0x0800;
    const TCP: u8 = 6;
    frame.advance_checked(12)?;
    if frame.try_get_u16().ok()? != IPV4 {
        return None;
    }
    // Frames are filled up to 60 bytes, so the packet says how long it is.
    let total = usize::from(u16::from_be_bytes([*frame.get(2)?, *frame.get(3)?]));
    let mut packet = frame.get(..total)?;
    let header = usize::from(packet.first()? & 0xf) * 4;
    if *packet.get(9)? != TCP {
        return None;
    }
    let address = |at: usize| Some(Ipv4Addr::from(<[u8; 4]>::try_from(packet.get(at..at + 4)?).ok()?));
    let (from, to) = (address(12)?, address(16)?);
    packet.advance_checked(header)?;
    let length = usize::from(packet.get(12)? >> 4) * 4;
    let (flags, payload) = (*packet.get(13)?, packet.get(length..)?.to_vec());
    let (source, target, number) = (packet.get_u16(), packet.get_u16(), packet.get_u32());
    Some((
        (SocketAddrV4::new(from, source), SocketAddrV4::new(to, target)),
        Segment { number, syn: flags & 2 != 0, payload },
    ))
}

/// Moving on in bytes that may be too few.
trait AdvanceChecked {
    fn advance_checked(&mut self, count: usize) -> Option<()>;
}

impl AdvanceChecked for &[u8] {
    fn advance_checked(&mut self, count: usize) -> Option<()> {
        *self = self.get(count..)?;
        Some(())
    }
}

/// Segments in their order, each byte once; what stands behind a gap is left out.
fn joined(first: u32, mut parts: Vec<(u32, Vec<u8>)>) -> Vec<u8> {
    parts.sort_by_key(|(number, _)| number.wrapping_sub(first));
    let mut all = Vec::new();
    for (number, payload) in parts {
        let at = number.wrapping_sub(first) as usize;
        if at <= all.len() {
            all.extend_from_slice(payload.get(all.len() - at..).unwrap_or_default());
        }
    }
    all
}

/// Whether bytes are TLS records and nothing else, with encrypted ones among them; the last may be incomplete.
#[must_use]
pub fn is_tls(mut bytes: &[u8]) -> bool {
    const ENCRYPTED: u8 = 23;
    let mut encrypted = false;
    while bytes.len() >= 5 {
        let (kind, major) = (bytes.get_u8(), bytes.get_u8());
        bytes.advance(1);
        let length = usize::from(bytes.get_u16());
        if !(20..=23).contains(&kind) || major != 3 || length > 16640 {
            return false;
        }
        encrypted |= kind == ENCRYPTED;
        bytes.advance(length.min(bytes.len()));
    }
    encrypted
}

/// What a TLS client says first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Hello {
    /// The server's name.
    pub server_name: String,
    /// Protocols that it offers (ALPN).
    pub protocols: Vec<String>,
}

/// The ClientHello that bytes begin with.
#[must_use]
pub fn hello(bytes: &[u8]) -> Option<Hello> {
    const HANDSHAKE: u8 = 22;
    const CLIENT_HELLO: u8 = 1;
    const SERVER_NAME: u16 = 0;
    const ALPN: u16 = 16;
    let mut record = bytes;
    if record.try_get_u8().ok()? != HANDSHAKE {
        return None;
    }
    record.advance_checked(4)?;
    if record.try_get_u8().ok()? != CLIENT_HELLO {
        return None;
    }
    // Length, version and random; then session, suites and compressions.
    record.advance_checked(3 + 2 + 32)?;
    let session = record.try_get_u8().ok()?;
    record.advance_checked(session.into())?;
    let suites = record.try_get_u16().ok()?;
    record.advance_checked(suites.into())?;
    let compressions = record.try_get_u8().ok()?;
    record.advance_checked(compressions.into())?;
    let length = record.try_get_u16().ok()?;
    let mut extensions = record.get(..length.into())?;
    let mut hello = Hello::default();
    while !extensions.is_empty() {
        let (kind, length) = (extensions.try_get_u16().ok()?, extensions.try_get_u16().ok()?);
        let mut body = extensions.get(..length.into())?;
        extensions.advance_checked(length.into())?;
        match kind {
            // The list's length, the kind of name, the name's length.
            SERVER_NAME => hello.server_name = String::from_utf8(body.get(5..)?.to_vec()).ok()?,
            ALPN => {
                body.advance_checked(2)?;
                while !body.is_empty() {
                    let length = usize::from(body.try_get_u8().ok()?);
                    hello.protocols.push(String::from_utf8(body.get(..length)?.to_vec()).ok()?);
                    body.advance_checked(length)?;
                }
            }
            _ => {}
        }
    }
    Some(hello)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// What a real client says first.
    fn greeting() -> Vec<u8> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config =
            rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let mut config = config.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
        config.alpn_protocols = vec![b"istio-http/1.1".to_vec(), b"istio".to_vec()];
        let name = "outbound_.80_._.web.shop".try_into().unwrap();
        let mut client = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        bytes
    }

    /// An Ethernet frame of the pcap file, filled up at its end.
    fn frame(number: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x45, 0];
        packet.extend(u16::try_from(40 + payload.len()).unwrap().to_be_bytes());
        packet.extend([0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        packet.extend([4, 210, 0, 80]);
        packet.extend(number.to_be_bytes());
        packet.extend([0, 0, 0, 0, 0x50, flags, 0, 0, 0, 0, 0, 0]);
        packet.extend(payload);
        let mut frame = [&[0; 12][..], &[8, 0], &packet, &[0; 6]].concat();
        let length = u32::try_from(frame.len()).unwrap().to_le_bytes();
        frame.splice(0..0, [&[0; 8][..], &length, &length].concat());
        frame
    }

    fn file(frames: &[Vec<u8>]) -> Vec<u8> {
        let header = [&0xa1b2_c3d4_u32.to_le_bytes()[..], &[0; 16], &1_u32.to_le_bytes()].concat();
        [header, frames.concat()].concat()
    }

    #[test]
    fn a_greeting_is_read() {
        let read = hello(&greeting()).unwrap();
        assert_eq!(read.server_name, "outbound_.80_._.web.shop");
        assert_eq!(read.protocols, ["istio-http/1.1", "istio"]);
        assert!(!is_tls(&greeting()), "nothing of it is encrypted yet");
        assert!(is_tls(&[&greeting()[..], &[23, 3, 3, 0, 1, 0]].concat()));
        assert!(!is_tls(&[&greeting()[..], &[23, 3, 3, 0, 1, 0], b"GET / HTTP/1.1"].concat()));
        assert!(!is_tls(b"GET / HTTP/1.1") && hello(b"GET / HTTP/1.1").is_none());
    }

    #[test]
    fn segments_are_joined_whatever_their_order() {
        let start = u32::MAX - 1;
        let at = |offset: u32| start.wrapping_add(1 + offset);
        let frames = [
            frame(start, 2, b""),
            frame(at(3), 24, b"lo wor"),
            frame(at(0), 24, b"hel"),
            frame(at(0), 24, b"hello"),
            frame(at(9), 24, b"ld"),
        ];
        let whole = file(&frames);
        let read = flows(&whole).unwrap();
        assert_eq!((read.len(), read[0].bytes.as_slice()), (1, &b"hello world"[..]));
        assert_eq!((read[0].from.port(), read[0].to.port()), (1234, 80));
        assert_eq!(flows(&whole[..whole.len() - 1]).unwrap()[0].bytes, b"hello wor", "the rest is still to come");
        assert!(flows(&file(&frames[1..])).is_err(), "its start was missed");
        assert!(flows(b"junk").is_err() && flows(&[]).is_err());
    }

    proptest::proptest! {
        #[test]
        fn damaged_bytes_do_no_harm(at: usize, byte: u8, cut: usize) {
            let mut greeting = greeting();
            let at = at % greeting.len();
            greeting[at] = byte;
            greeting.truncate(cut % (greeting.len() + 1));
            let _ = (hello(&greeting), is_tls(&greeting));
            let mut damaged = file(&[frame(1, 2, b""), frame(2, 24, &greeting)]);
            let at = at % damaged.len();
            damaged[at] = byte;
            let _ = flows(&damaged);
        }
    }
}
