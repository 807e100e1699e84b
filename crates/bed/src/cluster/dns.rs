//! The name server of a cluster's pods: knows Services, asks nobody.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use anyhow::Context;
use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::{A, CNAME};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::ground::NODE;

/// Seconds: endpoints change.
const TTL: u32 = 5;
/// A question is not longer than this, in bytes.
const LONGEST: usize = 4096;

/// What a name means.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Entry {
    Addresses(Vec<Ipv4Addr>),
    Alias(String),
}

/// Names in lower case, without a final dot.
pub(super) type Names = BTreeMap<String, Entry>;

/// Answers at the node's address, by UDP and TCP. Comes back only when that is not possible.
///
/// # Errors
/// When the port is taken.
pub(super) async fn serve(names: watch::Receiver<Arc<Names>>) -> anyhow::Result<()> {
    let udp = UdpSocket::bind((NODE, 53)).await.context("binding UDP port 53")?;
    let tcp = TcpListener::bind((NODE, 53)).await.context("binding TCP port 53")?;
    let mut buffer = [0; LONGEST];
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            received = udp.recv_from(&mut buffer) => {
                let Ok((length, from)) = received else { continue };
                let known = Arc::clone(&names.borrow());
                if let Some(answer) = answer(&buffer[..length], &known, false) {
                    // One that cannot be sent is asked for again.
                    let _ = udp.send_to(&answer, from).await;
                }
            }
            accepted = tcp.accept() => {
                let Ok((socket, _)) = accepted else { continue };
                while connections.try_join_next().is_some() {}
                connections.spawn(converse(socket, names.clone()));
            }
        }
    }
}

/// Questions and answers, each after its length, until the client has no more.
async fn converse(mut socket: TcpStream, names: watch::Receiver<Arc<Names>>) {
    while let Ok(length) = socket.read_u16().await {
        let mut question = vec![0; usize::from(length)];
        if socket.read_exact(&mut question).await.is_err() {
            return;
        }
        let known = Arc::clone(&names.borrow());
        let Some(answer) = answer(&question, &known, true) else { return };
        let Ok(length) = u16::try_from(answer.len()) else { return };
        if socket.write_all(&[&length.to_be_bytes()[..], &answer].concat()).await.is_err() {
            return;
        }
    }
}

/// The answer to a packet; none to one that asks nothing. By UDP, what is too much is asked for again by TCP.
fn answer(packet: &[u8], names: &Names, whole: bool) -> Option<Vec<u8>> {
    let asked = Message::from_vec(packet).ok()?;
    if asked.metadata.message_type != MessageType::Query {
        return None;
    }
    let query = asked.queries.first()?;
    let mut answer = Message::response(asked.metadata.id, asked.metadata.op_code);
    answer.metadata.recursion_desired = asked.metadata.recursion_desired;
    answer.metadata.recursion_available = true;
    answer.metadata.authoritative = true;
    answer.queries.push(query.clone());
    let name = query.name().to_ascii().to_ascii_lowercase();
    match names.get(name.trim_end_matches('.')) {
        None => answer.metadata.response_code = ResponseCode::NXDomain,
        Some(Entry::Alias(other)) => {
            let other = Name::from_ascii(format!("{other}.")).ok()?;
            answer.answers.push(Record::from_rdata(query.name().clone(), TTL, RData::CNAME(CNAME(other))));
        }
        Some(Entry::Addresses(all)) if query.query_type() == RecordType::A => {
            let records = all.iter().map(|ip| Record::from_rdata(query.name().clone(), TTL, RData::A(A(*ip))));
            answer.answers.extend(records);
        }
        // It is there, and has no address of another family.
        Some(Entry::Addresses(_)) => {}
    }
    let encoded = answer.to_vec().ok()?;
    if whole || encoded.len() <= usize::from(asked.max_payload()) {
        return Some(encoded);
    }
    answer.answers.clear();
    answer.metadata.truncation = true;
    answer.to_vec().ok()
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::{OpCode, Query};

    use super::*;

    fn ask(names: &Names, name: &str, kind: RecordType) -> Message {
        let mut question = Message::new(7, MessageType::Query, OpCode::Query);
        question.queries.push(Query::query(Name::from_ascii(name).unwrap(), kind));
        Message::from_vec(&answer(&question.to_vec().unwrap(), names, true).unwrap()).unwrap()
    }

    #[test]
    fn services_have_addresses_and_strangers_do_not_exist() {
        let address = Ipv4Addr::new(10, 96, 0, 1);
        let names = Names::from([("kubernetes.default.svc.cluster.local".to_owned(), Entry::Addresses(vec![address]))]);
        let known = ask(&names, "Kubernetes.default.svc.cluster.local.", RecordType::A);
        assert_eq!(known.answers.first().map(|record| record.data.clone()), Some(RData::A(A(address))));
        let other = ask(&names, "kubernetes.default.svc.cluster.local.", RecordType::AAAA);
        assert!(other.answers.is_empty() && other.metadata.response_code == ResponseCode::NoError);
        let strange = ask(&names, "kubernetes.default.svc.", RecordType::A);
        assert_eq!(strange.metadata.response_code, ResponseCode::NXDomain);
    }
}
