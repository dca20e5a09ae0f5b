//! The broker engine that the configuration names.

use hookhost_broker::{BrokerSettings, Running, StartError};
use hookhost_gateway::GatewaySettings;
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

/// Starts the engine and listens. Events go to `bus` from the first connection on.
///
/// # Errors
///
/// [`StartError`] if a limit or a setting is invalid, the address cannot be used, or the engine does not start.
pub async fn start(
    settings: &BrokerSettings,
    engine: &EngineSettings,
    bus: Option<Bus>,
) -> Result<Running, StartError> {
    match engine {
        EngineSettings::Rmqtt => hookhost_broker::start(settings, bus).await,
        EngineSettings::Gateway(gateway) => hookhost_gateway::start(settings, gateway, bus).await,
    }
}
