//! Changes of webhooks, and what is wrong with them. Pure, except for the key of entity tags.
//!
//! An entity tag is a hash of the settings. A change that names the tag of older settings is refused, so a person never
//! overwrites what somebody else has changed meanwhile. The hash has a random key, because the settings contain secrets:
//! without the key, readers of a tag could try passwords until one gives the same tag.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::sync::{Arc, LazyLock};

use hookhost_settings::{Place, Problem, Setting, Value};
use serde_json::{Map, Value as Json};

use super::secret;
use crate::config::WEBHOOKS;

/// Limit of the webhooks of one host. More would make each reload slow.
pub(crate) const MAX_WEBHOOKS: usize = 20_000;
/// The key of entity tags, another one in each process.
static TAG_KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// The settings of webhooks by name.
pub(crate) type Table = BTreeMap<String, Arc<Json>>;

/// The entity tag of a webhook with a name and settings.
pub(crate) type Tags<'a> = dyn Fn(&str, &Json) -> String + 'a;

/// A change of one webhook.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The name of the webhook.
    pub name: String,
    /// The entity tag that the webhook must have.
    pub if_match: Option<String>,
    /// What to do.
    pub edit: Edit,
}

/// What to do with a webhook.
#[derive(Clone, PartialEq)]
pub enum Edit {
    /// Create it with these settings.
    Create(Map<String, Json>),
    /// Give it these settings, in place of all others. Creates it if it does not exist.
    Replace(Map<String, Json>),
    /// Enable or disable it.
    Enable(bool),
    /// Remove it.
    Remove,
}

/// Without settings, which contain secrets.
impl std::fmt::Debug for Edit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Edit::Create(_) => "Create",
            Edit::Replace(_) => "Replace",
            Edit::Enable(true) => "Enable",
            Edit::Enable(false) => "Disable",
            Edit::Remove => "Remove",
        })
    }
}

/// A mistake in one setting of a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldProblem {
    /// The webhook.
    pub webhook: String,
    /// The setting, such as `topics[0]`; empty for the whole webhook.
    pub field: String,
    /// What is wrong.
    pub text: String,
}

/// Why webhooks were not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// There is no such webhook.
    #[error("there is no webhook {0:?}")]
    Unknown(String),
    /// A webhook of this name exists.
    #[error("there is a webhook {0:?} already")]
    Exists(String),
    /// The webhook is part of the configuration file.
    #[error("webhook {0:?} is defined in the configuration file: change it there")]
    ReadOnly(String),
    /// The webhook has changed since it was read.
    #[error("webhook {0:?} was changed meanwhile: read it again and repeat your change")]
    Changed(String),
    /// The settings have errors.
    #[error("{}", lines(.0))]
    Invalid(Vec<FieldProblem>),
    /// There are too many webhooks.
    #[error("a host has at most {MAX_WEBHOOKS} webhooks")]
    TooMany,
    /// The configuration of the host cannot be loaded at the moment.
    #[error("the configuration of the host cannot be reloaded: {0}")]
    Configuration(String),
    /// NATS has not taken a change of webhooks that several hosts share.
    #[error("the webhooks that the hosts share cannot be changed: {0}")]
    Unreachable(String),
    /// The webhooks cannot be written.
    #[error("the webhooks cannot be written: {0}")]
    Write(String),
    /// The host is stopping.
    #[error("the host is stopping")]
    Stopping,
}

fn lines(problems: &[FieldProblem]) -> String {
    let line = |problem: &FieldProblem| match problem.field.as_str() {
        "" => format!("{}: {}", problem.webhook, problem.text),
        field => format!("{}.{field}: {}", problem.webhook, problem.text),
    };
    problems.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The entity tag of settings that one host keeps: 16 hex digits. It is valid until the host restarts.
pub fn etag(settings: &Json) -> String {
    format!("{:016x}", TAG_KEY.hash_one(settings.to_string()))
}

/// Applies a change to a table. `read_only` are the names that the configuration file defines; `tags` returns the
/// entity tag of a webhook, and `check` the mistakes in settings.
///
/// # Errors
///
/// [`ChangeError`]; the table is unchanged.
pub(crate) fn apply(
    table: &mut Table,
    change: &Change,
    read_only: &BTreeSet<String>,
    tags: &Tags<'_>,
    check: &dyn Fn(&str, &Json) -> Vec<Problem>,
) -> Result<(), ChangeError> {
    let name = &change.name;
    if read_only.contains(name) {
        return Err(ChangeError::ReadOnly(name.clone()));
    }
    let known = table.get(name).cloned();
    if let Some(tag) = &change.if_match {
        match &known {
            Some(known) if tags(name, known) == *tag => {}
            _ => return Err(ChangeError::Changed(name.clone())),
        }
    }
    let settings = match (&change.edit, known) {
        (Edit::Create(_), Some(_)) => return Err(ChangeError::Exists(name.clone())),
        (Edit::Enable(_) | Edit::Remove, None) => return Err(ChangeError::Unknown(name.clone())),
        (Edit::Remove, Some(_)) => {
            table.remove(name);
            return Ok(());
        }
        (Edit::Enable(enabled), Some(known)) => {
            let mut settings = known.as_object().cloned().unwrap_or_default();
            match enabled {
                true => drop(settings.remove("enabled")),
                false => drop(settings.insert("enabled".to_owned(), false.into())),
            }
            Json::Object(settings)
        }
        (Edit::Create(settings) | Edit::Replace(settings), known) => {
            edited(name, settings.clone(), known.as_deref()).map_err(ChangeError::Invalid)?
        }
    };
    let problems = check(name, &settings);
    if !problems.is_empty() {
        return Err(ChangeError::Invalid(of_fields(name, &problems)));
    }
    if table.len() >= MAX_WEBHOOKS && !table.contains_key(name) {
        return Err(ChangeError::TooMany);
    }
    table.insert(name.clone(), Arc::new(settings));
    Ok(())
}

/// New settings, with the secrets of the known ones that they keep.
///
/// # Errors
///
/// The secrets that are missing.
pub(crate) fn edited(name: &str, settings: Map<String, Json>, known: Option<&Json>) -> Result<Json, Vec<FieldProblem>> {
    secret::restored(name, without_nulls(Json::Object(settings)), known)
}

/// Problems by field of a webhook.
pub(crate) fn of_fields(name: &str, problems: &[Problem]) -> Vec<FieldProblem> {
    let own = format!("{WEBHOOKS}.{name}");
    let field = |problem: &Problem| match problem.place.key.strip_prefix(&own) {
        Some(field) => FieldProblem {
            webhook: name.to_owned(),
            field: field.trim_start_matches('.').to_owned(),
            text: problem.text.clone(),
        },
        None => FieldProblem {
            webhook: name.to_owned(),
            field: String::new(),
            text: problem.to_string(),
        },
    };
    problems.iter().map(field).collect()
}

/// Settings as they would be read from a file.
pub(crate) fn setting(file: &Path, name: &str, settings: &Json) -> Setting {
    let mut setting = Setting::new(Place::file(file), value(&Place::file(file), settings));
    setting.set_key(format!("{WEBHOOKS}.{name}"));
    setting
}

fn value(place: &Place, json: &Json) -> Value {
    let setting = |json: &Json| Setting::new(place.clone(), value(place, json));
    match json {
        Json::String(text) => Value::Text(text.clone()),
        Json::Bool(boolean) => Value::Boolean(*boolean),
        Json::Number(number) => match number.as_i64() {
            Some(number) => Value::Integer(number),
            None => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::Array(list) => Value::List(list.iter().map(setting).collect()),
        Json::Object(table) => Value::Table(table.iter().map(|(key, json)| (key.clone(), setting(json))).collect()),
        // Nulls are removed before.
        Json::Null => Value::Text(String::new()),
    }
}

/// Settings without the keys whose value is `null`, which TOML cannot express.
fn without_nulls(json: Json) -> Json {
    match json {
        Json::Object(table) => {
            let given = table.into_iter().filter(|(_, value)| !value.is_null());
            Json::Object(given.map(|(key, value)| (key, without_nulls(value))).collect())
        }
        Json::Array(list) => list
            .into_iter()
            .filter(|value| !value.is_null())
            .map(without_nulls)
            .collect(),
        other => other,
    }
}

#[cfg(test)]
#[path = "change_tests.rs"]
mod tests;
