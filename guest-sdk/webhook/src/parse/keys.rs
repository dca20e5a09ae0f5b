//! Reads the value of each setting.

use super::values::{object, once, text, texts, unknown_choice};
use super::{Found, Reader};
use hookhost_guest::Method;
use serde_json::Value;

use crate::batch::Batch;
use crate::encoding::Encoding;
use crate::format::{CloudEvents, CloudEventsMode, EmqxVersion, Format};
use crate::order::Order;
use crate::shape::Shape;
use crate::template::{BodyTemplate, HeaderTemplate, Template, UrlTemplate};

impl<'a> Reader<'a> {
    pub(super) fn format(&mut self, found: &Found<'_>) -> Option<Format> {
        self.choice(found, &Format::ALL.map(Format::name), Format::from_name)
    }

    pub(super) fn emqx_version(&mut self, found: &Found<'_>, format: Format) -> Option<EmqxVersion> {
        let names = EmqxVersion::names(format);
        self.choice(found, names, |name| {
            EmqxVersion::from_name(name).filter(|_| names.contains(&name))
        })
    }

    pub(super) fn encoding(&mut self, found: &Found<'_>, format: Format) -> Option<Encoding> {
        self.choice(found, &Encoding::NAMES, |name| Encoding::from_name(name, format))
    }

    pub(super) fn method(&mut self, found: &Found<'_>) -> Option<Method> {
        self.choice(found, &["post", "put", "patch", "get", "delete"], method)
    }

    pub(super) fn mode(&mut self, found: &Found<'_>) -> Option<CloudEventsMode> {
        let modes = CloudEventsMode::NAMES;
        self.choice(found, &modes.map(|(name, _)| name), |name| {
            modes
                .into_iter()
                .find(|(known, _)| *known == name)
                .map(|(_, mode)| mode)
        })
    }

    pub(super) fn order(&mut self, found: &Found<'_>, format: Format) -> Option<Order> {
        let text = text(&found.at, found.value, &mut self.problems)?;
        let order = Order::parse(text).and_then(|order| {
            if let Order::Key(template) = &order {
                format.check_fields(template).map_err(|error| error.to_string())?;
            }
            Ok(order)
        });
        order.map_err(|error| self.problem(found, error)).ok()
    }

    /// Reads a table; `false` sends each request alone.
    pub(super) fn batch(&mut self, found: &Found<'_>, shape: &Shape) -> Option<Batch> {
        if found.value == &Value::Bool(false) {
            return None;
        }
        let Some(table) = found.value.as_object() else {
            self.problem(
                found,
                "a table such as { max_events = 100 }, or false, was expected".to_owned(),
            );
            return None;
        };
        Some(Batch::parse(&found.at, table, shape, &mut self.problems))
    }

    /// Reads the additional attributes of CloudEvents.
    pub(super) fn cloudevents(&mut self, mode: CloudEventsMode, extensions: Option<&Found<'a>>) -> CloudEvents {
        let mut events = CloudEvents::new(mode);
        let Some(found) = extensions else { return events };
        let Some(table) = object(&found.at, found.value, &mut self.problems) else {
            return events;
        };
        for (name, value) in table {
            let at = format!("{}.{name}", found.at);
            let Some(text) = text(&at, value, &mut self.problems) else {
                continue;
            };
            let template = Template::parse(text).and_then(|template| {
                Format::Cloudevents.check_fields(&template)?;
                Ok(template)
            });
            let added = template.map_err(|error| error.to_string());
            match added.and_then(|template| events.clone().extension(name, template)) {
                Ok(more) => events = more,
                Err(error) => once(&at, error, &mut self.problems),
            }
        }
        events
    }

    fn choice<T>(&mut self, found: &Found<'_>, names: &[&str], choose: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let name = text(&found.at, found.value, &mut self.problems)?;
        let chosen = choose(name);
        if chosen.is_none() {
            self.problem(found, unknown_choice(name, names));
        }
        chosen
    }

    pub(super) fn truth(&mut self, found: &Found<'_>) -> bool {
        let truth = found.value.as_bool();
        if truth.is_none() {
            self.problem(found, "true or false was expected".to_owned());
        }
        truth.unwrap_or_default()
    }

    pub(super) fn body(&mut self, found: &Found<'_>, format: Format) -> Option<BodyTemplate> {
        let text = text(&found.at, found.value, &mut self.problems)?;
        let body = format.implementation().parse_body(text).and_then(|body| {
            format.check_fields(body.template())?;
            Ok(body)
        });
        match body {
            Ok(body) => Some(body),
            Err(error) => {
                self.problem(found, error.to_string());
                None
            }
        }
    }

    pub(super) fn headers(&mut self, found: &Found<'a>, format: Format) -> Vec<(String, HeaderTemplate)> {
        let mut headers: Vec<(String, HeaderTemplate)> = Vec::new();
        let Some(table) = object(&found.at, found.value, &mut self.problems) else {
            return headers;
        };
        for (name, value) in table {
            let at = format!("{}.{name}", found.at);
            let Some(text) = text(&at, value, &mut self.problems) else {
                continue;
            };
            let inner = Found {
                at,
                value,
                is_own: found.is_own,
            };
            let name = name.to_ascii_lowercase();
            if name.is_empty() || !name.bytes().all(is_token) {
                self.problem(&inner, "is not a valid name of an HTTP header".to_owned());
            } else if ["content-length", "host", "transfer-encoding", "connection"].contains(&name.as_str())
                // EMQX 5 sends this one, and it is true.
                && (name.as_str(), text) != ("connection", "keep-alive")
            {
                self.problem(&inner, "is a header that the host sets".to_owned());
            }
            let template = HeaderTemplate::parse(text).and_then(|template| {
                format.check_fields(template.template())?;
                Ok(template)
            });
            match template {
                Ok(template) => headers.push((name, template)),
                Err(error) => self.problem(&inner, error.to_string()),
            }
        }
        headers.sort_by(|(one, _), (other, _)| one.cmp(other));
        headers
    }

    pub(super) fn urls(&mut self, found: &Found<'a>, format: Format) -> Vec<UrlTemplate> {
        let mut urls = Vec::new();
        let Some(list) = texts(&found.at, found.value, &mut self.problems) else {
            return urls;
        };
        for (at, url) in list {
            let url = url.trim();
            let inner = Found {
                at,
                value: found.value,
                is_own: found.is_own,
            };
            let known = ["http://", "https://", "file://", "stdout:", "mqtt:"];
            if !known.iter().any(|scheme| url.starts_with(scheme)) {
                // The error does not quote the URL, because it may contain a password.
                let text = "a URL begins with 'http://', 'https://', 'file://', 'stdout:' or 'mqtt:'";
                self.problem(&inner, text.to_owned());
                continue;
            }
            let template = format.implementation().parse_url(url).and_then(|template| {
                format.check_fields(template.template())?;
                Ok(template)
            });
            match template {
                Ok(url) => urls.push(url),
                Err(error) => self.problem(&inner, error.to_string()),
            }
        }
        urls
    }

    /// Adds an error unless it is already in the list: a value for all rules is read once for each rule.
    fn problem(&mut self, found: &Found<'_>, text: String) {
        once(&found.at, text, &mut self.problems);
    }
}

fn method(name: &str) -> Option<Method> {
    Some(match name.to_ascii_lowercase().as_str() {
        "post" => Method::Post,
        "put" => Method::Put,
        "patch" => Method::Patch,
        "get" => Method::Get,
        "delete" => Method::Delete,
        _ => return None,
    })
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
