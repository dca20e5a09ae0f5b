//! The broker engine as the host runs it, with the host's limits, but without hook handlers: the cost of MQTT alone.

use hookhost_access::{AccessControl, Settings};
use hookhost_broker::{BrokerSettings, Conventions, Limits, start};
use hookhost_event::Node;
use hookhost_listener::ListenerSettings;

/// Serves until the process ends. Prints its address first.
pub(crate) async fn serve() -> anyhow::Result<()> {
    let settings = BrokerSettings {
        listeners: vec![ListenerSettings::tcp("baseline", "127.0.0.1:0".parse()?)],
        node: Node {
            name: "baseline@127.0.0.1".into(),
            id: 1,
        },
        limits: Limits::default(),
        conventions: Conventions::default(),
        data: None,
        access: AccessControl::new(Settings::default()),
    };
    let running = start(&settings, None).await?;
    println!("ready {}", running.address());
    std::future::pending().await
}
