//! Any event whatever.

use crate::*;

/// Values chosen by a list of numbers; what is beyond its end is zero.
struct Choices(std::vec::IntoIter<u64>);

impl Choices {
    fn next(&mut self) -> u64 {
        self.0.next().unwrap_or(0)
    }

    fn one_of<T: Clone>(&mut self, values: &[T]) -> T {
        values[self.next() as usize % values.len()].clone()
    }
}

/// Any value of a type. The compiler checks that the lists below are complete.
trait Arbitrary {
    fn arbitrary(choices: &mut Choices) -> Self;
}

macro_rules! numbers {
    ($($type:ident),*) => {$(
        impl Arbitrary for $type {
            fn arbitrary(choices: &mut Choices) -> $type {
                let any = choices.next() as $type;
                choices.one_of(&[any, $type::MIN, $type::MAX])
            }
        }
    )*};
}
numbers!(u8, u16, u32, u64, i16);

impl Arbitrary for bool {
    fn arbitrary(choices: &mut Choices) -> bool {
        choices.one_of(&[false, true])
    }
}

impl Arbitrary for ByteString {
    fn arbitrary(choices: &mut Choices) -> ByteString {
        choices
            .one_of(&["", "a/b", "\"\\\n\0\u{1b}", "温度 😀", "null", "{}"])
            .into()
    }
}

impl Arbitrary for Bytes {
    fn arbitrary(choices: &mut Choices) -> Bytes {
        let any = choices.next().to_be_bytes();
        choices
            .one_of(&[&any[..], b"", b"21.5", b"\xff", b"\0", "é".as_bytes()])
            .to_vec()
            .into()
    }
}

impl Arbitrary for Millis {
    fn arbitrary(choices: &mut Choices) -> Millis {
        Millis(u64::arbitrary(choices))
    }
}

impl Arbitrary for Id {
    fn arbitrary(choices: &mut Choices) -> Id {
        Id(u128::from(choices.next()) << 64 | u128::from(choices.next()))
    }
}

impl Arbitrary for std::net::SocketAddr {
    fn arbitrary(choices: &mut Choices) -> std::net::SocketAddr {
        let address = ["10.0.0.5:50716", "[::1]:1883", "[::ffff:10.0.0.5]:0", "[fe80::1%3]:1"];
        choices.one_of(&address).parse().unwrap()
    }
}

impl<T: Arbitrary> Arbitrary for Box<T> {
    fn arbitrary(choices: &mut Choices) -> Box<T> {
        Box::new(T::arbitrary(choices))
    }
}

impl<T: Arbitrary> Arbitrary for Option<T> {
    fn arbitrary(choices: &mut Choices) -> Option<T> {
        bool::arbitrary(choices).then(|| T::arbitrary(choices))
    }
}

impl<T: Arbitrary> Arbitrary for Vec<T> {
    fn arbitrary(choices: &mut Choices) -> Vec<T> {
        (0..choices.next() % 4).map(|_| T::arbitrary(choices)).collect()
    }
}

impl<A: Arbitrary, B: Arbitrary> Arbitrary for (A, B) {
    fn arbitrary(choices: &mut Choices) -> (A, B) {
        (A::arbitrary(choices), B::arbitrary(choices))
    }
}

macro_rules! enums {
    ($(#[doc = $about:literal] $enum:ident {
        $(#[doc = $meaning:literal] $variant:ident = $name:literal,)+
    })+) => {$(
        impl Arbitrary for $enum {
            fn arbitrary(choices: &mut Choices) -> $enum {
                choices.one_of(&[$($enum::$variant),+])
            }
        }
    )+};
}
crate::with_enums!(enums);

macro_rules! properties {
    ($(#[doc = $meaning:literal] $variant:ident($type:ty) = $name:literal,)+) => {
        impl Arbitrary for Property {
            fn arbitrary(choices: &mut Choices) -> Property {
                let made = [$(Property::$variant(Arbitrary::arbitrary(choices))),+];
                choices.one_of(&made)
            }
        }
    };
}
crate::with_properties!(properties);

macro_rules! details {
    ($(
        #[doc = $meaning:literal] $kind:ident = $dotted:literal $name:literal,
        #[doc = $record_doc:literal] $record:ident: $type:ty;
    )+) => {
        fn detail(hook: Hook, choices: &mut Choices) -> Detail {
            match hook { $(Hook::$kind => Detail::$kind(Arbitrary::arbitrary(choices)),)+ }
        }
    };
}
crate::with_hooks!(details);

macro_rules! records {
    ($($record:ident { $($field:ident),+ $(; $fixed:ident = $value:expr)? })+) => {$(
        impl Arbitrary for $record {
            fn arbitrary(choices: &mut Choices) -> $record {
                $record { $($field: Arbitrary::arbitrary(choices)),+ $(, $fixed: $value)? }
            }
        }
    )+};
}
records!(
    Node { name, id }
    Client { id, username, peer, protocol_version, node, attributes }
    Certificate { common_name, subject }
    Connection { client, listener, transport, local, protocol_name, bridge, keep_alive, clean_start, session_expiry, receive_maximum, mountpoint, certificate, properties }
    Connack { connection, code, session_present, connected_at, properties }
    Authentication { connection, code, anonymous, superuser, source }
    Authorization { client, access, topic, allowed, source }
    Session { client, created_at }
    End { reason, code, text, properties }
    Disconnection { connection, end, connected_at, disconnected_at }
    Termination { session, end }
    Subscription { client, filter, group, qos, no_local, retain_as_published, retain_handling, id, limit, code, is_new, properties }
    Unsubscription { client, filter, group, qos, code, properties }
    Properties { standard, user }
    Message { id, publisher, origin, topic, payload, qos, retain, dup, packet_id, received_at, properties; republishes = 0 }
    Delivery { receiver, message, qos, retain, dup, packet_id, retained, group, subscription_ids }
    Acknowledgement { delivery, code, properties }
    MessageDrop { message, reason, code, text }
    DeliveryDrop { delivery, reason, code, text }
    DeliveryLoss { receiver, filter, group, count }
    OtherEvent { name, client, data }
);

/// Any event of a hook, chosen by the numbers.
pub(super) fn arbitrary(hook: Hook, numbers: Vec<u64>) -> Event {
    let mut choices = Choices(numbers.into_iter());
    Event {
        id: Arbitrary::arbitrary(&mut choices),
        at: Arbitrary::arbitrary(&mut choices),
        utc_offset: Arbitrary::arbitrary(&mut choices),
        detail: detail(hook, &mut choices),
        extras: Arbitrary::arbitrary(&mut choices),
    }
}
