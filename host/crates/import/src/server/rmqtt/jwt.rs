//! `rmqtt-auth-jwt.toml`, as `source = "jwt"`.
//!
//! hookhost always checks `exp` and `nbf`; RMQTT only if `validate_claims` says so.

use hookhost_settings::{Place, Section, Setting, Table, Value};

use super::super::{Part, put, source, text};
use super::{deny_action, priority};

/// Reads the file. Returns what happens after a denied publish.
pub(super) fn read(file: Setting, part: &mut Part) -> Option<(Place, bool)> {
    let place = file.place.clone();
    let (action, source) = part.item(file, |fields| {
        let action = deny_action(fields);
        priority(fields, 50);
        Some((action, tokens(fields)))
    })?;
    part.push("authentication", &place, source);
    Some(action)
}

fn tokens(fields: &mut Section<'_>) -> Table {
    let place = fields.place().clone();
    let mut source = source("jwt", &place);
    // RMQTT knows neither `is_superuser` nor an object with rules.
    put(&mut source, "rights", &place, Value::Text("rmqtt".to_owned()));
    if let Some((place, from)) = text(fields, "from") {
        put(&mut source, "from", &place, Value::Text(from));
    }
    let encryption = text(fields, "encrypt");
    let secret = fields.take("hmac_secret");
    let is_base64 = fields.boolean("hmac_base64", false);
    let public_key = text(fields, "public_key");
    match encryption.as_ref().map(|(_, name)| name.as_str()) {
        None | Some("hmac-based") => match secret {
            Some(setting) if setting.as_text().is_some_and(|secret| !secret.is_empty()) => {
                put(&mut source, "secret", &setting.place, setting.value);
                put(&mut source, "secret_base64", &place, Value::Boolean(is_base64));
            }
            _ => fields.problem(place.problem("needs hmac_secret: the key of the tokens")),
        },
        Some("public-key") => match public_key {
            Some((place, path)) => put(&mut source, "public_key", &place, Value::Text(path)),
            None => fields.problem(place.problem("needs public_key: the key of the tokens")),
        },
        Some(_) => {
            let place = encryption.map_or(place, |(place, _)| place);
            fields.problem(place.problem("should be hmac-based or public-key"));
        }
    }
    let disconnects = fields.boolean("disconnect_if_expiry", false);
    put(
        &mut source,
        "disconnect_after_expiry",
        fields.place(),
        Value::Boolean(disconnects),
    );
    if let Some(claims) = fields.section_if_given("validate_claims") {
        let place = claims.place().clone();
        let claims = expected(claims);
        if !claims.is_empty() {
            put(&mut source, "claims", &place, Value::Table(claims));
        }
    }
    source
}

/// The expected claims: a text, or a list of texts.
fn expected(mut claims: Section<'_>) -> Table {
    let report = claims.report();
    for time in ["exp", "nbf"] {
        claims.boolean(time, true);
    }
    let mut expected = Table::new();
    for (name, setting) in claims.rest() {
        let list = match setting.value {
            Value::List(list) => list,
            value => vec![Setting::new(setting.place.clone(), value)],
        };
        // RMQTT does not check such a claim.
        if list.is_empty() {
            continue;
        }
        // RMQTT compares the subject with its first text only.
        let count = if name == "sub" { 1 } else { usize::MAX };
        let template = |setting: Setting| {
            let text = match &setting.value {
                Value::Text(text) => Ok(text.replace("${ipaddr}", "${peerhost}")),
                _ => Err(setting.mismatch("a text, or a list of texts")),
            };
            report.check(text)
        };
        let texts: Vec<String> = list.into_iter().take(count).filter_map(template).collect();
        let list = Value::texts(&setting.place, texts);
        expected.insert(name, Setting::new(setting.place, list));
    }
    expected
}
