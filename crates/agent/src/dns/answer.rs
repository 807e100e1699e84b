//! What becomes of one packet: an answer, a question to others, or nothing. No sockets.

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder, BinEncodable, BinEncoder};

use super::names::{Found, Names};

/// Addresses change; clients shall ask again soon (`istio: pkg/dns/client/dns.go defaultTTLInSeconds`).
const TTL: u32 = 30;
/// Bytes of a message's header.
const HEADER: usize = 12;
/// What every client can take by UDP.
const SMALLEST: u16 = 512;

/// How a question came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Transport {
    Udp,
    Tcp,
}

/// What becomes of a packet.
#[derive(Debug)]
pub(super) enum Verdict {
    /// This goes back.
    Answer(Vec<u8>),
    /// Others know.
    Forward(Question),
    /// It asks nothing.
    Ignore,
}

/// A question for others.
#[derive(Clone, Debug)]
pub(super) struct Question {
    /// As it came.
    pub(super) packet: Vec<u8>,
    /// Where the question ends in it.
    end: usize,
    /// How it came.
    pub(super) transport: Transport,
    /// The client takes no more bytes than these.
    pub(super) limit: u16,
}

/// What a packet asks.
struct Asked {
    packet: Message,
    query: Query,
    end: usize,
    limit: u16,
}

/// Judges a packet by the names that are known; `None` before there are any. `turn` says which address of several comes first.
pub(super) fn judge(packet: &[u8], transport: Transport, names: Option<&Names>, turn: usize) -> Verdict {
    let Some(header) = packet.get(..HEADER) else { return Verdict::Ignore };
    // An answer must never be answered: two servers could go on for ever.
    if header[2] & 0x80 != 0 {
        return Verdict::Ignore;
    }
    let asked = match (u16::from_be_bytes([header[4], header[5]]), read(packet, transport)) {
        (1, Some(asked)) => asked,
        (0, _) => return refusal(packet, ResponseCode::ServFail),
        (_, _) => return refusal(packet, ResponseCode::FormErr),
    };
    match names.and_then(|names| known(&asked, names, turn)) {
        Some(records) => Verdict::Answer(answer(&asked, records)),
        None => {
            let question = Question { packet: packet.to_vec(), end: asked.end, transport, limit: asked.limit };
            Verdict::Forward(question)
        }
    }
}

/// The question, and how much the client can take.
fn read(packet: &[u8], transport: Transport) -> Option<Asked> {
    let mut decoder = BinDecoder::new(packet);
    decoder.read_slice(HEADER).ok()?;
    let query = Query::read(&mut decoder).ok()?;
    let end = decoder.index();
    // Only the question has to be understood: what else is in there is for those whom it goes to.
    let whole = Message::from_vec(packet).ok();
    let limit = match transport {
        Transport::Tcp => u16::MAX,
        Transport::Udp => whole.as_ref().map_or(SMALLEST, Message::max_payload),
    };
    let packet = whole.unwrap_or_else(|| bare(packet));
    Some(Asked { packet, query, end, limit })
}

/// A message of which only the header is known.
fn bare(packet: &[u8]) -> Message {
    let id = u16::from_be_bytes([packet[0], packet[1]]);
    let mut message = Message::new(id, MessageType::Query, OpCode::from_u8(packet[2] >> 3 & 0xf));
    message.metadata.recursion_desired = packet[2] & 1 != 0;
    message.metadata.checking_disabled = packet[3] & 0x10 != 0;
    message
}

/// The records of a name that is known; empty where it has none of the family that is asked for: "there is no such name" would be taken for
/// both families by clients that ask for both at once.
fn known(asked: &Asked, names: &Names, turn: usize) -> Option<Vec<Record>> {
    let (query, own) = (&asked.query, asked.packet.metadata.op_code == OpCode::Query);
    let family = query.query_type();
    if !own || query.query_class() != DNSClass::IN || !matches!(family, RecordType::A | RecordType::AAAA) {
        return None;
    }
    let name = query.name().to_ascii().to_ascii_lowercase();
    let (owner, alias, addresses) = match names.find(name.trim_end_matches('.'))? {
        Found::Itself(addresses) => (query.name().clone(), None, addresses),
        Found::Other(other, addresses) => {
            let other = Name::from_ascii(format!("{other}.")).ok()?;
            let alias = Record::from_rdata(query.name().clone(), TTL, RData::CNAME(CNAME(other.clone())));
            (other, Some(alias), addresses)
        }
    };
    let mut records: Vec<Record> = match family {
        RecordType::A => {
            let all = addresses.v4.iter().map(|v4| RData::A(A(*v4)));
            all.map(|data| Record::from_rdata(owner.clone(), TTL, data)).collect()
        }
        _ => {
            let all = addresses.v6.iter().map(|v6| RData::AAAA(AAAA(*v6)));
            all.map(|data| Record::from_rdata(owner.clone(), TTL, data)).collect()
        }
    };
    if !records.is_empty() {
        let first = turn % records.len();
        records.rotate_left(first);
        alias.into_iter().for_each(|alias| records.insert(0, alias));
    }
    Some(records)
}

/// An answer of our own; what does not fit is left out, and the client told to ask by TCP.
fn answer(asked: &Asked, records: Vec<Record>) -> Vec<u8> {
    let mut message = response(&asked.packet, ResponseCode::NoError);
    message.metadata.authoritative = true;
    message.add_query(asked.query.clone());
    message.add_answers(records);
    encoded(&message, asked.limit)
}

fn response(to: &Message, code: ResponseCode) -> Message {
    let mut message = Message::response(to.metadata.id, to.metadata.op_code);
    message.metadata.recursion_desired = to.metadata.recursion_desired;
    message.metadata.checking_disabled = to.metadata.checking_disabled;
    message.metadata.response_code = code;
    message
}

fn encoded(message: &Message, limit: u16) -> Vec<u8> {
    let mut out = Vec::with_capacity(usize::from(SMALLEST));
    let mut encoder = BinEncoder::new(&mut out);
    encoder.set_max_size(limit);
    if message.emit(&mut encoder).is_err() {
        out.clear();
    }
    out
}

/// Nothing but a code.
fn refusal(packet: &[u8], code: ResponseCode) -> Verdict {
    Verdict::Answer(encoded(&response(&bare(packet), code), SMALLEST))
}

impl Question {
    /// Nobody answers, or nobody is to be asked now.
    pub(super) fn failed(&self) -> Vec<u8> {
        let mut message = response(&bare(&self.packet), ResponseCode::ServFail);
        message.queries.extend(self.query());
        encoded(&message, self.limit)
    }

    fn query(&self) -> Option<Query> {
        let mut decoder = BinDecoder::new(&self.packet);
        decoder.read_slice(HEADER).ok()?;
        Query::read(&mut decoder).ok()
    }

    /// Whether some bytes answer this question, asked under another id: a stranger can guess neither id nor port.
    pub(super) fn is_answered_by(&self, bytes: &[u8], id: [u8; 2]) -> bool {
        let question = self.packet.get(HEADER..self.end);
        let same = match (question, bytes.get(HEADER..self.end)) {
            (Some(asked), Some(answered)) => asked.eq_ignore_ascii_case(answered),
            // Servers that refuse may leave the question out.
            (Some(_), None) => bytes.get(4..6) == Some(&[0, 0]),
            (None, _) => false,
        };
        same && bytes.get(..2) == Some(&id) && bytes.get(2).is_some_and(|flags| flags & 0x80 != 0)
    }

    /// Others' answer as it goes to the client: under its id, and where it is too long for it, the question alone with the mark that
    /// there is more.
    pub(super) fn passed_on(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        if bytes.len() > usize::from(self.limit) {
            bytes.truncate(self.end);
            bytes[2] |= 0x02;
            bytes[4..HEADER].copy_from_slice(&[0, 1, 0, 0, 0, 0, 0, 0]);
        }
        bytes[..2].copy_from_slice(&self.packet[..2]);
        bytes
    }
}

/// Whether an answer says that there is more.
pub(super) fn is_truncated(bytes: &[u8]) -> bool {
    bytes.get(2).is_some_and(|flags| flags & 0x02 != 0)
}
