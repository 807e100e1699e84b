//! When the API server is asked, and what follows from its answers and from its silence.

use std::sync::atomic::{AtomicUsize, Ordering};

use model::Mesh;
use model::proxies::{FoundAccess, NodeFacts};

use super::*;

/// An API server that answers as it was told last, and counts.
#[derive(Default)]
struct Api {
    answer: Mutex<Option<bool>>,
    asked: AtomicUsize,
}

struct Bench {
    grants: Grants,
    api: Arc<Api>,
}

impl Bench {
    /// With one object read, so that commands are carried out.
    fn new(answer: Option<bool>) -> Self {
        let mesh = Mesh::new(translate::schema(), model::settings::Base::default());
        let control = Control::start(mesh, xds::Publisher::new(), Duration::ZERO).unwrap();
        control.send(Command::Config(api::Changes::default()));
        let bench = Self { grants: Grants::new(control), api: Arc::default() };
        bench.says(answer);
        bench
    }

    fn says(&self, answer: Option<bool>) {
        *self.api.answer.lock().unwrap() = answer;
    }

    fn asked(&self) -> usize {
        self.api.asked.load(Ordering::Relaxed)
    }

    /// A proxy connects and wants Secrets; what it may have at once.
    fn connect(&self, id: ConnectionId, namespace: &str) -> SecretAccess {
        let identity = format!("spiffe://cluster.local/ns/{namespace}/sa/gateway").parse().unwrap();
        let access = self.grants.connect(id, &identity);
        let facts = NodeFacts { id: format!("router~10.0.0.1~gw.{namespace}~{namespace}"), ..NodeFacts::default() };
        self.grants.control.send(Command::Connect(id, Box::new(facts.proxy().unwrap())));
        self.grants.want(id);
        access
    }

    /// Lets this much time go by while the questions are asked.
    async fn pass(&self, time: Duration) {
        let question = |_: Account| {
            let api = self.api.clone();
            async move {
                api.asked.fetch_add(1, Ordering::Relaxed);
                let answer = *api.answer.lock().unwrap();
                answer.ok_or_else(|| anyhow::anyhow!("it is away"))
            }
        };
        assert!(tokio::time::timeout(time, self.grants.ask(question)).await.is_err(), "it goes on");
    }

    /// What a proxy may have, as the mesh knows it once everything that was said before is done.
    fn has(&self, id: ConnectionId) -> Option<SecretAccess> {
        let before = self.grants.control.view().map_or(0, |view| view.commits);
        self.grants.control.send(Command::Config(api::Changes::default()));
        loop {
            match self.grants.control.view() {
                Some(view) if view.commits > before => {
                    return view.mesh.db().input::<FoundAccess>(&id).map(|found| *found);
                }
                _ => std::thread::yield_now(),
            }
        }
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn one_question_is_asked_for_all_proxies_of_an_account_and_again_when_its_answer_has_aged() {
    let bench = Bench::new(Some(true));
    assert_eq!(bench.connect(1, "shop"), SecretAccess::Undecided);
    assert_eq!(bench.connect(2, "shop"), SecretAccess::Undecided);
    bench.pass(SECOND).await;
    assert_eq!((bench.asked(), bench.has(1), bench.has(2)), (1, Some(SecretAccess::All), Some(SecretAccess::All)));
    assert_eq!(bench.connect(3, "shop"), SecretAccess::All, "it is known");
    bench.pass(ALLOWED / 2).await;
    assert_eq!(bench.asked(), 1);
    bench.says(Some(false));
    bench.pass(ALLOWED / 2).await;
    assert_eq!((bench.asked(), bench.has(1)), (2, Some(SecretAccess::Roots)), "the right was taken away");
    bench.says(Some(true));
    bench.pass(DENIED).await;
    assert_eq!((bench.asked(), bench.has(3)), (3, Some(SecretAccess::All)), "and given again");
}

#[tokio::test(start_paused = true)]
async fn while_nobody_answers_the_last_answer_stays_and_without_one_there_are_no_keys() {
    let bench = Bench::new(Some(true));
    bench.connect(1, "shop");
    bench.pass(SECOND).await;
    bench.says(None);
    bench.connect(2, "other");
    bench.pass(ALLOWED * 2).await;
    assert_eq!((bench.has(1), bench.has(2)), (Some(SecretAccess::All), Some(SecretAccess::Roots)));
    bench.says(Some(true));
    bench.pass(AGAIN).await;
    assert_eq!(bench.has(2), Some(SecretAccess::All));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_kept_of_who_is_gone() {
    let bench = Bench::new(Some(true));
    bench.connect(1, "shop");
    bench.pass(SECOND).await;
    bench.grants.disconnect(1);
    bench.pass(ALLOWED).await;
    bench.pass(SECOND).await;
    assert_eq!((bench.asked(), bench.has(1)), (1, None));
    let state = bench.grants.locked();
    assert!(state.accounts.is_empty() && state.connections.is_empty());
}
