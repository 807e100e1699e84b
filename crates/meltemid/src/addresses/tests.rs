//! Who is given which addresses.

use api::{Mode, decode, yaml};
use graph::Inline;
use model::mesh::Edit;
use model::settings::Base;

use super::*;

/// A ServiceEntry made in this second of a day, with more of metadata, spec and status.
fn entry(name: &str, second: u32, [meta, spec, status]: [&str; 3]) -> String {
    format!(
        "apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}, namespace: shop, resourceVersion: '{second}', creationTimestamp: '2026-01-01T00:00:{second:02}Z'{meta}}}
spec: {{ports: [{{number: 443, name: tls, protocol: TLS}}], {spec}}}
status: {{addresses: [{status}]}}
"
    )
}

fn writes(entries: &[String]) -> Vec<Write> {
    let mut mesh = Mesh::new(model::mesh::schema(), Base::new());
    let mut edit = Edit::default();
    for document in entries.iter().flat_map(|text| yaml::documents(text, None).unwrap()) {
        let (objects, issues) = decode(&document, Mode::Lenient);
        assert_eq!(objects.len(), 1, "{issues:?}");
        objects.into_iter().for_each(|object| mesh.upsert(object, &mut edit));
    }
    mesh.commit(edit, &Inline);
    due(&mesh)
}

fn given(write: &Write) -> String {
    let all = write.addresses.iter().map(|each| format!("{{host: {}, value: '{}'}}", each.host, each.address));
    all.collect::<Vec<_>>().join(", ")
}

const HOSTS: &str = "hosts: [db.example.com, '*.example.com', cache.example.com], resolution: STATIC, endpoints: [{address: 192.0.2.1}]";

#[test]
fn each_host_is_given_one_of_each_kind_and_keeps_it() {
    let [write] = &writes(&[entry("db", 1, ["", HOSTS, ""])])[..] else { panic!("one object") };
    assert_eq!((write.version.as_str(), write.addresses.len()), ("1", 4), "wildcards have none");
    for (at, each) in write.addresses.iter().enumerate() {
        assert_eq!(each.host.as_str(), ["db.example.com", "cache.example.com"][at / 2]);
        let text = each.address.to_string();
        assert!(text.starts_with(["240.240.", "2001:2::"][at % 2]), "{text}");
    }
    let first = given(write);
    assert_eq!(writes(&[entry("db", 1, ["", HOSTS, &first])]), []);
    // A third host comes; the others keep what they have.
    let more = HOSTS.replace("hosts: [", "hosts: [new.example.com, ");
    let [write] = &writes(&[entry("db", 1, ["", &more, &first])])[..] else { panic!("one object") };
    assert!(given(write).starts_with(&first) && write.addresses.len() == 6, "{}", given(write));
}

#[test]
fn who_refuses_or_has_addresses_or_takes_all_is_given_none() {
    let refuses = ", labels: {networking.istio.io/enable-autoallocate-ip: 'False'}";
    let cases = [
        entry("a", 1, [refuses, "hosts: [a.example.com], resolution: DNS", ""]),
        entry("b", 2, ["", "hosts: [b.example.com], addresses: [192.0.2.1], resolution: DNS", ""]),
        entry("c", 3, ["", "hosts: [c.example.com], resolution: NONE", ""]),
        entry("d", 4, ["", "hosts: ['*.example.com'], resolution: NONE", ""]),
    ];
    assert_eq!(writes(&cases), []);
}

#[test]
fn of_two_with_one_address_the_older_keeps_it() {
    let taken = |host: &str| format!("{{host: {host}, value: 240.240.7.7}}");
    let old = entry("old", 1, ["", "hosts: [old.example.com], resolution: DNS", &taken("old.example.com")]);
    let young = entry("young", 2, ["", "hosts: [young.example.com], resolution: DNS", &taken("young.example.com")]);
    let [write] = &writes(&[young, old])[..] else { panic!("one object") };
    assert_eq!(write.object.name, "young");
    assert!(!given(write).contains("240.240.7.7"), "{}", given(write));
}

#[test]
fn all_addresses_are_given_before_one_is_refused() {
    let mut used: BTreeSet<IpAddr> = NUMBERS.filter(|number| *number != 9).flat_map(addresses_of).collect();
    assert_eq!(free("one", &mut used), Some(addresses_of(9)), "wherever it begins to look");
    assert_eq!(free("one more", &mut used), None);
}
