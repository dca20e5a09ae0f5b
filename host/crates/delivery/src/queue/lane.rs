//! A lane: the items of one destination and ordering key, in order.

use std::collections::VecDeque;
use std::rc::Rc;

use super::{DestinationId, Size};

/// The index of a lane in the table of lanes. It is reused after the lane has ended.
pub(super) type LaneId = usize;

pub(super) struct Lane<T> {
    pub(super) destination: DestinationId,
    pub(super) key: Option<Rc<str>>,
    /// Whether it is among the ready lanes of its destination.
    pub(super) is_ready: bool,
    /// The bytes of its items.
    bytes: usize,
    /// The next item; `None` only while all items of the lane are being sent. It is separate from `rest`, because
    /// most lanes never have a second item. In that case `rest` allocates no memory.
    head: Option<T>,
    rest: VecDeque<T>,
}

impl<T: Size> Lane<T> {
    /// Creates a lane with one item.
    pub(super) fn new(destination: DestinationId, key: Option<Rc<str>>, item: T) -> Lane<T> {
        Lane {
            destination,
            key,
            is_ready: false,
            bytes: item.size(),
            head: Some(item),
            rest: VecDeque::new(),
        }
    }

    pub(super) fn push(&mut self, item: T) {
        self.bytes += item.size();
        match self.head {
            None => self.head = Some(item),
            Some(_) => self.rest.push_back(item),
        }
    }

    pub(super) fn push_front(&mut self, item: T) {
        self.bytes += item.size();
        if let Some(next) = self.head.replace(item) {
            self.rest.push_front(next);
        }
    }

    pub(super) fn pop(&mut self) -> Option<T> {
        let next = self.rest.pop_front();
        let item = std::mem::replace(&mut self.head, next)?;
        self.bytes -= item.size();
        Some(item)
    }

    pub(super) fn head(&self) -> Option<&T> {
        self.head.as_ref()
    }

    pub(super) fn items(&self) -> impl Iterator<Item = &T> {
        self.head.iter().chain(&self.rest)
    }

    pub(super) fn len(&self) -> usize {
        self.rest.len() + usize::from(self.head.is_some())
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}
