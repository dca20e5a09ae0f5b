//! Resolves each URL once to its destination and settings.
//!
//! A typical host has a few URLs and one set of headers for each URL. Both are therefore parsed once and then looked
//! up. Modules may also create a new URL for each event. The tables are bounded and emptied when they are full. Each
//! configuration has its own table.
//!
//! Limits and order apply to a [`Destination`]. A destination keeps its identity while a request refers to it, even if
//! the tables are emptied. Otherwise one receiver could have two destinations.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use url::Url;

use super::batch_group::{BatchGroup, BatchGroups, GroupIds};
use super::batching::Batching;
use super::counters::Counts;
use super::destination::{DestinationSelector, Receivers, Terms};
use super::destination_counts::{DestinationCounts, DestinationKey};
use super::direct::Pool;
use super::endpoint::{Endpoint, Prepared};
use super::file::{Appending, FileSettings};
use super::flow::Flow;
use super::gate::Gate;
use super::http::Http;
use super::lines::Lines;
use super::publish::{MessageTarget, Publisher};
use super::queue::DestinationId;
use super::request::{OutboxRequest, shown};
use super::stdout::{Stdout, StdoutFormat};

/// Limit of the URLs in one table. Even a large set of rules has about a hundred.
const URLS: usize = 1024;

/// Limit of the header sets remembered per URL.
const HEADERS: usize = 4;

/// Limit of the configurations with a table. They are the active one, the previous one, and those of modules that could
/// not reload. Requests of the previous one may still arrive after a reload. Modules that could not reload keep theirs.
const CONFIGURATIONS: usize = 4;

/// The targets known to a sender thread.
pub(super) struct Targets {
    /// One table per configuration, in order of last use.
    tables: Vec<Table>,
    /// The number of tables created. It gives the order of their creation.
    begun: u64,
    destinations: HashMap<DestinationKey, Rc<Destination>>,
    counts: Arc<Counts>,
    group_ids: GroupIds,
    next: u64,
    stdout: StdoutFormat,
    files: FileSettings,
    publisher: Option<Arc<dyn Publisher>>,
}

/// The targets of URLs under one configuration.
struct Table {
    receivers: Arc<Receivers>,
    begun: u64,
    /// Targets by URL. If the URL alone does not decide, the key is the [`DestinationSelector`], a space and the URL.
    urls: HashMap<String, Rc<Target>>,
}

/// A checked URL.
pub(super) struct Target {
    /// The URL as it may be shown.
    pub(super) shown: Arc<str>,
    /// Its destination.
    pub(super) destination: Rc<Destination>,
    /// `None`: the target takes lines or messages.
    endpoint: Option<Endpoint>,
    /// `None`: the target takes no messages.
    message: Option<Rc<MessageTarget>>,
    receivers: Arc<Receivers>,
    prepared: RefCell<Vec<(Headers, Rc<Prepared>)>>,
    /// The index in `prepared` that is replaced next.
    oldest: Cell<usize>,
    groups: RefCell<BatchGroups>,
}

/// Header names and values as a request brings them.
pub(super) type Headers = Vec<(String, String)>;

/// A receiver.
pub(super) struct Destination {
    /// The id in the queue.
    pub(super) id: DestinationId,
    /// Its name, or its URL without one, as dead letters show it.
    pub(super) label: Arc<str>,
    pub(super) counts: Arc<DestinationCounts>,
    /// Whether it gets requests now.
    pub(super) gate: Arc<Gate>,
    /// How many requests it gets at once.
    pub(super) flow: Flow,
    transport: Transport,
}

enum Transport {
    /// Scheme, host, port, and the configured destination, if any. Without TLS it has a pool of connections.
    Http(Option<Rc<Pool>>),
    /// A file or standard output.
    Lines(Rc<Lines>),
    /// The broker of this host.
    Messages,
}

/// How a request is sent to its target.
pub(super) enum Route {
    /// Over HTTP.
    Http(Rc<Prepared>),
    /// Over HTTP, together with others.
    Batch(Rc<BatchGroup>),
    /// As a line.
    Line(Rc<Lines>),
    /// As a message, with these headers.
    Message(Rc<MessageTarget>, Headers),
}

impl Targets {
    /// Creates an empty set of targets. Requests to `stdout:` are printed in the given format.
    pub(super) fn new(stdout: StdoutFormat, counts: Arc<Counts>) -> Targets {
        Targets {
            tables: Vec::new(),
            begun: 0,
            destinations: HashMap::new(),
            counts,
            group_ids: GroupIds::default(),
            next: 0,
            stdout,
            files: FileSettings::default(),
            publisher: None,
        }
    }

    /// With settings of `file:` URLs, and a publisher for `mqtt:` URLs.
    pub(super) fn with(self, files: FileSettings, publisher: Option<Arc<dyn Publisher>>) -> Targets {
        Targets {
            files,
            publisher,
            ..self
        }
    }

    /// Returns the target of `url` under these receivers.
    ///
    /// # Errors
    ///
    /// What is wrong with the URL, without the URL itself.
    pub(super) fn target(
        &mut self,
        http: &Http,
        receivers: &Arc<Receivers>,
        url: &str,
        via: &DestinationSelector,
    ) -> Result<Rc<Target>, String> {
        let mut table = self.table(http, receivers);
        let found = self.find(&mut table, http, url, via);
        self.tables.push(table);
        found
    }

    /// Removes the table of these receivers from the list and returns it, or returns a new table.
    fn table(&mut self, http: &Http, receivers: &Arc<Receivers>) -> Table {
        let known = self
            .tables
            .iter()
            .rposition(|table| Arc::ptr_eq(&table.receivers, receivers));
        if let Some(known) = known {
            return self.tables.remove(known);
        }
        if self.tables.len() >= CONFIGURATIONS {
            self.tables.remove(0);
            self.forget_unused();
            http.clients.forget_unused();
        }
        self.begun += 1;
        Table {
            receivers: Arc::clone(receivers),
            begun: self.begun,
            urls: HashMap::new(),
        }
    }

    fn find(
        &mut self,
        table: &mut Table,
        http: &Http,
        url: &str,
        via: &DestinationSelector,
    ) -> Result<Rc<Target>, String> {
        let receivers = &table.receivers;
        let key: Cow<'_, str> = match via {
            DestinationSelector::Url => url.into(),
            DestinationSelector::Named(name) => format!("{name} {url}").into(),
            DestinationSelector::Nothing => format!(" {url}").into(),
        };
        if let Some(known) = table.urls.get(&*key) {
            return Ok(Rc::clone(known));
        }
        let (scheme, rest) = url.split_once(':').ok_or("URL has no scheme")?;
        let mut message = None;
        let (destination, endpoint) = match scheme.to_ascii_lowercase().as_str() {
            "file" => {
                let file = Appending::parse(rest, self.files)?;
                let key = match file.path().to_str() {
                    Some(path) => DestinationKey::of(format!("file:{path}")),
                    None => DestinationKey::of(format!("file:{:?}", file.path())),
                };
                (
                    self.destination(key, || Transport::Lines(Rc::new(Lines::new(file)))),
                    None,
                )
            }
            "stdout" if rest.is_empty() => (
                {
                    let stdout = self.stdout;
                    self.destination(DestinationKey::of("stdout:"), || {
                        Transport::Lines(Rc::new(Lines::new(Stdout::new(stdout))))
                    })
                },
                None,
            ),
            "stdout" => return Err("nothing may follow `stdout:`".into()),
            "mqtt" => {
                let publisher = self.publisher.as_ref().ok_or("nothing can be published here")?;
                message = Some(Rc::new(MessageTarget::parse(rest, publisher)?));
                (
                    self.destination(DestinationKey::of("mqtt:"), || Transport::Messages),
                    None,
                )
            }
            _ => {
                let find = |url: &Url| receivers.destinations.find(via, url).cloned();
                let endpoint = Endpoint::parse(http, url, &receivers.terms, find)?;
                let key = DestinationKey {
                    name: endpoint.destination().map(|destination| Arc::clone(&destination.name)),
                    url: endpoint.origin(),
                };
                let destination = self.destination(key, || Transport::Http(endpoint.pool()));
                // A late request of a previous configuration must not restore its timeout.
                if let Transport::Http(Some(pool)) = &destination.transport
                    && table.begun == self.begun
                {
                    pool.connect_within(endpoint.terms(&receivers.terms).connect_timeout);
                    pool.set_unix(endpoint.unix());
                }
                (destination, Some(endpoint))
            }
        };
        let target = Target {
            shown: shown(url).into(),
            destination,
            endpoint,
            message,
            receivers: Arc::clone(receivers),
            prepared: RefCell::default(),
            oldest: Cell::new(0),
            groups: RefCell::default(),
        };
        let target = Rc::new(target);
        if table.urls.len() >= URLS {
            table.urls.clear();
            self.forget_unused();
        }
        table.urls.insert(key.into_owned(), Rc::clone(&target));
        Ok(target)
    }

    /// Returns the requests that a request to `target` may be sent with.
    ///
    /// # Errors
    ///
    /// What is wrong with its headers.
    pub(super) fn group(
        &mut self,
        target: &Target,
        request: &OutboxRequest,
        batching: Batching,
    ) -> Result<Rc<BatchGroup>, String> {
        let next = || {
            self.next += 1;
            DestinationId(self.next)
        };
        let mut groups = target.groups.borrow_mut();
        groups.group(target, request, batching, &mut self.group_ids, next)
    }

    /// Removes destinations that no URL and no pending request refers to.
    fn forget_unused(&mut self) {
        self.destinations
            .retain(|_, destination| Rc::strong_count(destination) > 1);
    }

    fn destination(&mut self, key: DestinationKey, transport: impl FnOnce() -> Transport) -> Rc<Destination> {
        let label = key.name.as_deref().unwrap_or(&key.url).into();
        let destination = self.destinations.entry(key.clone()).or_insert_with(|| {
            self.next += 1;
            let gate = self.counts.gates.gate(&key);
            Rc::new(Destination {
                id: DestinationId(self.next),
                label,
                counts: self.counts.destination(key),
                flow: Flow::new(Arc::clone(&gate)),
                gate,
                transport: transport(),
            })
        });
        Rc::clone(destination)
    }
}

/// Returns the destination of a request that no sender thread has seen.
pub(super) fn key_of(request: &OutboxRequest) -> DestinationKey {
    let Ok(url) = Url::parse(&request.url) else {
        return DestinationKey::unknown();
    };
    if !url.has_host() {
        return DestinationKey::of(shown(&request.url));
    }
    let destinations = request.receivers.as_ref().map(|receivers| &receivers.destinations);
    let destination = destinations.and_then(|destinations| destinations.find(&request.via, &url));
    DestinationKey {
        name: destination.map(|destination| Arc::clone(&destination.name)),
        url: url.origin().ascii_serialization(),
    }
}

impl Target {
    /// Returns the terms of the configured destination, or the common terms.
    pub(super) fn terms(&self) -> &Terms {
        let common = &self.receivers.terms;
        self.endpoint.as_ref().map_or(common, |endpoint| endpoint.terms(common))
    }

    /// Returns whether its requests go over HTTP.
    pub(super) fn is_http(&self) -> bool {
        self.endpoint.is_some()
    }

    /// Checks headers for this target. Lines have no headers, so their headers are ignored.
    ///
    /// # Errors
    ///
    /// What is wrong with the headers.
    pub(super) fn route(&self, headers: &[(String, String)]) -> Result<Route, String> {
        let (endpoint, pool) = match (&self.endpoint, &self.destination.transport) {
            (_, Transport::Lines(lines)) => return Ok(Route::Line(Rc::clone(lines))),
            (_, Transport::Messages) => {
                let message = self.message.as_ref().ok_or("URL has no topic")?;
                return Ok(Route::Message(Rc::clone(message), headers.to_vec()));
            }
            (Some(endpoint), Transport::Http(pool)) => (endpoint, pool.as_ref()),
            (None, Transport::Http(_)) => return Err("URL has no host".into()),
        };
        let mut known = self.prepared.borrow_mut();
        if let Some((_, found)) = known.iter().find(|(list, _)| *list == headers) {
            return Ok(Route::Http(Rc::clone(found)));
        }
        let prepared = Rc::new(endpoint.prepare(headers, pool)?);
        let headers = headers.to_vec();
        if known.len() < HEADERS {
            known.push((headers, Rc::clone(&prepared)));
        } else if let Some(place) = known.get_mut(self.oldest.get() % HEADERS) {
            *place = (headers, Rc::clone(&prepared));
            self.oldest.set(self.oldest.get().wrapping_add(1));
        }
        Ok(Route::Http(prepared))
    }
}

#[cfg(test)]
#[path = "target_tests.rs"]
mod tests;
