//! Settings of a gateway: where its upstream is, how to reach it, and how publishers are found.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::upstream::Balance;

/// Whether this build has rumqttd: the feature `rumqttd` of this crate.
pub const HAS_RUMQTTD: bool = cfg!(feature = "rumqttd");

/// Settings of a gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewaySettings {
    /// The upstream brokers.
    pub upstreams: UpstreamSettings,
    /// How long one upstream may take to answer CONNECT, including connecting and TLS. Default 5 s: clients wait no
    /// longer.
    pub connect_timeout: Duration,
    /// How long an upstream may leave a PINGREQ unanswered before its connection is closed; 0: no limit. Default 30 s.
    pub response_timeout: Duration,
    /// Whether each upstream connection begins with a PROXY protocol header (version 2) with the client's address.
    /// Default off: a broker that does not expect the header refuses every connection.
    pub proxy_protocol: bool,
    /// TLS towards `mqtts://` upstreams.
    pub tls: UpstreamTls,
    /// How the publisher of a message from the upstream is found.
    pub publishers: Publishers,
    /// Whether every client of the upstream comes through this gateway, so that it knows all sessions. Default off.
    pub sees_all_clients: bool,
}

/// The upstream brokers. A reload may change these settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamSettings {
    /// Their addresses; empty if rumqttd in this process is the upstream.
    pub list: Vec<Upstream>,
    /// How clients are spread over them.
    pub balance: Balance,
    /// How long the connections of an upstream may stay open that a reload has removed. They are closed evenly over this
    /// time. Default 30 s: as long as clients spread their reconnects anyway.
    pub drain_timeout: Duration,
}

impl UpstreamSettings {
    /// These upstreams, everything else by default.
    pub fn new(list: Vec<Upstream>) -> UpstreamSettings {
        UpstreamSettings {
            list,
            balance: Balance::default(),
            drain_timeout: Duration::from_secs(30),
        }
    }
}

impl GatewaySettings {
    /// A gateway to rumqttd in this process, everything else by default.
    pub fn rumqttd() -> GatewaySettings {
        GatewaySettings::new(Vec::new())
    }

    /// A gateway to these upstreams, everything else by default.
    pub fn new(upstreams: Vec<Upstream>) -> GatewaySettings {
        GatewaySettings {
            upstreams: UpstreamSettings::new(upstreams),
            connect_timeout: Duration::from_secs(5),
            response_timeout: Duration::from_secs(30),
            proxy_protocol: false,
            tls: UpstreamTls::default(),
            publishers: Publishers::default(),
            sees_all_clients: false,
        }
    }
}

/// TLS towards the upstream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UpstreamTls {
    /// File of the authorities (PEM) that may sign the upstream's certificate; `None`: those of the system.
    pub ca: Option<PathBuf>,
    /// File of the certificates (PEM) that this host shows, with `key`.
    pub certificate: Option<PathBuf>,
    /// File of the private key (PEM) of `certificate`.
    pub key: Option<PathBuf>,
    /// Name to ask for and to expect in the certificate; `None`: the upstream's host.
    pub server_name: Option<String>,
}

/// How the publisher of a message that comes from the upstream is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Publishers {
    /// Not at all: the publisher is empty.
    Unknown,
    /// By topic and payload: the one client that published both through this gateway in the last half minute.
    #[default]
    Content,
    /// By a user property that this gateway and others add to publishes of MQTT 5 and remove from deliveries; by content
    /// for messages without it.
    UserProperty,
}

/// Address of an upstream broker: `mqtt://HOST[:PORT]` or `mqtts://HOST[:PORT]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Upstream {
    /// Whether the connection uses TLS.
    pub tls: bool,
    /// Name or IP address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl FromStr for Upstream {
    type Err = String;

    /// Parses an address; the error is the rest of a sentence and does not repeat the value.
    fn from_str(text: &str) -> Result<Upstream, String> {
        const EXPECTED: &str = "should be mqtt://HOST:PORT or mqtts://HOST:PORT";
        let (scheme, rest) = text.trim().split_once("://").ok_or(EXPECTED)?;
        let tls = match scheme {
            "mqtt" | "tcp" => false,
            "mqtts" | "ssl" => true,
            _ => return Err(EXPECTED.to_owned()),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains('@') {
            return Err("should hold no user name: each client shows the upstream its own".to_owned());
        }
        if rest.contains(['/', '?', '#']) {
            return Err(format!("{EXPECTED}, without a path"));
        }
        let (host, port) = if let Some(after) = rest.strip_prefix('[') {
            let (host, port) = after.split_once(']').ok_or(EXPECTED)?;
            if host.parse::<std::net::Ipv6Addr>().is_err() {
                return Err("should have an IPv6 address between the brackets".to_owned());
            }
            (
                host,
                if port.is_empty() {
                    None
                } else {
                    Some(port.strip_prefix(':').ok_or(EXPECTED)?)
                },
            )
        } else {
            match rest.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (rest, None),
            }
        };
        if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(EXPECTED.to_owned());
        }
        let port = match port {
            None if tls => 8883,
            None => 1883,
            Some(port) => port
                .parse()
                .ok()
                .filter(|port| *port > 0)
                .ok_or("should have a port between 1 and 65535")?,
        };
        Ok(Upstream {
            tls,
            host: host.to_owned(),
            port,
        })
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "mqtts" } else { "mqtt" };
        if self.host.contains(':') {
            write!(f, "{scheme}://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{scheme}://{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, shown) in [
            ("mqtt://broker:1884", "mqtt://broker:1884"),
            ("mqtt://broker", "mqtt://broker:1883"),
            (" mqtts://10.0.0.1/ ", "mqtts://10.0.0.1:8883"),
            ("tcp://[::1]:1883", "mqtt://[::1]:1883"),
            ("ssl://[::1]", "mqtts://[::1]:8883"),
        ] {
            assert_eq!(text.parse::<Upstream>().unwrap().to_string(), shown, "{text}");
        }
        const EXPECTED: &str = "should be mqtt://HOST:PORT or mqtts://HOST:PORT";
        for (text, error) in [
            ("broker:1883", EXPECTED),
            ("http://broker", EXPECTED),
            ("mqtt://", EXPECTED),
            ("mqtt://:1883", EXPECTED),
            ("mqtt://a b", EXPECTED),
            ("mqtt://[::1", EXPECTED),
            ("mqtt://[::1]1883", EXPECTED),
            ("mqtt://[x]:1", "should have an IPv6 address between the brackets"),
            ("mqtt://broker:0", "should have a port between 1 and 65535"),
            ("mqtt://broker:65536", "should have a port between 1 and 65535"),
            ("mqtt://broker:", "should have a port between 1 and 65535"),
            ("mqtt://::1", EXPECTED),
            (
                "mqtt://broker/path",
                "should be mqtt://HOST:PORT or mqtts://HOST:PORT, without a path",
            ),
            (
                "mqtt://u:p@broker",
                "should hold no user name: each client shows the upstream its own",
            ),
        ] {
            assert_eq!(text.parse::<Upstream>(), Err(error.to_owned()), "{text}");
        }
    }
}
