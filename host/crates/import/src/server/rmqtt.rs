//! RMQTT's plugins that check clients: `rmqtt-acl`, `rmqtt-auth-http` and `rmqtt-auth-jwt`. hookhost does not import them.
//!
//! `rmqtt.toml` lists the plugins that RMQTT loads. It is usually in the folder above that of `rmqtt-web-hook.toml`. A
//! plugin in its list is lost. Without this file, hookhost cannot know which plugins RMQTT loads, and warns about their
//! files beside `rmqtt-web-hook.toml`.

use std::path::Path;

use hookhost_settings::{Place, Setting, document, find};

use super::ServerSettings;
use crate::Sources;

/// A plugin, and whether it checks which clients may connect, and which topics they may use.
const PLUGINS: [(&str, bool, bool); 3] = [
    ("rmqtt-acl", false, true),
    ("rmqtt-auth-http", true, true),
    ("rmqtt-auth-jwt", true, true),
];

pub(super) fn read(server: &mut ServerSettings, sources: &Sources<'_>) {
    let Some((file, _)) = sources.file else { return };
    let folder = file.parent().unwrap_or(Path::new(""));
    let main = folder.join("../rmqtt.toml");
    match (sources.files)(&main) {
        Ok(bytes) => {
            sources.included.borrow_mut().push(main.clone());
            loaded_plugins(&main, &String::from_utf8_lossy(&bytes), server);
        }
        Err(_) => {
            for (plugin, checks_clients, _) in PLUGINS {
                let path = folder.join(format!("{plugin}.toml"));
                if (sources.files)(&path).is_err() {
                    continue;
                }
                let part = match checks_clients {
                    true => &mut server.authentication,
                    false => &mut server.rules,
                };
                let text = format!(
                    "is not imported: if RMQTT loads {plugin}, write its users and rules as [[authentication]] and [access]"
                );
                part.warn(&Place::file(path), text);
            }
        }
    }
}

/// `plugins.default_startups` of `rmqtt.toml`.
fn loaded_plugins(path: &Path, text: &str, server: &mut ServerSettings) {
    let (table, errors) = document::parse(path, text);
    server.rules.lost.extend(errors);
    let Some(setting) = find(&table, &["plugins", "default_startups"]) else {
        return;
    };
    let (loaded, problems) = setting.texts(true, |plugin| Ok(plugin.trim().to_owned()));
    server.rules.lost.extend(problems);
    for (plugin, checks_clients, checks_topics) in PLUGINS {
        if !loaded.iter().any(|loaded| loaded == plugin) {
            continue;
        }
        lose(setting, plugin, checks_clients.then_some(&mut server.authentication));
        lose(setting, plugin, checks_topics.then_some(&mut server.rules));
    }
}

fn lose(setting: &Setting, plugin: &str, part: Option<&mut super::Part>) {
    if let Some(part) = part {
        let text = format!(
            "lists {plugin}, which hookhost does not import: write its users and rules as [[authentication]] and [access]"
        );
        part.lose(&setting.place, text);
    }
}
