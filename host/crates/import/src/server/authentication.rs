//! `authentication` of EMQX 5: a chain of authenticators, as `[[authentication]]`.
//!
//! EMQX asks a web service also about clients without credentials; hookhost refuses them.

use hookhost_settings::{Place, Section, Setting, Table, Value, format_duration};

use super::service::{self, ServiceUse, is_on};
use super::{MINUTE, Part, SECOND, put, source, text};
use crate::checks::switch;
use crate::{MILLISECOND, Sources};

/// The advice in an error about users in a database of the broker.
pub(super) const ADD_USERS: &str = "add [[authentication]] with source = \"password\" and a file to hookhost.toml, and \
    each user with `hookhost users add NAME --file FILE`";

pub(super) fn emqx5(tree: &mut Table, part: &mut Part, sources: &Sources<'_>) {
    let allow_anonymous = tree.remove("allow_anonymous");
    let is_checked = tree
        .remove("authentication")
        .is_some_and(|chain| authenticators(chain, part, sources));
    // EMQX 5 does not know this key, and its authenticators refuse clients without credentials.
    match allow_anonymous {
        Some(setting) if is_checked => part.warn(
            &setting.place,
            "is not used: EMQX 5 does not know this key, and refuses clients without credentials",
        ),
        Some(setting) => anonymous(part, &setting, "EMQX 5"),
        None => {}
    }
}

/// Reads the chain. Returns whether one of its elements is enabled or unreadable, so that EMQX checks clients.
fn authenticators(chain: Setting, part: &mut Part, sources: &Sources<'_>) -> bool {
    let place = chain.place.clone();
    // A single authenticator needs no list.
    let is_one = matches!(&chain.value, Value::Table(table) if table.contains_key("mechanism"));
    let list = if is_one { Ok(vec![chain]) } else { chain.into_list() };
    let list = match list {
        Ok(list) => list,
        Err(problem) => {
            part.lost.push(problem);
            return true;
        }
    };
    let mut is_checked = false;
    for setting in list {
        let place = setting.place.clone();
        let mut is_enabled = true;
        let source = part.item(setting, |fields| {
            is_enabled = service::is_enabled(fields);
            if !is_enabled {
                fields.rest();
                return None;
            }
            authenticator(fields, sources)
        });
        is_checked |= is_enabled;
        if let Some(source) = source {
            part.push("authentication", &place, source);
        }
    }
    if is_checked {
        part.set(&["mqtt", "allow_anonymous"], &place, Value::Boolean(false));
    }
    is_checked
}

/// `allow_anonymous`. If it is false, there must be a source of users.
pub(super) fn anonymous(part: &mut Part, setting: &Setting, broker: &str) {
    match switch(setting) {
        Ok(allow) => {
            part.set(&["mqtt", "allow_anonymous"], &setting.place, Value::Boolean(allow));
            if !allow && !part.settings.contains_key("authentication") {
                part.lose(
                    &setting.place,
                    format!(
                        "demands credentials, but this configuration does not name the users of {broker}: {ADD_USERS}"
                    ),
                );
            }
        }
        Err(problem) => part.lost.push(problem),
    }
}

fn authenticator(fields: &mut Section<'_>, sources: &Sources<'_>) -> Option<Table> {
    let place = fields.place().clone();
    let (mechanism, backend) = (text(fields, "mechanism"), text(fields, "backend"));
    let name = |given: &Option<(Place, String)>| given.as_ref().map_or("", |(_, name)| name.as_str()).to_owned();
    // EMQX writes them; they have no effect.
    for key in ["created_at", "last_modified_at", "description"] {
        fields.take(key);
    }
    match (name(&mechanism).as_str(), name(&backend).as_str()) {
        ("password_based", "http") => {
            let mut source = source("http", &place);
            source.extend(service::emqx5(fields, sources, ServiceUse::Authentication)?);
            Some(source)
        }
        ("jwt", _) => jwt(fields, sources),
        ("password_based" | "scram", "built_in_database") => {
            fields.rest();
            let text = format!("is not supported: the users are in EMQX's database, not in this file; {ADD_USERS}");
            fields.problem(backend.map_or(place, |(place, _)| place).problem(text));
            None
        }
        (mechanism, backend) => {
            let shown = if backend.is_empty() { mechanism } else { backend }.to_owned();
            fields.rest();
            let text =
                format!("is not supported: hookhost cannot check clients by `{shown}`; use an own [[authentication]]");
            fields.problem(place.problem(text));
            None
        }
    }
}

/// Tokens. `public_key` is a PEM text or the name of a file.
fn jwt(fields: &mut Section<'_>, sources: &Sources<'_>) -> Option<Table> {
    let place = fields.place().clone();
    let report = fields.report();
    let mut source = source("jwt", &place);
    if let Some((place, from)) = text(fields, "from") {
        put(&mut source, "from", &place, Value::Text(from));
    }
    let jwks = is_on(fields, "use_jwks") == Some(true);
    let algorithm = text(fields, "algorithm").map(|(_, name)| name);
    let secret = text(fields, "secret");
    let is_base64 = is_on(fields, "secret_base64_encoded");
    let public_key = text(fields, "public_key");
    let endpoint = text(fields, "endpoint");
    let refresh = fields.take("refresh_interval");
    let headers = fields.section_if_given("headers").map(|mut headers| headers.rest());
    let headers = headers.unwrap_or_default();
    let ssl = fields.section_if_given("ssl");
    if jwks {
        for (name, setting) in headers {
            // EMQX writes it by itself.
            if !name.eq_ignore_ascii_case("accept") {
                report.problem(
                    &setting.place,
                    "is not supported: hookhost asks for keys without headers",
                );
            }
        }
        if let Some((place, url)) = endpoint {
            let tls = ssl.map(|ssl| service::tls(ssl, &url, sources)).unwrap_or_default();
            put(&mut source, "jwks_url", &place, Value::Text(url));
            if !tls.is_empty() {
                put(&mut source, "tls", &place, Value::Table(tls));
            }
        }
        if let Some(setting) = refresh {
            // A number is in seconds.
            let seconds = setting.integer::<u32>(10..=86_400).map(|seconds| SECOND * seconds);
            let refresh = seconds.or_else(|_| setting.milliseconds(10 * SECOND..=86_400 * SECOND));
            if let Some(refresh) = report.check(refresh) {
                put(
                    &mut source,
                    "jwks_refresh",
                    &setting.place,
                    Value::Text(format_duration(refresh)),
                );
            }
        }
    } else if algorithm.as_deref() == Some("public-key") {
        if let Some((place, key)) = public_key {
            let key = match key.contains("-----BEGIN") {
                true => key,
                false => service::resolved_path(&key, sources),
            };
            put(&mut source, "public_key", &place, Value::Text(key));
        }
    } else if let Some((place, secret)) = secret {
        put(&mut source, "secret", &place, Value::Text(secret));
        if is_base64 == Some(true) {
            put(&mut source, "secret_base64", &place, Value::Boolean(true));
        }
    }
    if let Some(setting) = fields.take("verify_claims") {
        let claims_place = setting.place.clone();
        if let Some(claims) = claims(fields, setting) {
            put(
                &mut source,
                "claims",
                &claims_place,
                Value::text_table(&claims_place, claims),
            );
        }
    }
    if let Some((place, claim)) = text(fields, "acl_claim_name") {
        put(&mut source, "acl_claim", &place, Value::Text(claim));
    }
    if let Some(setting) = fields.take("disconnect_after_expire")
        && let Some(disconnects) = report.check(switch(&setting))
    {
        put(
            &mut source,
            "disconnect_after_expiry",
            &setting.place,
            Value::Boolean(disconnects),
        );
    }
    fields.take("pool_size");
    Some(source)
}

/// The expected claims, from a table. EMQX writes an empty list without claims; another list is a problem.
fn claims(fields: &Section<'_>, setting: Setting) -> Option<Vec<(String, String)>> {
    let report = fields.report();
    match setting.value {
        Value::Table(table) => {
            let claim = |(name, setting): (String, Setting)| Some((name, report.check(setting.written())?));
            Some(table.into_iter().filter_map(claim).collect())
        }
        Value::List(list) if list.is_empty() => None,
        _ => {
            fields.problem(
                setting
                    .place
                    .problem("should be a table of claims, such as { username = \"${username}\" }"),
            );
            None
        }
    }
}

/// The timeout of a web service. hookhost waits for at most one minute, also if the broker waits longer.
pub(super) fn timeout(setting: &Setting) -> Result<String, hookhost_settings::Problem> {
    let wait = setting.milliseconds(MILLISECOND..=60 * MINUTE)?;
    Ok(format_duration(wait.min(MINUTE)))
}
