//! The broker engine that the configuration names.

use hookhost_broker::{BrokerSettings, Running, StartError};
use hookhost_gateway::{GatewaySettings, UpstreamControl, UpstreamSettings};
use hookhost_hooks::Bus;

/// The engine to start.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum EngineSettings {
    /// RMQTT, in process.
    #[default]
    Rmqtt,
    /// A gateway to other brokers.
    Gateway(GatewaySettings),
}

impl EngineSettings {
    /// What a reload changes of a gateway; `None` for other engines.
    pub(crate) fn upstreams(&self) -> Option<UpstreamSettings> {
        match self {
            EngineSettings::Rmqtt => None,
            EngineSettings::Gateway(gateway) => Some(gateway.upstreams.clone()),
        }
    }
}

/// Starts the engine and listens. Events go to `bus` from the first connection on. A gateway uses these `upstreams`.
///
/// # Errors
///
/// [`StartError`] if a limit or a setting is invalid, the address cannot be used, or the engine does not start.
pub async fn start(
    settings: &BrokerSettings,
    engine: &EngineSettings,
    upstreams: &UpstreamControl,
    bus: Option<Bus>,
) -> Result<Running, StartError> {
    match engine {
        EngineSettings::Rmqtt => hookhost_broker::start(settings, bus).await,
        EngineSettings::Gateway(gateway) => hookhost_gateway::start(settings, gateway, upstreams, bus).await,
    }
}
