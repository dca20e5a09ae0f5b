//! `{function = republish}` among the actions of a rule: the message that it publishes, as an `mqtt:` URL and a body.
//!
//! Texts keep their placeholders; the rest of a text is percent-encoded. As in EMQX 5, QoS, retain flag, payload and user
//! properties are those of the columns `qos`, `retain`, `payload` and `user_properties` unless `args` says otherwise, and
//! an empty payload stands for all columns.
//!
//! For the text `${pub_props.'User-Property'}`, EMQX 5 takes the user properties of the event whatever the rule selects. It
//! ignores other texts that are not one placeholder.

use hookhost_settings::{Place, Report, Section, Setting};

use super::super::canonical::Rule;
use super::super::checks::text;

/// The properties that a message can have, and the parameters of the URL for them.
const PROPERTIES: [(&str, &str); 5] = [
    ("Payload-Format-Indicator", "payload_format_indicator"),
    ("Message-Expiry-Interval", "message_expiry_interval"),
    ("Content-Type", "content_type"),
    ("Response-Topic", "response_topic"),
    ("Correlation-Data", "correlation_data"),
];

/// The user properties of the event, in `args`.
const ORIGINAL_PROPERTIES: &str = "${pub_props.'User-Property'}";
/// The column that stands for [`ORIGINAL_PROPERTIES`].
const ORIGINAL_COLUMN: &str = "original_user_properties";

/// The part of a rule that the action gives. `None` if it has a mistake, which is reported.
pub(super) fn rule(report: &Report, id: &str, place: &Place, action: &Setting) -> Option<Rule> {
    let own = report.item();
    let rule = Section::of(&own, action.clone()).and_then(|mut fields| {
        fields.take("function");
        let args = fields.section("args");
        read(id, place, args)
    });
    report.add_item(own).then_some(rule).flatten()
}

fn read(id: &str, place: &Place, mut args: Section<'_>) -> Option<Rule> {
    let report = args.report();
    let mut given = |key: &str| {
        args.take(key)
            .and_then(|setting| text(report, setting))
            .map(|(_, text)| text)
    };
    let (topic, qos, retain) = (given("topic"), given("qos"), given("retain"));
    let (payload, user_properties) = (given("payload"), given("user_properties"));
    let properties = args
        .section_if_given("mqtt_properties")
        .map(properties)
        .unwrap_or_default();
    args.ignore(&[("direct_dispatch", "a message always goes through the broker")]);
    let Some(topic) = topic.filter(|topic| !topic.is_empty()) else {
        report.problem(args.place(), "needs a topic");
        return None;
    };
    let user_properties = match user_properties {
        Some(text) if text == ORIGINAL_PROPERTIES => Some(format!("${{{ORIGINAL_COLUMN}}}")),
        Some(text) if !is_column(&text) => {
            let ignored =
                "user_properties is ignored, as in EMQX 5: it should be one placeholder, such as ${user_properties}";
            report.warning(args.place(), ignored);
            Some(String::new())
        }
        other => other,
    };
    let parameters = [
        ("qos", qos.unwrap_or_else(|| "${qos}".to_owned())),
        ("retain", retain.unwrap_or_else(|| "${retain}".to_owned())),
        (
            "user_properties",
            user_properties.unwrap_or_else(|| "${user_properties}".to_owned()),
        ),
    ];
    let parameters: Vec<String> = parameters
        .iter()
        .chain(&properties)
        .map(|(name, value)| format!("{name}={}", encoded(value)))
        .collect();
    let mut rule = Rule::new(place.clone(), "");
    rule.action = Some(id.to_owned());
    rule.urls = vec![format!("mqtt:{}?{}", encoded(&topic), parameters.join("&"))];
    rule.body = Some(payload.unwrap_or_else(|| "${payload}".to_owned())).filter(|payload| !payload.is_empty());
    Some(rule)
}

/// What the rule selects, if the message has the user properties of the event: these, too. A rule that publishes all columns,
/// or one message for each item of a list, cannot have another column.
pub(super) fn with_original_properties(rule: &Rule, select: String) -> Result<String, &'static str> {
    let column = format!("${{{ORIGINAL_COLUMN}}}");
    if !rule.urls.iter().any(|url| url.contains(&column)) {
        return Ok(select);
    }
    let publishes_all = rule.body.as_deref().is_none_or(|body| body.contains("${.}"));
    let is_loop = select
        .trim_start()
        .get(..7)
        .is_some_and(|word| word.eq_ignore_ascii_case("foreach"));
    match publishes_all || is_loop {
        // A comment may end the text.
        false => Ok(format!("{select}\n, pub_props.'User-Property' as {ORIGINAL_COLUMN}")),
        true => Err(
            "user_properties of the event are not supported with FOREACH and with a payload of all columns: select \
             `pub_props.'User-Property' as user_properties`, and leave user_properties out",
        ),
    }
}

/// `mqtt_properties` as parameters of the URL.
fn properties(mut given: Section<'_>) -> Vec<(&'static str, String)> {
    let report = given.report();
    let known = PROPERTIES.iter().filter_map(|(name, parameter)| {
        let (_, value) = text(report, given.take(name)?)?;
        Some((*parameter, value))
    });
    known.collect()
}

/// Whether the text is empty or one placeholder of EMQX.
fn is_column(text: &str) -> bool {
    let name = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    let is_name = |name: &str| {
        name.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._".contains(&byte))
    };
    text.is_empty() || name.is_some_and(is_name)
}

/// A text with its placeholders, percent-encoded outside of them.
fn encoded(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        push_encoded(&mut out, before);
        let Some((name, after)) = after.split_once('}') else {
            // Not a placeholder.
            push_encoded(&mut out, "${");
            rest = after;
            continue;
        };
        out.push_str(&format!("${{{name}}}"));
        rest = after;
    }
    push_encoded(&mut out, rest);
    out
}

fn push_encoded(out: &mut String, text: &str) {
    for byte in text.bytes() {
        let is_first = out.is_empty();
        match byte {
            byte if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => out.push(char::from(byte)),
            // A URL whose path begins with a slash has other rules.
            b'/' if !is_first => out.push('/'),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_encoded_outside_of_placeholders() {
        for (text, expected) in [
            ("a/${clientid}/b c", "a/${clientid}/b%20c"),
            ("/a?#", "%2Fa%3F%23"),
            ("${topic}", "${topic}"),
            ("a${", "a%24%7B"),
            ("é", "%C3%A9"),
            ("", ""),
        ] {
            assert_eq!(encoded(text), expected, "{text}");
        }
    }
}
