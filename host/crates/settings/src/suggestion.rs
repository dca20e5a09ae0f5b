//! What to say about an unknown key.

use hookhost_shared::nearest::nearest;

/// Names the known keys that an unknown one was probably meant to be, or else all that it could have been. `shown` turns
/// a known key into its name in the source of the unknown one.
pub fn suggestion(key: &str, known: &[&str], shown: impl Fn(&str) -> String) -> String {
    let meant = meant(key, known);
    if !meant.is_empty() {
        let verb = if meant.len() == 1 { "one is" } else { "ones are" };
        let meant: Vec<String> = meant.into_iter().map(&shown).collect();
        return format!("the nearest known {verb} {}", meant.join(" and "));
    }
    let section = key.split_once('.').map_or("", |(section, _)| section);
    let inside = |known: &&&str| known.split_once('.').is_some_and(|(other, _)| other == section);
    let siblings: Vec<String> = known.iter().filter(inside).map(|known| shown(known)).collect();
    if !siblings.is_empty() {
        return format!("known are {}", siblings.join(", "));
    }
    let mut sections: Vec<&str> = known
        .iter()
        .map(|known| known.split('.').next().unwrap_or_default())
        .collect();
    sections.dedup();
    match nearest(key.split('.').next().unwrap_or_default(), sections.iter().copied()) {
        Some(section) => format!("the nearest known one is {}", shown(section)),
        None => format!("known are {}", sections.join(", ")),
    }
}

/// The right word in the wrong section, or else a word that was mistyped. Several sections may have the word.
fn meant<'a>(key: &str, known: &[&'a str]) -> Vec<&'a str> {
    let last = |key: &'a str| key.rsplit('.').next().unwrap_or_default();
    let word = key.rsplit('.').next().unwrap_or_default();
    let with = |word: &str| -> Vec<&'a str> { known.iter().copied().filter(|known| last(known) == word).collect() };
    let same = with(word);
    if !same.is_empty() {
        return same;
    }
    match nearest(key, known.iter().copied()) {
        Some(mistyped) => vec![mistyped],
        None => nearest(word, known.iter().map(|known| last(known)))
            .map(with)
            .unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_that_was_meant_is_named() {
        let known = [
            "delivery.connect_timeout",
            "delivery.http_timeout",
            "delivery.queue_bytes",
            "hooks.queue_bytes",
            "mqtt.listen",
            "mqtt.send_timeout",
        ];
        let cases = [
            ("mqtt.lisen", "the nearest known one is mqtt.listen"),
            ("listen", "the nearest known one is mqtt.listen"),
            ("mqtt.http_timeout", "the nearest known one is delivery.http_timeout"),
            (
                "delivery.conect_timeout",
                "the nearest known one is delivery.connect_timeout",
            ),
            ("lissten", "the nearest known one is mqtt.listen"),
            (
                "queue_bytes",
                "the nearest known ones are delivery.queue_bytes and hooks.queue_bytes",
            ),
            ("mqtt.x", "known are mqtt.listen, mqtt.send_timeout"),
            ("frobnicate.x", "known are delivery, hooks, mqtt"),
            ("delivry.x", "the nearest known one is delivery"),
        ];
        for (key, expected) in cases {
            assert_eq!(suggestion(key, &known, str::to_owned), expected, "{key}");
        }
        assert_eq!(suggestion("a", &["abc", "def"], str::to_owned), "known are abc, def");
    }
}
