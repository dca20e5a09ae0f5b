//! `[tracing]`: the export of spans.

use hookhost_activity::SampleRatio;
use hookhost_otlp::Settings;
use hookhost_settings::Section;
use url::Url;

use super::destinations::{HEADER_KEYS, Sources, headers, is_local};

/// The path of an endpoint at which a collector takes traces.
const TRACES: &str = "v1/traces";

/// The export of spans; `None` without `otlp_endpoint`; the other keys have no effect then, and are problems.
pub(super) fn read(mut at: Section<'_>, sources: Sources<'_>) -> Option<Settings> {
    let endpoint = at.optional("otlp_endpoint", |setting| setting.parse(traces_url));
    let ratio = at.number("sample_ratio", 0.0, 0.0..=1.0);
    let headers = headers(&mut at, sources);
    if !at.is_given("otlp_endpoint") {
        let without_effect = HEADER_KEYS.into_iter().chain((ratio > 0.0).then_some("sample_ratio"));
        for key in without_effect {
            at.problem_of(
                key,
                "has no effect without `otlp_endpoint`, such as \"http://127.0.0.1:4318\"",
            );
        }
    }
    let (place, url) = endpoint?;
    if !headers.is_empty() && url.scheme() == "http" && !is_local(&url) {
        at.warning(place.problem("sends its headers unencrypted: it does not begin with https:"));
    }
    Some(Settings {
        url: url.into(),
        headers,
        sample_ratio: SampleRatio::new(ratio),
    })
}

/// The URL for traces of an endpoint, as OpenTelemetry's `OTEL_EXPORTER_OTLP_ENDPOINT` makes it. The error does not repeat
/// the text, which may contain a password.
fn traces_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text.trim()).ok();
    let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let mut url = url.ok_or("should be the URL of a collector, such as \"http://127.0.0.1:4318\"")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("should have no user and password: use `headers`".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("should have no query and no fragment".to_owned());
    }
    let path = url.path().trim_end_matches('/');
    if path.ends_with(TRACES) {
        return Err(format!("should not end with {TRACES}: hookhost appends it"));
    }
    let path = format!("{path}/{TRACES}");
    url.set_path(&path);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_for_traces_is_appended() {
        for (text, expected) in [
            ("http://127.0.0.1:4318", Ok("http://127.0.0.1:4318/v1/traces")),
            ("http://127.0.0.1:4318/", Ok("http://127.0.0.1:4318/v1/traces")),
            (
                " https://otel.example.com/otlp ",
                Ok("https://otel.example.com/otlp/v1/traces"),
            ),
            (
                "collector:4318",
                Err("should be the URL of a collector, such as \"http://127.0.0.1:4318\""),
            ),
            (
                "grpc://c:4317",
                Err("should be the URL of a collector, such as \"http://127.0.0.1:4318\""),
            ),
            (
                "http://c/v1/traces",
                Err("should not end with v1/traces: hookhost appends it"),
            ),
            (
                "http://me:hidden@c",
                Err("should have no user and password: use `headers`"),
            ),
            ("http://c?key=hidden", Err("should have no query and no fragment")),
        ] {
            let expected = expected.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(traces_url(text).map(String::from), expected, "{text}");
        }
    }
}
