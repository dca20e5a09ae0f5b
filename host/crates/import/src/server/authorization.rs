//! `authorization` of EMQX 5: the sources of rules in their order, as `[access]`.

use hookhost_settings::{Place, Section, Setting, Table, Value};

use super::service::{self, ServiceUse, is_on};
use super::{Part, put, text};
use crate::Sources;

pub(super) fn emqx5(tree: &mut Table, part: &mut Part, sources: &Sources<'_>) {
    let Some(setting) = tree.remove("authorization") else {
        return;
    };
    let place = setting.place.clone();
    let mut listed = None;
    let common = part.item(setting, |fields| {
        listed = fields.take("sources");
        common_settings(fields)
    });
    if let Some(mut setting) = listed {
        let has_no_first = first_source(&mut setting, sources).is_err();
        match setting.into_list() {
            Ok(list) => list.into_iter().for_each(|setting| source(part, setting, sources)),
            Err(problem) if has_no_first => part.lose(
                &problem.place,
                "needs the first source, which is the file acl.conf in EMQX's folder etc: put this file into the folder of \
                 the configuration file, or name it with EMQX_ETC_DIR",
            ),
            Err(problem) => part.lost.push(problem),
        }
    }
    let Some(common) = common else { return };
    let has_rules = part.settings.contains_key("access");
    let (default_place, default) = common.no_match.unwrap_or((place.clone(), "allow".to_owned()));
    // The default of EMQX, which differs from hookhost's if there are rules.
    if has_rules || default != "allow" {
        part.set(&["access", "default"], &default_place, Value::Text(default));
    }
    if let Some((place, action)) = common.deny_action {
        part.set(&["access", "deny_action"], &place, Value::Text(action));
    }
    if let Some((place, time)) = common.cache
        && hookhost_settings::find(&part.settings, &["access", "http"]).is_some()
    {
        part.set(&["access", "http", "cache"], &place, Value::Text(time));
    }
}

/// EMQX's own emqx.conf has `acl.conf` as the first source, and variables can add a second one. Adds the first source to such
/// a list.
///
/// # Errors
///
/// The list has no first source, and the file cannot be read.
fn first_source(list: &mut Setting, sources: &Sources<'_>) -> Result<(), ()> {
    let place = list.place.clone();
    let Value::Table(elements) = &mut list.value else {
        return Ok(());
    };
    if elements.contains_key("1") || !elements.contains_key("2") {
        return Ok(());
    }
    let path = service::resolved_path("${EMQX_ETC_DIR}/acl.conf", sources);
    if (sources.files)(path.as_ref()).is_err() {
        return Err(());
    }
    let mut first = Table::new();
    put(&mut first, "type", &place, Value::Text("file".to_owned()));
    put(&mut first, "path", &place, Value::Text(path));
    put(elements, "1", &place, Value::Table(first));
    Ok(())
}

/// The settings that apply to all sources.
struct CommonSettings {
    no_match: Option<(Place, String)>,
    deny_action: Option<(Place, String)>,
    /// How long an answer of a web service is cached.
    cache: Option<(Place, String)>,
}

fn common_settings(fields: &mut Section<'_>) -> Option<CommonSettings> {
    let (no_match, deny_action) = (text(fields, "no_match"), text(fields, "deny_action"));
    let cache = fields.section_if_given("cache").and_then(|mut cache| {
        let ttl = text(&mut cache, "ttl");
        for key in ["max_size", "excludes"] {
            cache.take(key);
        }
        match is_on(&mut cache, "enable") {
            Some(false) => Some((cache.place().clone(), "0s".to_owned())),
            _ => ttl,
        }
    });
    // It caches the answers of a database.
    fields.section_if_given("node_cache").map(|mut cache| cache.rest());
    Some(CommonSettings {
        no_match,
        deny_action,
        cache,
    })
}

fn source(part: &mut Part, setting: Setting, sources: &Sources<'_>) {
    let place = setting.place.clone();
    let read = part.item(setting, |fields| {
        let name = text(fields, "type").map(|(_, name)| name).unwrap_or_default();
        if !service::is_enabled(fields) {
            fields.rest();
            return None;
        }
        match name.as_str() {
            "file" => {
                let Some((place, path)) = text(fields, "path") else {
                    fields.rest();
                    fields.problem(place.problem(
                        "is not supported: the rules are in EMQX's database; write them to a file and name it in `path`",
                    ));
                    return None;
                };
                for key in ["created_at", "last_modified_at", "description"] {
                    fields.take(key);
                }
                let path = Value::Text(service::resolved_path(&path, sources));
                Some(("file", Setting::new(place, path)))
            }
            "http" => {
                let service = service::emqx5(fields, sources, ServiceUse::Authorization)?;
                Some(("http", Setting::new(place.clone(), Value::Table(service))))
            }
            name => {
                fields.rest();
                let text = format!("is not supported: hookhost has no rules of the type `{name}`; write them as [[access.rule]]");
                fields.problem(place.problem(text));
                None
            }
        }
    });
    let Some((name, setting)) = read else { return };
    if hookhost_settings::find(&part.settings, &["access", name]).is_some() {
        return part.lose(
            &place,
            format!("is not supported: there is another source of the type `{name}`"),
        );
    }
    part.push_at(&["access", "order"], &place, Value::Text(name.to_owned()));
    part.set(&["access", name], &setting.place.clone(), setting.value);
}
