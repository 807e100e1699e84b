use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::views::Publisher;

const CONNECTION: u64 = 1;

fn resource(kind: ResourceType, name: &str, body: &str) -> Encoded {
    Encoded::from_body(name, kind.url(), body.as_bytes())
}

fn view(kind: ResourceType) -> ViewId {
    kind as u64 + 1
}

/// A session with a published world, and a clock.
struct Bench {
    publisher: Publisher,
    session: Session,
    now: Instant,
}

impl Bench {
    fn new(variant: Variant, ordering: Ordering) -> Self {
        let publisher = Publisher::new();
        let _stream = publisher.register(CONNECTION, Arc::default());
        let mut commit = publisher.commit();
        let all = ResourceType::ALL.into_iter().map(|kind| (kind, Arc::from([view(kind)])));
        commit.assign(CONNECTION, Assignment(all.collect()));
        commit.publish();
        let now = Instant::now();
        Self { publisher, session: Session::new(variant, ordering, now), now }
    }

    fn delta() -> Self {
        Self::new(Variant::Delta, Ordering::MakeBeforeBreak)
    }

    fn publish(&self, changes: &[(ResourceType, &str, Option<&str>)]) {
        let mut commit = self.publisher.commit();
        for (kind, name, body) in changes {
            match body {
                Some(body) => commit.set(view(*kind), resource(*kind, name, body)),
                None => commit.remove(view(*kind), &Name::from(*name)),
            }
        }
        commit.publish();
    }

    fn ask(&mut self, kind: ResourceType, names: &[&str]) {
        self.session.on_request(kind, &Request { subscribe: names.to_vec(), ..Request::default() }, self.now);
    }

    fn offer(&mut self, kind: ResourceType, names: &[&str], has: &[(&str, &Encoded)]) {
        let versions: Vec<(&str, String)> =
            has.iter().map(|(name, encoded)| (*name, encoded.version().to_string())).collect();
        let initial = versions.iter().map(|(name, version)| (*name, version.as_bytes())).collect();
        self.session.on_request(kind, &Request { subscribe: names.to_vec(), initial, ..Request::default() }, self.now);
    }

    fn answer(&mut self, response: &Response, error: Option<&str>) -> Option<Nack> {
        let nonce = response.nonce.to_string();
        let names: Vec<String> = match self.session.variant {
            Variant::Sotw => self
                .session
                .state(response.kind)
                .map(|s| s.names.iter().map(ToString::to_string).collect())
                .unwrap_or_default(),
            Variant::Delta => Vec::new(),
        };
        let subscribe = names.iter().map(String::as_str).collect();
        self.session.on_request(
            response.kind,
            &Request { nonce: &nonce, error, subscribe, ..Request::default() },
            self.now,
        )
    }

    /// The responses that may go now, drained at once.
    fn take(&mut self) -> Vec<Response> {
        let snapshot = self.publisher.snapshot();
        let assignment = snapshot.assignment(CONNECTION).unwrap().clone();
        let mut all = Vec::new();
        while let Some(response) = self.session.poll(&snapshot, &assignment, self.now) {
            self.session.on_drained(response.kind);
            all.push(response);
        }
        all
    }

    fn shown(&mut self) -> Vec<String> {
        self.take().iter().map(show).collect()
    }

    /// Takes and acks until nothing more comes.
    fn settle(&mut self) -> Vec<String> {
        let mut all = Vec::new();
        loop {
            let responses = self.take();
            if responses.is_empty() {
                return all;
            }
            for response in responses {
                self.answer(&response, None);
                all.push(show(&response));
            }
        }
    }

    fn wait(&mut self, millis: u64) {
        self.now += Duration::from_millis(millis);
    }
}

fn show(response: &Response) -> String {
    let names: Vec<&str> = response.resources.iter().map(Encoded::name).collect();
    let removed: Vec<String> = response.removed.iter().map(|name| format!("-{name}")).collect();
    let parts: Vec<String> = names.iter().map(ToString::to_string).chain(removed).collect();
    format!("{}[{}]", response.kind.short(), parts.join(" "))
}

use ResourceType::{Cds, Eds, Lds, Nds, Rds, Vhds};

/// A stream on which everything was asked for and taken.
fn settled() -> Bench {
    let mut bench = Bench::delta();
    bench.publish(&[
        (Cds, "a", Some("1")),
        (Eds, "a", Some("1")),
        (Lds, "l", Some("1")),
        (Rds, "r", Some("1")),
        (Vhds, "r/h", Some("1")),
    ]);
    bench.ask(Cds, &[]);
    bench.ask(Lds, &[]);
    bench.ask(Eds, &["a"]);
    bench.ask(Rds, &["r"]);
    bench.ask(Vhds, &[]);
    bench.settle();
    bench
}

#[test]
fn a_type_on_demand_is_answered_when_it_was_put_together_and_not_before() {
    for variant in [Variant::Delta, Variant::Sotw] {
        let mut bench = Bench::new(variant, Ordering::MakeBeforeBreak);
        let mut commit = bench.publisher.commit();
        commit.assign(CONNECTION, Assignment(vec![(Cds, [view(Cds)].into())]));
        commit.publish();
        bench.ask(Nds, &[]);
        assert!(bench.take().is_empty(), "an empty answer would be taken for an empty table");
        let mut commit = bench.publisher.commit();
        commit.set(view(Nds), resource(Nds, "", "names"));
        commit.assign(CONNECTION, Assignment(vec![(Nds, [view(Nds)].into())]));
        commit.publish();
        let responses = bench.take();
        assert_eq!(
            responses.iter().map(|response| (response.kind, response.resources.len())).collect::<Vec<_>>(),
            [(Nds, 1)]
        );
        bench.answer(&responses[0], None);
        bench.publish(&[(Nds, "", Some("more names"))]);
        assert_eq!(bench.shown().len(), 1);
    }
}

#[test]
fn clusters_and_listeners_are_answered_even_when_there_are_none() {
    let mut bench = Bench::delta();
    bench.ask(Cds, &[]);
    bench.ask(Lds, &[]);
    assert_eq!(bench.settle(), ["cds[]", "lds[]"]);
    assert_eq!(bench.settle(), [""; 0]);
}

#[test]
fn only_what_changed_goes_and_endpoints_follow_their_clusters() {
    let mut bench = settled();
    bench.publish(&[(Rds, "other", Some("1")), (Vhds, "r/h", Some("2"))]);
    assert_eq!(bench.settle(), ["vhds[r/h]"], "the other table was not asked for");
    bench.publish(&[(Cds, "a", Some("2"))]);
    assert_eq!(bench.settle(), ["cds[a]", "eds[a]"]);
    bench.publish(&[(Rds, "r", Some("2"))]);
    assert_eq!(bench.settle(), ["rds[r]", "vhds[r/h]"]);
    bench.publish(&[(Eds, "a", Some("3"))]);
    assert_eq!(bench.settle(), ["eds[a]"]);
}

#[test]
fn what_refers_to_a_new_cluster_waits_for_its_ack_and_not_for_ever() {
    let mut bench = settled();
    bench.publish(&[(Cds, "b", Some("1")), (Vhds, "r/h", Some("to b"))]);
    let clusters = bench.take();
    assert_eq!(clusters.iter().map(show).collect::<Vec<_>>(), ["cds[b]"]);
    bench.answer(&clusters[0], None);
    assert_eq!(bench.shown(), ["vhds[r/h]"]);
    bench.publish(&[(Cds, "c", Some("1")), (Lds, "l", Some("to c"))]);
    assert_eq!(bench.shown(), ["cds[c]"]);
    bench.wait(1999);
    assert_eq!(bench.shown(), [""; 0]);
    bench.wait(1);
    assert_eq!(bench.shown(), ["lds[l]"]);
}

#[test]
fn a_cluster_goes_after_what_referred_to_it() {
    let mut bench = settled();
    bench.publish(&[(Cds, "a", None), (Eds, "a", None), (Vhds, "r/h", Some("elsewhere"))]);
    let routes = bench.take();
    assert_eq!(routes.iter().map(show).collect::<Vec<_>>(), ["vhds[r/h]"]);
    bench.answer(&routes[0], Some("no"));
    assert_eq!(bench.shown(), [""; 0], "a refusal holds the removal");
    bench.publish(&[(Vhds, "r/h", Some("repaired"))]);
    let routes = bench.take();
    bench.answer(&routes[0], None);
    assert_eq!(bench.settle(), ["cds[-a]", "eds[-a]"]);
}

#[test]
fn without_the_order_everything_goes_at_once() {
    let mut bench = Bench::new(Variant::Delta, Ordering::Off);
    bench.publish(&[(Cds, "a", Some("1"))]);
    bench.ask(Cds, &[]);
    bench.ask(Lds, &[]);
    bench.settle();
    bench.publish(&[(Cds, "a", None), (Cds, "b", Some("1")), (Lds, "l", Some("1"))]);
    assert_eq!(bench.shown(), ["cds[b -a]", "lds[l]"]);
}

#[test]
fn a_cluster_that_cannot_warm_does_not_hold_back_its_repair() {
    let mut bench = settled();
    bench.publish(&[(Cds, "b", Some("broken"))]);
    assert_eq!(bench.shown(), ["cds[b]"]);
    bench.publish(&[(Cds, "b", Some("repaired"))]);
    bench.wait(999);
    assert_eq!(bench.shown(), [""; 0], "the ack may still come");
    bench.wait(1);
    assert_eq!(bench.shown(), ["cds[b]"]);
    for round in 0..10 {
        bench.publish(&[(Cds, "b", Some(&format!("again {round}")))]);
        bench.wait(1000);
        bench.take();
    }
    assert_eq!(bench.session.state(Cds).unwrap().open.len(), MAX_OPEN);
}

#[test]
fn a_refused_resource_is_left_out_and_the_others_go_again() {
    let mut bench = settled();
    let names: Vec<String> = (0..10).map(|number| format!("c{number}")).collect();
    bench.publish(&names.iter().map(|name| (Cds, name.as_str(), Some("1"))).collect::<Vec<_>>());
    let sent = bench.take();
    let nack = bench.answer(&sent[0], Some("Error adding/updating cluster(s) c3: bad"));
    assert_eq!(nack.unwrap().names, ["c3"]);
    assert_eq!(bench.settle(), ["cds[c0 c1 c2 c4 c5 c6 c7 c8 c9]"]);
    assert_eq!(bench.session.status()[0].rejected, ["c3"]);
    bench.publish(&[(Cds, "c1", Some("2"))]);
    assert_eq!(bench.settle(), ["cds[c1]"], "the refused version is not sent again");
    bench.publish(&[(Cds, "c3", Some("2"))]);
    assert_eq!(bench.settle(), ["cds[c3]"]);
    let status = &bench.session.status()[0];
    assert!(status.rejected.is_empty() && status.refusal.is_none(), "{status:?}");
}

#[test]
fn a_refusal_that_names_nothing_is_halved_until_it_is_found() {
    let mut bench = settled();
    bench.publish(&["w", "x", "y", "z"].map(|name| (Cds, name, Some("1"))));
    for round in 0.. {
        assert!(round < 20, "it ends");
        let responses = bench.take();
        if responses.is_empty() {
            break;
        }
        for response in responses {
            let bad = response.resources.iter().any(|encoded| encoded.name() == "y");
            bench.answer(&response, bad.then_some("something is wrong"));
        }
    }
    assert_eq!(bench.session.status()[0].rejected, ["y"]);
}

#[test]
fn a_reconnect_with_equal_versions_is_sent_nothing_and_learns_what_is_gone() {
    let bench = settled();
    let mut again = Bench { session: Session::new(Variant::Delta, Ordering::default(), bench.now), ..bench };
    let old = resource(Cds, "gone", "1");
    let (cluster, endpoints) = (resource(Cds, "a", "1"), resource(Eds, "a", "1"));
    again.offer(Cds, &["*"], &[("a", &cluster), ("gone", &old)]);
    again.offer(Eds, &["a"], &[("a", &endpoints)]);
    assert_eq!(again.settle(), ["cds[]", "eds[]"]);
    again.offer(Lds, &["*"], &[("l", &resource(Lds, "l", "1"))]);
    again.offer(Rds, &["r"], &[("r", &resource(Rds, "r", "stale"))]);
    assert_eq!(again.settle(), ["lds[]", "rds[r]", "cds[-gone]"]);
    again.offer(Vhds, &[], &[("r/h", &resource(Vhds, "r/h", "1"))]);
    assert_eq!(again.settle(), ["vhds[r/h]"], "its table was sent, so its hosts are needed");
}

#[test]
fn endpoints_are_sent_again_when_their_cluster_was_or_may_have_been_lost() {
    let bench = settled();
    let endpoints = resource(Eds, "a", "1");
    let mut changed = Bench { session: Session::new(Variant::Delta, Ordering::default(), bench.now), ..bench };
    changed.offer(Eds, &["a"], &[("a", &endpoints)]);
    assert_eq!(changed.shown(), [""; 0], "the clusters may come");
    changed.offer(Cds, &["*"], &[("a", &resource(Cds, "a", "old"))]);
    assert_eq!(changed.settle(), ["cds[a]", "eds[a]"]);
    let mut alone = Bench { session: Session::new(Variant::Delta, Ordering::default(), changed.now), ..changed };
    alone.offer(Eds, &["a"], &[("a", &endpoints)]);
    alone.wait(500);
    assert_eq!(alone.shown(), ["eds[a]"], "the clusters were not asked for: they are warming");
}

#[test]
fn subscriptions_come_and_go() {
    let mut bench = settled();
    bench.ask(Eds, &["nowhere"]);
    let responses = bench.take();
    assert_eq!(
        responses.iter().map(show).collect::<Vec<_>>(),
        ["eds[nowhere]"],
        "an empty one: the proxy must not wait"
    );
    bench.answer(&responses[0], None);
    bench.ask(Eds, &["a"]);
    assert_eq!(bench.settle(), ["eds[a]"], "asked again, answered again");
    bench.session.on_request(Eds, &Request { unsubscribe: vec!["a"], ..Request::default() }, bench.now);
    bench.publish(&[(Eds, "a", Some("9"))]);
    assert_eq!(bench.settle(), [""; 0]);
}

#[test]
fn a_large_change_goes_in_parts() {
    let mut bench = settled();
    let body = "x".repeat(100 * 1024);
    bench.publish(&["b", "c", "d", "e", "f"].map(|name| (Cds, name, Some(body.as_str()))));
    assert_eq!(bench.settle(), ["cds[b c]", "cds[d e]", "cds[f]"]);
}

#[test]
fn state_of_the_world_answers_hold_all_that_was_asked_for() {
    let mut bench = Bench::new(Variant::Sotw, Ordering::MakeBeforeBreak);
    bench.publish(&[(Lds, "a:80", Some("1")), (Lds, "b:80", Some("1")), (Cds, "x", Some("1")), (Cds, "y", Some("1"))]);
    bench.ask(Lds, &["a:80"]);
    let first = bench.take();
    assert_eq!(first.iter().map(show).collect::<Vec<_>>(), ["lds[a:80]"]);
    // gRPC may name more before it acks, with an empty nonce.
    bench.ask(Lds, &["a:80", "b:80"]);
    assert_eq!(bench.settle(), ["lds[a:80 b:80]"]);
    bench.answer(&first[0], None);
    assert_eq!(bench.session.expired(), 1, "an old nonce is ignored");
    bench.ask(Cds, &["y"]);
    assert_eq!(bench.settle(), ["cds[y]"]);
    bench.publish(&[(Cds, "x", Some("2"))]);
    assert_eq!(bench.settle(), [""; 0], "x was not asked for");
}

#[test]
fn state_of_the_world_keeps_a_removed_cluster_until_its_routes_are_gone() {
    let mut bench = Bench::new(Variant::Sotw, Ordering::MakeBeforeBreak);
    bench.publish(&[(Cds, "a", Some("1")), (Cds, "b", Some("1")), (Lds, "l", Some("1")), (Rds, "r", Some("a"))]);
    bench.ask(Cds, &[]);
    bench.ask(Lds, &[]);
    bench.ask(Rds, &["r"]);
    bench.settle();
    bench.publish(&[(Cds, "a", None), (Rds, "r", Some("b"))]);
    let first = bench.take();
    assert_eq!(show(&first[0]), "cds[b a]", "what is removed stays in the answer");
    bench.answer(&first[0], None);
    assert_eq!(bench.settle(), ["rds[r]", "cds[b]"]);
}

#[derive(Clone, Debug)]
enum Step {
    Publish(usize, u8, Option<u8>),
    Take { ack: bool },
    Reconnect { with_versions: bool },
    Wait(u64),
}

/// Acks, except that an answer with `bad` in it is refused without a name.
fn settle_without(bench: &mut Bench, bad: Version) -> Vec<String> {
    let mut all = Vec::new();
    for _ in 0..40 {
        let responses = bench.take();
        if responses.is_empty() {
            return all;
        }
        for response in responses {
            let refused = response.resources.iter().any(|encoded| encoded.version() == bad);
            bench.answer(&response, refused.then_some("malformed"));
            all.push(show(&response));
        }
    }
    panic!("no end: {all:?}");
}

#[test]
fn state_of_the_world_finds_what_was_refused_without_a_name_and_goes_on_with_its_last_good_bytes() {
    let mut bench = Bench::new(Variant::Sotw, Ordering::MakeBeforeBreak);
    let names = ["a", "b", "c", "d", "e"];
    let first: Vec<_> = names.map(|name| (Cds, name, Some("1"))).into();
    bench.publish(&first);
    bench.ask(Cds, &[]);
    bench.settle();
    let second: Vec<_> = names.map(|name| (Cds, name, Some(if name == "d" { "bad" } else { "2" }))).into();
    bench.publish(&second);
    let bad = resource(Cds, "d", "bad").version();
    settle_without(&mut bench, bad);
    assert_eq!(bench.session.status()[0].rejected, [Name::from("d")]);
    // A change of something else: the refused one stays what it was.
    bench.publish(&[(Cds, "a", Some("3"))]);
    let responses = bench.take();
    let sent: BTreeMap<&str, Version> =
        responses[0].resources.iter().map(|encoded| (encoded.name(), encoded.version())).collect();
    for (name, body) in [("a", "3"), ("b", "2"), ("c", "2"), ("d", "1"), ("e", "2")] {
        assert_eq!(sent[name], resource(Cds, name, body).version(), "{name}");
    }
    bench.answer(&responses[0], None);
    bench.publish(&[(Cds, "d", Some("good"))]);
    let responses = bench.take();
    assert!(responses[0].resources.iter().any(|encoded| encoded.version() == resource(Cds, "d", "good").version()));
    bench.answer(&responses[0], None);
    assert!(bench.session.status()[0].rejected.is_empty());
}

/// A stream of another proxy in the same server.
fn another(of: &Bench, program: &str, proxy: &str, variant: Variant) -> Bench {
    let peer = Peer { program: Name::from(program), proxy: Name::from(proxy), ..of.session.peer.clone() };
    let mut bench = Bench::new(variant, Ordering::MakeBeforeBreak);
    bench.session = Session::with(variant, Ordering::MakeBeforeBreak, bench.now, peer);
    bench
}

#[test]
fn what_two_proxies_of_a_kind_refuse_is_not_tried_on_a_third() {
    for variant in [Variant::Delta, Variant::Sotw] {
        let root = Bench::delta();
        let refuse = |proxy: &str| {
            let mut bench = another(&root, "envoy 1.40.0", proxy, Variant::Delta);
            bench.publish(&[(Cds, "a", Some("1")), (Cds, "b", Some("bad"))]);
            bench.ask(Cds, &[]);
            let response = bench.take().remove(0);
            bench.answer(&response, Some("cluster b: no"));
        };
        let sent = |program: &str, body: &str| {
            let mut bench = another(&root, program, "new", variant);
            bench.publish(&[(Cds, "a", Some("1")), (Cds, "b", Some(body))]);
            bench.ask(Cds, &[]);
            (bench.shown(), bench.session.status()[0].rejected.clone())
        };
        let all = (vec!["cds[a b]".to_owned()], Vec::new());
        refuse("p1");
        refuse("p1");
        assert_eq!(sent("envoy 1.40.0", "bad"), all, "one proxy speaks for itself");
        refuse("p2");
        assert_eq!(sent("envoy 1.40.0", "bad"), (vec!["cds[a]".to_owned()], vec![Name::from("b")]));
        assert_eq!(sent("envoy 1.41.0", "bad"), all, "another version may take it");
        assert_eq!(sent("envoy 1.40.0", "good"), all, "a repaired object goes");
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0..5usize, 0..4u8, prop::option::weighted(0.7, 0..4u8)).prop_map(|(kind, name, body)| Step::Publish(kind, name, body)),
        4 => any::<bool>().prop_map(|ack| Step::Take { ack }),
        1 => any::<bool>().prop_map(|with_versions| Step::Reconnect { with_versions }),
        1 => (0..3000u64).prop_map(Step::Wait),
    ]
}

/// What a client has.
type Has = BTreeMap<ResourceType, BTreeMap<String, String>>;

fn apply(has: &mut Has, response: &Response, sotw: bool) {
    let known = has.entry(response.kind).or_default();
    if sotw {
        known.clear();
    }
    for encoded in response.resources.iter() {
        known.insert(encoded.name().to_owned(), encoded.version().to_string());
    }
    response.removed.iter().for_each(|name| _ = known.remove(name.as_str()));
}

const KINDS: [ResourceType; 5] = [Cds, Eds, Lds, Rds, Vhds];

fn names(kind: ResourceType) -> Vec<String> {
    (0..4).map(|number| if kind == Vhds { format!("n0/{number}") } else { format!("n{number}") }).collect()
}

/// Asks for everything; endpoints and tables by name.
fn ask_all(bench: &mut Bench, has: &Has, with_versions: bool) {
    for kind in KINDS {
        let all = names(kind);
        let sotw = bench.session.variant == Variant::Sotw;
        let by_name = matches!(kind, Eds | Rds) || sotw && kind == Vhds;
        let subscribe: Vec<&str> = if by_name { all.iter().map(String::as_str).collect() } else { Vec::new() };
        let known = has.get(&kind).filter(|_| with_versions);
        let initial = known.into_iter().flatten().map(|(name, version)| (name.as_str(), version.as_bytes())).collect();
        bench.session.on_request(kind, &Request { subscribe, initial, ..Request::default() }, bench.now);
    }
}

fn run(variant: Variant, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut bench = Bench::new(variant, Ordering::MakeBeforeBreak);
    let sotw = variant == Variant::Sotw;
    let mut has = Has::new();
    let mut unanswered = Vec::new();
    ask_all(&mut bench, &has, false);
    for step in steps {
        match step {
            Step::Publish(kind, name, body) => {
                let kind = KINDS[kind];
                let body = body.map(|body| body.to_string());
                bench.publish(&[(kind, &names(kind)[usize::from(name)], body.as_deref())]);
            }
            Step::Take { ack } => {
                for response in bench.take() {
                    apply(&mut has, &response, sotw);
                    match ack {
                        true => _ = bench.answer(&response, None),
                        false => unanswered.push(response),
                    }
                }
            }
            Step::Reconnect { with_versions } => {
                bench.session = Session::new(variant, Ordering::MakeBeforeBreak, bench.now);
                unanswered.clear();
                if !with_versions || sotw {
                    has.clear();
                }
                ask_all(&mut bench, &has, with_versions && !sotw);
            }
            Step::Wait(millis) => bench.wait(millis),
        }
    }
    // In the end every answer is taken, and time passes.
    for response in unanswered {
        bench.answer(&response, None);
    }
    for _ in 0..40 {
        for response in bench.take() {
            apply(&mut has, &response, sotw);
            bench.answer(&response, None);
        }
        bench.wait(1000);
    }
    let snapshot = bench.publisher.snapshot();
    for kind in KINDS {
        let views = [view(kind)];
        let want: BTreeMap<String, String> =
            snapshot.all(&views).map(|(name, encoded)| (name.to_string(), encoded.version().to_string())).collect();
        if matches!(kind, Eds | Rds) {
            // Names that were asked for and do not exist are there, empty; or were removed after they had been there.
            let real: BTreeMap<_, _> =
                has.get(&kind).into_iter().flatten().filter(|(name, _)| want.contains_key(*name)).collect();
            prop_assert_eq!(real, want.iter().collect::<BTreeMap<_, _>>(), "{:?}", kind);
            continue;
        }
        prop_assert_eq!(has.get(&kind).cloned().unwrap_or_default(), want, "{:?}", kind);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn every_client_ends_with_what_is_published(steps in prop::collection::vec(step(), 1..60), sotw in any::<bool>()) {
        run(if sotw { Variant::Sotw } else { Variant::Delta }, steps)?;
    }
}
