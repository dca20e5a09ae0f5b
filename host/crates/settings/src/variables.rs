//! The environment variables of hookhost's own settings: `HOOKHOST_SECTION__KEY`.

use super::{Place, Setting, Table, Value, insert};

/// What the names of the variables begin with.
pub const PREFIX: &str = "HOOKHOST_";

/// The settings that variables give, `HOOKHOST_DELIVERY__HTTP_TIMEOUT` being `delivery.http_timeout`. Variables without
/// a double underscore are not settings, and an empty one counts as not given.
pub fn table<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Table {
    let mut table = Table::new();
    for (name, value) in variables {
        let key = name.strip_prefix(PREFIX).filter(|key| key.contains("__"));
        if let Some(key) = key.filter(|_| !value.is_empty()) {
            let key = key.to_ascii_lowercase();
            let path: Vec<&str> = key.split("__").collect();
            let setting = Setting::new(Place::variable(name), Value::Untyped(value.to_owned()));
            insert(&mut table, &path, setting);
        }
    }
    table
}

/// The variable of a key: `HOOKHOST_DELIVERY__HTTP_TIMEOUT` of `delivery.http_timeout`.
pub fn name(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "__").to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::super::find;
    use super::*;

    #[test]
    fn variables_are_settings() {
        let table = table([
            ("HOOKHOST_MQTT__LISTEN", "a"),
            ("HOOKHOST_MQTT__LISTEN__X", "b"),
            ("HOOKHOST_MQTT__NODELAY", ""),
            ("HOOKHOST_SERVICE_HOST", "c"),
            ("OTHER_MQTT__LISTEN", "d"),
        ]);
        let listen = find(&table, &["mqtt", "listen"]).unwrap();
        assert_eq!(listen.value, Value::Untyped("a".to_owned()));
        assert_eq!(listen.place, Place::variable(name("mqtt.listen")));
        let Value::Table(mqtt) = &table["mqtt"].value else {
            panic!("{table:?}")
        };
        assert_eq!((table.len(), mqtt.len()), (1, 2));
    }
}
