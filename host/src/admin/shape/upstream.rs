//! The brokers behind a gateway.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use hookhost_broker::UpstreamState;

/// A broker behind a gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Upstream {
    /// Its address in the settings.
    pub address: String,
    /// `up`, `down` (it has failed) or `draining` (a reload has removed it).
    pub status: String,
    /// Connections of the gateway to it.
    pub connections: usize,
    /// Failed attempts since the start.
    pub failures: u64,
    /// Why it failed last; not there if it has worked since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl From<UpstreamState> for Upstream {
    fn from(state: UpstreamState) -> Upstream {
        Upstream {
            address: state.address,
            status: state.status.name().to_owned(),
            connections: state.connections,
            failures: state.failures,
            error: state.error,
        }
    }
}
