//! Tells the hosts that share the outbox how this one does, every few seconds.

use std::time::Duration;

use tracing::debug;

use crate::admin::shape::HostState;
use crate::status::StatusReader;
use hookhost_jetstream::SharedOutbox;

/// The time between two reports. Reading the state takes longer the more sessions there are.
const REPORT_INTERVAL: Duration = Duration::from_secs(5);

/// Reports until the task is dropped. `name` is the name of the host, `admin` the address of its admin API.
pub(crate) async fn report(status: StatusReader, outbox: SharedOutbox, name: String, admin: String) {
    let mut before = None;
    loop {
        let now = status.read().await;
        let state = HostState::new(&name, &admin, &now, before.as_ref());
        match serde_json::to_string(&state) {
            Ok(json) => outbox.set_state(json),
            Err(error) => debug!(%error, "the state of this host cannot be written as JSON"),
        }
        before = Some(now);
        tokio::time::sleep(REPORT_INTERVAL).await;
    }
}
