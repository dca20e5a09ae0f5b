//! Web services that decide for EMQX and NanoMQ, as `source = "http"` and `[access.http]`.

use hookhost_settings::{Section, Setting, Table, Value, url};

use super::authentication::timeout;
use super::{put, text};
use crate::Sources;
use crate::checks::{self, switch};
use crate::emqx5::tls as emqx5_tls;

/// What a service decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ServiceUse {
    /// Whether a client may connect.
    Authentication,
    /// Whether it may publish or subscribe.
    Authorization,
}

/// Takes a switch. Reports a value that is neither on nor off.
pub(super) fn is_on(fields: &mut Section<'_>, key: &str) -> Option<bool> {
    let setting = fields.take(key)?;
    fields.report().check(switch(&setting))
}

/// Takes `enable`. The default is true.
pub(super) fn is_enabled(fields: &mut Section<'_>) -> bool {
    is_on(fields, "enable") != Some(false)
}

/// The request of EMQX 5: `url`, `method`, `headers`, `body` and times. The service answers with a JSON object. If it fails,
/// the next source decides, as in EMQX.
pub(super) fn emqx5(fields: &mut Section<'_>, sources: &Sources<'_>, service_use: ServiceUse) -> Option<Table> {
    let report = fields.report();
    let place = fields.place().clone();
    let mut service = request(fields, "body", |text| Ok(text.to_owned()))?;
    put(&mut service, "answers", &place, Value::Text("json".to_owned()));
    put(&mut service, "on_error", &place, Value::Text("next".to_owned()));
    for (theirs, ours) in [("request_timeout", "timeout"), ("connect_timeout", "connect_timeout")] {
        if let Some(setting) = fields.take(theirs)
            && let Some(time) = report.check(timeout(&setting))
        {
            put(&mut service, ours, &setting.place, Value::Text(time));
        }
    }
    if let Some(ssl) = fields.section_if_given("ssl") {
        let place = ssl.place().clone();
        let is_https = matches!(service.get("url"), Some(setting) if setting.as_text().is_some_and(|url| url.starts_with("https:")));
        let tls = tls(ssl, if is_https { "https:" } else { "http:" }, sources);
        if !tls.is_empty() {
            put(&mut service, "tls", &place, Value::Table(tls));
        }
    }
    // Connections are made as they are needed, and a request is not sent again.
    let mut keys = vec![
        "pool_size",
        "enable_pipelining",
        "max_inactive",
        "max_retries",
        "retry_interval",
        "request",
    ];
    if service_use == ServiceUse::Authorization {
        keys.extend(["type", "created_at", "last_modified_at", "description"]);
    }
    for key in keys {
        fields.take(key);
    }
    Some(service)
}

/// URL, method, headers and parameters. `parameters` is the name of their table; `template` translates placeholders in
/// their values. EMQX 4 and NanoMQ have no placeholders in URLs.
pub(super) fn request(
    fields: &mut Section<'_>,
    parameters: &str,
    template: impl Fn(&str) -> Result<String, String>,
) -> Option<Table> {
    let report = fields.report();
    let mut service = Table::new();
    let place = fields.place().clone();
    let Some(url) = fields.take("url") else {
        fields.problem(place.problem("needs a url"));
        return None;
    };
    let address = report.check(url.parse(|text| {
        url::check(text.trim())?;
        Ok(text.trim().to_owned())
    }))?;
    service.insert("url".to_owned(), Setting::new(url.place, Value::Text(address)));
    if let Some((place, method)) = text(fields, "method") {
        service.insert(
            "method".to_owned(),
            Setting::new(place, Value::Text(method.to_ascii_lowercase())),
        );
    }
    let mut content_type = text(fields, "content_type");
    if let Some(headers) = fields.section_if_given("headers") {
        let mut headers = headers;
        let headers_place = headers.place().clone();
        let mut others = Vec::new();
        for (name, setting) in headers.rest() {
            let value = report.check(setting.written())?;
            match checks::header(report, &setting.place, &name.replace('_', "-"), &value) {
                Some((name, value)) if name == "content-type" => content_type = Some((setting.place, value)),
                Some((name, _)) if name == "keep-alive" => {
                    report.ignored(&setting.place, "the host sets this header itself");
                }
                header => others.extend(header),
            }
        }
        if !others.is_empty() {
            let others = Value::text_table(&headers_place, others);
            service.insert("headers".to_owned(), Setting::new(headers_place, others));
        }
    }
    if let Some((place, content_type)) = content_type {
        let encoding = match content_type.to_ascii_lowercase() {
            kind if kind.contains("x-www-form-urlencoded") => "form",
            kind if kind.contains("json") => "json",
            _ => {
                let text = "is not supported: hookhost sends application/json or application/x-www-form-urlencoded";
                report.problem(&place, text);
                return None;
            }
        };
        let encoding = Setting::new(place, Value::Text(encoding.to_owned()));
        service.insert("encoding".to_owned(), encoding);
    }
    let given = fields.take(parameters);
    let place = given.as_ref().map_or(place, |setting| setting.place.clone());
    let pairs: Vec<(String, Setting)> = match given.map(|setting| setting.value) {
        None => Vec::new(),
        Some(Value::Table(table)) => table.into_iter().collect(),
        // The lines of EMQX 4: `clientid=%c,username=%u`.
        Some(Value::Untyped(text) | Value::Text(text)) if parameters == "params" => {
            let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
            let setting = |value: &str| Setting::new(place.clone(), Value::Untyped(value.trim().to_owned()));
            pairs
                .map(|(name, value)| (name.trim().to_owned(), setting(value)))
                .collect()
        }
        Some(_) => {
            fields.problem(place.problem("should be a table of names and strings"));
            return None;
        }
    };
    let mut table = Table::new();
    for (name, setting) in pairs {
        let text = report.check(
            setting
                .written()
                .and_then(|text| template(&text).map_err(|problem| setting.place.problem(problem))),
        )?;
        table.insert(name, Setting::new(setting.place, Value::Text(text)));
    }
    // Without parameters the broker sends none, and hookhost would send its own.
    service.insert("parameters".to_owned(), Setting::new(place, Value::Table(table)));
    Some(service)
}

/// `ssl` of a web service at this URL: its authorities, and whether its certificate is verified.
pub(super) fn tls(ssl: Section<'_>, url: &str, sources: &Sources<'_>) -> Table {
    let report = ssl.report();
    let read = emqx5_tls::read(ssl, url.starts_with("https:"), &|name| variable(name, sources));
    let mut tls = Table::new();
    if let Some((place, ca)) = read.ca {
        let ca = resolved_path(&ca, sources);
        tls.insert("ca".to_owned(), Setting::new(place, Value::Text(ca)));
    }
    if let Some((place, verify)) = read.verify {
        tls.insert("verify".to_owned(), Setting::new(place, Value::Boolean(verify)));
    }
    for (place, _) in read.certificate.into_iter().chain(read.server_name) {
        report.problem(&place, "is not supported for a web service that decides about clients");
    }
    tls
}

/// A variable of the environment. Without a value, `EMQX_ETC_DIR` is the folder of the configuration file, or of the file of
/// variables.
fn variable(name: &str, sources: &Sources<'_>) -> Option<String> {
    let folder = || {
        let file = sources.file.map(|(path, _)| path).or(sources.variables_in)?;
        let folder = file.parent()?.to_str()?;
        Some(if folder.is_empty() { "." } else { folder }.to_owned())
    };
    let value = sources.environment(name);
    value.or_else(|| folder().filter(|_| name == "EMQX_ETC_DIR"))
}

/// The path of a file that the configuration names, such as `${EMQX_ETC_DIR}/acl.conf`. EMQX finds `etc/acl.conf` in its
/// home folder; the configuration file is usually in this folder `etc`, so the file may be beside it.
pub(super) fn resolved_path(path: &str, sources: &Sources<'_>) -> String {
    let path = emqx5_tls::expanded(path.trim(), &|name| variable(name, sources));
    let beside = || {
        let folder = sources.file?.0.parent()?;
        let file = folder.join(path.strip_prefix("etc/")?);
        let is_only_there = (sources.files)(path.as_ref()).is_err() && (sources.files)(&file).is_ok();
        is_only_there.then(|| file.display().to_string())
    };
    let beside = beside();
    beside.unwrap_or(path)
}

/// The placeholders of EMQX 4 and NanoMQ, such as `%c`, as those of hookhost. What has no value here is a problem.
pub(super) fn percent_placeholders(text: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let known = match (c, chars.peek()) {
            ('%', Some('c')) => "${clientid}",
            ('%', Some('u')) => "${username}",
            ('%', Some('P')) => "${password}",
            ('%', Some('a')) => "${peerhost}",
            ('%', Some('t')) => "${topic}",
            ('%', Some('A')) => "${access}",
            ('%', Some('r')) => "mqtt",
            // hookhost has no mount points.
            ('%', Some('m')) => "",
            ('%', Some(other @ ('p' | 'C' | 'd'))) => {
                return Err(format!("has the placeholder %{other}, which hookhost does not have"));
            }
            _ => {
                out.push(c);
                continue;
            }
        };
        out.push_str(known);
        chars.next();
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_of_emqx_4() {
        for (text, expected) in [
            ("", Ok("")),
            ("%c-%u", Ok("${clientid}-${username}")),
            ("%A%t%m%a%P%r", Ok("${access}${topic}${peerhost}${password}mqtt")),
            ("100%", Ok("100%")),
            ("%20x", Ok("%20x")),
            ("%C", Err("has the placeholder %C, which hookhost does not have")),
        ] {
            let expected = expected.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(percent_placeholders(text), expected, "{text}");
        }
    }
}
