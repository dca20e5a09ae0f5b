//! The address of a listener.

/// The address of `1883`, `:1883`, `10.0.0.1:1883`, `[::]:1883` or `nmq-ws://0.0.0.0:8083/mqtt`, and the path.
pub(super) fn address(bind: &str) -> Option<(String, Option<String>)> {
    let bind = bind.trim();
    let bind = bind.split_once("://").map_or(bind, |(_, rest)| rest);
    let (address, path) = match bind.split_once('/') {
        Some((address, path)) => (address, Some(format!("/{path}"))),
        None => (bind, None),
    };
    let port = address.strip_prefix(':').unwrap_or(address);
    let address = match port.parse::<u16>() {
        Ok(port) => format!("0.0.0.0:{port}"),
        Err(_) => address.parse::<std::net::SocketAddr>().ok()?.to_string(),
    };
    Some((address, path))
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn addresses() {
        for (bind, expected) in [
            ("1883", Some(("0.0.0.0:1883", None))),
            (":1883", Some(("0.0.0.0:1883", None))),
            ("127.0.0.1:11883", Some(("127.0.0.1:11883", None))),
            ("[::]:1883", Some(("[::]:1883", None))),
            ("nmq-tcp://0.0.0.0:1883", Some(("0.0.0.0:1883", None))),
            ("nmq-ws://0.0.0.0:8083/mqtt", Some(("0.0.0.0:8083", Some("/mqtt")))),
            ("localhost:1883", None),
            ("99999", None),
            ("", None),
        ] {
            let expected = expected.map(|(address, path)| (address.to_owned(), path.map(str::to_owned)));
            assert_eq!(address(bind), expected, "{bind}");
        }
    }
}
