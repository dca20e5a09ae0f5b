//! Names in a form that rumqttd accepts, and back.
//!
//! A topic whose first character is not ASCII stops rumqttd. It accepts no filter that begins with `$`, and no client id
//! with a character that has a meaning in filters. So every topic and filter gets a prefix, another one if it begins with
//! `$`, because wildcards must not match those; and every unusual character of a client id is written as `%` and two
//! digits.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use bytestring::ByteString;

const PLAIN: &str = "t/";
const DOLLAR: &str = "d/";
/// The longest text of MQTT.
const MAX_TEXT_BYTES: usize = u16::MAX as usize;
/// Longer client ids are replaced by a number.
const MAX_ID_BYTES: usize = 1_000;

/// A topic or a filter as rumqttd sees it; `None` if it becomes too long.
pub(super) fn inside(text: &str) -> Option<ByteString> {
    let prefix = if text.starts_with('$') { DOLLAR } else { PLAIN };
    (text.len() + prefix.len() <= MAX_TEXT_BYTES).then(|| ByteString::from(format!("{prefix}{text}")))
}

/// A topic as clients see it; `None` if no client can have published it.
pub(super) fn outside(text: &str) -> Option<&str> {
    text.strip_prefix(PLAIN).or_else(|| text.strip_prefix(DOLLAR))
}

/// A client id as rumqttd sees it.
pub(super) fn client_id(id: &str) -> ByteString {
    static KEYS: LazyLock<[RandomState; 2]> = LazyLock::new(|| [RandomState::new(), RandomState::new()]);
    if id.len() > MAX_ID_BYTES {
        let [one, two] = &*KEYS;
        return format!("long-{:016x}{:016x}", one.hash_one(id), two.hash_one(id)).into();
    }
    let mut out = String::with_capacity(id.len() + 3);
    out.push_str("c-");
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02x}"));
        }
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;
    use hookhost_event::TopicFilter;

    #[test]
    fn names() {
        for (text, expected) in [
            ("a/b", "t/a/b"),
            ("$SYS/x", "d/$SYS/x"),
            ("温度/1", "t/温度/1"),
            ("#", "t/#"),
        ] {
            let name = inside(text).unwrap();
            assert_eq!(name, expected);
            assert_eq!(outside(&name), Some(text));
        }
        assert_eq!(inside(&"x".repeat(MAX_TEXT_BYTES - 1)), None);
        assert_eq!(outside("elsewhere"), None);
        let ids: HashSet<_> = ["a", "+", "#", "/", "$SYS", "%2b", "ключ", "a+", "a%", ""]
            .map(client_id)
            .into();
        assert_eq!(ids.len(), 10);
        assert!(ids.iter().all(|id| !id.contains(['+', '#', '/', '$'])));
        let long = "x".repeat(MAX_TEXT_BYTES);
        assert!(client_id(&long).len() < 100 && client_id(&long) == client_id(&long));
        assert_ne!(client_id(&long), client_id(&format!("{}y", &long[1..])));
    }

    proptest! {
        /// A filter matches a topic inside if and only if it does outside.
        #[test]
        fn prefixes_change_no_match(
            filter in "(\\+|[ab]{1,2}|\\$[ab])(/(\\+|[ab])){0,2}(/#)?",
            topic in "(\\$)?[ab]{1,2}(/[ab]){0,2}",
        ) {
            let parse = |text: &str| text.parse::<TopicFilter>().unwrap();
            let (inner_filter, inner_topic) = (inside(&filter).unwrap(), inside(&topic).unwrap());
            prop_assert_eq!(parse(&filter).matches(&topic), parse(&inner_filter).matches(&inner_topic));
        }
    }
}
