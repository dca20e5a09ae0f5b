//! A summary of a configuration, so that an operator can check how hookhost has understood it.

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::config::{Config, Loaded, RulesFrom};
use crate::engine::EngineSettings;
use hookhost_delivery::shown;
use hookhost_listener::{Kind, ListenerSettings};

/// Maximum number of URLs that are shown. Above it only the number is shown.
const MAX_URLS: usize = 8;

/// A short form of a configuration. It holds no credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Summary {
    /// The configuration files.
    files: Vec<PathBuf>,
    rules: Rules,
    /// The source of the rules.
    from: String,
    /// Who may connect, and who may do what.
    access: String,
    engine: &'static str,
    /// The brokers behind a gateway.
    upstream: Option<String>,
    mqtt: String,
    /// A line about each setting that comes from another broker's configuration.
    imported: Vec<String>,
    modules: String,
    admin: String,
}

/// Rules of the built-in module.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Rules {
    count: usize,
    formats: BTreeSet<String>,
    /// Each URL once, in the order of the rules.
    urls: Vec<String>,
}

impl Summary {
    /// Reads the replacement of the rules in the modules folder. Blocks.
    pub(super) fn of(loaded: &Loaded) -> Summary {
        let config = &loaded.config;
        let (rules, from) = rules(config);
        let (engine, upstream) = match &config.broker {
            EngineSettings::Gateway(gateway) if gateway.upstreams.list.is_empty() => {
                ("gateway", Some("rumqttd".to_owned()))
            }
            EngineSettings::Gateway(gateway) => {
                let upstreams: Vec<String> = gateway.upstreams.list.iter().map(ToString::to_string).collect();
                ("gateway", Some(upstreams.join(", ")))
            }
            EngineSettings::Rmqtt => ("rmqtt", None),
        };
        Summary {
            files: loaded.files.clone(),
            rules,
            from,
            access: config.access.summary(),
            engine,
            upstream,
            mqtt: listeners(&config.mqtt.listeners),
            imported: loaded.imported.clone(),
            modules: match &config.modules.dir {
                Some(dir) if !dir.exists() => format!("{} (there is no such folder yet)", dir.display()),
                Some(dir) => dir.display().to_string(),
                None => "none but the built-in one".to_owned(),
            },
            admin: config
                .admin
                .listen
                .map_or("off".to_owned(), |address| address.to_string()),
        }
    }

    /// Logs it as one line.
    pub(super) fn log(&self) {
        tracing::info!(
            files = self.files(),
            rules = self.rules.count,
            format = self.rules.formats(),
            from = self.from,
            urls = self.rules.urls(),
            access = self.access,
            imported = (!self.imported.is_empty()).then(|| self.imported.join(", ")),
            engine = self.engine,
            upstream = self.upstream,
            modules = self.modules,
            "configuration"
        );
    }

    fn files(&self) -> String {
        let files: Vec<String> = self.files.iter().map(|file| file.display().to_string()).collect();
        if files.is_empty() {
            "none".to_owned()
        } else {
            files.join(", ")
        }
    }
}

/// A line for each part.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |name: &str, value: &str| writeln!(f, "  {name:9}{value}");
        line("files:", &self.files())?;
        let (count, formats) = (self.rules.count, self.rules.formats());
        line("rules:", &format!("{count}, format {formats}, from {}", self.from))?;
        line("URLs:", &self.rules.urls())?;
        line("MQTT:", &self.mqtt)?;
        line("access:", &self.access)?;
        for (index, imported) in self.imported.iter().enumerate() {
            line(if index == 0 { "imports:" } else { "" }, imported)?;
        }
        match &self.upstream {
            Some(upstream) => line("engine:", &format!("{} to {upstream}", self.engine)),
            None => line("engine:", self.engine),
        }?;
        line("modules:", &self.modules)?;
        line("admin:", &self.admin)
    }
}

/// The listeners; for all but plain TCP with their kind.
fn listeners(listeners: &[ListenerSettings]) -> String {
    let shown = listeners.iter().map(|listener| match listener.kind {
        Kind::Tcp => listener.address.to_string(),
        kind => format!("{} ({})", listener.address, kind.name()),
    });
    shown.collect::<Vec<_>>().join(", ")
}

/// The active rules, and their source: settings of the built-in module in the modules folder replace those of the
/// configuration.
fn rules(config: &Config) -> (Rules, String) {
    let dir = config.modules.dir.as_deref();
    let own = |name: &str| dir.map(|dir| dir.join(name)).filter(|path| path.is_file());
    if let Some(path) = own("webhook.wasm") {
        return (
            Rules::default(),
            format!("{}, which replaces the built-in module", path.display()),
        );
    }
    if let Some(path) = own("webhook.toml")
        && let Some(config) = module_config(&path)
    {
        return (Rules::of(&config), path.display().to_string());
    }
    let from = match &config.webhook.rules {
        RulesFrom::Default => "the defaults: one for each event".to_owned(),
        RulesFrom::File => "the configuration file".to_owned(),
        RulesFrom::Broker {
            broker,
            path: Some(path),
        } => format!("{} ({})", path.display(), broker.name()),
        RulesFrom::Broker { broker, path: None } => format!("the environment ({})", broker.name()),
    };
    (Rules::of(&config.webhook.config), from)
}

/// `[config]` of a module's settings. `None` if it is missing or unreadable; unreadable settings are reported
/// elsewhere.
fn module_config(path: &Path) -> Option<Value> {
    let text = std::fs::read_to_string(path).ok()?;
    let settings: Value = toml::from_str(&text).ok()?;
    settings.get("config").cloned()
}

impl Rules {
    fn of(config: &Value) -> Rules {
        let of_all = config.get("urls").and_then(Value::as_array);
        let format_of_all = config.get("format").and_then(Value::as_str).unwrap_or("rmqtt");
        let lists = config
            .get("rule")
            .and_then(Value::as_object)
            .into_iter()
            .flat_map(Map::values);
        let mut rules = Rules::default();
        let mut known = HashSet::new();
        for rule in lists.filter_map(Value::as_array).flatten() {
            rules.count += 1;
            let format = rule.get("format").and_then(Value::as_str).unwrap_or(format_of_all);
            rules.formats.insert(format.to_owned());
            let own = rule
                .get("urls")
                .and_then(Value::as_array)
                .filter(|urls| !urls.is_empty());
            for url in own.or(of_all).into_iter().flatten().filter_map(Value::as_str) {
                let url = shown(url);
                if known.insert(url.clone()) {
                    rules.urls.push(url);
                }
            }
        }
        rules
    }

    fn formats(&self) -> String {
        let formats: Vec<&str> = self.formats.iter().map(String::as_str).collect();
        if formats.is_empty() {
            "none".to_owned()
        } else {
            formats.join(" and ")
        }
    }

    fn urls(&self) -> String {
        let shown = self.urls.get(..MAX_URLS).unwrap_or(&self.urls).join(", ");
        match self.urls.len().saturating_sub(MAX_URLS) {
            0 if self.urls.is_empty() => "none".to_owned(),
            0 => shown,
            more => format!("{shown} and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Flags, Inputs, TextFile, read};

    fn summary(text: &str, flags: Flags) -> String {
        let file = (!text.is_empty()).then(|| TextFile {
            path: "hookhost.toml".into(),
            text: text.to_owned(),
        });
        let inputs = Inputs {
            file,
            flags,
            ..Inputs::default()
        };
        Summary::of(&read(&inputs).unwrap()).to_string()
    }

    #[test]
    fn of_a_file_with_rules() {
        let text = "[broker]\nengine = \"gateway\"\nupstream = [\"mqtt://a:1883\", \"mqtts://b:8883\"]\n\
                    [webhook]\nurls = [\"http://me:hunter2@h:1/p?key=secret\"]\n[webhook.rule]\n\
                    client_connected = [{ action = \"a\" }]\n\
                    message_publish = [{ action = \"b\" }, { format = \"cloudevents\", urls = [\"stdout:\"] }]\n";
        assert_eq!(
            summary(text, Flags::default()),
            "  files:   hookhost.toml\n  rules:   3, format cloudevents and rmqtt, from the configuration file\n  \
             URLs:    http://h:1/p, stdout:\n  MQTT:    127.0.0.1:1883\n  access:  every client is accepted; all topics are allowed\n  engine:  gateway to mqtt://a:1883, \
             mqtts://b:8883\n  modules: none but the built-in one\n  admin:   127.0.0.1:18083\n"
        );
    }

    #[test]
    fn without_configuration() {
        assert_eq!(
            summary("", Flags::default()),
            "  files:   none\n  rules:   15, format rmqtt, from the defaults: one for each event\n  URLs:    stdout:\n  \
             MQTT:    127.0.0.1:1883\n  access:  every client is accepted; all topics are allowed\n  engine:  rmqtt\n  modules: none but the built-in one\n  admin:   127.0.0.1:18083\n"
        );
    }

    #[test]
    fn settings_in_the_modules_folder_replace_the_rules() {
        let dir = tempfile::tempdir().unwrap();
        let flags = Flags {
            modules: Some(dir.path().to_owned()),
            ..Flags::default()
        };
        let path = dir.path().join("webhook.toml");
        std::fs::write(
            &path,
            "[config]\nurls = [\"http://x/\"]\nformat = \"emqx4\"\nrule.message_publish = [{}]\n",
        )
        .unwrap();
        let text = summary("", flags.clone());
        assert!(
            text.contains(&format!("1, format emqx4, from {}\n", path.display())),
            "{text}"
        );
        assert!(text.contains("http://x/\n"), "{text}");
        let path = dir.path().join("webhook.wasm");
        std::fs::write(&path, "").unwrap();
        let text = summary("", flags);
        assert!(
            text.contains(&format!("from {}, which replaces", path.display())),
            "{text}"
        );
    }

    #[test]
    fn many_urls_are_counted() {
        let rules = Rules {
            urls: (0..10).map(|number| number.to_string()).collect(),
            ..Rules::default()
        };
        assert_eq!(rules.urls(), "0, 1, 2, 3, 4, 5, 6, 7 and 2 more");
    }
}
