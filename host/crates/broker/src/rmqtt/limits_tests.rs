use super::*;

#[test]
fn the_defaults_make_sense() {
    assert_eq!(Limits::default().check(), []);
}

#[test]
fn limits_that_make_no_sense_are_all_found() {
    let limits = Limits {
        max_inflight: 0,
        max_qos_allowed: 3,
        min_keepalive: 10,
        max_keepalive: 5,
        max_topic_levels: 0,
        ..Limits::default()
    };
    let found: Vec<_> = limits.check().into_iter().map(|(key, _)| key).collect();
    assert_eq!(
        found,
        ["max_keepalive", "max_qos_allowed", "max_topic_levels", "max_inflight"]
    );
}

#[test]
fn topics() {
    let limits = Limits {
        max_topic_levels: 3,
        ..Limits::default()
    };
    for (topic, fine) in [
        ("a", true),
        ("a/b/c", true),
        ("/", true),
        ("$SYS/x", true),
        ("температура/水", true),
        ("a b", true),
        ("a/b/c/d", false),
        ("", false),
        ("a/+", false),
        ("a#", false),
        ("a\0b", false),
    ] {
        assert_eq!(limits.is_topic(topic), fine, "{topic:?}");
    }
}
