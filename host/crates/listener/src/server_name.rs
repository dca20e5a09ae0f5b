//! Which certificate a client gets for the host name that it asks for. Pure.

/// The place of the certificate for a host name, in a list of the names of each certificate; the first certificate is
/// for every name that none has, and for clients without SNI.
pub(crate) fn choose(certificates: &[Vec<String>], server_name: Option<&str>) -> usize {
    let Some(asked) = server_name.map(|name| name.trim_end_matches('.').to_ascii_lowercase()) else {
        return 0;
    };
    // `*.example.org` is for one more label, and only one.
    let wildcard = asked.split_once('.').map(|(_, parent)| format!("*.{parent}"));
    let place = |wanted: &str| {
        certificates
            .iter()
            .position(|names| names.iter().any(|name| name == wanted))
    };
    place(&asked)
        .or_else(|| wildcard.as_deref().and_then(place))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_gets_its_certificate() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let certificates: Vec<Vec<String>> = vec![
            names(&["a.example"]),
            names(&["*.b.example", "b.example"]),
            names(&["x.b.example"]),
        ];
        for (asked, place) in [
            (None, 0),
            (Some("a.example"), 0),
            (Some("A.Example."), 0),
            (Some("b.example"), 1),
            (Some("y.b.example"), 1),
            // The exact name wins over a wildcard that comes first.
            (Some("x.b.example"), 2),
            (Some("x.y.b.example"), 0),
            (Some("example"), 0),
            (Some(""), 0),
            (Some("*.b.example"), 1),
        ] {
            assert_eq!(choose(&certificates, asked), place, "{asked:?}");
        }
        assert_eq!(choose(&[], Some("a")), 0);
    }
}
