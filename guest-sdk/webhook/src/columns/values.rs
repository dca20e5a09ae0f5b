//! Values as EMQX 5 prints them: addresses, attributes, properties of packets.

use std::borrow::Cow;

use crate::json::push_number;
use crate::property::{self, PropertyValue};
use crate::sql::Value;
use hookhost_guest::event::{Address, Client, Properties, Property};

/// IP address and port without brackets. An IPv4-mapped IPv6 address is printed as an IPv4 address.
pub(super) fn name_of(address: Option<&Address>) -> Value<'_> {
    match address.filter(|address| !address.ip.is_empty()) {
        None => Value::Undefined,
        Some(address) => {
            let mut text = String::from(plain_ip(&address.ip));
            text.push(':');
            push_number(&mut text, address.port);
            Value::Text(text.into())
        }
    }
}

pub(super) fn host_of(address: Option<&Address>) -> Value<'_> {
    match address.filter(|address| !address.ip.is_empty()) {
        None => Value::Undefined,
        Some(address) => Value::text(plain_ip(&address.ip)),
    }
}

fn plain_ip(ip: &str) -> &str {
    ip.strip_prefix("::ffff:").filter(|ip| ip.contains('.')).unwrap_or(ip)
}

pub(super) fn attributes(client: Option<&Client>) -> Value<'_> {
    let attributes = client
        .and_then(|client| client.attributes.as_deref())
        .unwrap_or_default();
    Value::object(
        attributes
            .iter()
            .map(|(name, value)| (Cow::Borrowed(name.as_str()), Value::text(value))),
    )
}

/// The properties of a packet, by their names in the standard. `User-Property` is always present.
pub(super) fn properties(properties: Option<&Properties>) -> Value<'_> {
    let user = properties
        .map(|properties| properties.user.as_slice())
        .unwrap_or_default();
    let by_name = user
        .iter()
        .map(|(name, value)| (Cow::Borrowed(name.as_str()), Value::text(value)));
    let mut entries = vec![("User-Property".into(), Value::object(by_name))];
    if !user.is_empty() {
        let pairs = user.iter().map(|(name, value)| {
            Value::Object(vec![
                ("value".into(), Value::text(value)),
                ("key".into(), Value::text(name)),
            ])
        });
        entries.push(("User-Property-Pairs".into(), Value::List(pairs.collect())));
    }
    let standard = properties
        .map(|properties| properties.standard.as_slice())
        .unwrap_or_default();
    if standard.is_empty() && user.is_empty() {
        return Value::Object(entries);
    }
    Value::object(entries.into_iter().chain(standard.iter().map(standard_property)))
}

fn standard_property(property: &Property) -> (Cow<'_, str>, Value<'_>) {
    let (name, value) = property::named(property);
    let value = match value {
        PropertyValue::Number(number) => number.into(),
        PropertyValue::Text(text) => Value::text(text),
        PropertyValue::Binary(bytes) => Value::bytes(bytes),
    };
    (Cow::Borrowed(name), value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_printed_as_emqx_does() {
        for (ip, name, host) in [
            ("127.0.0.1", "127.0.0.1:5", "127.0.0.1"),
            ("::1", "::1:5", "::1"),
            ("::ffff:10.0.0.5", "10.0.0.5:5", "10.0.0.5"),
        ] {
            let address = Address { ip: ip.into(), port: 5 };
            assert_eq!(name_of(Some(&address)), Value::text(name));
            assert_eq!(host_of(Some(&address)), Value::text(host));
        }
        let unknown = Address { ip: "".into(), port: 5 };
        assert_eq!(name_of(Some(&unknown)), Value::Undefined);
        assert_eq!(host_of(None), Value::Undefined);
    }
}
