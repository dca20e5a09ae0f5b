//! The settings for all rules.

use super::table::RuleTable;
use super::{Reader, SHARED};
use crate::format::{CloudEventsMode, FORMAT_SETTINGS, Format};
use crate::key::RuleKey;

impl<'a> Reader<'a> {
    /// The settings for all rules alone.
    pub(super) fn shared(&self) -> RuleTable<'a> {
        let shared = self.shared;
        RuleTable { rule: None, shared }
    }

    /// Checks the settings for all rules that no rule has checked.
    pub(super) fn check_shared(&mut self) {
        let format = match self.shared().find("format") {
            Some(found) => self.format(&found),
            None => Some(Format::default()),
        };
        let Some(format) = format else { return };
        for name in FORMAT_SETTINGS.into_iter().filter(|name| SHARED.contains(name)) {
            let Some(found) = self.shared().find(name) else {
                continue;
            };
            if !format.supports(name) && !self.formats.iter().any(|format| format.supports(name)) {
                self.problems.add(found.at, format.unsupported(name));
            }
        }
        if self.formats.is_empty() {
            self.check_unused(format);
        }
    }

    /// Checks the values of the settings for all rules if there are no rules.
    fn check_unused(&mut self, format: Format) {
        let shared = self.shared();
        if let Some(found) = shared.find("urls") {
            self.urls(&found, format);
        }
        if let Some(found) = shared.find("as_documented") {
            self.truth(&found);
        }
        if let Some(found) = shared.find("emqx_version").filter(|_| format.supports("emqx_version")) {
            self.emqx_version(&found, format);
        }
        if let Some(found) = shared.find("payload_encoding") {
            self.encoding(&found, format);
        }
        if let Some(found) = shared.find("method") {
            self.method(&found);
        }
        if let Some(found) = shared.find("headers") {
            self.headers(&found, format);
        }
        if let Some(found) = shared.find("body") {
            self.body(&found, format);
        }
        if let Some(found) = shared.find("cloudevents_mode") {
            self.mode(&found);
        }
        if let Some(found) = shared.find("cloudevents_extensions") {
            self.cloudevents(CloudEventsMode::default(), Some(&found));
        }
        self.check_acknowledge(&shared, RuleKey::MessagePublish);
    }
}
