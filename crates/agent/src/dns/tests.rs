use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use proptest::prelude::*;
use proto::istio::networking::nds::v1::NameTable;
use proto::istio::networking::nds::v1::name_table::NameInfo;
use tokio_util::sync::CancellationToken;

use super::answer::{Transport, Verdict, judge};
use super::names::Names;
use super::*;

fn info(ips: &[&str], registry: &str, (shortname, namespace): (&str, &str)) -> NameInfo {
    NameInfo {
        ips: ips.iter().map(ToString::to_string).collect(),
        registry: registry.to_owned(),
        shortname: shortname.to_owned(),
        namespace: namespace.to_owned(),
    }
}

fn table() -> NameTable {
    let none = ("", "");
    let table = [
        ("web.shop.svc.cluster.local", info(&["10.96.0.10"], "Kubernetes", ("web", "shop"))),
        ("web.yard.svc.cluster.local", info(&["10.96.0.20", "fd00::20"], "Kubernetes", ("web", "yard"))),
        ("db.shop.svc.cluster.local", info(&["10.1.0.1", "10.1.0.2", "10.1.0.3"], "Kubernetes", ("db", "shop"))),
        ("db-0.db.shop.svc.cluster.local", info(&["10.1.0.1"], "Kubernetes", ("db-0.db", "shop"))),
        ("far.shop.svc.other.test", info(&["10.97.0.1"], "Kubernetes", ("far", "shop"))),
        ("API.example.com", info(&["172.30.0.1"], "External", none)),
        ("*.wild.test", info(&["172.30.0.2"], "External", none)),
        ("*.deep.wild.test", info(&["172.30.0.3"], "External", none)),
        ("six.test", info(&["fd00::6"], "External", none)),
        ("broken.test", info(&["no address"], "External", none)),
    ];
    NameTable { table: table.map(|(host, info)| (host.to_owned(), info)).into_iter().collect::<BTreeMap<_, _>>() }
}

fn home() -> Home {
    Home::new("shop", "shop.svc.cluster.local", &["shop.svc.cluster.local".into(), "svc.cluster.local".into()])
}

fn names() -> Names {
    Names::new(&table(), &home())
}

fn question(name: &str, kind: RecordType) -> Message {
    let mut message = Message::new(4711, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    message
}

/// The answer as `name: data` of each record; `None` where others are asked.
fn asked(name: &str, kind: RecordType) -> Option<Vec<String>> {
    let packet = question(name, kind).to_vec().unwrap();
    match judge(&packet, Transport::Udp, Some(&names()), 0) {
        Verdict::Answer(bytes) => {
            let message = Message::from_vec(&bytes).unwrap();
            assert_eq!((message.metadata.id, message.metadata.response_code), (4711, ResponseCode::NoError));
            assert!(
                message.metadata.authoritative && message.metadata.recursion_desired && !message.metadata.truncation
            );
            assert_eq!(message.queries, question(name, kind).queries);
            assert!(message.answers.iter().all(|record| record.ttl == 30));
            Some(message.answers.iter().map(|record| format!("{}: {}", record.name, record.data)).collect())
        }
        Verdict::Forward(_) => None,
        Verdict::Ignore => panic!("{name} is ignored"),
    }
}

/// The data alone.
fn data(name: &str) -> Option<Vec<String>> {
    let data = |record: &String| record.split_once(": ").map(|(_, data)| data.to_owned()).unwrap();
    asked(name, RecordType::A).map(|records| records.iter().map(data).collect())
}

#[test]
fn services_have_the_names_that_clients_in_their_namespace_use() {
    for name in ["web.shop.svc.cluster.local.", "web.", "web.shop.", "web.shop.svc.", "WEB.Shop."] {
        assert_eq!(data(name).unwrap(), ["10.96.0.10"], "{name}");
    }
    assert_eq!(data("web.yard.").unwrap(), ["10.96.0.20"]);
    assert_eq!(data("far.shop.svc.other.test.").unwrap(), ["10.97.0.1"]);
    assert_eq!(data("far."), None, "the short names of another domain are not ours");
    assert_eq!(data("db-0.db.").unwrap(), ["10.1.0.1"], "a pod of a headless service");
    assert_eq!(data("broken.test."), None);
    assert_eq!(asked("WEB.shop.", RecordType::A).unwrap(), ["WEB.shop.: 10.96.0.10"], "the client's spelling stays");
}

#[test]
fn a_name_of_the_other_family_only_is_there_and_has_no_address() {
    assert_eq!(asked("six.test.", RecordType::A).unwrap(), [""; 0]);
    assert_eq!(asked("six.test.", RecordType::AAAA).unwrap(), ["six.test.: fd00::6"]);
    assert_eq!(asked("web.shop.", RecordType::AAAA).unwrap(), [""; 0]);
    for other in [RecordType::TXT, RecordType::SRV, RecordType::ANY, RecordType::HTTPS] {
        assert_eq!(asked("web.shop.", other), None, "others may know more");
    }
}

#[test]
fn a_search_domain_that_was_appended_leads_to_the_name_at_once() {
    let expected = ["api.example.com.shop.svc.cluster.local.: api.example.com.", "api.example.com.: 172.30.0.1"];
    assert_eq!(asked("api.example.com.shop.svc.cluster.local.", RecordType::A).unwrap(), expected);
    assert_eq!(asked("web.shop.shop.svc.cluster.local.", RecordType::A).unwrap()[1], "web.shop.: 10.96.0.10");
    assert_eq!(asked("six.test.shop.svc.cluster.local.", RecordType::A).unwrap(), [""; 0], "no alias to nothing");
    assert_eq!(asked("api.example.com.svc.cluster.local.", RecordType::A), None, "only the first search domain");
}

#[test]
fn the_closest_wildcard_holds() {
    assert_eq!(asked("a.b.wild.test.", RecordType::A).unwrap(), ["a.b.wild.test.: 172.30.0.2"]);
    assert_eq!(data("x.deep.wild.test.").unwrap(), ["172.30.0.3"]);
    assert_eq!(data("wild.test."), None);
    assert_eq!(data("*.wild.test.").unwrap(), ["172.30.0.2"]);
    let expected = ["a.wild.test.shop.svc.cluster.local.: a.wild.test.", "a.wild.test.: 172.30.0.2"];
    assert_eq!(asked("a.wild.test.shop.svc.cluster.local.", RecordType::A).unwrap(), expected);
}

#[test]
fn addresses_take_turns() {
    let packet = question("db.", RecordType::A).to_vec().unwrap();
    let mut first = Vec::new();
    for turn in 0..3 {
        let Verdict::Answer(bytes) = judge(&packet, Transport::Udp, Some(&names()), turn) else {
            panic!("it is known")
        };
        let answers = Message::from_vec(&bytes).unwrap().answers;
        assert_eq!(answers.len(), 3);
        first.push(answers[0].data.to_string());
    }
    assert_eq!(first, ["10.1.0.1", "10.1.0.2", "10.1.0.3"]);
}

#[test]
fn an_answer_is_as_long_as_the_client_takes() {
    let ips: Vec<String> = (0..200).map(|at| format!("10.1.1.{at}")).collect();
    let ips: Vec<&str> = ips.iter().map(String::as_str).collect();
    let table = NameTable { table: [("many.test".to_owned(), info(&ips, "External", ("", "")))].into() };
    let names = Names::new(&table, &home());
    let mut plain = question("many.test.", RecordType::A);
    let answered = |message: &Message, transport| {
        let Verdict::Answer(bytes) = judge(&message.to_vec().unwrap(), transport, Some(&names), 0) else {
            panic!("it is known")
        };
        let answer = Message::from_vec(&bytes).unwrap();
        (bytes.len(), answer.answers.len(), answer.metadata.truncation)
    };
    let (length, count, truncated) = answered(&plain, Transport::Udp);
    assert!(length <= 512 && count > 20 && truncated, "{length} {count}");
    assert_eq!(answered(&plain, Transport::Tcp).1, 200);
    let mut edns = Edns::new();
    edns.set_max_payload(4096);
    plain.set_edns(edns);
    let (length, count, truncated) = answered(&plain, Transport::Udp);
    assert!(length <= 4096 && count == 200 && !truncated, "{length} {count}");
}

#[test]
fn odd_packets_are_refused_or_passed_over() {
    let code = |packet: &[u8]| match judge(packet, Transport::Udp, Some(&names()), 0) {
        Verdict::Answer(bytes) => Some(Message::from_vec(&bytes).unwrap().metadata.response_code),
        Verdict::Forward(_) => Some(ResponseCode::NoError),
        Verdict::Ignore => None,
    };
    let good = question("web.", RecordType::A).to_vec().unwrap();
    let mut answer = good.clone();
    answer[2] |= 0x80;
    assert_eq!(code(&answer), None, "two servers must not answer each other for ever");
    assert_eq!(code(&good[..11]), None);
    assert_eq!(code(&good[..good.len() - 1]), Some(ResponseCode::FormErr));
    let mut none = good.clone();
    none[5] = 0;
    assert_eq!(code(&none), Some(ResponseCode::ServFail));
    let mut many = good.clone();
    many[4] = 255;
    assert_eq!(code(&many), Some(ResponseCode::FormErr));
    let mut update = good;
    update[2] |= 5 << 3;
    assert_eq!(code(&update), Some(ResponseCode::NoError), "updates are for others");
}

#[test]
fn resolv_conf_is_read_as_resolvers_do() {
    let text = "# a comment\nsearch first.test.\nnameserver 10.0.0.10 # kube-dns\nnameserver fe80::1%eth0\nnameserver nonsense\n\
                options ndots:5\nsearch Shop.svc.cluster.local svc.cluster.local.\n";
    let expected = Resolv {
        servers: vec!["10.0.0.10".parse().unwrap(), "fe80::1".parse().unwrap()],
        search: vec!["shop.svc.cluster.local".into(), "svc.cluster.local".into()],
    };
    assert_eq!(Resolv::parse(text), expected);
}

#[test]
fn localhost_is_in_the_families_of_the_servers() {
    let of = |servers: &[&str]| {
        let servers = servers.iter().map(|server| server.parse::<IpAddr>().unwrap()).collect();
        let all = addresses("localhost:15053", &Resolv { servers, search: Vec::new() }).unwrap();
        all.iter().map(SocketAddr::to_string).collect::<Vec<_>>()
    };
    assert_eq!(of(&[]), ["127.0.0.1:15053"]);
    assert_eq!(of(&["10.0.0.1"]), ["127.0.0.1:15053"]);
    assert_eq!(of(&["fd00::1"]), ["[::1]:15053"]);
    assert_eq!(of(&["10.0.0.1", "fd00::1"]), ["127.0.0.1:15053", "[::1]:15053"]);
    let resolv = Resolv::default();
    assert_eq!(addresses("[::1]:53", &resolv).unwrap(), ["[::1]:53".parse::<SocketAddr>().unwrap()]);
    assert!(addresses("nowhere", &resolv).is_err() && addresses("host:53", &resolv).is_err());
}

proptest! {
    #[test]
    fn no_packet_makes_it_panic_and_every_answer_is_one(
        bytes in prop::collection::vec(any::<u8>(), 0..600),
        (known, tcp) in any::<(bool, bool)>(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        plain in any::<bool>(),
    ) {
        let mut packet = if plain { bytes } else { question("web.shop.svc.cluster.local.", RecordType::A).to_vec().unwrap() };
        for (at, byte) in flips {
            if !packet.is_empty() {
                let at = at.index(packet.len());
                packet[at] = byte;
            }
        }
        let names = known.then(names);
        let transport = if tcp { Transport::Tcp } else { Transport::Udp };
        match judge(&packet, transport, names.as_ref(), 1) {
            Verdict::Ignore => {}
            Verdict::Answer(answer) => prop_assert_eq!(Message::from_vec(&answer).unwrap().metadata.id.to_be_bytes(), [packet[0], packet[1]]),
            Verdict::Forward(question) => {
                let failed = Message::from_vec(&question.failed()).unwrap();
                prop_assert_eq!(failed.metadata.response_code, ResponseCode::ServFail);
                let mut other = packet.clone();
                other[2] |= 0x80;
                prop_assert!(question.is_answered_by(&other, [packet[0], packet[1]]));
                other.resize(70_000, 0);
                prop_assert!(question.passed_on(other).len() < 400);
            }
        }
    }
}

/// What a server of the test does with each question.
#[derive(Clone, Copy)]
enum Other {
    /// Answers with this last part of an address.
    Answers(u8),
    /// Answers by UDP that there is more, and all of it by TCP.
    HasMore,
    /// Answers another question first.
    Lies,
    /// Never answers.
    Silent,
}

fn answer_of(packet: &[u8], last: u8) -> Message {
    let asked = Message::from_vec(packet).unwrap();
    let mut answer = Message::response(asked.metadata.id, OpCode::Query);
    answer.queries = asked.queries.clone();
    let data = RData::A(hickory_proto::rr::rdata::A::new(192, 0, 2, last));
    answer.add_answer(hickory_proto::rr::Record::from_rdata(asked.queries[0].name.clone(), 60, data));
    answer
}

/// A name server that behaves like this.
async fn other(kind: Other) -> SocketAddr {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    // The port that is free by one protocol may be taken by the other.
    let (socket, address, listener) = loop {
        let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        if let Ok(listener) = tokio::net::TcpListener::bind(address).await {
            break (socket, address, listener);
        }
    };
    let by_udp = async move {
        let mut buffer = [0; 512];
        loop {
            let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
            let mut answer = answer_of(&buffer[..length], if let Other::Answers(last) = kind { last } else { 99 });
            match kind {
                Other::Answers(_) => {}
                Other::HasMore => {
                    answer.metadata.truncation = true;
                    answer.answers.clear();
                }
                Other::Lies => {
                    let mut lie = answer.clone();
                    lie.metadata.id ^= 1;
                    socket.send_to(&lie.to_vec().unwrap(), from).await.unwrap();
                }
                Other::Silent => continue,
            }
            socket.send_to(&answer.to_vec().unwrap(), from).await.unwrap();
        }
    };
    let by_tcp = async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let length = socket.read_u16().await.unwrap();
            let mut packet = vec![0; length.into()];
            socket.read_exact(&mut packet).await.unwrap();
            let answer = answer_of(&packet, 77).to_vec().unwrap();
            socket.write_u16(u16::try_from(answer.len()).unwrap()).await.unwrap();
            socket.write_all(&answer).await.unwrap();
        }
    };
    #[expect(clippy::disallowed_methods, reason = "it ends with the test")]
    tokio::spawn(async move { tokio::join!(by_udp, by_tcp) });
    address
}

/// A server in front of others, and what it knows.
async fn server(others: &[Other], way: Way, patience: u64) -> (SocketAddr, Arc<Known>, CancellationToken) {
    let mut all = Vec::new();
    for kind in others {
        all.push(other(*kind).await);
    }
    let known = Known::new(home());
    let servers = Servers::new(all, way, Duration::from_millis(patience));
    let any = ["127.0.0.1:0".parse().unwrap()];
    let server = loop {
        if let Ok(server) = Server::bind(&any, known.clone(), servers.clone(), false).await {
            break server;
        }
    };
    let (address, stop) = (server.addresses().unwrap()[0], CancellationToken::new());
    #[expect(clippy::disallowed_methods, reason = "it ends with the test")]
    tokio::spawn(server.serve(stop.clone()));
    (address, known, stop)
}

async fn resolve(server: SocketAddr, name: &str) -> (ResponseCode, Vec<String>) {
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.send_to(&question(name, RecordType::A).to_vec().unwrap(), server).await.unwrap();
    let mut buffer = [0; 4096];
    let (length, _) = socket.recv_from(&mut buffer).await.unwrap();
    let answer = Message::from_vec(&buffer[..length]).unwrap();
    assert_eq!(answer.metadata.id, 4711);
    (answer.metadata.response_code, answer.answers.iter().map(|record| record.data.to_string()).collect())
}

#[tokio::test]
async fn what_is_not_known_others_are_asked() {
    let (address, known, stop) = server(&[Other::Answers(1)], Way::InTurn, 5000).await;
    assert_eq!(resolve(address, "web.").await.0, ResponseCode::ServFail, "nothing is known yet, not even what is not");
    assert!(!known.is_ready());
    known.take(table());
    assert_eq!(resolve(address, "web.").await.1, ["10.96.0.10"]);
    assert_eq!(resolve(address, "elsewhere.test.").await.1, ["192.0.2.1"]);
    let metrics = known.metrics();
    for line in
        ["dns_requests_total 3", "dns_upstream_requests_total 1", "dns_upstream_failures_total 0", "le=\"+Inf\"} 1"]
    {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    stop.cancel();
}

#[tokio::test]
async fn a_server_that_is_silent_is_left_for_the_next_and_nobody_means_failure() {
    let (address, known, _stop) = server(&[Other::Silent, Other::Answers(2)], Way::InTurn, 50).await;
    known.take(table());
    for _ in 0..2 {
        assert_eq!(resolve(address, "elsewhere.test.").await.1, ["192.0.2.2"]);
    }
    let (address, known, _stop) = server(&[Other::Silent], Way::InTurn, 50).await;
    known.take(table());
    assert_eq!(resolve(address, "elsewhere.test.").await, (ResponseCode::ServFail, Vec::new()));
    assert!(known.metrics().contains("dns_upstream_failures_total 1"));
    let (address, known, _stop) = server(&[], Way::AtOnce, 50).await;
    known.take(table());
    assert_eq!(resolve(address, "elsewhere.test.").await.0, ResponseCode::ServFail, "there are no others");
}

#[tokio::test]
async fn all_at_once_is_as_fast_as_the_fastest() {
    let (address, known, _stop) = server(&[Other::Silent, Other::Answers(3)], Way::AtOnce, 20_000).await;
    known.take(table());
    let answer = tokio::time::timeout(Duration::from_secs(10), resolve(address, "elsewhere.test.")).await.unwrap();
    assert_eq!(answer.1, ["192.0.2.3"]);
}

#[tokio::test]
async fn more_than_fits_is_fetched_by_tcp_and_strangers_are_not_believed() {
    let (address, known, _stop) = server(&[Other::HasMore], Way::InTurn, 5000).await;
    known.take(table());
    assert_eq!(resolve(address, "elsewhere.test.").await.1, ["192.0.2.77"]);
    let (address, known, _stop) = server(&[Other::Lies], Way::InTurn, 5000).await;
    known.take(table());
    assert_eq!(resolve(address, "elsewhere.test.").await.1, ["192.0.2.99"]);
}

#[tokio::test]
async fn tcp_answers_one_question_after_the_other() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (address, known, _stop) = server(&[Other::Silent], Way::InTurn, 5000).await;
    known.take(table());
    let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
    for (name, expected) in [("web.", "10.96.0.10"), ("elsewhere.test.", "192.0.2.77")] {
        let packet = question(name, RecordType::A).to_vec().unwrap();
        socket.write_u16(u16::try_from(packet.len()).unwrap()).await.unwrap();
        socket.write_all(&packet).await.unwrap();
        let mut answer = vec![0; socket.read_u16().await.unwrap().into()];
        socket.read_exact(&mut answer).await.unwrap();
        assert_eq!(Message::from_vec(&answer).unwrap().answers[0].data.to_string(), expected);
    }
}
