//! What is to be said of objects, by what their status says already.

use std::sync::Arc;

use api::{Mode, decode, yaml};
use graph::Inline;
use model::Mesh;
use model::mesh::Edit;
use model::settings::Base;

use super::*;

const SERVICE: &str = "
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {clusterIP: 10.0.0.1, ports: [{name: http, port: 80}]}
";

/// A rule at generation 3 that leads to `host`, with a status.
fn rule(host: &str, status: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: r, namespace: shop, generation: 3}}
spec: {{hosts: [r.example.com], http: [{{route: [{{destination: {{host: {host}}}}}]}}]}}
status: {status}
"
    )
}

/// What is to be written, with these objects there.
fn writes(texts: &[&str]) -> Vec<Write> {
    let mut mesh = Mesh::new(model::mesh::schema(), Base::new());
    let mut edit = Edit::default();
    let mut issues = Vec::new();
    for document in texts.iter().flat_map(|text| yaml::documents(text, None).unwrap()) {
        let (objects, said) = decode(&document, Mode::Lenient);
        if objects.is_empty() {
            let object = said[0].object.clone().unwrap();
            Mesh::moved(object.clone(), api::origin(object.kind, &document).unwrap(), &mut edit);
        }
        objects.into_iter().for_each(|object| mesh.upsert(object, &mut edit));
        issues.extend(said);
    }
    mesh.commit(edit, &Inline);
    due(&View { mesh, issues: Arc::new(issues), commits: 1, last_commit: Duration::ZERO })
}

/// Generation and codes of the only write.
fn codes(texts: &[&str]) -> (i64, Vec<String>) {
    let [Write { said, .. }] = &writes(texts)[..] else { panic!("{:?}", writes(texts)) };
    (said.generation, said.messages.iter().map(|message| format!("{} {}", message.level, message.code)).collect())
}

const SAID: &str = "{observedGeneration: '3', validationMessages: [{type: {code: IST0101}, level: WARNING}]}";

#[test]
fn what_is_said_already_is_not_written_again() {
    assert_eq!(codes(&[&rule("web", "{}")]), (3, vec!["WARNING IST0101".to_owned()]));
    assert_eq!(writes(&[&rule("web", SAID)]), [], "also where the definition keeps no text");
    let other = SAID.replace("level", "message: another, level");
    assert_eq!(codes(&[&rule("web", &other)]).0, 3);
    let older = SAID.replace("'3'", "2");
    assert_eq!(codes(&[&rule("web", &older)]).0, 3, "said of another generation");
}

#[test]
fn what_is_right_again_is_taken_back_and_what_was_always_right_is_left_alone() {
    assert_eq!(codes(&[SERVICE, &rule("web", SAID)]), (3, Vec::new()));
    assert_eq!(writes(&[SERVICE, &rule("web", "{validationMessages: []}")]), []);
    assert_eq!(writes(&[SERVICE, &rule("web", "{}")]), []);
}

#[test]
fn an_object_that_cannot_be_used_is_told_at_its_own_generation() {
    let broken = "apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: broken, namespace: shop, generation: 7}
spec: {hosts: 7}
";
    assert_eq!(codes(&[broken]), (7, vec!["ERROR IST0106".to_owned()]));
}

#[test]
fn objects_of_other_revisions_are_for_others() {
    let other = rule("web", "{}").replace("generation: 3", "generation: 3, labels: {istio.io/rev: canary}");
    assert_eq!(writes(&[&other]), []);
}

#[test]
fn a_long_text_is_cut_between_characters() {
    let issue = Issue {
        code: "IST0106",
        severity: Severity::Error,
        object: None,
        path: String::new(),
        message: "ü".repeat(BYTES),
        place: None,
    };
    assert_eq!(message(&issue).message.unwrap().len(), BYTES);
}
