//! Answers without an upstream: redirects and direct responses.

use model::networking::{HttpDirectResponse, HttpRedirect, RedirectPortSelection};
use proto::envoy::config::core::v3::{DataSource, data_source};
use proto::envoy::config::route::v3::redirect_action::{
    PathRewriteSpecifier, RedirectResponseCode, SchemeRewriteSpecifier,
};
use proto::envoy::config::route::v3::{DirectResponseAction, RedirectAction};

use crate::wire::base64;

/// `None` for a code that Envoy cannot answer with.
pub(super) fn redirect(redirect: &HttpRedirect, listener_port: u16) -> Option<RedirectAction> {
    let code = match redirect.redirect_code {
        0 | 301 => RedirectResponseCode::MovedPermanently,
        302 => RedirectResponseCode::Found,
        303 => RedirectResponseCode::SeeOther,
        307 => RedirectResponseCode::TemporaryRedirect,
        308 => RedirectResponseCode::PermanentRedirect,
        _ => return None,
    };
    let path = if !redirect.prefix_rewrite.is_empty() {
        Some(PathRewriteSpecifier::PrefixRewrite(redirect.prefix_rewrite.to_string()))
    } else {
        let uri = Some(&redirect.uri).filter(|uri| !uri.is_empty());
        uri.map(|uri| PathRewriteSpecifier::PathRedirect(uri.to_string()))
    };
    let scheme = Some(&redirect.scheme).filter(|scheme| !scheme.is_empty());
    let from_request = redirect.derive_port == Some(RedirectPortSelection::FromRequestPort);
    Some(RedirectAction {
        host_redirect: redirect.authority.to_string(),
        port_redirect: redirect.port.unwrap_or(if from_request { listener_port.into() } else { 0 }),
        response_code: code as i32,
        path_rewrite_specifier: path,
        scheme_rewrite_specifier: scheme.map(|scheme| SchemeRewriteSpecifier::SchemeRedirect(scheme.to_string())),
        ..RedirectAction::default()
    })
}

pub(super) fn direct(answer: &HttpDirectResponse) -> DirectResponseAction {
    let body = answer.body.as_ref().and_then(|body| {
        let text = body.string.as_ref().map(|text| data_source::Specifier::InlineString(text.to_string()));
        text.or_else(|| body.bytes.as_ref().map(|bytes| data_source::Specifier::InlineBytes(base64(bytes))))
    });
    let body = body.map(|specifier| DataSource { specifier: Some(specifier), ..DataSource::default() });
    DirectResponseAction { status: answer.status, body, ..DirectResponseAction::default() }
}
