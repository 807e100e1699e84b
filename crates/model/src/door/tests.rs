use api::{AnyObject, Mode, decode, yaml};
use graph::Inline;

use crate::mesh::{Edit, schema};
use crate::settings::Base;
use crate::{Mesh, Objects};

fn objects(text: &str) -> Vec<AnyObject> {
    let documents = yaml::documents(text, None).unwrap();
    documents.iter().flat_map(|document| decode(document, Mode::Strict).0).collect()
}

fn namespace(name: &str, labels: &str) -> String {
    format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}, labels: {{{labels}}}}}\n")
}

fn settings(text: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: istio, namespace: istio-system}}\ndata: {{mesh: '{text}'}}\n"
    )
}

fn service(namespace: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: a, namespace: {namespace}}}\nspec: {{clusterIP: 10.0.0.1}}\n"
    )
}

struct Bench(Mesh);

impl Bench {
    fn new() -> Self {
        Self(Mesh::new(schema(), Base::new()))
    }

    fn put(&mut self, text: &str) {
        let mut edit = Edit::default();
        objects(text).into_iter().for_each(|object| self.0.upsert(object, &mut edit));
        self.0.commit(edit, &Inline);
    }

    fn remove(&mut self, text: &str) {
        let mut edit = Edit::default();
        objects(text).iter().for_each(|object| self.0.remove(&object.id(), &mut edit));
        self.0.commit(edit, &Inline);
    }

    /// The namespaces of the Services that are rows.
    fn services(&self) -> Vec<String> {
        let mut found: Vec<_> =
            self.0.db().inputs::<Objects<api::Service>>().map(|(id, _)| id.namespace.to_string()).collect();
        found.sort();
        found
    }
}

#[test]
fn namespaces_come_and_go_with_their_labels_and_with_the_selectors() {
    let mut bench = Bench::new();
    bench.put(&service("shop"));
    bench.put(&service("yard"));
    bench.put(&namespace("shop", "mesh: 'yes'"));
    assert_eq!(bench.services(), ["shop", "yard"], "without selectors all are selected");
    bench.put(&settings("discoverySelectors: [{matchLabels: {mesh: \"yes\"}}]"));
    assert_eq!(bench.services(), ["shop"]);
    assert_eq!(bench.0.left_out().map(|(id, _)| id.to_string()).collect::<Vec<_>>(), ["Service yard/a"]);
    bench.put(&namespace("yard", "mesh: 'yes'"));
    assert_eq!(bench.services(), ["shop", "yard"], "a label lets it in, with what came before");
    bench.put(&namespace("shop", "mesh: 'no'"));
    assert_eq!(bench.services(), ["yard"]);
    bench.remove(&service("shop"));
    bench.put(&namespace("shop", "mesh: 'yes'"));
    assert_eq!(bench.services(), ["yard"], "what was removed outside does not come back");
    bench.remove(&settings(""));
    bench.put(&service("shop"));
    assert_eq!(bench.services(), ["shop", "yard"]);
    assert_eq!(bench.0.left_out().count(), 0);
}

#[test]
fn namespaces_can_be_selected_by_name() {
    let mut bench = Bench::new();
    bench.put(&settings(
        "discoverySelectors: [{matchExpressions: [{key: kubernetes.io/metadata.name, operator: In, values: [yard]}]}]",
    ));
    bench.put(&service("shop"));
    bench.put(&service("yard"));
    assert_eq!(bench.services(), ["yard"]);
}

#[test]
fn objects_of_another_revision_are_left_out_until_they_are_given_to_this_one() {
    let rule = |labels: &str| {
        format!(
            "apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {{name: a, namespace: shop, labels: {{{labels}}}}}\n\
             spec: {{egress: [{{hosts: ['*/*']}}]}}\n"
        )
    };
    let count = |bench: &Bench| bench.0.db().inputs::<Objects<api::Sidecar>>().count();
    let mut bench = Bench::new();
    bench.put(&rule("istio.io/rev: canary"));
    assert_eq!(count(&bench), 0);
    assert!(bench.0.left_out().any(|(id, why)| id.to_string() == "Sidecar shop/a" && why.contains("canary")));
    bench.put(&rule("istio.io/rev: default"));
    assert_eq!((count(&bench), bench.0.left_out().count()), (1, 0));
    bench.put(&rule(""));
    assert_eq!(count(&bench), 1);
    bench.put(&rule("istio.io/rev: canary"));
    assert_eq!(count(&bench), 0, "an object that is given away goes");
}
