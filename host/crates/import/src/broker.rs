//! The brokers whose webhook configuration can be read.

use std::fmt;

use hookhost_webhook::Format;

use super::{emqx4, emqx5, rmqtt};

/// Whose webhook configuration it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Broker {
    /// RMQTT: `rmqtt-web-hook.toml`, or its environment.
    Rmqtt,
    /// EMQX 4: `emqx_web_hook.conf`, or its environment.
    Emqx4,
    /// EMQX 5: HOCON with connectors, actions and rules, or its environment.
    Emqx5,
    /// NanoMQ: HOCON, or the older lines of `key=value`.
    Nanomq,
}

impl Broker {
    /// All of them.
    pub const ALL: [Broker; 4] = [Broker::Rmqtt, Broker::Emqx4, Broker::Emqx5, Broker::Nanomq];

    /// The format of the bodies that the broker sends.
    pub fn format(self) -> Format {
        match self {
            Broker::Rmqtt => Format::Rmqtt,
            Broker::Emqx4 => Format::Emqx4,
            Broker::Emqx5 => Format::Emqx5,
            Broker::Nanomq => Format::Nanomq,
        }
    }

    /// The name in a configuration, which is that of the broker's format of bodies.
    pub fn name(self) -> &'static str {
        self.format().name()
    }

    /// The broker with a name in a configuration.
    pub fn from_name(name: &str) -> Option<Broker> {
        Broker::ALL.into_iter().find(|broker| broker.name() == name)
    }

    /// Whether an environment variable is one of this broker's webhook settings.
    pub(crate) fn has_variable(self, name: &str) -> bool {
        match self {
            // RMQTT ignores case.
            Broker::Rmqtt => name.to_ascii_uppercase().starts_with(rmqtt::PREFIX),
            Broker::Emqx4 => name.starts_with(emqx4::PREFIX),
            Broker::Emqx5 => emqx5::is_variable(name),
            Broker::Nanomq => false,
        }
    }
}

/// The name as the broker's own pages write it.
impl fmt::Display for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Broker::Rmqtt => "RMQTT",
            Broker::Emqx4 => "EMQX 4",
            Broker::Emqx5 => "EMQX 5",
            Broker::Nanomq => "NanoMQ",
        })
    }
}
