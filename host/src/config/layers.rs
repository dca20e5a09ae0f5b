//! The sources of a configuration, merged into one tree of settings.
//!
//! From the strongest to the weakest: flags, the environment, the configuration of another broker, the configuration
//! file. Most tables are merged setting by setting. Others, such as `webhook.rule`, are replaced as a whole.

use std::path::PathBuf;

use hookhost_import::{Broker, Import, Input};
use hookhost_settings::{
    Files, Place, Report, Setting, Table, Value, document, find, insert, merge, remove, variables,
};

use super::{Flags, Inputs, server};

/// All sources, merged.
pub(super) struct Merged {
    /// The given settings, the strongest source first.
    pub(super) settings: Table,
    /// The other broker, and its file if there is one.
    pub(super) broker: Option<(Broker, Option<PathBuf>)>,
    /// The files that the broker's file includes, also those that do not exist.
    pub(super) included: Vec<PathBuf>,
    /// Whether the rules are the operator's rules. They are not if a file with rules cannot be read.
    pub(super) has_rules: bool,
    /// A line about each setting for access, listeners and limits that comes from the broker's configuration.
    pub(super) imported: Vec<String>,
}

/// Reads and merges all sources. `files` reads the files that the broker's file includes.
pub(super) fn read(inputs: &Inputs, files: &Files<'_>, report: &Report) -> Merged {
    let mut has_rules = true;
    let mut settings = Table::new();
    if let Some(file) = &inputs.file {
        let (table, errors) = document::parse(&file.path, &file.text);
        has_rules = errors.is_empty();
        // The settings of a broken file would only cause more problems.
        if errors.is_empty() {
            settings = table;
        }
        errors.into_iter().for_each(|error| report.add_problem(error));
    }
    let flags = flags(&inputs.flags);
    let variables = inputs.environment.iter();
    let environment = variables::table(variables.map(|(name, value)| (name.as_str(), value.as_str())));

    let strongest = |path: &[&str]| {
        [&flags, &environment, &settings]
            .into_iter()
            .find_map(|table| find(table, path))
    };
    let broker_name = strongest(&["webhook", "config_format"]).and_then(Setting::as_text);
    let urls = find(&flags, &["webhook", "urls"]).or_else(|| find(&environment, &["webhook", "urls"]));
    let import = hookhost_import::read(&Input {
        file: inputs.webhook_file.as_ref(),
        environment: &inputs.environment,
        broker: broker_name.and_then(|name| Broker::from_name(name.trim())),
        urls: urls.map(texts).as_deref(),
        files,
    });
    let mut import = import.unwrap_or_else(|| Import {
        server: hookhost_import::server_of_environment(&inputs.environment),
        ..Import::default()
    });
    let broker = import.broker;
    let imported = server::import(
        std::mem::take(&mut import.server),
        &mut import.settings,
        &[&flags, &environment, &settings],
        report,
    );
    if let (Some(Broker::Emqx5), Some(urls)) = (broker, urls) {
        report.warning(&urls.place, "is not used: each rule of EMQX 5 has its own URL");
    }
    let is_strict = strongest(&["webhook", "strict"]).is_some_and(|setting| setting.boolean().unwrap_or(false));
    let findings = std::mem::take(&mut import.findings);
    report.add(if is_strict { findings.strict() } else { findings });
    let path = inputs.webhook_file.as_ref().map(|file| file.path.clone());
    let brings_rules = find(&import.settings, &["webhook", "rule"]).is_some();
    has_rules &= path.is_none() || brings_rules;
    if let Some(rules) = find(&settings, &["webhook", "rule"]).filter(|_| brings_rules) {
        let source = path
            .as_ref()
            .map_or("the environment".into(), |path| path.display().to_string());
        report.warning(&rules.place, format!("is not used: rules come from {source}"));
    }
    // The format of bodies follows the broker unless the user chooses another one.
    let format = remove(&mut import.settings, &["webhook", "format"]);
    let chosen = strongest(&["webhook", "format"])
        .and_then(Setting::as_text)
        .map(str::trim);
    if let Some(warning) = chosen.and_then(|chosen| import.fit_format(chosen)) {
        report.add_warning(warning);
    }
    // So does the default of RMQTT, which follows redirects.
    let redirects = ["follow_redirects", "retry"].map(|key| strongest(&["delivery", key]));
    if redirects.iter().any(Option::is_some) {
        remove(&mut import.settings, &["delivery", "follow_redirects"]);
    }
    let is_chosen = chosen.is_some() || strongest(&["webhook", "format"]).is_some();
    for stronger in [import.settings, environment, flags] {
        put_over(&mut settings, stronger, report);
    }
    if let Some(format) = format.filter(|_| !is_chosen) {
        insert(&mut settings, &["webhook", "format"], format);
    }
    Merged {
        settings,
        imported,
        broker: broker.map(|broker| (broker, path)),
        included: import.included,
        has_rules,
    }
}

/// Puts a stronger source over the weaker ones.
fn put_over(weaker: &mut Table, stronger: Table, report: &Report) {
    for (name, setting) in &stronger {
        if let (Value::Table(_), Some(known)) = (&setting.value, weaker.get(name))
            && !matches!(known.value, Value::Table(_))
        {
            // It is replaced, so no reader sees it.
            report.add_problem(known.mismatch("a table"));
        }
    }
    merge(weaker, stronger, &is_whole);
}

/// Whether a table is one setting.
fn is_whole(path: &str) -> bool {
    let path: Vec<&str> = path.split('.').collect();
    !matches!(
        path.as_slice(),
        [_] | ["webhooks" | "destinations", _] | ["destinations", _, "basic" | "sign" | "tls"]
    )
}

fn texts(setting: &Setting) -> Vec<String> {
    setting.texts(false, |text| Ok(text.to_owned())).0
}

fn flags(flags: &Flags) -> Table {
    let mut table = Table::new();
    let untyped = |value: &String| Value::Untyped(value.clone());
    let path = |path: &PathBuf| Value::Text(path.display().to_string());
    let urls = || Value::texts(&Place::flag("--webhook-url"), flags.webhook_urls.iter().cloned());
    let given = [
        ("--listen", ["mqtt", "listen"], flags.listen.as_ref().map(untyped)),
        (
            "--webhook-url",
            ["webhook", "urls"],
            (!flags.webhook_urls.is_empty()).then(urls),
        ),
        (
            "--webhook-format",
            ["webhook", "config_format"],
            flags.webhook_format.as_ref().map(untyped),
        ),
        ("--modules", ["modules", "dir"], flags.modules.as_ref().map(path)),
        ("--data", ["data", "dir"], flags.data.as_ref().map(path)),
        ("--admin", ["admin", "listen"], flags.admin.as_ref().map(untyped)),
        (
            "--strict",
            ["webhook", "strict"],
            flags.strict.then_some(Value::Boolean(true)),
        ),
        (
            "--ignore-access-control",
            ["webhook", "ignore_access_control"],
            flags.ignore_access_control.then_some(Value::Boolean(true)),
        ),
    ];
    for (flag, path, value) in given {
        if let Some(value) = value {
            insert(&mut table, &path, Setting::new(Place::flag(flag), value));
        }
    }
    table
}
