//! The settings of tokens and of web services.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hookhost_delivery::{Certificates, Tls, check_tls};
use hookhost_settings::{Files, Section, Setting, Value, url};

use super::AuthenticationSource;
use super::read::file;
use crate::jwt::{Rights, TokenField, TokenRules};
use crate::keys::{Keys, PublishedKeys, public_key, secret_key};
use crate::service::{AnswerStyle, RequestMethod, RequestTemplate, Service, ServiceState};
use crate::template::Template;

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// `source = "jwt"`
pub(super) fn jwt(
    at: &mut Section<'_>,
    read_files: &mut Vec<PathBuf>,
    files: &Files<'_>,
) -> Option<AuthenticationSource> {
    let fields = [("password", TokenField::Password), ("username", TokenField::Username)];
    let rights = [("emqx5", Rights::Emqx5), ("rmqtt", Rights::Rmqtt)];
    let rules = TokenRules {
        from: at.choice("from", TokenField::Password, &fields),
        claims: claims(at),
        acl_claim: at.text("acl_claim", "acl".to_owned(), |text| Ok(text.to_owned())),
        rights: at.choice("rights", Rights::Emqx5, &rights),
        disconnects_after_expiry: at.boolean("disconnect_after_expiry", true),
    };
    let is_base64 = at.boolean("secret_base64", false);
    let secret = |text: &str| match is_base64 {
        true => STANDARD
            .decode(text.trim())
            .map_err(|_| "is not valid base64".to_owned()),
        false => Ok(text.as_bytes().to_vec()),
    };
    let ways = ["secret", "secret_file", "public_key", "jwks_url"];
    if ways.iter().filter(|way| at.is_given(way)).count() != 1 {
        let text = "needs one of secret, secret_file, public_key and jwks_url: the key of the tokens";
        at.problem(at.place().problem(text));
    }
    let given = at
        .optional("secret", |setting| setting.parse(secret))
        .map(|(_, secret)| secret);
    let place = at.given("secret_file").map(|setting| setting.place.clone());
    let of_file = file(at, "secret_file", read_files, files);
    let of_file = of_file.and_then(|text| match secret(text.trim_end_matches(['\n', '\r'])) {
        Ok(secret) => Some(secret),
        Err(problem) => {
            place.iter().for_each(|place| at.problem(place.problem(&problem)));
            None
        }
    });
    if let Some(secret) = given.or(of_file) {
        return Some(AuthenticationSource::Jwt(
            Keys::Fixed([secret_key(&secret)].into()),
            rules,
        ));
    }
    let place = at.given("public_key").map(|setting| setting.place.clone());
    // The configuration may contain the key itself.
    let is_text = at
        .given("public_key")
        .and_then(Setting::as_text)
        .is_some_and(|text| text.contains("-----BEGIN"));
    let pem = if is_text {
        at.text("public_key", None, |text| Ok(Some(text.to_owned())))
    } else {
        file(at, "public_key", read_files, files)
    };
    let jwks = at.text("jwks_url", None, |text| url::check(text).map(|_| Some(text.to_owned())));
    let refresh = at.duration("jwks_refresh", 5 * MINUTE, 10 * SECOND..=DAY);
    let tls = tls(at, files);
    if let Some(pem) = pem {
        return match public_key(pem.as_bytes()) {
            Ok(key) => Some(AuthenticationSource::Jwt(Keys::Fixed([key].into()), rules)),
            Err(problem) => {
                place.iter().for_each(|place| at.problem(place.problem(problem)));
                None
            }
        };
    }
    let keys = Keys::Published(PublishedKeys::new(jwks?, refresh, tls));
    Some(AuthenticationSource::Jwt(keys, rules))
}

/// A table of claims. Each has one expected text, or a list of them.
fn claims(at: &mut Section<'_>) -> Vec<(String, Vec<Template>)> {
    let Some(setting) = at.whole_table("claims").cloned() else {
        return Vec::new();
    };
    at.take("claims");
    let report = at.report();
    let Value::Table(table) = setting.value else {
        report.add_problem(setting.mismatch("a table of strings, or of lists of strings"));
        return Vec::new();
    };
    let expected = |(name, setting): (String, Setting)| {
        if matches!(&setting.value, Value::List(list) if list.is_empty()) {
            report.add_problem(
                setting
                    .place
                    .problem("needs at least one value, because no token would be accepted"),
            );
        }
        let list = match setting.value {
            Value::List(list) => list,
            value => vec![Setting::new(setting.place, value)],
        };
        let template = |setting: Setting| {
            let text = report.check(setting.written())?;
            report.check(text.parse().map_err(|problem: String| setting.place.problem(problem)))
        };
        (name, list.into_iter().filter_map(template).collect())
    };
    table.into_iter().map(expected).collect()
}

/// `source = "http"`, or `[access.http]` (`is_access`).
pub(super) fn service(mut at: Section<'_>, files: &Files<'_>, is_access: bool) -> Option<Service> {
    let template = |text: &str| text.parse::<Template>();
    let target = at.text("url", None, |text| {
        url::check(text)?;
        template(text).map(Some)
    });
    if target.is_none() && !at.is_given("url") {
        at.problem(at.place().problem("needs url = \"http://…\""));
    }
    let methods = [
        ("post", RequestMethod::Post),
        ("get", RequestMethod::Get),
        ("put", RequestMethod::Put),
    ];
    let method = at.choice("method", RequestMethod::Post, &methods);
    let is_form = at.choice("encoding", false, &[("json", false), ("form", true)]);
    let answers = [
        ("json", AnswerStyle::Json),
        ("status", AnswerStyle::Status),
        ("body", AnswerStyle::Body),
    ];
    let answers = at.choice("answers", AnswerStyle::Json, &answers);
    let (refuses, default_cache) = match is_access {
        true => ("deny", MINUTE),
        false => ("refuse", Duration::ZERO),
    };
    let headers = texts(&mut at, "headers");
    for (name, value) in &headers {
        if let Err(problem) = hookhost_delivery::check_header(name, value) {
            at.problem_of("headers", &problem.to_string());
        }
    }
    let mut parameters = templates(&mut at, "parameters");
    if parameters.is_empty() && !at.is_given("parameters") {
        parameters = default_parameters(is_access);
    }
    Some(Service {
        answers,
        timeout: at.duration("timeout", 5 * SECOND, MILLISECOND..=MINUTE),
        connect_timeout: at.duration("connect_timeout", 5 * SECOND, MILLISECOND..=MINUTE),
        tls: tls(&mut at, files),
        continues_after_error: at.choice("on_error", false, &[(refuses, false), ("next", true)]),
        cache: at.duration("cache", default_cache, Duration::ZERO..=DAY),
        state: ServiceState::default(),
        request: RequestTemplate {
            method,
            url: target?,
            headers,
            parameters,
            is_form,
        },
    })
}

/// What is sent if the settings do not say it.
fn default_parameters(is_access: bool) -> Vec<(String, Template)> {
    let names: &[&str] = match is_access {
        true => &["clientid", "username", "peerhost", "action", "topic", "qos", "retain"],
        false => &["clientid", "username", "password", "peerhost"],
    };
    let template = |name: &&str| Some(((*name).to_owned(), format!("${{{name}}}").parse().ok()?));
    names.iter().filter_map(template).collect()
}

/// `tls = { ca = "FILE", verify = true }`
fn tls(at: &mut Section<'_>, files: &Files<'_>) -> Tls {
    let mut at = at.section("tls");
    let ca = at.optional("ca", |setting| {
        setting.parse(|path| {
            let pem = files(path.as_ref()).map_err(|error| format!("cannot read {path}: {error}"))?;
            Certificates::parse(&pem).map_err(|error| format!("{path} {error}"))
        })
    });
    let tls = Tls {
        verify: at.boolean("verify", true),
        ca: ca.as_ref().map(|(_, ca)| ca.clone()),
        ..Tls::default()
    };
    // Without authorities of its own, a check would load those of the platform.
    if let Some((place, _)) = ca
        && let Err(problem) = check_tls(&tls)
    {
        at.problem(place.problem(problem));
    }
    tls
}

/// A table of strings.
fn texts(at: &mut Section<'_>, key: &str) -> Vec<(String, String)> {
    let Some(setting) = at.whole_table(key).cloned() else {
        return Vec::new();
    };
    at.take(key);
    let report = at.report();
    let Value::Table(table) = setting.value else {
        report.add_problem(setting.mismatch("a table of strings"));
        return Vec::new();
    };
    let text = |(name, setting): (String, Setting)| Some((name, report.check(setting.written())?));
    table.into_iter().filter_map(text).collect()
}

/// A table of strings with placeholders.
fn templates(at: &mut Section<'_>, key: &str) -> Vec<(String, Template)> {
    let place = at.place().below(key);
    let report = at.report();
    let template = |(name, text): (String, String)| {
        let template = text
            .parse()
            .map_err(|problem: String| place.below(&name).problem(problem));
        Some((name, report.check(template)?))
    };
    texts(at, key).into_iter().filter_map(template).collect()
}
