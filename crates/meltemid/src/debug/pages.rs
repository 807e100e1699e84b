//! The table of debug pages, and how one is asked.

use axum::http::StatusCode;
use serde_json::json;

use super::Pages;
use super::asked::{Args, Asked, Rendered, Said};
use super::guard::{Sight, refusal};
use super::{clients, dump, injector, ledger, objects, push, registry, state, sync, why};

/// A page: its name, what it is for, and what it says.
struct Page {
    name: &'static str,
    help: &'static str,
    say: fn(&Asked<'_>) -> Said,
}

const fn page(name: &'static str, help: &'static str, say: fn(&Asked<'_>) -> Said) -> Page {
    Page { name, help, say }
}

/// All pages, in the order of their names (`istio: pilot/pkg/xds/debug.go AddDebugHandlers`; `ledger` and `why` are ours).
const PAGES: [Page; 26] = [
    page("adsz", "the connected proxies, and what they asked for (?proxyID=)", clients::adsz),
    page("authorizationz", "AuthorizationPolicies by namespace", objects::authorizationz),
    page("cachez", "the resources that are encoded (?sizes)", state::cachez),
    page("clusterz", "the clusters that are read", state::clusterz),
    page(
        "config_dump",
        "what a proxy is to have, as Envoy shows it (?proxyID=, include_eds, types=)",
        dump::config_dump,
    ),
    page("configz", "the objects of Istio's kinds that are used", objects::configz),
    page("connections", "the connected proxies", clients::connections),
    page("ecdsz", "the extensions of a proxy (?proxyID=)", dump::ecdsz),
    page("edsz", "the endpoints of a proxy (?proxyID=)", dump::edsz),
    page("endpointShardz", "all endpoints, by host and namespace", registry::endpoint_shardz),
    page("endpointz", "the same under its old name", registry::endpoint_shardz),
    page("inject", "the templates of the injector (?values: the values that they see)", injector::inject),
    page("instancesz", "what each proxy serves", registry::instancesz),
    page("ledger", "what was left out, overridden, or has no effect", ledger::ledger),
    page("list", "the names of all pages", list),
    page("mcsz", "services of several clusters", state::mcsz),
    page("mesh", "the settings of the mesh with their defaults", objects::mesh),
    page("ndsz", "the names that a proxy's agent resolves (?proxyID=)", dump::ndsz),
    page("networkz", "gateways between networks", state::networkz),
    page("push_status", "what proxies refuse and lack, and what conflicts", push::push_status),
    page("registryz", "all services", registry::registryz),
    page("resourcesz", "the kinds of objects that are looked at", objects::resourcesz),
    page("sidecarz", "what a proxy may call (?proxyID=)", registry::sidecarz),
    page("syncz", "what each proxy was sent and took (?namespace=)", sync::syncz),
    page("telemetryz", "Telemetries by namespace (?proxyID=)", objects::telemetryz),
    page("why", "which objects a resource of a proxy is made from (?proxyID=&resource=)", why::why),
];

/// Pages that do something; only where that is asked for (`--unsafe-pages`).
const UNSAFE: [Page; 1] =
    [page("force_disconnect", "ends the stream of a proxy (?proxyID=)", clients::force_disconnect)];

/// Where Go programs have their profiles.
const PROFILES: &str = "404 page not found: there are no profiles of Go here. For the processor use `perf record -g -p PID` on the node; for \
    memory meltemi_rows of /metrics and /debug/cachez?sizes\n";

/// The pages that there are.
fn shown(pages: &Pages) -> impl Iterator<Item = &'static Page> {
    PAGES.iter().chain(UNSAFE.iter().filter(|_| pages.unsafe_pages))
}

/// Asks a page.
pub(super) fn ask(pages: &Pages, sight: &Sight, name: &str, args: &Args) -> Rendered {
    let pretty = args.contains_key("pretty");
    if !sight.allows(name) {
        return Said::text(StatusCode::FORBIDDEN, refusal(pages)).rendered(pretty);
    }
    let said = match shown(pages).find(|page| page.name == name) {
        Some(page) => (page.say)(&Asked::new(pages, sight, args)),
        None if name.split('/').next() == Some("pprof") => Said::text(StatusCode::NOT_FOUND, PROFILES),
        // istioctl knows the first words, and lists what there is.
        None => Said::text(
            StatusCode::NOT_FOUND,
            format!("404 page not found: {name:?}; there are {}\n", names(pages).join(", ")),
        ),
    };
    said.rendered(pretty)
}

fn names(pages: &Pages) -> Vec<&'static str> {
    let mut names: Vec<&str> = shown(pages).map(|page| page.name).filter(|name| *name != "list").collect();
    names.sort_unstable();
    names
}

fn list(asked: &Asked<'_>) -> Said {
    json!(names(asked.pages)).into()
}

/// A table of contents for a browser.
pub(super) fn index(pages: &Pages) -> String {
    let rows = shown(pages).map(|page| {
        let Page { name, help, .. } = page;
        format!("<tr><td><a href=\"/debug/{name}\">{name}</a></td><td>{help}</td></tr>\n")
    });
    let rows: String = rows.collect();
    format!(
        "<!doctype html>\n<title>Debug pages</title>\n<p>Add ?pretty to have JSON in lines.</p>\n<table>\n{rows}</table>\n"
    )
}
