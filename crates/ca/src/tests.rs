//! Against openssl: what it makes is judged rightly, and what we sign is what it verifies.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use super::*;

/// A folder of files that openssl makes.
struct Bench(PathBuf);

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const ROOT: &str = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n";
const SANS: &str = "basicConstraints=critical,CA:FALSE\nsubjectAltName=URI:spiffe://cluster.local/ns/shop/sa/web\n";

impl Bench {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("meltemi-ca-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn try_openssl(&self, arguments: &str) -> Output {
        let arguments = arguments.split_whitespace();
        Command::new("openssl").args(arguments).current_dir(&self.0).output().expect("openssl is installed")
    }

    fn openssl(&self, arguments: &str) -> String {
        let out = self.try_openssl(arguments);
        assert!(out.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    }

    fn read(&self, file: &str) -> Vec<u8> {
        fs::read(self.0.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
    }

    fn write(&self, file: &str, text: impl AsRef<[u8]>) {
        fs::write(self.0.join(file), text).unwrap();
    }

    /// A key in `name.key`: `rsa`, `p256`, `p384`, `p521` or `ed25519`.
    fn key(&self, name: &str, kind: &str) {
        let options = match kind {
            "rsa" => "-algorithm RSA -pkeyopt rsa_keygen_bits:2048".to_owned(),
            "ed25519" => "-algorithm ED25519".to_owned(),
            curve => format!("-algorithm EC -pkeyopt ec_paramgen_curve:{}", curve.replace('p', "P-")),
        };
        self.openssl(&format!("genpkey {options} -out {name}.key"));
    }

    /// A certificate in `name.pem`, signed by `by` or by itself, that ends in so many days.
    fn signed(&self, name: &str, by: &str, extensions: &str, days: i32) {
        self.write(&format!("{name}.ext"), extensions);
        self.openssl(&format!("req -new -key {name}.key -subj /O={name} -out {name}.csr"));
        let signer = if by == name {
            format!("-signkey {name}.key")
        } else {
            format!("-CA {by}.pem -CAkey {by}.key -CAcreateserial")
        };
        self.openssl(&format!("x509 -req -in {name}.csr {signer} -extfile {name}.ext -days {days} -out {name}.pem"));
    }

    /// root → middle → ca → leaf.
    fn mesh(name: &str) -> Self {
        let bench = Self::new(name);
        for (who, by, kind, extensions) in [
            ("root", "root", "rsa", ROOT),
            ("middle", "root", "p384", ROOT),
            ("ca", "middle", "p256", ROOT),
            ("leaf", "ca", "p256", SANS),
        ] {
            bench.key(who, kind);
            bench.signed(who, by, extensions, 90);
        }
        bench
    }

    fn plugged(&self, cert: &str, key: &str, chain: &[&str]) -> Result<Fine, Refusal> {
        self.revocable(cert, key, chain, &[])
    }

    fn revocable(&self, cert: &str, key: &str, chain: &[&str], crl: &[&str]) -> Result<Fine, Refusal> {
        let all = |files: &[&str]| files.iter().map(|file| self.read(file)).collect::<Vec<_>>();
        let (cert, key, root, chain, crl) =
            (self.read(cert), self.read(key), self.read("root.pem"), all(chain), all(crl));
        plugged(&Plugged { cert: &cert, key: &key, root: &root, chain: &chain, crl: &crl }, now())
    }

    fn workload(&self, cert: &str, chain: &[&str], san: Option<&str>) -> Result<Fine, Refusal> {
        let chain: Vec<_> = chain.iter().map(|file| self.read(file)).collect();
        let (cert, root) = (self.read(cert), self.read("root.pem"));
        workload(&Workload { cert: &cert, key: None, root: &root, chain: &chain, san }, now())
    }
}

fn now() -> i64 {
    x509_parser::time::ASN1Time::now().timestamp()
}

fn reason(judged: Result<Fine, Refusal>) -> Option<Reason> {
    judged.err().map(|refusal| refusal.reason)
}

#[test]
fn a_chain_to_the_root_loads_and_a_gap_in_it_does_not() {
    let bench = Bench::mesh("chain");
    assert_eq!(reason(bench.plugged("ca.pem", "ca.key", &["middle.pem"])), None);
    assert_eq!(reason(bench.plugged("ca.pem", "ca.key", &[])), Some(Reason::Untrusted));
    assert_eq!(reason(bench.plugged("root.pem", "root.key", &[])), None, "a root is its own chain");
    bench.write(
        "both.pem",
        [b"some text\n".to_vec(), bench.read("ca.pem"), b"more\n".to_vec(), bench.read("middle.pem")].concat(),
    );
    assert_eq!(reason(bench.plugged("both.pem", "ca.key", &[])), None, "the chain may follow in the file");
    bench.write("empty.pem", "\n");
    assert_eq!(reason(bench.plugged("ca.pem", "ca.key", &["middle.pem", "empty.pem"])), None);
}

#[test]
fn what_does_not_parse_is_named_and_so_is_a_key_of_another() {
    let bench = Bench::mesh("parse");
    bench.write("bad.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let chain = &["middle.pem"];
    assert_eq!(reason(bench.plugged("bad.pem", "ca.key", chain)), Some(Reason::Cert));
    assert_eq!(reason(bench.plugged("ca.pem", "ca.pem", chain)), Some(Reason::Key));
    assert_eq!(reason(bench.plugged("ca.pem", "ca.key", &["bad.pem"])), Some(Reason::Chain));
    assert_eq!(reason(bench.plugged("ca.pem", "middle.key", chain)), Some(Reason::Mismatch));
    assert_eq!(reason(roots(&bench.read("bad.pem"), now())), Some(Reason::Root));
    assert_eq!(reason(roots(&bench.read("leaf.pem"), now())), Some(Reason::NotCa));
    assert_eq!(reason(roots(&bench.read("root.pem"), now())), None);
    assert_eq!(reason(roots(&bench.read("root.pem"), now() + 91 * 86400)), Some(Reason::Expired));
}

#[test]
fn keys_load_in_every_form_that_openssl_writes() {
    let bench = Bench::new("forms");
    for kind in ["rsa", "p256", "p384", "p521"] {
        bench.key("root", kind);
        bench.signed("root", "root", ROOT, 90);
        bench.openssl("pkey -in root.key -traditional -out old.key");
        assert_eq!(reason(bench.plugged("root.pem", "root.key", &[])), None, "{kind} as PKCS#8");
        assert_eq!(reason(bench.plugged("root.pem", "old.key", &[])), None, "{kind} as PKCS#1 or SEC1");
    }
    bench.openssl("ecparam -name prime256v1 -genkey -out root.key");
    bench.signed("root", "root", ROOT, 90);
    assert_eq!(reason(bench.plugged("root.pem", "root.key", &[])), None, "parameters stand before the key");
    bench.key("root", "ed25519");
    bench.signed("root", "root", ROOT, 90);
    assert_eq!(reason(bench.plugged("root.pem", "root.key", &[])), Some(Reason::Key));
}

#[test]
fn chains_verify_by_every_curve_and_hash_but_sha1() {
    let bench = Bench::new("hashes");
    bench.key("ca", "p256");
    for kind in ["rsa", "p256", "p384", "p521"] {
        bench.key("root", kind);
        bench.signed("root", "root", ROOT, 90);
        bench.openssl("req -new -key ca.key -subj /O=ca -out ca.csr");
        bench.write("ca.ext", ROOT);
        for (hash, expected) in
            [("sha256", None), ("sha384", None), ("sha512", None), ("sha1", Some(Reason::Untrusted))]
        {
            bench.openssl(&format!(
                "x509 -req -{hash} -in ca.csr -CA root.pem -CAkey root.key -extfile ca.ext -days 9 -out ca.pem"
            ));
            assert_eq!(reason(bench.plugged("ca.pem", "ca.key", &[])), expected, "{kind} {hash}");
        }
    }
}

#[test]
fn a_signer_must_be_a_ca_that_may_sign_so_deep() {
    let bench = Bench::mesh("deep");
    assert_eq!(reason(bench.plugged("leaf.pem", "leaf.key", &["ca.pem", "middle.pem"])), Some(Reason::NotCa));
    let cases = [
        ("basicConstraints=CA:FALSE\n", Some(Reason::NotCa)),
        ("basicConstraints=CA:TRUE\nkeyUsage=digitalSignature\n", Some(Reason::NotCa)),
        ("basicConstraints=CA:TRUE,pathlen:0\nkeyUsage=keyCertSign\n", None),
    ];
    for (extensions, expected) in cases {
        bench.signed("middle", "root", extensions, 90);
        bench.signed("ca", "middle", ROOT, 90);
        assert_eq!(reason(bench.plugged("ca.pem", "ca.key", &["middle.pem"])), expected, "{extensions}");
    }
    bench.signed("leaf", "ca", SANS, 90);
    let leaf = bench.workload("leaf.pem", &["ca.pem", "middle.pem"], None);
    assert_eq!(reason(leaf), Some(Reason::NotCa), "pathlen 0 has a CA below it");
}

#[test]
fn time_is_judged_along_the_whole_chain() {
    let bench = Bench::mesh("time");
    bench.signed("middle", "root", ROOT, 1);
    bench.signed("ca", "middle", ROOT, 90);
    let [cert, key, root, chain] = ["ca.pem", "ca.key", "root.pem", "middle.pem"].map(|file| bench.read(file));
    let files = Plugged { cert: &cert, key: &key, root: &root, chain: &[chain], crl: &[] };
    assert!(plugged(&files, now()).unwrap().warnings[0].contains("middle"), "it ends soon");
    assert_eq!(reason(plugged(&files, now() + 2 * 86400)), Some(Reason::Expired), "the middle");
    assert_eq!(reason(plugged(&files, now() + 91 * 86400)), Some(Reason::Expired), "the CA itself");
    assert_eq!(reason(plugged(&files, now() - 86400)), Some(Reason::Expired), "not yet valid");
}

#[test]
fn a_workload_is_who_its_certificate_says() {
    let bench = Bench::mesh("workload");
    let chain = &["ca.pem", "middle.pem"];
    let web = "spiffe://cluster.local/ns/shop/sa/web";
    assert_eq!(reason(bench.workload("leaf.pem", chain, Some(web))), None);
    assert_eq!(
        reason(bench.workload("leaf.pem", chain, Some("spiffe://cluster.local/ns/shop/sa/we"))),
        Some(Reason::San)
    );
    assert_eq!(reason(bench.workload("leaf.pem", &["ca.pem"], Some(web))), Some(Reason::Untrusted));
}

#[test]
fn with_revocation_lists_each_ca_needs_one() {
    let bench = Bench::mesh("crl");
    let crl = |ca: &str, days: i32| {
        bench.write("index.txt", "");
        let conf = "[ca]\ndefault_ca=it\n[it]\ndatabase=index.txt\ndefault_md=sha256\nunique_subject=no\n";
        bench.write("ca.conf", conf);
        bench.openssl(&format!(
            "ca -config ca.conf -gencrl -keyfile {ca}.key -cert {ca}.pem -crldays {days} -out {ca}.crl"
        ));
    };
    ["root", "middle", "ca"].iter().for_each(|ca| crl(ca, 9));
    let check = |lists: &[&str]| reason(bench.revocable("ca.pem", "ca.key", &["middle.pem"], lists));
    assert_eq!(check(&["root.crl", "middle.crl", "ca.crl"]), None);
    assert_eq!(check(&["root.crl", "ca.crl"]), Some(Reason::Crl));
    assert_eq!(check(&["root.pem"]), Some(Reason::Crl));
    bench.write("all.crl", [bench.read("root.crl"), bench.read("middle.crl"), bench.read("ca.crl")].concat());
    assert_eq!(check(&["all.crl"]), None);
    bench.openssl("ca -config ca.conf -revoke ca.pem -keyfile middle.key -cert middle.pem");
    bench.openssl("ca -config ca.conf -gencrl -keyfile middle.key -cert middle.pem -crldays 9 -out middle.crl");
    assert_eq!(check(&["root.crl", "middle.crl", "ca.crl"]), Some(Reason::Crl), "the CA was revoked");
}

/// An authority on openssl's chain.
fn authority(bench: &Bench) -> Authority {
    let [cert, key, root, chain] = ["ca.pem", "ca.key", "root.pem", "middle.pem"].map(|file| bench.read(file));
    Authority::load(&Plugged { cert: &cert, key: &key, root: &root, chain: &[chain], crl: &[] }, now()).unwrap()
}

#[test]
fn what_is_signed_verifies_and_carries_the_callers_name_only() {
    let bench = Bench::mesh("issue");
    let authority = authority(&bench);
    let web = "spiffe://cluster.local/ns/shop/sa/web";
    for kind in ["p256", "p384", "rsa"] {
        bench.key("new", kind);
        bench.openssl("req -new -key new.key -subj /CN=evil -addext subjectAltName=URI:spiffe://cluster.local/ns/evil/sa/evil -out new.csr");
        let csr = String::from_utf8(bench.read("new.csr")).unwrap();
        let issued = authority.issue(&csr, web, 3600, Lifetimes::default(), now()).unwrap();
        assert_eq!(issued.chain.len(), 4, "leaf, ca, middle, roots");
        assert_eq!(issued.chain[3].as_bytes(), bench.read("root.pem"));
        bench.write("new.pem", &issued.chain[0]);
        bench.write("links.pem", issued.chain[1..3].concat());
        bench.openssl("verify -x509_strict -purpose sslserver -CAfile root.pem -untrusted links.pem new.pem");
        bench.openssl("verify -x509_strict -purpose sslclient -CAfile root.pem -untrusted links.pem new.pem");
        let text = bench.openssl("x509 -in new.pem -noout -text");
        assert!(text.contains(&format!("URI:{web}")) && !text.contains("evil"), "{text}");
        assert!(text.contains("Digital Signature, Key Encipherment") && text.contains("CA:FALSE"), "{text}");
        let [own, asked] =
            ["pkey -in new.key -pubout", "x509 -in new.pem -noout -pubkey"].map(|ask| bench.openssl(ask));
        assert_eq!(own, asked);
    }
}

/// Istio's agent: RSA, an organization that is empty or the trust domain, the identity as a critical name. Istio's node agent: P-256, no
/// subject, the same name. Both name whom they want to be; neither is believed.
#[test]
fn requests_of_istios_agents_are_taken() {
    let bench = Bench::mesh("agents");
    let authority = authority(&bench);
    let name = "-addext subjectAltName=critical,URI:spiffe://cluster.local/ns/evil/sa/evil";
    for (key, subject) in [("rsa", "/O="), ("rsa", "/O=cluster.local"), ("p256", "/"), ("p384", "/")] {
        bench.key("new", key);
        bench.openssl(&format!("req -new -sha256 -key new.key -subj {subject} {name} -out new.csr"));
        let csr = String::from_utf8(bench.read("new.csr")).unwrap();
        let issued = authority.issue(&csr, "spiffe://td/ns/a/sa/b", 86_400, Lifetimes::default(), now()).unwrap();
        bench.write("new.pem", &issued.chain[0]);
        let text = bench.openssl("x509 -in new.pem -noout -ext subjectAltName -subject");
        assert!(text.contains("URI:spiffe://td/ns/a/sa/b") && !text.contains("evil"), "{key} {subject}: {text}");
        assert!(!text.contains("O ="), "{key} {subject}: {text}");
    }
}

#[test]
fn requests_are_limited_in_time_size_and_kind() {
    let bench = Bench::mesh("limits");
    let authority = authority(&bench);
    let ask = |csr: &str, ttl: i64| authority.issue(csr, "spiffe://td/ns/a/sa/b", ttl, Lifetimes::default(), now());
    bench.key("new", "p256");
    bench.openssl("req -new -key new.key -subj / -out new.csr");
    let csr = String::from_utf8(bench.read("new.csr")).unwrap();
    let close = |issued: Issued, ttl: i64| (issued.not_after - now() - ttl).abs() <= 5;
    assert!(close(ask(&csr, 0).unwrap(), 24 * 3600));
    assert!(close(ask(&csr, 7200).unwrap(), 7200));
    assert!(matches!(ask(&csr, 91 * 86400), Err(Error::Lifetime { .. })));
    assert_eq!(ask(&csr, 90 * 86400).unwrap().not_after, authority.not_after(), "not beyond the CA's own end");
    assert!(ask("", 0).is_err() && ask("no PEM", 0).is_err() && ask(&csr.repeat(2), 0).is_err());
    assert!(ask(&format!("{}{csr}", "#".repeat(40_000)), 0).unwrap_err().to_string().contains("bytes"));
    // Another key under the same signature.
    let mut parts = pem::parse(&csr).unwrap().into_contents();
    let middle = parts.len() / 2 - 20;
    parts[middle] ^= 1;
    assert!(ask(&pem::encode(&pem::Pem::new("CERTIFICATE REQUEST", parts)), 0).is_err());
    bench.openssl("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out new.key");
    bench.openssl("req -new -key new.key -subj / -out new.csr");
    let weak = ask(&String::from_utf8(bench.read("new.csr")).unwrap(), 0).unwrap_err();
    assert!(weak.to_string().contains("1024 bits"), "{weak}");
}

/// ztunnel renews at the middle of the whole lifetime.
#[test]
fn the_middle_of_a_lifetime_is_never_past() {
    let bench = Bench::mesh("middle");
    let authority = authority(&bench);
    bench.key("new", "p256");
    bench.openssl("req -new -key new.key -subj / -out new.csr");
    let csr = String::from_utf8(bench.read("new.csr")).unwrap();
    let now = now();
    for (lifetime, before) in [(2, 1), (40, 20), (240, 120), (86_400, 120)] {
        let issued = authority.issue(&csr, "spiffe://td/ns/a/sa/b", lifetime, Lifetimes::default(), now).unwrap();
        let leaf = pem::parse(&issued.chain[0]).unwrap().into_contents();
        let validity = read::parse_all(&[leaf]).unwrap()[0].validity().clone();
        assert_eq!(now - validity.not_before.timestamp(), before, "{lifetime}");
    }
}

#[test]
fn a_root_made_anew_vouches_for_what_was_signed_before() {
    let bench = Bench::new("prolonged");
    let (old, key) = self_signed("cluster.local", now() - 9 * 365 * 24 * 3600).unwrap();
    let again = prolonged(old.as_bytes(), key.as_bytes(), now()).unwrap();
    let load = |root: &str| {
        let (cert, root) = (root.as_bytes(), root.as_bytes());
        Authority::load(&Plugged { cert, key: key.as_bytes(), root, chain: &[], crl: &[] }, now()).unwrap()
    };
    let (before, after) = (load(&old), load(&again));
    assert!(after.not_after() > before.not_after() + 8 * 365 * 24 * 3600);
    let (leaf, _) = before.serve(&["istiod.istio-system.svc".to_owned()], now()).unwrap();
    bench.write("leaf.pem", &leaf.chain[0]);
    for (name, root) in [("old.pem", &old), ("new.pem", &again)] {
        bench.write(name, root);
        bench.openssl(&format!("verify -CAfile {name} leaf.pem"));
    }
    let both = after.trusting([old.clone(), again.clone()]);
    assert_eq!(both.roots(), [again, old], "its own root first, each once");
    let (other, key) = self_signed("cluster.local", now()).unwrap();
    bench.write("other.key", &key);
    bench.openssl("req -new -x509 -key other.key -subj /C=GR/O=x/CN=y -out named.pem");
    assert!(prolonged(&bench.read("named.pem"), key.as_bytes(), now()).is_err(), "the name would change");
    assert!(prolonged(other.as_bytes(), b"no key", now()).is_err());
}

#[test]
fn an_authority_signs_nothing_that_outlives_it_and_nothing_after_its_end() {
    let start = now();
    let (cert, key) = self_signed("cluster.local", start).unwrap();
    let files = Plugged { cert: cert.as_bytes(), key: key.as_bytes(), root: cert.as_bytes(), chain: &[], crl: &[] };
    let authority = Authority::load(&files, start).unwrap();
    let csr = rcgen::CertificateParams::new(vec![]).unwrap();
    let csr = csr.serialize_request(&rcgen::KeyPair::generate().unwrap()).unwrap().pem().unwrap();
    let issue = |at: i64| authority.issue(&csr, "spiffe://td/ns/a/sa/b", 0, Lifetimes::default(), at);
    let end = authority.not_after();
    assert_eq!(issue(start).unwrap().not_after, start + 24 * 3600);
    assert_eq!(issue(end - 60).unwrap().not_after, end);
    assert!(matches!(issue(end), Err(Error::Ended)));
    assert!(matches!(authority.serve(&["istiod.istio-system.svc".to_owned()], end + 1), Err(Error::Ended)));
    let warned = |at: i64| !plugged(&files, at).unwrap().warnings.is_empty();
    assert!(!warned(start) && warned(end - 29 * 24 * 3600) && warned(end - 60), "it is told in time");
    assert_eq!(reason(plugged(&files, end + 1)), Some(Reason::Expired));
}

#[test]
fn a_self_signed_root_signs_for_workloads_and_servers() {
    let bench = Bench::new("own");
    let (cert, key) = self_signed("cluster.local", now()).unwrap();
    let files = Plugged { cert: cert.as_bytes(), key: key.as_bytes(), root: cert.as_bytes(), chain: &[], crl: &[] };
    let authority = Authority::load(&files, now()).unwrap();
    let (issued, _) = authority.serve(&["istiod.istio-system.svc".to_owned()], now()).unwrap();
    assert_eq!(issued.chain.len(), 2, "agents refuse fewer");
    bench.write("root.pem", &issued.chain[1]);
    bench.write("server.pem", &issued.chain[0]);
    bench.openssl(
        "verify -x509_strict -purpose sslserver -verify_hostname istiod.istio-system.svc -CAfile root.pem server.pem",
    );
    assert!(!bench.try_openssl("verify -verify_hostname other.svc -CAfile root.pem server.pem").status.success());
    assert!(!format!("{authority:?}").contains("PRIVATE"));
}

proptest::proptest! {
    /// Whatever is done to a request, it is refused or its own key is certified, and the name is the caller's.
    #[test]
    fn a_damaged_request_certifies_no_other_key(at in 0_usize..4096, byte: u8, cut in 0_usize..4096, asked: i64) {
        use std::sync::OnceLock;
        static GOOD: OnceLock<(Authority, Vec<u8>, Vec<u8>)> = OnceLock::new();
        let (authority, der, public) = GOOD.get_or_init(|| {
            let (cert, key) = self_signed("cluster.local", now()).unwrap();
            let (cert, key) = (cert.as_bytes(), key.as_bytes());
            let authority = Authority::load(&Plugged { cert, key, root: cert, chain: &[], crl: &[] }, now()).unwrap();
            let pair = rcgen::KeyPair::generate().unwrap();
            let csr = rcgen::CertificateParams::new(vec![]).unwrap().serialize_request(&pair).unwrap();
            (authority, csr.der().to_vec(), pair.public_key_raw().to_vec())
        });
        let mut damaged = der.clone();
        let at = at % damaged.len();
        damaged[at] = byte;
        damaged.truncate(cut.max(1));
        let pem = pem::encode(&pem::Pem::new("CERTIFICATE REQUEST", damaged));
        if let Ok(issued) = authority.issue(&pem, "spiffe://td/ns/a/sa/b", asked, Lifetimes::default(), now()) {
            let leaf = pem::parse(&issued.chain[0]).unwrap().into_contents();
            proptest::prop_assert!(leaf.windows(public.len()).any(|window| window == public.as_slice()));
            proptest::prop_assert_eq!(uris_of(&leaf), ["spiffe://td/ns/a/sa/b"]);
        }
    }

    /// Whatever bytes stand in files, judging them ends, and says no.
    #[test]
    fn junk_is_no_authority(bytes: Vec<u8>, label in "(CERTIFICATE|X509 CRL|PRIVATE KEY|EC PRIVATE KEY)") {
        let wrapped = pem::encode(&pem::Pem::new(label, bytes.clone()));
        for file in [bytes.as_slice(), wrapped.as_bytes()] {
            let files = Plugged { cert: file, key: file, root: file, chain: &[file.to_vec()], crl: &[file.to_vec()] };
            proptest::prop_assert!(plugged(&files, now()).is_err());
            proptest::prop_assert!(roots(file, now()).is_err());
            let identity = Workload { cert: file, key: Some(file), root: file, chain: &[], san: None };
            proptest::prop_assert!(workload(&identity, now()).is_err());
        }
    }
}
