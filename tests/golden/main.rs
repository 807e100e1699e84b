//! YAML in, resources out: each folder under `cases` holds `in.yaml`, the proxy's `node.json`, and `out.json`. `UPDATE_GOLDEN=1` rewrites the
//! outputs; their diff is to be read like code.

use tests::golden::{cases, resources};

#[test]
fn outputs_are_as_recorded() {
    let update = std::env::vars().any(|(name, value)| name == "UPDATE_GOLDEN" && value == "1");
    let mut wrong = Vec::new();
    let all = cases();
    assert!(all.len() >= 6, "the cases are there");
    for case in all {
        let got = serde_json::to_string_pretty(&resources(&case).unwrap()).unwrap() + "\n";
        let path = case.join("out.json");
        if update {
            std::fs::write(&path, got).unwrap();
        } else if std::fs::read_to_string(&path).unwrap_or_default() != got {
            wrong.push(case.display().to_string());
        }
    }
    assert!(wrong.is_empty(), "other output than recorded: {wrong:?}; look at it with UPDATE_GOLDEN=1 and git diff");
}
