//! Keeps the listeners of a configuration without authentication on this machine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use hookhost_settings::{Setting, Value};

use super::Part;

impl Part {
    /// Moves listeners that other machines could reach to the loopback address, with a warning for each. For a
    /// configuration without users and other authentication.
    pub fn keep_local(&mut self) {
        let Some(Setting {
            value: Value::List(listeners),
            ..
        }) = self.settings.get_mut("listener")
        else {
            return;
        };
        for listener in listeners {
            let Value::Table(fields) = &mut listener.value else {
                continue;
            };
            let Some(setting) = fields.get_mut("address") else {
                continue;
            };
            let Some(address) = setting.as_text().and_then(|text| text.parse::<SocketAddr>().ok()) else {
                continue;
            };
            if address.ip().to_canonical().is_loopback() {
                continue;
            }
            let local: IpAddr = match address {
                SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            };
            let local = SocketAddr::new(local, address.port());
            let text = format!(
                "asks for {address}, but nothing authenticates clients, so hookhost listens on {local} only; add \
                 [[authentication]] to hookhost.toml, or set mqtt.allow_anonymous = true to accept every client from other machines"
            );
            self.warnings.push(setting.place.problem(text));
            setting.value = Value::Text(local.to_string());
        }
    }
}
