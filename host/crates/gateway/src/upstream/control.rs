//! The list of upstreams of a running gateway, which a reload replaces.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::Balance;
use crate::settings::{GatewaySettings, Upstream};

/// What a reload changes about upstreams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamSettings {
    /// The upstream brokers; empty if rumqttd in this process is the upstream.
    pub upstreams: Vec<Upstream>,
    /// How clients are spread over them.
    pub balance: Balance,
    /// How long the connections of an upstream may stay open that is not listed any more.
    pub drain_timeout: Duration,
}

impl From<&GatewaySettings> for UpstreamSettings {
    fn from(settings: &GatewaySettings) -> UpstreamSettings {
        UpstreamSettings {
            upstreams: settings.upstreams.clone(),
            balance: settings.balance,
            drain_timeout: settings.drain_timeout,
        }
    }
}

/// The upstreams that a gateway has to use. Clones share them.
#[derive(Debug, Clone)]
pub struct UpstreamControl(Arc<watch::Sender<UpstreamSettings>>);

impl UpstreamControl {
    /// The upstreams of a gateway that is going to be started.
    pub fn new(settings: impl Into<UpstreamSettings>) -> UpstreamControl {
        UpstreamControl(Arc::new(watch::Sender::new(settings.into())))
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
