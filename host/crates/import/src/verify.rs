//! The rules that come of a broker's configuration, read once as the default module will read them.
//!
//! Readers check what they take over where it stands. What only the module knows (placeholders, columns of SQL) is found
//! here, before anything starts and with the place in the broker's file, and not by the module with a key that is
//! nowhere in that file.

use hookhost_guest::{Host, event};
use hookhost_webhook::Rules;
use serde_json::{Map, Value as Json};

use super::Reading;
use hookhost_settings::Problem;
use hookhost_settings::reader::{Given, Place};

/// Adds what the module would refuse.
pub(super) fn verify(reading: &mut Reading) {
    let mut config = Map::new();
    for (path, (_, given)) in &reading.layer {
        let Some(key) = path.strip_prefix("webhook.") else {
            continue;
        };
        if let Given::Node(node) = given
            && let Ok(value) = node.to_json()
        {
            config.insert(key.to_owned(), value);
        }
    }
    let host = Host {
        node: event::Node {
            id: 1,
            name: String::new(),
        },
        version: String::new(),
        module: "webhook".to_owned(),
        generation: 1,
    };
    let Err(problems) = Rules::parse(&Json::Object(config), &host) else {
        return;
    };
    let told = reading.problems.len();
    for problem in problems.iter() {
        if let Some((place, below)) = place_of(reading, &problem.key) {
            let mut place = place.clone();
            // Something is wrong there already, and this may only follow from it.
            let is_it = |known: &Problem| known.source == place.source && known.key.starts_with(&place.key);
            if reading.problems.iter().take(told).any(is_it) {
                continue;
            }
            if !below.is_empty() {
                place.key = format!("{} ({below})", place.key);
            }
            reading.problems.push(place.problem(problem.text.clone()));
        }
    }
}

/// Where the rule or the setting was found, and what is wrong inside of a rule. None: somewhere that has been checked
/// as it stands, such as the URLs for all rules.
fn place_of<'a>(reading: &'a Reading, key: &str) -> Option<(&'a Place, String)> {
    let path = format!("webhook.{key}");
    let rule = reading
        .origins
        .iter()
        .find(|(origin, _)| path == **origin || path.starts_with(&format!("{origin}.")));
    if let Some((origin, place)) = rule {
        let below = path.get(origin.len() + 1..).unwrap_or_default();
        return Some((place, below.to_owned()));
    }
    let mut parts = key.split('.');
    let setting = reading.layer.get(&format!("webhook.{}", parts.next()?))?;
    Some((&setting.0, String::new()))
}
