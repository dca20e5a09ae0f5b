//! Shared parts of the commands for the quarantine and for dead letters: a page of a list, and operations on selected
//! entries.

use clap::Args;
use hyper::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::admin::{each, escaped, print, print_json, table};
use crate::admin::client::Client;
use crate::admin::shape::{Dropped, Left};

/// A part of a list, newest first.
#[derive(Debug, Args)]
pub(super) struct Page {
    /// Show at most this number of entries: 1 to 1000
    #[arg(long, value_name = "N", default_value = "100", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(super) limit: u16,
    /// Only entries with a smaller number
    #[arg(long, value_name = "ID")]
    pub(super) before: Option<u64>,
}

impl Page {
    /// The page as conditions of a query.
    pub(super) fn query(&self) -> Vec<String> {
        let limit = format!("limit={}", self.limit);
        let before = self.before.map(|before| format!("before={before}"));
        std::iter::once(limit).chain(before).collect()
    }
}

/// Prints the rows of a page. `more`: the number of the last row if others follow.
pub(super) fn print_page<const N: usize>(
    headings: [&str; N],
    rows: &[[String; N]],
    more: Option<u64>,
) -> anyhow::Result<bool> {
    let mut text = table(headings, rows);
    if let Some(last) = more {
        text.push_str(&format!("for older entries: --before {last}\n"));
    }
    print(&text)?;
    Ok(true)
}

/// The name of an event, with its topic.
pub(super) fn event(hook: &str, topic: Option<&str>) -> String {
    match topic {
        Some(topic) => format!("{hook} {topic}"),
        None => hook.to_owned(),
    }
}

/// The entries to act on, and how to reach them.
pub(super) struct Selection<'a> {
    pub(super) client: &'a Client,
    /// The path of the collection, such as `/quarantine`.
    pub(super) path: &'static str,
    pub(super) ids: &'a [u64],
    /// The entries that this query selects, in place of `ids`.
    pub(super) query: Option<String>,
    /// Whether the answers are printed as JSON.
    pub(super) json: bool,
}

impl Selection<'_> {
    /// Deletes them.
    pub(super) fn forget(&self) -> anyhow::Result<bool> {
        self.act(&Method::DELETE, "", |answer: &Dropped| {
            (&answer.dropped, &answer.left, "dropped")
        })
    }

    /// Does `action` with them. `result` reads an answer: the entries that succeeded, those that failed, and a verb.
    pub(super) fn repeat<T: Serialize + DeserializeOwned>(
        &self,
        action: &str,
        result: impl Fn(&T) -> (&[u64], &[Left], &str),
    ) -> anyhow::Result<bool> {
        self.act(&Method::POST, &format!("/{action}"), result)
    }

    fn act<T: Serialize + DeserializeOwned>(
        &self,
        method: &Method,
        action: &str,
        result: impl Fn(&T) -> (&[u64], &[Left], &str),
    ) -> anyhow::Result<bool> {
        let path = self.path;
        let ask = |path: &str| {
            let answer: T = self.client.ask(method.clone(), path)?;
            let (done, left, what) = result(&answer);
            for left in left {
                eprintln!("error: {}: {}", left.id, escaped(&left.error));
            }
            if self.json {
                print_json(&answer)?;
            } else {
                print(&done.iter().map(|id| format!("{id}: {what}\n")).collect::<String>())?;
            }
            anyhow::Ok(left.is_empty())
        };
        match &self.query {
            Some(query) => ask(&format!("{path}{action}?{query}")),
            None => each(self.ids, |id| ask(&format!("{path}/{id}{action}")).map(drop)),
        }
    }
}
