//! The events that a module wants, compiled for the lookup that every event needs.
//!
//! [`Interests::compile`] checks the list that a module returned and turns it into one entry for each hook: nothing,
//! everything, or filters. Filters without a wildcard are looked up in a set, those with one in a tree
//! ([`FilterTree`]), so the cost of a lookup hardly depends on their number. Pure: no I/O, no clock, no locks. The lookup
//! runs in the task of the client that caused the event. Two limits bound what a module that others wrote costs; the
//! operator's own rules have no such limit.
//!
//! Interests also say which publishes are *durable*: acknowledged only when everything they caused is kept
//! ([`Interests::with_durable`]).

use std::collections::HashSet;
use std::sync::Arc;

use hookhost_contract::Interest;
use hookhost_event::{FilterError, FilterTree, Hook, TopicFilter};

/// The interests of one module, compiled. Clones share the tables.
#[derive(Debug, Clone)]
pub struct Interests {
    wanted: Arc<[Wanted; Hook::COUNT]>,
    /// The publishes that are acknowledged when their requests are on disk.
    durable: Arc<Wanted>,
}

/// The events of one hook that a module wants.
#[derive(Debug, Clone, Default)]
enum Wanted {
    #[default]
    Nothing,
    Everything,
    Some {
        exact: HashSet<Box<str>>,
        wildcards: Wildcards,
    },
}

/// Different filters with wildcards.
#[derive(Debug, Clone, Default)]
struct Wildcards {
    texts: HashSet<Box<str>>,
    tree: FilterTree<()>,
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

    /// Maximum number of different filters with wildcards for one hook; bounds the ways that a lookup can take.
    pub const MAX_WILDCARDS: usize = 1_000;

    /// Interests that want nothing.
    pub fn none() -> Interests {
        Interests::from(<[Wanted; Hook::COUNT]>::default())
    }

    /// Checks and compiles the list of a module that others wrote, with at most [`MAX_FILTERS`](Self::MAX_FILTERS) and
    /// [`MAX_WILDCARDS`](Self::MAX_WILDCARDS). Several interests in one hook add up.
    ///
    /// # Errors
    ///
    /// All errors of the list, at most one for each filter.
    pub fn compile(list: &[Interest]) -> Result<Interests, Vec<InterestError>> {
        Self::compile_list(list, true)
    }

    /// As [`compile`](Self::compile), with any number of filters: for what the operator has written.
    ///
    /// # Errors
    ///
    /// As [`compile`](Self::compile), without the limits.
    pub fn compile_unlimited(list: &[Interest]) -> Result<Interests, Vec<InterestError>> {
        Self::compile_list(list, false)
    }

    fn compile_list(list: &[Interest], is_limited: bool) -> Result<Interests, Vec<InterestError>> {
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
                    Ok(_) if is_limited && filters > Self::MAX_FILTERS => {
                        refuse(InterestCause::TooMany);
                        return Err(errors);
                    }
                    Ok(None) => wanted.add_exact(text),
                    Ok(Some(filter)) => {
                        let count = wanted.add_wildcard(filter);
                        if is_limited && count > Self::MAX_WILDCARDS {
                            refuse(InterestCause::TooManyWildcards);
                            return Err(errors);
                        }
                    }
                }
            }
        }
        if errors.is_empty() {
            Ok(Interests::from(table))
        } else {
            Err(errors)
        }
    }

    /// The same interests, with a list of the publishes that are durable: those of `list` for
    /// [`Hook::MessagePublish`]. Unlike in interests, a filter that begins with a wildcard also matches topics that begin
    /// with `$`, because formats of some brokers send those too.
    ///
    /// # Errors
    ///
    /// As [`compile_unlimited`](Self::compile_unlimited).
    pub fn with_durable(self, list: &[Interest]) -> Result<Interests, Vec<InterestError>> {
        let durable = Self::compile_list(list, false)?;
        let durable = durable.of(Hook::MessagePublish).clone();
        Ok(Interests {
            durable: Arc::new(durable),
            ..self
        })
    }

    /// Whether a publish to this topic is acknowledged only when everything that the module makes of it is kept.
    pub fn is_durable(&self, topic: &str) -> bool {
        match &*self.durable {
            Wanted::Nothing => false,
            Wanted::Everything => true,
            Wanted::Some { exact, wildcards } => {
                let hidden = topic.strip_prefix('$');
                exact.contains(topic)
                    || wildcards.tree.contains(topic)
                    || hidden.is_some_and(|rest| wildcards.tree.contains(&format!("_{rest}")))
            }
        }
    }

    /// Whether the module wants an event of this hook with this subject; see
    /// [`Detail::subject`](hookhost_event::Detail::subject).
    pub fn wants(&self, hook: Hook, subject: Option<&str>) -> bool {
        match self.of(hook) {
            Wanted::Nothing => false,
            Wanted::Everything => true,
            Wanted::Some { exact, wildcards } => {
                subject.is_some_and(|subject| exact.contains(subject) || wildcards.tree.contains(subject))
            }
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
        let mut filters: Vec<&str> = exact.iter().chain(&wildcards.texts).map(|text| &**text).collect();
        filters.sort_unstable();
        filters
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "Hook::COUNT is one more than the number of the last hook"
    )]
    fn of(&self, hook: Hook) -> &Wanted {
        &self.wanted[hook as usize]
    }
}

impl From<[Wanted; Hook::COUNT]> for Interests {
    fn from(wanted: [Wanted; Hook::COUNT]) -> Interests {
        Interests {
            wanted: Arc::new(wanted),
            durable: Arc::default(),
        }
    }
}

impl Wanted {
    fn add_exact(&mut self, text: &str) {
        if let Some((exact, _)) = self.lists() {
            exact.insert(text.into());
        }
    }

    /// Returns the number of filters with wildcards.
    fn add_wildcard(&mut self, filter: TopicFilter) -> usize {
        let Some((_, wildcards)) = self.lists() else {
            return 0;
        };
        if wildcards.texts.insert(filter.as_str().into()) {
            wildcards.tree.insert(filter, ());
        }
        wildcards.texts.len()
    }

    /// The lists to add to; none if the module wants everything anyway.
    fn lists(&mut self) -> Option<(&mut HashSet<Box<str>>, &mut Wildcards)> {
        if matches!(self, Wanted::Nothing) {
            *self = Wanted::Some {
                exact: HashSet::new(),
                wildcards: Wildcards::default(),
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
#[path = "interests_tests.rs"]
mod tests;
