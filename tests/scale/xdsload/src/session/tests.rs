use prost::Message;
use proto::envoy::config::cluster::v3::Cluster;
use proto::envoy::config::cluster::v3::cluster::{ClusterDiscoveryType, EdsClusterConfig};
use proto::envoy::config::core::v3::config_source::ConfigSourceSpecifier;
use proto::envoy::config::core::v3::{AggregatedConfigSource, ConfigSource};
use proto::envoy::config::endpoint::v3::ClusterLoadAssignment;
use proto::envoy::config::listener::v3::Listener;
use proto::envoy::service::discovery::v3::{DeltaDiscoveryRequest, Resource};

use super::*;
use crate::resource::Frame;

struct Server {
    library: Arc<Library>,
    nonce: u32,
}

impl Server {
    fn session() -> (Self, Session) {
        let library = Arc::new(Library::default());
        let mut session = Session::new(Mode::Delta, library.clone());
        assert_eq!(said(session.begin()), ["cds ?", "lds ?"]);
        (Self { library, nonce: 0 }, session)
    }

    /// A response with resources, and without others.
    fn response(&mut self, kind: Kind, resources: &[(&str, prost_types::Any)], removed: &[&str]) -> Response {
        self.nonce += 1;
        let mut response = Response {
            kind: Some(kind),
            nonce: self.nonce.to_string().into(),
            digest: u64::from(self.nonce),
            removed: removed.iter().map(|name| self.library.names.of(name)).collect(),
            ..Response::default()
        };
        for (name, any) in resources {
            let resource = Some(any.clone());
            let own = Resource { name: (*name).to_owned(), version: "v".to_owned(), resource, ..Resource::default() };
            let read = self.library.resource(&own.encode_to_vec().into(), Frame::Own, false).unwrap();
            response.resources.push(read);
        }
        response
    }

    fn clusters(&mut self, clusters: &[(&str, &str)]) -> Response {
        let made: Vec<_> = clusters.iter().map(|(name, alt)| (*name, cluster(name, alt))).collect();
        self.response(Kind::Cds, &made, &[])
    }

    fn endpoints(&mut self, names: &[&str]) -> Response {
        let made: Vec<_> = names.iter().map(|name| (*name, proto::any(&ClusterLoadAssignment::default()))).collect();
        self.response(Kind::Eds, &made, &[])
    }
}

fn cluster(name: &str, alt: &str) -> prost_types::Any {
    let specifier = Some(ConfigSourceSpecifier::Ads(AggregatedConfigSource {}));
    let eds_config = Some(ConfigSource { config_source_specifier: specifier, ..ConfigSource::default() });
    proto::any(&Cluster {
        name: name.to_owned(),
        alt_stat_name: alt.to_owned(),
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(3)),
        eds_cluster_config: Some(EdsClusterConfig { eds_config, ..EdsClusterConfig::default() }),
        ..Cluster::default()
    })
}

/// What requests say: the type, then `?` for the first, names that are added and taken away, or the nonce that is answered.
fn said(requests: Vec<Request>) -> Vec<String> {
    let all = requests.into_iter().map(|request| {
        let request = DeltaDiscoveryRequest::decode(&request.parts.concat()[..]).unwrap();
        let kind = Kind::of(&request.type_url).unwrap().short();
        let add = request.resource_names_subscribe.iter().map(|name| format!("+{name}"));
        let take = request.resource_names_unsubscribe.iter().map(|name| format!("-{name}"));
        let offer = request.initial_resource_versions.iter().map(|(name, version)| format!("{name}={version}"));
        let mut words: Vec<String> = add.chain(take).chain(offer).collect();
        match (request.response_nonce.as_str(), &request.error_detail) {
            ("", _) if words.is_empty() => words.push("?".to_owned()),
            ("", _) => {}
            (nonce, None) => words.push(format!("ack {nonce}")),
            (nonce, Some(error)) => words.push(format!("nack {nonce} {}", error.message)),
        }
        format!("{kind} {}", words.join(" "))
    });
    all.collect()
}

#[test]
fn the_ack_of_clusters_waits_for_the_endpoints_of_those_that_are_new_or_changed() {
    let (mut server, mut session) = Server::session();
    let take = |session: &mut Session, response: Response| said(session.take(&response, None).requests);
    let first = server.clusters(&[("a", ""), ("b", "")]);
    assert_eq!(take(&mut session, first), ["eds +a +b"]);
    let half = server.endpoints(&["a"]);
    assert_eq!(take(&mut session, half), ["eds ack 2"]);
    assert!(session.missing().contains("1 warming"), "{}", session.missing());
    let rest = server.endpoints(&["b"]);
    assert_eq!(take(&mut session, rest), ["eds ack 3", "cds ack 1"]);

    // An update of one, and a second response before its endpoints came: both are acked then.
    let update = server.clusters(&[("a", ""), ("b", "changed")]);
    assert_eq!(take(&mut session, update), [""; 0]);
    let other = server.endpoints(&["a"]);
    assert_eq!(take(&mut session, other), ["eds ack 5"]);
    let same = server.clusters(&[("a", "")]);
    assert_eq!(take(&mut session, same), [""; 0]);
    let rest = server.endpoints(&["b"]);
    assert_eq!(take(&mut session, rest), ["eds ack 7", "cds ack 4", "cds ack 6"]);
    // Nothing new: acked at once.
    let same = server.clusters(&[("a", "")]);
    assert_eq!(take(&mut session, same), ["cds ack 8"]);

    // A cluster that goes while it warms holds nothing back, and its endpoints are not asked for any more.
    let warms = server.clusters(&[("c", "")]);
    assert_eq!(take(&mut session, warms), ["eds +c"]);
    let gone = server.response(Kind::Cds, &[], &["c"]);
    assert_eq!(take(&mut session, gone), ["eds -c", "cds ack 9", "cds ack 10"]);
    // One of which the server says that it has no endpoints neither.
    let warms = server.clusters(&[("d", "")]);
    assert_eq!(take(&mut session, warms), ["eds +d"]);
    let none = server.response(Kind::Eds, &[], &["d"]);
    assert_eq!(take(&mut session, none), ["eds ack 12", "cds ack 11"]);
}

#[test]
fn it_is_complete_with_all_that_it_was_led_to_and_offers_that_on_the_next_stream() {
    let (mut server, mut session) = Server::session();
    let listener = [("l", proto::any(&Listener::default()))];
    for (response, complete) in [
        (server.clusters(&[("a", "")]), false),
        (server.response(Kind::Lds, &listener, &[]), false),
        (server.endpoints(&["a"]), true),
    ] {
        session.take(&response, None);
        assert_eq!(session.complete(), complete, "{}", session.missing());
    }
    assert_eq!(said(session.begin()), ["cds a=v", "lds l=v", "eds +a a=v"]);
    assert!(session.covered() && !session.complete());
    for kind in [Kind::Cds, Kind::Lds, Kind::Eds] {
        assert!(!session.complete());
        session.take(&server.response(kind, &[], &[]), None);
    }
    assert!(session.complete());
    session.forget();
    assert_eq!(said(session.begin()), ["cds ?", "lds ?"]);
}

#[test]
fn a_refusal_keeps_what_is_there() {
    let (mut server, mut session) = Server::session();
    session.take(&server.clusters(&[("a", "")]), None);
    let before = session.held(Kind::Cds).id;
    let taken = session.take(&server.clusters(&[("b", "")]), Some("no"));
    assert!(taken.refused);
    assert_eq!(said(taken.requests), ["cds nack 2 no"]);
    assert_eq!(session.held(Kind::Cds).id, before);
}

#[test]
fn clients_that_take_the_same_share_it() {
    let (mut server, mut one) = Server::session();
    let mut other = Session::new(Mode::Delta, server.library.clone());
    other.begin();
    let response = server.clusters(&[("a", ""), ("b", "")]);
    one.take(&response, None);
    other.take(&response, None);
    assert!(Arc::ptr_eq(one.held(Kind::Cds), other.held(Kind::Cds)));
    // By another way as well.
    let mut third = Session::new(Mode::Delta, server.library.clone());
    third.begin();
    third.take(&server.clusters(&[("a", "")]), None);
    third.take(&server.clusters(&[("b", "")]), None);
    assert!(Arc::ptr_eq(one.held(Kind::Cds), third.held(Kind::Cds)));
}
