//! What the injector works with (`istio: pilot/pkg/xds/debug.go injectTemplateHandler`).

use axum::http::StatusCode;
use serde_json::json;

use super::asked::{Asked, Said};
use super::objects::unread;

/// The templates by name; with `?values` the values that they see, laid over the defaults.
pub(super) fn inject(asked: &Asked<'_>) -> Said {
    let Some(view) = &asked.view else { return unread() };
    let Some(admission) = &asked.pages.admission else {
        return Said::text(StatusCode::NOT_FOUND, "nothing is injected here: a directory is served, not a cluster\n");
    };
    let shown = match asked.args.contains_key("values") {
        true => admission.injector.values(&view.mesh),
        false => admission.injector.templates(&view.mesh).map(|templates| json!(templates)),
    };
    shown.map_or_else(|why| Said::text(StatusCode::INTERNAL_SERVER_ERROR, format!("{why}\n")), Said::from)
}
