//! Everything in the block but the rules: URL, headers, encoding, limits and TLS.

use hookhost_settings::{Report, Section, Value, format_duration};

use super::super::canonical::{Canonical, Destination, Tls};
use super::super::checks::{self, switch};
use super::super::emqx4::payload_encoding;
use super::super::{HOUR, MILLISECOND, Sources};

/// The destination that headers and TLS belong to.
const DESTINATION: &str = "webhook";

/// Takes the keys of the block.
pub(super) fn read(report: &Report, canonical: &mut Canonical, fields: &mut Section<'_>, sources: &Sources<'_>) {
    let missing = !fields.is_given("url");
    let (url, urls) = checks::only_url(report, canonical, fields.take("url"), sources);
    if missing && urls.is_empty() {
        report.problem(fields.place(), "url is missing: requests have no URL");
    }
    let place = url.map_or_else(|| fields.place().clone(), |(place, _)| place);
    let mut destination = Destination::new(place, DESTINATION);
    let secure = urls.iter().any(|url| url.to_ascii_lowercase().starts_with("https:"));
    destination.urls = urls;
    if let Some(mut headers) = fields.section_if_given("headers") {
        for (name, setting) in headers.rest() {
            let Some(text) = report.check(setting.written()) else {
                continue;
            };
            let header = checks::header(report, &setting.place, &name, &text);
            // The default. It is not set, because another format of bodies has another content type.
            let is_json = |(name, value): &(String, String)| name == "content-type" && value == "application/json";
            destination.headers.extend(header.filter(|header| !is_json(header)));
        }
    }
    if let Some(mut body) = fields.section_if_given("body")
        && let Some(setting) = body.take_either("encoding", "encoding_of_payload_field")
    {
        payload_encoding(report, canonical, &setting);
    }
    if let Some(setting) = fields.take("encode_payload") {
        payload_encoding(report, canonical, &setting);
    }
    if let Some(setting) = fields.take("pool_size")
        && let Some(count) = report.check(setting.integer(1..=65_535))
    {
        canonical.set("delivery.concurrency_limit", &setting.place, Value::Integer(count));
    }
    if let Some(setting) = fields.take("cancel_timeout")
        && let Some(duration) = report.check(setting.milliseconds(MILLISECOND..=HOUR))
    {
        for key in ["delivery.connect_timeout", "delivery.http_timeout"] {
            canonical.set(key, &setting.place, Value::Text(format_duration(duration)));
        }
    }
    for key in ["ssl", "tls"] {
        if let Some(tls) = fields.section_if_given(key) {
            destination.tls = transport(tls, secure);
        }
    }
    canonical.destinations.push(destination);
}

/// The TLS block. NanoMQ has the keys but no TLS; here they are used.
fn transport(mut fields: Section<'_>, secure: bool) -> Tls {
    let report = fields.report();
    let mut tls = Tls::default();
    let enabled = fields.take("enable").and_then(|setting| report.check(switch(&setting)));
    let mut file = |key| {
        let setting = fields.take(key)?;
        let text = report.check(setting.written())?;
        (!text.is_empty()).then_some((setting.place, text))
    };
    let files = [file("cacertfile"), file("certfile"), file("keyfile")];
    let verify = fields.take_either("verify_peer", "verify");
    let verify = verify.and_then(|setting| Some((setting.place.clone(), report.check(switch(&setting))?)));
    let name = fields.take("server_name_indication");
    fields.ignore(&[
        ("key_password", "a private key must not be encrypted here"),
        ("fail_if_no_peer_cert", "a server always has a certificate"),
        (
            "url",
            "the block is about the web service, whose URL is outside the block",
        ),
    ]);
    if enabled == Some(false) || !secure {
        if files.iter().any(Option::is_some) || enabled == Some(true) {
            report.warning(fields.place(), "is ignored: it is disabled, or the URL is not https");
        }
        return tls;
    }
    report.warning(
        fields.place(),
        "is used here; NanoMQ itself ignores it and sends without TLS",
    );
    [tls.ca, tls.certificate, tls.key] = files;
    tls.verify = verify;
    if let Some(setting) = name {
        let text = report.check(setting.written());
        tls.server_name = text
            .filter(|name| !matches!(name.as_str(), "" | "disable" | "false"))
            .map(|name| (setting.place, name));
    }
    tls
}
