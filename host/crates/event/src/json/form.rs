//! The values that records are made of: how each is written, how it is read, and what it may leave out.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use bytestring::ByteString;
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::reader::Reader;
use crate::{Id, Millis, Pairs};

/// A value with one JSON form.
pub(super) trait Form: Sized {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error>;

    /// None if something is wrong with it, which is noted then.
    fn read(value: Value, reader: &mut Reader) -> Option<Self>;
}

/// A value in an object: it may be absent, and bytes have a key of their own if they are no text.
pub(super) trait Field: Sized {
    /// Whether the second key may be there.
    const BINARY: bool = false;

    fn put<M: SerializeMap>(&self, key: Key, object: &mut M) -> Result<(), M::Error>;

    fn take(key: Key, object: &mut Map<String, Value>, reader: &mut Reader) -> Taken<Self>;
}

/// A key and the one for bytes that are no text.
#[derive(Clone, Copy)]
pub(super) struct Key {
    pub(super) plain: &'static str,
    pub(super) base64: &'static str,
}

/// What was found under a key.
pub(super) enum Taken<T> {
    Absent,
    /// And noted.
    Wrong,
    Found(T),
}

impl<T> From<Option<T>> for Taken<T> {
    fn from(read: Option<T>) -> Taken<T> {
        read.map_or(Taken::Wrong, Taken::Found)
    }
}

/// As serde wants it.
pub(super) struct Written<'a, T>(pub(super) &'a T);

impl<T: Form> Serialize for Written<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.write(serializer)
    }
}

impl<T: Form> Field for T {
    fn put<M: SerializeMap>(&self, key: Key, object: &mut M) -> Result<(), M::Error> {
        object.serialize_entry(key.plain, &Written(self))
    }

    fn take(key: Key, object: &mut Map<String, Value>, reader: &mut Reader) -> Taken<T> {
        match object.remove(key.plain) {
            None => Taken::Absent,
            Some(value) => reader.below(key.plain, |reader| T::read(value, reader)).into(),
        }
    }
}

impl<T: Form> Field for Option<T> {
    fn put<M: SerializeMap>(&self, key: Key, object: &mut M) -> Result<(), M::Error> {
        self.as_ref().map_or(Ok(()), |value| value.put(key, object))
    }

    /// `null` is as good as nothing: other programs write it.
    fn take(key: Key, object: &mut Map<String, Value>, reader: &mut Reader) -> Taken<Option<T>> {
        match object.remove(key.plain) {
            None | Some(Value::Null) => Taken::Absent,
            Some(value) => {
                let read = reader.below(key.plain, |reader| T::read(value, reader));
                read.map_or(Taken::Wrong, |value| Taken::Found(Some(value)))
            }
        }
    }
}

/// Text under its own key, anything else as base64 under the other.
impl Field for Bytes {
    const BINARY: bool = true;

    fn put<M: SerializeMap>(&self, key: Key, object: &mut M) -> Result<(), M::Error> {
        match std::str::from_utf8(self) {
            Ok(text) => object.serialize_entry(key.plain, text),
            Err(_) => object.serialize_entry(key.base64, &STANDARD.encode(self)),
        }
    }

    fn take(key: Key, object: &mut Map<String, Value>, reader: &mut Reader) -> Taken<Bytes> {
        let plain = object.remove(key.plain);
        let Some(encoded) = object.remove(key.base64) else {
            return plain.map_or(Taken::Absent, |value| {
                let text = reader.below(key.plain, |reader| reader.text(value));
                text.map(Bytes::from).into()
            });
        };
        let bytes = reader.below(key.base64, |reader| {
            if plain.is_some() {
                reader.problem(format_args!("stands beside {}; one of them is enough", key.plain));
                return None;
            }
            let text = reader.text(encoded)?;
            let bytes = STANDARD.decode(&text);
            bytes
                .inspect_err(|error| reader.problem(format_args!("is not base64: {error}")))
                .ok()
        });
        bytes.map(Bytes::from).into()
    }
}

/// `[["name", "value"], …]`; left out if there are none.
impl Field for Pairs {
    fn put<M: SerializeMap>(&self, key: Key, object: &mut M) -> Result<(), M::Error> {
        if self.is_empty() {
            return Ok(());
        }
        let pairs: Vec<(&str, &str)> = self.iter().map(|(name, value)| (&**name, &**value)).collect();
        object.serialize_entry(key.plain, &pairs)
    }

    fn take(key: Key, object: &mut Map<String, Value>, reader: &mut Reader) -> Taken<Pairs> {
        take_list(key, object, reader, |value, reader| {
            let pair = <[Value; 2]>::try_from(reader.array(value)?);
            let Ok([name, value]) = pair else {
                reader.problem("must be a name and a value");
                return None;
            };
            let name = reader.below(0, |reader| ByteString::read(name, reader));
            let value = reader.below(1, |reader| ByteString::read(value, reader));
            Some((name?, value?))
        })
    }
}

/// A list of numbers; left out if there are none.
impl Field for Vec<u32> {
    fn put<M: SerializeMap>(&self, key: Key, object: &mut M) -> Result<(), M::Error> {
        if self.is_empty() {
            return Ok(());
        }
        object.serialize_entry(key.plain, self)
    }

    fn take(key: Key, object: &mut Map<String, Value>, reader: &mut Reader) -> Taken<Vec<u32>> {
        take_list(key, object, reader, u32::read)
    }
}

/// A list with all of its mistakes; `null` is as good as nothing.
pub(super) fn take_list<T>(
    key: Key,
    object: &mut Map<String, Value>,
    reader: &mut Reader,
    read: impl Fn(Value, &mut Reader) -> Option<T>,
) -> Taken<Vec<T>> {
    let value = match object.remove(key.plain) {
        None | Some(Value::Null) => return Taken::Absent,
        Some(value) => value,
    };
    let list = reader.below(key.plain, |reader| {
        let values = reader.array(value)?;
        let count = values.len();
        let read = values
            .into_iter()
            .enumerate()
            .filter_map(|(index, value)| reader.below(index, |reader| read(value, reader)));
        let list: Vec<T> = read.collect();
        (list.len() == count).then_some(list)
    });
    list.into()
}

/// Writes a list whose parts have a form.
pub(super) struct WrittenList<'a, T>(pub(super) &'a [T]);

impl<T: Form> Serialize for WrittenList<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        self.0
            .iter()
            .try_for_each(|part| list.serialize_element(&Written(part)))?;
        list.end()
    }
}

macro_rules! whole_numbers {
    ($($type:ident: $expected:literal),* $(,)?) => {$(
        impl Form for $type {
            fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                self.serialize(to)
            }

            fn read(value: Value, reader: &mut Reader) -> Option<Self> {
                let number = value.as_i64().and_then(|number| $type::try_from(number).ok());
                let number = number.or_else(|| value.as_u64().and_then(|number| $type::try_from(number).ok()));
                if number.is_none() {
                    reader.problem(concat!("must be a whole number from ", $expected));
                }
                number
            }
        }
    )*};
}

whole_numbers!(
    u8: "0 to 255",
    u16: "0 to 65535",
    u32: "0 to 4294967295",
    u64: "0 to 18446744073709551615",
    i16: "-32768 to 32767",
);

impl Form for bool {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bool(*self)
    }

    fn read(value: Value, reader: &mut Reader) -> Option<bool> {
        let flag = value.as_bool();
        if flag.is_none() {
            reader.other_kind(&value, "true or false");
        }
        flag
    }
}

impl Form for ByteString {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self)
    }

    fn read(value: Value, reader: &mut Reader) -> Option<ByteString> {
        reader.text(value).map(ByteString::from)
    }
}

/// Milliseconds since 1970-01-01T00:00Z.
impl Form for Millis {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(self.0)
    }

    fn read(value: Value, reader: &mut Reader) -> Option<Millis> {
        u64::read(value, reader).map(Millis)
    }
}

/// Written with all of its 32 digits; read with as many as somebody cared to write.
impl Form for Id {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }

    fn read(value: Value, reader: &mut Reader) -> Option<Id> {
        let text = reader.text(value)?;
        let is_hex = text.len() <= 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let id = is_hex.then(|| u128::from_str_radix(&text, 16).ok()).flatten();
        if id.is_none() {
            reader.problem("must be 1 to 32 hex digits");
        }
        id.map(Id)
    }
}

/// `10.0.0.5:50716`, `[::1]:50716`.
impl Form for SocketAddr {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }

    fn read(value: Value, reader: &mut Reader) -> Option<SocketAddr> {
        let address = reader.text(value)?.parse().ok();
        if address.is_none() {
            reader.problem("must be an address such as \"127.0.0.1:50716\"");
        }
        address
    }
}

impl<T: Form> Form for Box<T> {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        T::write(self, to)
    }

    fn read(value: Value, reader: &mut Reader) -> Option<Box<T>> {
        T::read(value, reader).map(Box::new)
    }
}
