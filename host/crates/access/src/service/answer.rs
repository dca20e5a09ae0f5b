//! What the answers of a web service mean. Pure.
//!
//! | `answers` | allowed | denied | the next source decides |
//! | --- | --- | --- | --- |
//! | `json`, as in EMQX 5 | 204; 200 with `{"result": "allow"}` | 200 with `{"result": "deny"}` | everything else |
//! | `status`, as in EMQX 4 and NanoMQ | 200 | every other status | 200 with the body `ignore` |
//! | `body`, as in RMQTT | 2xx with `allow` or another text | 2xx with `deny` | 2xx with `ignore`; every other status |
//!
//! With `body`, an answer in JSON is one of these three texts, or an object with one of them in `result`; any other JSON is
//! a failure.

use serde_json::{Map, Value};

use crate::acl_claim;

/// What the answers of a service mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AnswerStyle {
    /// A JSON object with a result.
    Json,
    /// The status.
    Status,
    /// The text of a successful answer.
    Body,
}

/// What a service answers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ServiceAnswer {
    /// Yes, with the JSON object of the answer; empty without one.
    Allow(Map<String, Value>),
    /// No.
    Deny,
    /// The next source decides.
    Ignore,
    /// The service has failed.
    Failed,
}

/// What an answer means; `is_json` says whether its content type is JSON.
pub(super) fn meaning(style: AnswerStyle, status: u16, is_json: bool, body: &[u8]) -> ServiceAnswer {
    match (style, status) {
        (AnswerStyle::Status, 200) if body.trim_ascii() == b"ignore" => ServiceAnswer::Ignore,
        (AnswerStyle::Status, 200) => ServiceAnswer::Allow(Map::new()),
        (AnswerStyle::Status, _) => ServiceAnswer::Deny,
        (AnswerStyle::Json, 204) => ServiceAnswer::Allow(Map::new()),
        (AnswerStyle::Json, 200) => match serde_json::from_slice::<Map<String, Value>>(body) {
            Ok(answer) => match answer.get("result").and_then(Value::as_str) {
                Some("allow") => ServiceAnswer::Allow(answer),
                Some("deny") => ServiceAnswer::Deny,
                _ => ServiceAnswer::Ignore,
            },
            Err(_) => ServiceAnswer::Ignore,
        },
        (AnswerStyle::Json, _) => ServiceAnswer::Ignore,
        (AnswerStyle::Body, 200..300) if is_json => match serde_json::from_slice(body) {
            Ok(Value::Object(answer)) => json_result(&answer),
            Ok(Value::String(result)) => result_of(&result, &Map::new()),
            _ => ServiceAnswer::Failed,
        },
        (AnswerStyle::Body, 200..300) => match body.trim_ascii() {
            b"deny" => ServiceAnswer::Deny,
            b"ignore" => ServiceAnswer::Ignore,
            _ => ServiceAnswer::Allow(Map::new()),
        },
        (AnswerStyle::Body, _) => ServiceAnswer::Ignore,
    }
}

/// An object that RMQTT understands, under the names that EMQX 5 has. RMQTT reads access rules only from a list, and ignores
/// an invalid list. Such a list denies here, because it may contain a rule that denies.
fn json_result(answer: &Map<String, Value>) -> ServiceAnswer {
    if answer
        .get("acl")
        .is_some_and(|acl| acl_claim::read_of_rmqtt(acl).is_err())
    {
        return ServiceAnswer::Deny;
    }
    let keys = [
        ("superuser", "is_superuser"),
        ("expire_at", "expire_at"),
        ("acl", "acl"),
    ];
    let value = |(theirs, ours): (&str, &str)| {
        let value = answer.get(theirs)?;
        (theirs != "acl" || value.is_array()).then(|| (ours.to_owned(), value.clone()))
    };
    let granted = keys.into_iter().filter_map(value).collect();
    let result = answer.get("result").and_then(Value::as_str);
    result.map_or(ServiceAnswer::Failed, |result| result_of(result, &granted))
}

fn result_of(result: &str, granted: &Map<String, Value>) -> ServiceAnswer {
    match result {
        "allow" => ServiceAnswer::Allow(granted.clone()),
        "deny" => ServiceAnswer::Deny,
        "ignore" => ServiceAnswer::Ignore,
        _ => ServiceAnswer::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        use AnswerStyle::{Body, Json, Status};
        const JSON: bool = true;
        const TEXT: bool = false;
        let allow = |text: &str| ServiceAnswer::Allow(serde_json::from_str(text).unwrap());
        for (style, status, is_json, body, expected) in [
            (Json, 204, TEXT, "", allow("{}")),
            (
                Json,
                200,
                JSON,
                "{\"result\":\"allow\",\"is_superuser\":true}",
                allow("{\"result\":\"allow\",\"is_superuser\":true}"),
            ),
            (Json, 200, TEXT, "{\"result\":\"deny\"}", ServiceAnswer::Deny),
            (Json, 200, TEXT, "{\"result\":\"ignore\"}", ServiceAnswer::Ignore),
            (Json, 200, TEXT, "{\"result\":true}", ServiceAnswer::Ignore),
            (Json, 200, TEXT, "allow", ServiceAnswer::Ignore),
            (Json, 200, TEXT, "", ServiceAnswer::Ignore),
            (Json, 403, TEXT, "{\"result\":\"allow\"}", ServiceAnswer::Ignore),
            (Json, 302, TEXT, "", ServiceAnswer::Ignore),
            (Status, 200, TEXT, "", allow("{}")),
            (Status, 200, TEXT, "deny", allow("{}")),
            (Status, 200, TEXT, " ignore\n", ServiceAnswer::Ignore),
            (Status, 204, TEXT, "", ServiceAnswer::Deny),
            (Status, 401, TEXT, "ignore", ServiceAnswer::Deny),
            (Body, 200, TEXT, "allow", allow("{}")),
            (Body, 201, TEXT, "", allow("{}")),
            (Body, 200, TEXT, "welcome", allow("{}")),
            (Body, 200, TEXT, "deny\n", ServiceAnswer::Deny),
            (Body, 200, TEXT, "ignore", ServiceAnswer::Ignore),
            (Body, 200, JSON, "\"deny\"", ServiceAnswer::Deny),
            (Body, 200, JSON, "{\"result\":\"deny\"}", ServiceAnswer::Deny),
            (Body, 200, JSON, "{\"result\":\"ignore\"}", ServiceAnswer::Ignore),
            (
                Body,
                200,
                JSON,
                "{\"result\":\"allow\",\"superuser\":true,\"is_superuser\":false,\"acl\":{\"pub\":[\"a\"]}}",
                allow("{\"is_superuser\":true}"),
            ),
            (
                Body,
                200,
                JSON,
                "{\"result\":\"allow\",\"expire_at\":1,\"acl\":[]}",
                allow("{\"expire_at\":1,\"acl\":[]}"),
            ),
            (
                Body,
                200,
                JSON,
                "{\"result\":\"allow\",\"acl\":[{\"permission\":\"allow\",\"action\":\"pub\",\"topic\":\"#\"}]}",
                ServiceAnswer::Deny,
            ),
            (Body, 200, JSON, "{\"result\":\"yes\"}", ServiceAnswer::Failed),
            (Body, 200, JSON, "{\"allow\":true}", ServiceAnswer::Failed),
            (Body, 200, JSON, "\"yes\"", ServiceAnswer::Failed),
            (Body, 200, JSON, "true", ServiceAnswer::Failed),
            (Body, 200, JSON, "", ServiceAnswer::Failed),
            (Body, 302, TEXT, "deny", ServiceAnswer::Ignore),
            (Body, 403, TEXT, "deny", ServiceAnswer::Ignore),
            (Body, 500, JSON, "{\"result\":\"allow\"}", ServiceAnswer::Ignore),
        ] {
            assert_eq!(
                meaning(style, status, is_json, body.as_bytes()),
                expected,
                "{style:?} {status} {body}"
            );
        }
    }
}
