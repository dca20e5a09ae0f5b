//! Properties of MQTT 5: each an object with one key, in the order sent.

use std::fmt;

use serde::de::{DeserializeOwned, Error, IgnoredAny, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::message::Base64;
use crate::{ByteString, Bytes, Property};

/// Correlation data that is not UTF-8.
const CORRELATION_DATA_BASE64: &str = "correlation-data-base64";

/// A value that a property has.
trait PropertyValue: Sized {
    /// What it is read from.
    type Form: DeserializeOwned + Into<Self>;

    fn put<M: SerializeMap>(&self, name: &'static str, object: &mut M) -> Result<(), M::Error>;
}

macro_rules! property_values {
    ($($type:ty)+) => {$(
        impl PropertyValue for $type {
            type Form = $type;

            fn put<M: SerializeMap>(&self, name: &'static str, object: &mut M) -> Result<(), M::Error> {
                object.serialize_entry(name, self)
            }
        }
    )+};
}
property_values!(u8 u16 u32 bool ByteString);

/// Text under its own name, anything else as base64 under the other.
impl PropertyValue for Bytes {
    type Form = String;

    fn put<M: SerializeMap>(&self, name: &'static str, object: &mut M) -> Result<(), M::Error> {
        match std::str::from_utf8(self) {
            Ok(text) => object.serialize_entry(name, text),
            Err(_) => object.serialize_entry(CORRELATION_DATA_BASE64, &Base64(self.clone())),
        }
    }
}

macro_rules! property_form {
    ($(#[doc = $meaning:literal] $variant:ident($type:ty) = $name:literal,)+) => {
        pub(super) const NAMES: &[&str] = &[$($name,)+ CORRELATION_DATA_BASE64];

        impl Serialize for Property {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut object = serializer.serialize_map(Some(1))?;
                match self {
                    $(Property::$variant(value) => value.put($name, &mut object)?,)+
                }
                object.end()
            }
        }

        fn read_entry<'de, A: MapAccess<'de>>(name: &str, object: &mut A) -> Result<Property, A::Error> {
            match name {
                $($name => object.next_value::<<$type as PropertyValue>::Form>().map(|value| Property::$variant(value.into())),)+
                CORRELATION_DATA_BASE64 => object.next_value::<Base64>().map(|value| Property::CorrelationData(value.0)),
                other => Err(A::Error::unknown_field(other, NAMES)),
            }
        }
    };
}
crate::with_properties!(property_form);

impl<'de> Deserialize<'de> for Property {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Property, D::Error> {
        struct OneKey;

        impl<'de> Visitor<'de> for OneKey {
            type Value = Property;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with one key, the name of a property")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Property, A::Error> {
                let Some(name) = object.next_key::<String>()? else {
                    return Err(A::Error::invalid_length(0, &self));
                };
                let property = read_entry(&name, &mut object)?;
                match object.next_key::<IgnoredAny>()? {
                    None => Ok(property),
                    Some(_) => Err(A::Error::invalid_length(2, &self)),
                }
            }
        }

        deserializer.deserialize_map(OneKey)
    }
}
