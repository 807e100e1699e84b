use serde_json::json;

use super::*;

fn value(text: &str) -> Value {
    documents(text, None).unwrap().remove(0).value
}

#[test]
fn scalars_read_as_kubectl_reads_them() {
    let read = value(
        "a: yes\nb: y\nc: 2023-03-01\nd: 014\ne: 1.5\nf: '80'\ng: 10.0.0.1\nh: 0x1F\ni:\nj: -5\nk: 1e3\nl: off\nm: 5s",
    );
    let want = json!({"a": true, "b": "y", "c": "2023-03-01", "d": 12, "e": 1.5, "f": "80", "g": "10.0.0.1", "h": 31,
        "i": null, "j": -5, "k": 1000.0, "l": false, "m": "5s"});
    assert_eq!(read, want);
}

#[test]
fn anchors_and_merges_work_and_bombs_do_not() {
    assert_eq!(value("a: &x {k: 1}\nb: {<<: *x, j: 2}"), json!({"a": {"k": 1}, "b": {"k": 1, "j": 2}}));
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        bomb += &format!("a{level}: &a{level} [{}]\n", vec![format!("*a{}", level - 1); 10].join(", "));
    }
    assert!(documents(&bomb, None).unwrap_err().message.contains("too large"));
}

#[test]
fn mistakes_name_their_place() {
    let issue = documents("a: 1\nb: {c: 2\nd: 3\n", Some(&Name::from("x.yaml"))).unwrap_err();
    assert!(issue.to_string().starts_with("x.yaml:3:"), "{issue}");
    let issue = documents("a: 1\na: 2\n", None).unwrap_err();
    assert_eq!((issue.place.as_ref().unwrap().line, issue.message.as_str()), (2, "key \"a\" is there twice"));
}

#[test]
fn places_are_found_by_path_in_the_right_document() {
    let text = "a: {b: 1}\n---\n# nothing\n---\na:\n  list:\n  - x: 1\n  - x: 2\n";
    let documents = documents(text, None).unwrap();
    assert_eq!(documents.len(), 2);
    let place = documents[1].place("a.list[1].x").unwrap();
    assert_eq!((place.line, place.column), (8, 8));
    assert_eq!(place.snippet, "8 |   - x: 2\n           ^");
    assert_eq!(documents[1].place("a.list[1].missing.deep").unwrap().line, 8);
}

#[test]
fn of_a_long_line_the_place_is_shown() {
    let text = format!("{{\"a\": [{}], \"b\": {{\"c\": 1}}}}", ["0"; 50_000].join(","));
    let place = documents(&text, None).unwrap()[0].place("b.c").unwrap();
    let [shown, caret] = place.snippet.split('\n').collect::<Vec<_>>()[..] else { panic!("{place:?}") };
    let at = caret.find('^').unwrap();
    let shown: Vec<char> = shown.chars().collect();
    assert!(shown.len() < 200, "{}", shown.len());
    assert_eq!(shown[at..].iter().collect::<String>(), "1}}");
}

#[test]
fn a_broken_document_hides_no_other() {
    let text = "a: 1\n---\nb: [1\n--- # third\nc: {d: 1}\n---\ne:\n\tg: 1\n---\nf: 1\n";
    let (found, issues) = each_document(text, None);
    let lines: Vec<_> = found.iter().map(|document| (document.value.clone(), document.line)).collect();
    assert_eq!(lines, [(json!({"a": 1}), 1), (json!({"c": {"d": 1}}), 5), (json!({"f": 1}), 10)]);
    assert_eq!(found[1].place("c.d").unwrap().line, 5);
    let lines: Vec<_> = issues.iter().map(|issue| issue.place.as_ref().unwrap().line).collect();
    assert!(matches!(lines.as_slice(), [3 | 4, 8]), "{issues:?}");
    let (found, issues) = each_document("a: 1\n---\nb: 1\n", None);
    assert_eq!((found.len(), issues.len()), (2, 0));
}

#[test]
fn marks_and_line_ends_of_other_systems_are_read() {
    assert_eq!(value("\u{feff}a: 1\r\nb: |\r\n  x\r\n  y\r\nc: d\r\n"), json!({"a": 1, "b": "x\ny\n", "c": "d"}));
    assert_eq!(value("\u{feff}{\"a\": [1, \"x\"]}"), json!({"a": [1, "x"]}));
}

#[test]
fn parts_are_the_text_and_keep_its_lines() {
    let text = "# first\na: 1\n---\n# second\nb: 2\n--- {c: 3}\n---\n";
    let parts = parts(text);
    assert_eq!(parts.iter().map(|part| part.text).collect::<String>(), text);
    let lines: Vec<u32> = parts.iter().map(|part| part.line).collect();
    assert_eq!(lines, [1, 3, 6, 7]);
    assert_eq!(parts[1].documents(None).unwrap()[0].place("b").unwrap().line, 5);
}
