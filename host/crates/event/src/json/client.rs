//! A client: an object, or its id alone.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::defaults;
use crate::{ByteString, Client};

impl Serialize for Client {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Client::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Client {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Client, D::Error> {
        struct IdOrObject;

        impl<'de> Visitor<'de> for IdOrObject {
            type Value = Client;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a client, as an object or its id alone")
            }

            fn visit_str<E: Error>(self, id: &str) -> Result<Client, E> {
                Ok(defaults::client_named(ByteString::from(id)))
            }

            fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Client, A::Error> {
                Client::deserialize(MapAccessDeserializer::new(object))
            }
        }

        deserializer.deserialize_any(IdOrObject)
    }
}
