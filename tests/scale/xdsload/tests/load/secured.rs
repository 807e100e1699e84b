//! Clients with TLS, by a token or a certificate.

use std::path::{Path, PathBuf};

use proto::istio::v1::auth::IstioCertificateRequest;
use serde_json::json;
use tests::plane::Plane;
use tests::secured::Secured;

use crate::files;
use crate::program::Program;

const TOKEN: &str = "token-of-load-0123456789";

/// A control plane with an authority of its own, and the folder where that and the token are.
fn secured() -> (Plane, PathBuf) {
    let folder = tests::plane::folder();
    let beside = folder.with_extension("ca");
    std::fs::create_dir_all(&beside).unwrap();
    let [ca, tokens, token] = ["ca", "tokens", "token"].map(|name| beside.join(name));
    std::fs::write(&tokens, format!("{TOKEN} ns-1/web\n")).unwrap();
    std::fs::write(token, format!("{TOKEN}\n")).unwrap();
    let [ca, tokens] = [ca, tokens].map(|path| path.display().to_string());
    let own = ["--ca-dir", &ca, "--secure-address", "127.0.0.1:0", "--token-file", &tokens];
    let files = files();
    let listed: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    (Plane::at("127.0.0.1:0", folder, &listed, &own).unwrap(), beside)
}

/// Gets a certificate and puts it beside.
fn certificate(plane: &Plane, beside: &Path) {
    let key = rcgen::KeyPair::generate().unwrap();
    let csr = rcgen::CertificateParams::new(vec![]).unwrap().serialize_request(&key).unwrap().pem().unwrap();
    let roots = std::fs::read_to_string(beside.join("ca/root-cert.pem")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let chain = runtime.block_on(async {
        let client = Secured::connect(plane.secure().unwrap(), &roots, None).await.unwrap();
        let request = IstioCertificateRequest { csr, ..IstioCertificateRequest::default() };
        client.with_token(TOKEN).certificate(&request).await.unwrap().unwrap()
    });
    std::fs::write(beside.join("ns-1.pem"), chain[..chain.len() - 1].concat()).unwrap();
    std::fs::write(beside.join("ns-1.key"), key.serialize_pem()).unwrap();
}

#[test]
fn clients_show_a_token_or_a_certificate_and_nobody_gets_in_without() {
    let (plane, beside) = secured();
    certificate(&plane, &beside);
    let path = |name: &str| beside.join(name).display().to_string();
    let root = ["--namespace", "ns-1", "--root", &path("ca/root-cert.pem")].map(str::to_owned);
    let by_token = ["--token".to_owned(), path("token")];
    let by_certificate =
        ["--certificate".to_owned(), path("{namespace}.pem"), "--key".to_owned(), path("{namespace}.key")];
    for shown in [&by_token[..], &by_certificate[..]] {
        let arguments: Vec<&str> = root.iter().chain(shown).map(String::as_str).collect();
        let program = Program::start(plane.secure().unwrap(), &arguments).unwrap();
        let report = program.complete(&json!({"count": 3})).unwrap();
        assert_eq!((&report["clients"]["complete"], &report["errors"]), (&json!(3), &json!(0)), "{report}");
    }
    let arguments: Vec<&str> = root.iter().map(String::as_str).collect();
    let program = Program::start(plane.secure().unwrap(), &arguments).unwrap();
    program.post("/connect", &json!({"count": 1})).unwrap();
    let asked = json!({"for": "complete", "timeout_s": 1});
    let (status, report) = program.ask("POST", "/wait", &asked).unwrap();
    assert_eq!((status, &report["clients"]["complete"]), (504, &json!(0)), "{report}");
    let why: Vec<&String> = report["why"].as_object().unwrap().keys().collect();
    assert!(why.iter().all(|why| why.starts_with("status 16")) && !why.is_empty(), "{report}");
}

#[test]
fn a_client_with_tls_is_small_too() {
    let (plane, beside) = secured();
    let path = |name: &str| beside.join(name).display().to_string();
    let (root, token) = (path("ca/root-cert.pem"), path("token"));
    let program =
        Program::start(plane.secure().unwrap(), &["--namespace", "ns-1", "--root", &root, "--token", &token]).unwrap();
    let resident = || program.get("/report").unwrap()["rss_bytes"].as_u64().unwrap();
    program.complete(&json!({"count": 1, "from": 1000})).unwrap();
    let before = resident();
    program.complete(&json!({"count": 150})).unwrap();
    let each = resident().saturating_sub(before) / 150;
    println!("a client with TLS has {each} bytes");
    assert!(each <= 72 * 1024, "{each} bytes");
}
