//! The formats of request bodies.
//!
//! Brokers use one word for different events and do not report some events at all. A web service that worked behind one
//! of these brokers gets the same requests from hookhost. So a format decides both which events a rule is for and what
//! the body of a request is.
//!
//! Each format is one implementation of [`BodyFormat`] in a folder of its own. To add a format, write its folder and add
//! it to the list `formats!` below.

mod cloudevents;
mod content;
mod documented;
mod emqx;
mod emqx4;
mod emqx5;
mod nanomq;
mod rmqtt;
mod template;

pub use cloudevents::{CloudEvents, CloudEventsMode, EXTENSIONS, Encoded};
pub(crate) use content::{Content, MatchedEvent};
pub use emqx::EmqxVersion;
pub(crate) use emqx::code as emqx_code;
pub(crate) use emqx::{drop as emqx_drop_reason, end as emqx_end_reason};

use hookhost_guest::topic::TopicFilter;
use hookhost_guest::{Event, Hook, Problems};

use crate::encoding::Encoding;
use crate::event_fields::EventFields;
use crate::key::RuleKey;
use crate::parse::RuleTable;
use crate::shape::Shape;
use crate::template::{BodyTemplate, Template, TemplateError, UrlTemplate};

/// The list of all formats: name in Rust and implementation, in the order of error messages.
macro_rules! formats {
    ($($(#[$doc:meta])* $format:ident = $implementation:path,)*) => {
        /// The format of the bodies that a rule sends.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub enum Format {
            $($(#[$doc])* $format,)*
        }

        impl Format {
            /// All formats.
            pub const ALL: [Format; [$(stringify!($format)),*].len()] = [$(Format::$format),*];

            pub(crate) fn implementation(self) -> &'static dyn BodyFormat {
                match self {
                    $(Format::$format => &$implementation,)*
                }
            }
        }
    };
}

formats! {
    /// RMQTT's web-hook plugin, 0.24.
    #[default]
    Rmqtt = rmqtt::Rmqtt,
    /// EMQX 4's web-hook plugin, 4.4.19.
    Emqx4 = emqx4::Emqx4,
    /// The columns of EMQX 5's rule engine, 5.8.9, or what `select` or `body` make of them.
    Emqx5 = emqx5::Emqx5,
    /// NanoMQ's web hook, 0.25.
    Nanomq = nanomq::Nanomq,
    /// CloudEvents 1.0 over HTTP.
    Cloudevents = cloudevents::Cloudevents,
    /// A body that the user has written.
    Template = template::UserTemplate,
}

/// What a format decides. Only `name`, `hooks` and `content` have no default.
pub(crate) trait BodyFormat: Sync {
    /// The name in a configuration.
    fn name(&self) -> &'static str;

    /// The hooks whose events the rules of a key are for; empty if the format has no such event.
    fn hooks(&self, key: RuleKey) -> &'static [Hook];

    /// What a request for an event contains; `None` if the format has no body for it, and then no request is sent.
    fn content(&self, matched: &MatchedEvent<'_>) -> Option<Content>;

    /// Whether the broker reports this event, which belongs to one of the [`hooks`](BodyFormat::hooks) of the key.
    /// `as_documented`: as the broker's documentation says, where that differs from what the broker does.
    fn reports(&self, _key: RuleKey, _event: &Event, _as_documented: bool) -> bool {
        true
    }

    /// The events that the broker reports because of an event, besides that event. Rules that follow the documentation
    /// do not get them.
    fn further(&self, _event: &Event) -> Vec<Event> {
        Vec::new()
    }

    /// The hooks whose events cause [`further`](BodyFormat::further) events for a rule with these topics.
    fn further_hooks(&self, _key: RuleKey, _topics: &[TopicFilter]) -> &'static [Hook] {
        &[]
    }

    /// Whether the broker reports the events of a key when it is configured to report everything.
    fn is_usual(&self, key: RuleKey) -> bool {
        key != RuleKey::Other
    }

    /// Whether rules of a key are restricted by their `topics`.
    fn uses_topics(&self, key: RuleKey) -> bool {
        key.has_subject()
    }

    /// Whether a filter that begins with a wildcard also matches topics that begin with `$`.
    fn wildcards_match_dollar(&self) -> bool {
        false
    }

    /// The settings of a rule that the format supports beyond those that all formats support: some of
    /// [`FORMAT_SETTINGS`].
    fn settings(&self) -> &'static [&'static str] {
        &[]
    }

    /// Why the format does not support a setting, to be put after the format's name; empty for no special reason.
    fn refusal(&self, _setting: &str) -> &'static str {
        ""
    }

    /// The name that a body gives to an event if the rule has no `action`.
    fn default_action(&self, key: RuleKey, _as_documented: bool) -> &'static str {
        key.name()
    }

    /// Checks what the format requires of a rule beyond valid values. `at` is the place of the rule.
    fn check(&self, _rule: &RuleTable<'_>, _shape: &Shape, _problems: &mut Problems) {}

    /// The encoding that this format calls `base62`.
    fn base62(&self) -> Encoding {
        Encoding::Base62
    }

    /// Whether a request without a body still has the header `content-type`.
    fn keeps_content_type(&self) -> bool {
        false
    }

    /// Whether templates look up what the rule selects, instead of the fields of the event, and are rendered as in EMQX 5.
    fn renders_selection(&self) -> bool {
        false
    }

    /// Reads the `body` of a rule.
    fn parse_body(&self, text: &str) -> Result<BodyTemplate, TemplateError> {
        BodyTemplate::parse(text)
    }

    /// Reads a URL of a rule.
    fn parse_url(&self, text: &str) -> Result<UrlTemplate, TemplateError> {
        UrlTemplate::parse(text)
    }
}

/// The settings that only some formats support.
pub(crate) const FORMAT_SETTINGS: [&str; 6] = [
    "emqx_version",
    "payload_encoding",
    "body",
    "cloudevents_mode",
    "cloudevents_extensions",
    "select",
];

impl Format {
    /// The format as it is written in a configuration.
    pub fn name(self) -> &'static str {
        self.implementation().name()
    }

    /// The format with this name in a configuration.
    pub fn from_name(name: &str) -> Option<Format> {
        Format::ALL.into_iter().find(|format| format.name() == name)
    }

    /// The keys that rules of this format may have: those with an event.
    pub fn keys(self) -> impl Iterator<Item = RuleKey> {
        RuleKey::ALL.into_iter().filter(move |key| !self.hooks(*key).is_empty())
    }

    /// The keys of the events that the broker reports when it is configured to report everything. Keys that hookhost has
    /// in addition, such as `other`, are not among them.
    pub fn usual_keys(self) -> impl Iterator<Item = RuleKey> {
        self.keys().filter(move |key| self.implementation().is_usual(*key))
    }

    /// The hooks whose events the rules of a key are for; empty if the format has no such event.
    pub fn hooks(self, key: RuleKey) -> &'static [Hook] {
        self.implementation().hooks(key)
    }

    /// Whether the broker reports this event, which belongs to one of the [`hooks`](Format::hooks) of the key.
    /// `as_documented`: as the broker's documentation says, where that differs from what the broker does.
    pub fn reports(self, key: RuleKey, event: &Event, as_documented: bool) -> bool {
        self.implementation().reports(key, event, as_documented)
    }

    /// Whether rules of a key are restricted by their `topics`. RMQTT ignores them for dropped messages.
    pub fn uses_topics(self, key: RuleKey) -> bool {
        self.implementation().uses_topics(key)
    }

    /// Whether rules of this format may have a setting: one of [`FORMAT_SETTINGS`] or any other.
    pub(crate) fn supports(self, setting: &str) -> bool {
        !FORMAT_SETTINGS.contains(&setting) || self.implementation().settings().contains(&setting)
    }

    /// The error for a setting that this format does not support.
    pub(crate) fn unsupported(self, setting: &str) -> String {
        let supporting = Format::ALL.into_iter().filter(|format| format.supports(setting));
        let names: Vec<String> = supporting.map(|format| format!("\"{}\"", format.name())).collect();
        let names = match names.split_last() {
            Some((last, [])) => last.clone(),
            Some((last, others)) => format!("{} or {last}", others.join(", ")),
            None => String::new(),
        };
        let reason = self.implementation().refusal(setting);
        format!(
            "is not supported by format \"{}\"{reason}; use it with {names}",
            self.name()
        )
    }

    /// Whether every field of a template exists. If templates look up what the rule selects, any name may exist.
    pub(crate) fn check_fields(self, template: &Template) -> Result<(), TemplateError> {
        match self.implementation().renders_selection() {
            true => Ok(()),
            false => template.check(&EventFields::names()),
        }
    }
}

#[cfg(test)]
mod tests;
