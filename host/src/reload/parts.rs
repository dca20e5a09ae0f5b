//! The parts of the host itself that a reload changes.

use crate::config::Config;
use hookhost_access::AccessControl;
use hookhost_gateway::{GatewaySettings, UpstreamControl, UpstreamSettings};

/// The parts of the host itself that a reload changes. Clones share them.
#[derive(Clone)]
pub(crate) struct ReloadedParts {
    /// Users and access rules.
    pub(crate) access: AccessControl,
    /// The brokers behind a gateway; has no effect with other engines.
    pub(crate) upstreams: UpstreamControl,
}

impl ReloadedParts {
    /// The parts of a host that starts with this configuration.
    pub(crate) fn new(config: &Config) -> ReloadedParts {
        let upstreams = config.broker.upstreams();
        ReloadedParts {
            access: AccessControl::new(config.access.clone()),
            upstreams: UpstreamControl::new(upstreams.unwrap_or_else(|| GatewaySettings::rumqttd().upstreams)),
        }
    }

    /// Uses these settings from now on.
    pub(super) fn replace(&self, access: hookhost_access::Settings, upstreams: Option<UpstreamSettings>) {
        self.access.replace(access);
        if let Some(upstreams) = upstreams {
            self.upstreams.replace(upstreams);
        }
    }
}
