//! The events that a module wants, compiled for the lookup that every event needs.
//!
//! [`Interests::compile`] checks the list that a module returned and turns it into one entry for each hook: nothing,
//! everything, or filters. Filters without a wildcard are looked up in a set; those with one are matched one after the
//! other by the code that modules use too. Pure: no I/O, no clock, no locks. The lookup runs in the task of the client
//! that caused the event, so two limits bound its cost.

use std::collections::HashSet;
use std::sync::Arc;

use hookhost_contract::Interest;
use hookhost_event::{FilterError, Hook, TopicFilter};

/// The interests of one module, compiled. Clones share the tables.
#[derive(Debug, Clone)]
pub struct Interests(Arc<[Wanted; Hook::COUNT]>);

/// The events of one hook that a module wants.
#[derive(Debug, Clone, Default)]
enum Wanted {
    #[default]
    Nothing,
    Everything,
    Some {
        exact: HashSet<Box<str>>,
        wildcards: Vec<TopicFilter>,
    },
}

/// An error in one interest of a list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("interest {index} ({}): {cause}", .hook.name())]
pub struct InterestError {
    /// Place of the interest in the list, from 0.
    pub index: usize,
    /// Its hook.
    pub hook: Hook,
    /// What is wrong.
    #[source]
    pub cause: InterestCause,
}

/// What can be wrong with an interest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InterestCause {
    /// A text is not a topic filter.
    #[error("'{}' is not a topic filter: {cause}", excerpt(.filter))]
    Filter {
        /// The text.
        filter: String,
        /// Why it is invalid.
        cause: FilterError,
    },
    /// An empty name of an event.
    #[error("the name of an event must not be empty")]
    EmptyName,
    /// Filters for a hook whose events have no topic: they would never match.
    #[error("events of this hook have no topic, so a filter never matches; remove the filters")]
    NoTopic,
    /// More filters in all than [`Interests::MAX_FILTERS`].
    #[error("more than {} filters in all", Interests::MAX_FILTERS)]
    TooMany,
    /// More filters with wildcards for one hook than [`Interests::MAX_WILDCARDS`].
    #[error("more than {} filters with wildcards for one hook", Interests::MAX_WILDCARDS)]
    TooManyWildcards,
}

impl Interests {
    /// Maximum number of filters in all interests of one module; bounds the memory that a module takes in the host.
    pub const MAX_FILTERS: usize = 10_000;

    /// Maximum number of different filters with wildcards for one hook; each costs about ten nanoseconds per event.
    pub const MAX_WILDCARDS: usize = 1_000;

    /// Interests that want nothing.
    pub fn none() -> Interests {
        Interests(Arc::default())
    }

    /// Checks and compiles a list. Several interests in one hook add up.
    ///
    /// # Errors
    ///
    /// All errors of the list, at most one for each filter.
    pub fn compile(list: &[Interest]) -> Result<Interests, Vec<InterestError>> {
        let mut table: [Wanted; Hook::COUNT] = Default::default();
        let mut errors = Vec::new();
        let mut filters = 0;
        for (index, interest) in list.iter().enumerate() {
            let hook = interest.hook;
            let mut refuse = |cause| errors.push(InterestError { index, hook, cause });
            #[expect(
                clippy::indexing_slicing,
                reason = "Hook::COUNT is one more than the number of the last hook"
            )]
            let wanted = &mut table[hook as usize];
            if interest.filters.is_empty() {
                *wanted = Wanted::Everything;
                continue;
            }
            if !has_topic(hook) {
                refuse(InterestCause::NoTopic);
                continue;
            }
            for text in &interest.filters {
                filters += 1;
                match check(hook, text) {
                    Err(cause) => refuse(cause),
                    Ok(_) if filters > Self::MAX_FILTERS => {
                        refuse(InterestCause::TooMany);
                        return Err(errors);
                    }
                    Ok(None) => wanted.add_exact(text),
                    Ok(Some(filter)) => {
                        if !wanted.add_wildcard(filter) {
                            refuse(InterestCause::TooManyWildcards);
                            return Err(errors);
                        }
                    }
                }
            }
        }
        if errors.is_empty() {
            Ok(Interests(Arc::new(table)))
        } else {
            Err(errors)
        }
    }

    /// Whether the module wants an event of this hook with this subject; see
    /// [`Detail::subject`](hookhost_event::Detail::subject).
    pub fn wants(&self, hook: Hook, subject: Option<&str>) -> bool {
        match self.of(hook) {
            Wanted::Nothing => false,
            Wanted::Everything => true,
            Wanted::Some { exact, wildcards } => subject.is_some_and(|subject| {
                exact.contains(subject) || wildcards.iter().any(|filter| filter.matches(subject))
            }),
        }
    }

    /// The hooks of which the module wants events, in the order of the contract.
    pub fn hooks(&self) -> impl Iterator<Item = Hook> + '_ {
        Hook::ALL
            .into_iter()
            .filter(|hook| !matches!(self.of(*hook), Wanted::Nothing))
    }

    /// The filters of a hook, sorted; empty if the module wants all of its events or none.
    pub fn filters(&self, hook: Hook) -> Vec<&str> {
        let Wanted::Some { exact, wildcards } = self.of(hook) else {
            return Vec::new();
        };
        let mut filters: Vec<&str> = exact.iter().map(|text| &**text).collect();
        filters.extend(wildcards.iter().map(TopicFilter::as_str));
        filters.sort_unstable();
        filters
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "Hook::COUNT is one more than the number of the last hook"
    )]
    fn of(&self, hook: Hook) -> &Wanted {
        &self.0[hook as usize]
    }
}

impl Wanted {
    fn add_exact(&mut self, text: &str) {
        if let Some((exact, _)) = self.lists() {
            exact.insert(text.into());
        }
    }

    /// False if there are too many.
    fn add_wildcard(&mut self, filter: TopicFilter) -> bool {
        let Some((_, wildcards)) = self.lists() else {
            return true;
        };
        if !wildcards.contains(&filter) {
            wildcards.push(filter);
        }
        wildcards.len() <= Interests::MAX_WILDCARDS
    }

    /// The lists to add to; none if the module wants everything anyway.
    fn lists(&mut self) -> Option<(&mut HashSet<Box<str>>, &mut Vec<TopicFilter>)> {
        if matches!(self, Wanted::Nothing) {
            *self = Wanted::Some {
                exact: HashSet::new(),
                wildcards: Vec::new(),
            };
        }
        match self {
            Wanted::Some { exact, wildcards } => Some((exact, wildcards)),
            Wanted::Nothing | Wanted::Everything => None,
        }
    }
}

/// The filter, if it has wildcards.
fn check(hook: Hook, text: &str) -> Result<Option<TopicFilter>, InterestCause> {
    if hook == Hook::Other {
        return if text.is_empty() {
            Err(InterestCause::EmptyName)
        } else {
            Ok(None)
        };
    }
    match text.parse::<TopicFilter>() {
        Ok(filter) => Ok(text.contains(['+', '#']).then_some(filter)),
        Err(cause) => Err(InterestCause::Filter {
            filter: text.to_owned(),
            cause,
        }),
    }
}

/// Whether events of a hook have a subject, so that filters can choose among them; [`Detail::subject`](hookhost_event::Detail::subject) decides.
pub fn has_topic(hook: Hook) -> bool {
    match hook {
        Hook::ClientConnect
        | Hook::ClientConnack
        | Hook::ClientConnected
        | Hook::ClientDisconnected
        | Hook::ClientAuthenticated
        | Hook::SessionCreated
        | Hook::SessionResumed
        | Hook::SessionDiscarded
        | Hook::SessionTakenOver
        | Hook::SessionTerminated => false,
        Hook::ClientAuthorized
        | Hook::ClientSubscribe
        | Hook::ClientUnsubscribe
        | Hook::SessionSubscribed
        | Hook::SessionUnsubscribed
        | Hook::MessagePublish
        | Hook::MessageDelivered
        | Hook::MessageAcked
        | Hook::MessageDropped
        | Hook::MessageRefused
        | Hook::DeliveryDropped
        | Hook::MessageQueued
        | Hook::DeliveryLost
        | Hook::Other => true,
    }
}

/// Enough of a text to recognise it: a module may return one of any length.
fn excerpt(text: &str) -> String {
    const MAX_CHARS: usize = 80;
    if text.chars().nth(MAX_CHARS).is_none() {
        return text.escape_debug().to_string();
    }
    format!("{}…", text.chars().take(MAX_CHARS).collect::<String>().escape_debug())
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn the_number_of_filters_is_bounded() {
        let many = |count: usize, suffix: &str| {
            let filters = (0..count).map(|number| format!("{number}{suffix}")).collect();
            Interests::compile(&[Interest {
                hook: Hook::MessagePublish,
                filters,
            }])
            .map_err(|errors| errors[0].cause.clone())
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
}
