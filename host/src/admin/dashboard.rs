//! The files of the dashboard, which are part of the binary.
//!
//! They contain no data, so they need no token; the API that they use does. The content security policy forbids inline
//! scripts, other origins and frames.

use axum::Router;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::IntoResponse;
use axum::routing::get;

/// Paths, media types and contents.
const FILES: &[(&str, &str, &str)] = &[
    ("/", HTML, include_str!("../../dashboard/index.html")),
    ("/dashboard/style.css", CSS, include_str!("../../dashboard/style.css")),
    (
        "/dashboard/icon.svg",
        "image/svg+xml",
        include_str!("../../dashboard/icon.svg"),
    ),
    ("/openapi", HTML, include_str!("../../dashboard/openapi.html")),
    ("/dashboard/openapi.js", JS, include_str!("../../dashboard/openapi.js")),
    ("/dashboard/main.js", JS, include_str!("../../dashboard/main.js")),
    ("/dashboard/api.js", JS, include_str!("../../dashboard/api.js")),
    ("/dashboard/dom.js", JS, include_str!("../../dashboard/dom.js")),
    ("/dashboard/events.js", JS, include_str!("../../dashboard/events.js")),
    ("/dashboard/chart.js", JS, include_str!("../../dashboard/chart.js")),
    (
        "/dashboard/overview.js",
        JS,
        include_str!("../../dashboard/overview.js"),
    ),
    (
        "/dashboard/deliveries.js",
        JS,
        include_str!("../../dashboard/deliveries.js"),
    ),
    (
        "/dashboard/destinations.js",
        JS,
        include_str!("../../dashboard/destinations.js"),
    ),
    (
        "/dashboard/webhooks.js",
        JS,
        include_str!("../../dashboard/webhooks.js"),
    ),
    (
        "/dashboard/webhook-form.js",
        JS,
        include_str!("../../dashboard/webhook-form.js"),
    ),
    (
        "/dashboard/webhook-trial.js",
        JS,
        include_str!("../../dashboard/webhook-trial.js"),
    ),
    (
        "/dashboard/dead-letters.js",
        JS,
        include_str!("../../dashboard/dead-letters.js"),
    ),
    ("/dashboard/hosts.js", JS, include_str!("../../dashboard/hosts.js")),
    ("/dashboard/trace.js", JS, include_str!("../../dashboard/trace.js")),
    ("/dashboard/modules.js", JS, include_str!("../../dashboard/modules.js")),
    (
        "/dashboard/quarantine.js",
        JS,
        include_str!("../../dashboard/quarantine.js"),
    ),
    ("/dashboard/clients.js", JS, include_str!("../../dashboard/clients.js")),
    (
        "/dashboard/configuration.js",
        JS,
        include_str!("../../dashboard/configuration.js"),
    ),
];

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";

/// What a page of the host may load and do.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The routes of all files.
pub(super) fn routes() -> Router {
    FILES.iter().fold(Router::new(), |router, (path, media_type, content)| {
        router.route(
            path,
            get(async || ([(header::CONTENT_TYPE, *media_type)], *content).into_response()),
        )
    })
}

/// Whether a path is one of the files.
pub(super) fn is_file(path: &str) -> bool {
    FILES.iter().any(|(file, ..)| *file == path)
}

/// Adds the headers that protect a browser to an answer.
pub(super) fn protect(headers: &mut HeaderMap) {
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // A newer host has newer files and data.
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-cache"));
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use hookhost_webhook::RuleKey;

    #[test]
    fn the_dashboard_has_every_event() {
        let script = include_str!("../../dashboard/events.js");
        let names = script
            .lines()
            .filter_map(|line| line.strip_prefix("  [\"")?.split('"').next());
        let names: Vec<&str> = names.collect();
        let known: BTreeSet<&str> = RuleKey::ALL.into_iter().map(RuleKey::name).collect();
        assert_eq!(names.iter().copied().collect::<BTreeSet<_>>(), known);
        assert_eq!(names.len(), known.len(), "each once");
    }
}
