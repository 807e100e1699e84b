//! Resources as they may be shown: certificates and roots are there; of keys it is only shown that they are.

use prost::{Message, Name};

use crate::envoy::config::core::v3::{DataSource, data_source};
use crate::envoy::extensions::transport_sockets::tls::v3::{GenericSecret, Secret, secret};

/// What stands for a key, as Istio and Envoy write it.
const REDACTED: &[u8] = b"[redacted]";

fn hidden() -> DataSource {
    let specifier = Some(data_source::Specifier::InlineBytes(REDACTED.to_vec()));
    DataSource { specifier, ..DataSource::default() }
}

/// The resource without what is nobody's business. A Secret that cannot be read is shown without content.
#[must_use]
pub fn redacted(any: prost_types::Any) -> prost_types::Any {
    if any.type_url.rsplit('/').next() != Some(&Secret::full_name()) {
        return any;
    }
    let value = Secret::decode(any.value.as_slice()).map(|mut secret| {
        hide(&mut secret);
        secret.encode_to_vec()
    });
    prost_types::Any { value: value.unwrap_or_default(), ..any }
}

fn hide(secret: &mut Secret) {
    match &mut secret.r#type {
        Some(secret::Type::TlsCertificate(pair)) => {
            for key in [&mut pair.private_key, &mut pair.pkcs12, &mut pair.password] {
                key.iter_mut().for_each(|key| *key = hidden());
            }
            pair.private_key_provider = None;
        }
        Some(secret::Type::SessionTicketKeys(keys)) => keys.keys.iter_mut().for_each(|key| *key = hidden()),
        Some(secret::Type::GenericSecret(generic)) => {
            *generic = GenericSecret { secret: Some(hidden()), ..GenericSecret::default() };
        }
        Some(secret::Type::ValidationContext(_)) | None => {}
    }
}

#[cfg(test)]
mod tests;
