//! The list of upstreams of a running gateway, which a reload replaces.

use std::sync::Arc;

use tokio::sync::watch;

use crate::settings::UpstreamSettings;

/// The upstreams that a gateway has to use. Clones share them.
#[derive(Debug, Clone)]
pub struct UpstreamControl(Arc<watch::Sender<UpstreamSettings>>);

impl UpstreamControl {
    /// The upstreams of a gateway that is going to be started.
    pub fn new(settings: UpstreamSettings) -> UpstreamControl {
        UpstreamControl(Arc::new(watch::Sender::new(settings)))
    }

    /// Replaces them. New clients are sent to the new ones. The connections of an upstream that is not listed any more are
    /// closed evenly over `drain_timeout`; those of the others stay open.
    pub fn replace(&self, settings: UpstreamSettings) {
        self.0.send_if_modified(|current| {
            let is_changed = *current != settings;
            *current = settings;
            is_changed
        });
    }

    /// The current ones, and each change.
    pub(crate) fn subscribe(&self) -> watch::Receiver<UpstreamSettings> {
        self.0.subscribe()
    }
}
