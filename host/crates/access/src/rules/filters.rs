//! How the topics of two filters relate. Both texts are valid filters (MQTT 5.0 §4.7).

/// Whether `filter` matches every topic that `other` matches.
pub(super) fn covers(filter: &str, other: &str) -> bool {
    if is_hidden_from(filter, other) {
        return false;
    }
    let (mut filter, mut other) = (filter.split('/'), other.split('/'));
    loop {
        match (filter.next(), other.next()) {
            (Some("#"), _) => return true,
            // `a/#` matches `a` and everything below it.
            (_, Some("#")) => return false,
            (Some("+"), Some(_)) => {}
            (Some(level), Some(other)) if level == other => {}
            (None, None) => return true,
            _ => return false,
        }
    }
}

/// Whether there is a topic that both filters match.
pub(super) fn overlaps(one: &str, other: &str) -> bool {
    if is_hidden_from(one, other) || is_hidden_from(other, one) {
        return false;
    }
    let (mut one, mut other) = (one.split('/'), other.split('/'));
    loop {
        match (one.next(), other.next()) {
            (Some("#"), _) | (_, Some("#")) => return true,
            (Some("+"), Some(_)) | (Some(_), Some("+")) => {}
            (Some(level), Some(other)) if level == other => {}
            (None, None) => return true,
            _ => return false,
        }
    }
}

/// Whether all topics of `other` begin with `$`, where the wildcard at the beginning of `filter` does not match.
fn is_hidden_from(filter: &str, other: &str) -> bool {
    other.starts_with('$') && filter.starts_with(['+', '#'])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use hookhost_shared::topic::TopicFilter;

    #[test]
    fn relations() {
        // The first filter, the second one, whether the first covers the second, whether they overlap.
        for (one, other, is_covered, is_overlapping) in [
            ("a", "a", true, true),
            ("a", "b", false, false),
            ("#", "a/+", true, true),
            ("#", "#", true, true),
            ("#", "$SYS/#", false, false),
            ("+/a", "$SYS/a", false, false),
            ("$SYS/#", "#", false, false),
            ("$SYS/#", "$SYS/+", true, true),
            ("a/+", "a/#", false, true),
            ("a/#", "a/+", true, true),
            ("a/#", "a", true, true),
            ("a", "a/#", false, true),
            ("a/+", "a", false, false),
            ("a/+/c", "a/b/+", false, true),
            ("a/+/c", "a/b/d", false, false),
            ("+/+", "a/b", true, true),
            ("+", "+", true, true),
            ("+", "#", false, true),
            ("a/b", "a/+", false, true),
            ("a//c", "a/+/c", false, true),
        ] {
            assert_eq!(covers(one, other), is_covered, "{one} covers {other}");
            assert_eq!(overlaps(one, other), is_overlapping, "{one} overlaps {other}");
            assert_eq!(overlaps(other, one), is_overlapping, "{other} overlaps {one}");
        }
    }

    fn filter() -> impl Strategy<Value = String> {
        "(\\+|[ab$])(/(\\+|[ab]?)){0,2}(/#)?|#"
    }

    proptest! {
        #[test]
        fn agree_with_matching(one in filter(), other in filter(), topic in "[ab$](/[ab]?){0,3}") {
            let matches = |filter: &str| filter.parse::<TopicFilter>().unwrap().matches(&topic);
            if covers(&one, &other) && matches(&other) {
                prop_assert!(matches(&one), "{one} covers {other}, but not {topic}");
            }
            if matches(&one) && matches(&other) {
                prop_assert!(overlaps(&one, &other), "{one} and {other} both match {topic}");
            }
            if covers(&one, &other) {
                prop_assert!(overlaps(&one, &other));
            }
        }
    }
}
