//! What a gateway is told: where its upstream is, how to reach it, and how far it may guess.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// Settings of a gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewaySettings {
    /// The upstream brokers, the one to prefer first; empty if and only if rumqttd is the upstream.
    pub upstreams: Vec<Upstream>,
    /// How long one upstream may take until it has answered CONNECT, with connecting and TLS. 5 s: a client that waits
    /// longer has given up itself.
    pub connect_timeout: Duration,
    /// How long an upstream may leave a PINGREQ unanswered before it counts as gone; 0: for ever. 30 s.
    pub response_timeout: Duration,
    /// Whether each upstream connection begins with a PROXY protocol header (version 2) that names the client's
    /// address. Off: a broker that does not expect it refuses everybody.
    pub proxy_protocol: bool,
    /// TLS towards `mqtts://` upstreams.
    pub tls: UpstreamTls,
    /// Who published a message that comes from the upstream.
    pub publishers: Publishers,
    /// Whether every client of the upstream comes through this gateway, so that what it has not seen is not there. Off.
    pub sees_all_clients: bool,
}

impl GatewaySettings {
    /// A gateway to rumqttd in this process, everything else by default.
    pub fn rumqttd() -> GatewaySettings {
        GatewaySettings::new(Vec::new())
    }

    /// A gateway to these upstreams, everything else by default.
    pub fn new(upstreams: Vec<Upstream>) -> GatewaySettings {
        GatewaySettings {
            upstreams,
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
    /// File of the authorities (PEM) that may sign the upstream's certificate; the system's if there is none.
    pub ca: Option<PathBuf>,
    /// File of the certificates (PEM) that this host shows, with `key`.
    pub certificate: Option<PathBuf>,
    /// File of the private key (PEM) of `certificate`.
    pub key: Option<PathBuf>,
    /// Name to ask for and to expect in the certificate; the upstream's host if there is none.
    pub server_name: Option<String>,
}

/// How the publisher of a message that comes from the upstream is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Publishers {
    /// Not at all: it is empty.
    Unknown,
    /// By topic and payload: the one client that published both through this gateway in the last half minute.
    #[default]
    Content,
    /// By a user property that this gateway and others add to publishes of MQTT 5 and take away from deliveries; by
    /// content where there is none.
    UserProperty,
}

/// Address of an upstream broker: `mqtt://HOST[:PORT]` or `mqtts://HOST[:PORT]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Upstream {
    /// Whether it is spoken to through TLS.
    pub tls: bool,
    /// Name or IP address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl FromStr for Upstream {
    type Err = String;

    /// Reads an address; the error is the rest of a sentence and repeats no value.
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
