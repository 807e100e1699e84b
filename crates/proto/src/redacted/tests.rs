//! No key comes through, in either form.

use crate::envoy::extensions::transport_sockets::tls::v3::{
    CertificateValidationContext, TlsCertificate, TlsSessionTicketKeys,
};

use super::*;

fn source(text: &str) -> Option<DataSource> {
    Some(DataSource { specifier: Some(data_source::Specifier::InlineString(text.to_owned())), ..DataSource::default() })
}

fn shown(of: secret::Type) -> (String, String) {
    let any = crate::any(&Secret { name: "s".to_owned(), r#type: Some(of) });
    let bytes = redacted(any.clone()).value;
    (String::from_utf8_lossy(&bytes).into_owned(), crate::to_json(&any).to_string())
}

#[test]
fn keys_are_hidden_and_certificates_are_shown() {
    let pair = TlsCertificate {
        certificate_chain: source("CHAIN"),
        private_key: source("HUSH"),
        pkcs12: source("HUSH"),
        password: source("HUSH"),
        ..TlsCertificate::default()
    };
    let tickets = TlsSessionTicketKeys { keys: source("HUSH").into_iter().collect() };
    let generic = GenericSecret { secret: source("HUSH"), secrets: [("a".to_owned(), source("HUSH").unwrap())].into() };
    for of in [
        secret::Type::TlsCertificate(pair.clone()),
        secret::Type::SessionTicketKeys(tickets),
        secret::Type::GenericSecret(generic),
    ] {
        let (bytes, json) = shown(of);
        assert!(!bytes.contains("HUSH") && bytes.contains("[redacted]"), "{bytes}");
        assert!(!json.contains("HUSH") && json.contains("W3JlZGFjdGVkXQ=="), "{json}");
    }
    let (bytes, json) = shown(secret::Type::TlsCertificate(pair));
    assert!(bytes.contains("CHAIN") && json.contains("CHAIN"));
    let roots = CertificateValidationContext { trusted_ca: source("ROOTS"), ..Default::default() };
    assert!(shown(secret::Type::ValidationContext(roots)).1.contains("ROOTS"));
}

#[test]
fn other_resources_stay_and_a_secret_that_is_none_has_no_content() {
    let other = prost_types::Any { type_url: "type.googleapis.com/x.Y".to_owned(), value: vec![1, 2] };
    assert_eq!(redacted(other.clone()), other);
    let broken = prost_types::Any { type_url: Secret::type_url(), value: vec![255] };
    assert_eq!(redacted(broken).value, Vec::<u8>::new());
}
