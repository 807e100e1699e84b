use super::*;

fn records(of: &Type, found: &mut Vec<&'static str>) {
    match of {
        Type::List(of) | Type::Map(of) | Type::Pointer(of) => records(of, found),
        Type::Record(name) => found.push(name),
        _ => {}
    }
}

#[test]
fn each_type_of_a_field_has_a_table() {
    for shape in TABLES.shapes.values() {
        for field in &shape.fields {
            let mut found = Vec::new();
            records(&field.kind, &mut found);
            for name in found {
                assert!(TABLES.shapes.contains_key(name), "{}.{} is of type {name}", shape.name, field.name);
            }
        }
    }
}

#[test]
fn a_field_has_a_name_in_go_and_one_in_json() {
    let pod = of("v1.PodSpec");
    let field = pod.fields.iter().find(|field| field.name == "DNSPolicy").unwrap();
    assert_eq!((field.json.as_str(), field.kind.name().as_str()), ("dnsPolicy", "v1.DNSPolicy"));
    let root = of("inject.SidecarTemplateData");
    assert!(root.fields.iter().all(|field| field.name == field.json));
}
