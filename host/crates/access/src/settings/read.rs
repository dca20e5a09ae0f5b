//! Reads `[[authentication]]` and `[access]`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hookhost_settings::{Files, Place, Problem, Report, Section, Setting, Value, document};

use super::services::{jwt, service};
use super::{AuthenticationSource, CertificateField, DenyAction, LOGIN_DELAY, RuleSource, Settings, Surroundings};
use crate::Users;
use crate::connect_rules::ConnectRules;
use crate::rules::{Permission, RuleSet, read_file, read_rules};

/// The largest `login_delay`. Together with the check it is shorter than `mqtt.handshake_timeout`.
const MAX_LOGIN_DELAY: Duration = Duration::from_secs(10);

impl Settings {
    /// Reads `[[authentication]]` and `[access]`.
    ///
    /// Reports an address that other machines can reach, if clients need no credentials there and the operator has not
    /// set `mqtt.allow_anonymous = true`.
    pub fn read(
        authentication: Option<Setting>,
        mut access: Section<'_>,
        surroundings: &Surroundings,
        files: &Files<'_>,
    ) -> Settings {
        let report = access.report();
        let mut settings = Settings::default();
        let before = report.problem_count();
        let list = authentication.and_then(|setting| report.check(setting.into_list()));
        let sources = list
            .into_iter()
            .flatten()
            .filter_map(|setting| Section::of(report, setting));
        for source in sources {
            let source = authentication_source(source, &mut settings.files, files);
            settings.sources.extend(source);
        }
        let has_sources = !settings.sources.is_empty() || report.problem_count() > before;
        settings.login_delay = access.duration("login_delay", LOGIN_DELAY, Duration::ZERO..=MAX_LOGIN_DELAY);
        if let Some(rules) = access.take("rule") {
            settings.rules = RuleSet::new(read_rules(report, rules));
        }
        let has_file = access.is_given("file");
        if let Some(text) = file(&mut access, "file", &mut settings.files, files) {
            let path = settings.files.last().map_or(Path::new(""), PathBuf::as_path);
            match read_file(path, &text) {
                Ok(rules) => settings.file_rules = RuleSet::new(rules),
                Err(problems) => problems.into_iter().for_each(|problem| report.add_problem(problem)),
            }
        }
        let has_service = access.is_given("http");
        if let Some(at) = access.section_if_given("http") {
            settings.service = service(at, files, true).map(Box::new);
        }
        let has_rules = has_file || has_service || !settings.rules.is_empty();
        settings.order = order(&mut access);
        let default = if has_rules { Permission::Deny } else { Permission::Allow };
        let permissions = [("allow", Permission::Allow), ("deny", Permission::Deny)];
        settings.default = access.choice("default", default, &permissions);
        let actions = [("ignore", DenyAction::Ignore), ("disconnect", DenyAction::Disconnect)];
        settings.deny_action = access.choice("deny_action", DenyAction::Ignore, &actions);
        let codes = |setting: &Setting| match setting.integer(128..=135)? {
            code @ (128_u8 | 135) => Ok(code),
            _ => Err(setting
                .place
                .problem("should be 135 (not authorized) or 128 (unspecified error)")),
        };
        if let Some((_, code)) = access.optional("denied_subscription_code", codes) {
            settings.denied_subscription_code = code;
        }
        settings.publish_rate = access.text("publish_rate", None, |text| text.parse().map(Some));
        settings.publish_bytes = access.text("publish_bytes", None, |text| text.parse().map(Some));
        settings.allow_anonymous = surroundings.allow_anonymous.unwrap_or(!has_sources);
        if surroundings.is_relayed && !has_sources {
            // The other broker decides.
            settings.allow_anonymous = true;
        }
        let accepts_strangers = settings.sources.iter().any(AuthenticationSource::accepts_strangers);
        let is_unchecked = match accepts_strangers {
            true => surroundings.allow_anonymous != Some(true),
            false => !has_sources && surroundings.allow_anonymous.is_none(),
        };
        let is_open = is_unchecked && !surroundings.is_relayed;
        let reachable = surroundings
            .listen
            .iter()
            .filter(|(_, address)| !address.ip().to_canonical().is_loopback());
        for (place, address) in reachable.filter(|_| is_open) {
            let text = format!(
                "other machines can reach {address}, and every client would be accepted: add [[authentication]], or set \
                 mqtt.allow_anonymous = true to accept clients without credentials"
            );
            report.problem(place, text);
        }
        settings
    }

    /// Reads the two from a text with nothing else in it.
    ///
    /// # Errors
    ///
    /// All problems.
    ///
    /// ```
    /// use hookhost_access::{Settings, Surroundings};
    /// let text = "[[access.rule]]\npermit = \"allow\"\ntopics = [\"devices/${clientid}/#\"]\n";
    /// let settings = Settings::parse(text, &Surroundings::default(), &|_| unreachable!("it names no files")).unwrap();
    /// assert_eq!(settings.summary(), "every client is accepted; 1 access rule, other topics are denied");
    /// ```
    pub fn parse(text: &str, surroundings: &Surroundings, files: &Files<'_>) -> Result<Settings, Vec<Problem>> {
        let path = Path::new("settings");
        let (table, errors) = document::parse(path, text);
        if !errors.is_empty() {
            return Err(errors);
        }
        let report = Report::default();
        let mut root = Section::root(&report, Place::file(path), table);
        let authentication = root.take("authentication");
        let settings = Settings::read(authentication, root.section("access"), surroundings, files);
        drop(root);
        let problems = report.finish().problems;
        if problems.is_empty() {
            Ok(settings)
        } else {
            Err(problems)
        }
    }
}

/// The content of the file that a key names. Reports a file that cannot be read or is not UTF-8.
pub(super) fn file(
    at: &mut Section<'_>,
    key: &str,
    read_files: &mut Vec<PathBuf>,
    files: &Files<'_>,
) -> Option<String> {
    let place = at.given(key).map(|setting| setting.place.clone());
    let path = at.path(key)?;
    let place = place.unwrap_or_else(|| at.place().below(key));
    read_files.push(path.clone());
    let bytes = match files(&path) {
        Ok(bytes) => bytes,
        Err(error) => {
            at.problem(place.problem(format!("cannot read {}: {error}", path.display())));
            return None;
        }
    };
    let text = String::from_utf8(bytes).map_err(|_| place.problem(format!("{} is not UTF-8", path.display())));
    at.report().check(text)
}

fn authentication_source(
    mut at: Section<'_>,
    read_files: &mut Vec<PathBuf>,
    files: &Files<'_>,
) -> Option<AuthenticationSource> {
    let kinds = [
        ("password", Some(Kind::Password)),
        ("jwt", Some(Kind::Jwt)),
        ("http", Some(Kind::Http)),
        ("certificate", Some(Kind::Certificate)),
        ("rules", Some(Kind::Rules)),
    ];
    let kind = at.choice("source", None, &kinds);
    let is_enabled = at.boolean("enable", true);
    if kind.is_none() && !at.is_given("source") {
        at.problem(
            at.place()
                .problem("needs source = \"password\", \"jwt\", \"http\", \"certificate\" or \"rules\""),
        );
    }
    let Some(kind) = kind.filter(|_| is_enabled) else {
        at.rest();
        return None;
    };
    match kind {
        Kind::Password => Some(AuthenticationSource::Password(users(&mut at, read_files, files))),
        Kind::Jwt => jwt(&mut at, read_files, files),
        Kind::Certificate => {
            let field = at.choice("username", CertificateField::CommonName, &CertificateField::NAMES);
            Some(AuthenticationSource::Certificate(field))
        }
        Kind::Rules => Some(AuthenticationSource::Rules(ConnectRules::read(&mut at))),
        Kind::Http => service(at, files, false).map(|service| AuthenticationSource::Http(Box::new(service))),
    }
}

/// The kinds of sources.
#[derive(Clone, Copy)]
enum Kind {
    Password,
    Jwt,
    Http,
    Certificate,
    Rules,
}

/// The users in a file and in the table `users`.
fn users(at: &mut Section<'_>, read_files: &mut Vec<PathBuf>, files: &Files<'_>) -> Users {
    let mut users = Users::default();
    let listed = at.whole_table("users").cloned();
    at.take("users");
    if let Some(Setting {
        value: Value::Table(table),
        ..
    }) = listed
    {
        for (name, setting) in table {
            let added = setting.text().map(|password| users.add(&name, password));
            if let Some(Err(problem)) = at.report().check(added) {
                at.problem(setting.place.problem(problem));
            }
        }
    } else if let Some(setting) = listed {
        at.problem(setting.mismatch("a table of user names and passwords"));
    }
    if !at.is_given("file") && users.is_empty() {
        at.problem(
            at.place()
                .problem("needs file = \"FILE\", which `hookhost users add` writes"),
        );
    }
    if let Some(text) = file(at, "file", read_files, files) {
        let path = read_files.last().map_or(Path::new(""), PathBuf::as_path);
        match Users::parse(&text) {
            Ok(more) => users.extend(more),
            Err(errors) => errors.into_iter().for_each(|error| {
                at.problem(Place::line(path, error.line, "user").problem(error.problem));
            }),
        }
    }
    users
}

/// The order of the sources of rules. Each may be listed once; a source that is not listed is not asked.
fn order(at: &mut Section<'_>) -> Vec<RuleSource> {
    let known = |name: &str| match name {
        "rules" => Ok(RuleSource::Rules),
        "file" => Ok(RuleSource::File),
        "http" => Ok(RuleSource::Http),
        _ => Err("should be \"rules\", \"file\" or \"http\"".to_owned()),
    };
    at.list("order", known)
        .map_or_else(|| Settings::default().order, |(_, order)| order)
}
