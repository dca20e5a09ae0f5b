use super::*;
use proptest::prelude::*;

fn interest(hook: Hook, filters: &[&str]) -> Interest {
    Interest {
        hook,
        filters: filters.iter().map(|filter| (*filter).to_owned()).collect(),
    }
}

#[test]
fn filters_choose() {
    for (filters, subject, expected) in [
        (&["a/b"][..], Some("a/b"), true),
        (&["a/b"], Some("a/c"), false),
        (&["a/b"], None, false),
        (&["a/+", "x"], Some("a/c"), true),
        (&["a/+", "x"], Some("x"), true),
        (&["a/+", "x"], Some("y"), false),
        (&["#"], Some("$SYS/x"), false),
        (&["#", "$SYS/#"], Some("$SYS/x"), true),
        (&[], Some("$SYS/x"), true),
        (&[], None, true),
    ] {
        let interests = Interests::compile(&[interest(Hook::MessagePublish, filters)]).unwrap();
        assert_eq!(
            interests.wants(Hook::MessagePublish, subject),
            expected,
            "{filters:?} on {subject:?}"
        );
        assert!(!interests.wants(Hook::MessageAcked, subject), "another hook");
    }
}

#[test]
fn other_events_are_chosen_by_their_exact_name() {
    let interests = Interests::compile(&[interest(Hook::Other, &["client.ping", "alarm/#"])]).unwrap();
    for (name, expected) in [
        ("client.ping", true),
        ("client.pin", false),
        ("alarm/#", true),
        ("alarm/x", false),
    ] {
        assert_eq!(interests.wants(Hook::Other, Some(name)), expected, "{name}");
    }
}

#[test]
fn interests_of_one_hook_add_up() {
    let publish = Hook::MessagePublish;
    let some = Interests::compile(&[interest(publish, &["a"]), interest(publish, &["b/+"])]).unwrap();
    assert!(some.wants(publish, Some("a")) && some.wants(publish, Some("b/c")) && !some.wants(publish, Some("c")));
    for list in [
        [interest(publish, &["a"]), interest(publish, &[])],
        [interest(publish, &[]), interest(publish, &["a"])],
    ] {
        assert!(
            Interests::compile(&list).unwrap().wants(publish, Some("$x")),
            "{list:?}"
        );
    }
    let hooks = Interests::compile(&[interest(Hook::Other, &[]), interest(Hook::ClientConnect, &[])]).unwrap();
    assert_eq!(hooks.hooks().collect::<Vec<_>>(), [Hook::ClientConnect, Hook::Other]);
    assert_eq!(Interests::none().hooks().count(), 0);
}

#[test]
fn mistakes_name_the_interest_and_the_reason() {
    let list = [
        interest(Hook::MessagePublish, &["ok", "a/#/b", "a+"]),
        interest(Hook::ClientConnected, &["a"]),
        interest(Hook::Other, &[""]),
    ];
    let errors = Interests::compile(&list).unwrap_err();
    let texts: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "interest 0 (message.publish): 'a/#/b' is not a topic filter: '#' must be the whole last level of a topic filter",
            "interest 0 (message.publish): 'a+' is not a topic filter: '+' must be a whole level of a topic filter",
            "interest 1 (client.connected): events of this hook have no topic, so a filter never matches; \
             remove the filters",
            "interest 2 (other): the name of an event must not be empty",
        ]
    );
}

/// An interest in `0`, `1` and so on, each with a suffix.
fn numbered(count: usize, suffix: &str) -> Interest {
    Interest {
        hook: Hook::MessagePublish,
        filters: (0..count).map(|number| format!("{number}{suffix}")).collect(),
    }
}

#[test]
fn the_number_of_filters_of_a_module_is_bounded() {
    let many = |count: usize, suffix: &str| {
        Interests::compile(&[numbered(count, suffix)]).map_err(|errors| errors[0].cause.clone())
    };
    assert!(many(Interests::MAX_FILTERS, "").is_ok());
    assert_eq!(
        many(Interests::MAX_FILTERS + 1, "").unwrap_err(),
        InterestCause::TooMany
    );
    assert!(many(Interests::MAX_WILDCARDS, "/+").is_ok());
    assert_eq!(
        many(Interests::MAX_WILDCARDS + 1, "/+").unwrap_err(),
        InterestCause::TooManyWildcards
    );
}

#[test]
fn the_operator_has_any_number_of_filters() {
    let interests = Interests::compile_unlimited(&[numbered(30_000, "/+"), numbered(30_000, "/x/#")]).unwrap();
    assert_eq!(interests.filters(Hook::MessagePublish).len(), 60_000);
    for (topic, expected) in [
        ("29999/a", true),
        ("29999/x/a", true),
        ("30000/a", false),
        ("0/a/x", false),
    ] {
        assert_eq!(interests.wants(Hook::MessagePublish, Some(topic)), expected, "{topic}");
    }
    // Mistakes are reported all the same.
    let errors = Interests::compile_unlimited(&[interest(Hook::MessagePublish, &["a/#/b"])]).unwrap_err();
    assert_eq!(errors.len(), 1);
}

#[test]
fn a_long_filter_is_cut_in_the_message() {
    let errors = Interests::compile(&[interest(Hook::MessagePublish, &[&"x+".repeat(10_000)])]).unwrap_err();
    assert!(errors[0].to_string().len() < 300);
}

proptest! {
    /// The compiled form says what the filters say one by one.
    #[test]
    fn agrees_with_the_filters(
        filters in proptest::collection::vec("(\\+|[ab$]{1,2})(/(\\+|[ab]))?(/#)?", 1..6),
        topic in "[ab$]{1,2}(/[ab]){0,2}",
    ) {
        let expected = filters.iter().any(|filter| filter.parse::<TopicFilter>().unwrap().matches(&topic));
        let interests = Interests::compile(&[Interest { hook: Hook::MessageAcked, filters }]).unwrap();
        prop_assert_eq!(interests.wants(Hook::MessageAcked, Some(&topic)), expected);
    }
}
