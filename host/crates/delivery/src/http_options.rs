//! Options of HTTP: its version, the compression of bodies, the proxy, and headers about the attempt.

use std::io::Write;

use bytes::Bytes;
use flate2::write::GzEncoder;
use reqwest::header::HeaderName;
use url::Url;

use super::secret::Secret;

/// How requests are sent over HTTP. The default is HTTP/1.1, uncompressed and without a proxy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HttpOptions {
    /// The version of HTTP.
    pub version: HttpVersion,
    /// How bodies are compressed; `None`: not at all.
    pub compression: Option<Compression>,
    /// The proxy; `None`: a direct connection, whatever the environment says. Requests whose host was chosen by a module
    /// never use a proxy: it would resolve the name without the check of the address.
    pub proxy: Option<Proxy>,
    /// The header with the id of a request, which stays the same for all attempts and when it is sent again.
    pub id_header: Option<HeaderName>,
    /// The header with the number of the attempt since the start of the host, from 1.
    pub attempt_header: Option<HeaderName>,
}

/// A version of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HttpVersion {
    /// HTTP/1.1: one request at a time on each connection.
    #[default]
    Http1,
    /// HTTP/2: all requests share a connection. For `https:` URLs the receiver decides (ALPN), and HTTP/1.1 is used if it
    /// does not support HTTP/2. For `http:` URLs it must support HTTP/2 (prior knowledge).
    Http2,
}

impl HttpVersion {
    /// All versions, by their names in a configuration.
    pub const NAMES: [(&'static str, HttpVersion); 2] = [("1.1", HttpVersion::Http1), ("2", HttpVersion::Http2)];
}

/// A compression of request bodies, announced by the header `content-encoding`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl Compression {
    /// All values, by their names in a configuration. `"off"` is none of them.
    pub const NAMES: [(&'static str, Option<Compression>); 3] = [
        ("off", None),
        ("gzip", Some(Compression::Gzip)),
        ("zstd", Some(Compression::Zstd)),
    ];

    /// The value of `content-encoding`.
    pub(super) fn encoding(self) -> &'static str {
        match self {
            Compression::Gzip => "gzip",
            Compression::Zstd => "zstd",
        }
    }

    /// Compresses a body. Uses a fast level: bodies of webhooks are small, and batches repeat their keys.
    ///
    /// # Errors
    ///
    /// The text of an error of the library, such as a lack of memory.
    pub(super) fn compress(self, body: &[u8]) -> Result<Bytes, String> {
        let compressed = match self {
            Compression::Gzip => {
                let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 2), flate2::Compression::fast());
                encoder.write_all(body).and_then(|()| encoder.finish())
            }
            Compression::Zstd => zstd::bulk::compress(body, 1),
        };
        let compressed = compressed.map_err(|error| format!("cannot compress the body: {error}"))?;
        Ok(compressed.into())
    }
}

/// An HTTP proxy for outgoing requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proxy {
    /// The proxy of this URL. User and password of the URL are sent to the proxy.
    Url(Secret),
    /// The one that the environment names: `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`.
    Environment,
}

/// Why a text is not a [`Proxy`]. Does not repeat the text, which may contain a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("should be \"off\", \"environment\" or the URL of a proxy, such as \"http://proxy.example.com:3128\"")]
pub struct ProxyError;

impl Proxy {
    /// Reads `off`, `environment`, or an `http:` or `https:` URL with a host and without a path.
    ///
    /// # Errors
    ///
    /// [`ProxyError`] if the text is none of them.
    pub fn parse(text: &str) -> Result<Option<Proxy>, ProxyError> {
        match text.trim() {
            "off" => Ok(None),
            "environment" => Ok(Some(Proxy::Environment)),
            text => {
                let url = Url::parse(text).map_err(|_| ProxyError)?;
                let is_plain = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
                let is_proxy = matches!(url.scheme(), "http" | "https") && url.has_host() && is_plain;
                let proxy = is_proxy.then(|| Proxy::Url(Secret::new(url.as_str())));
                proxy.ok_or(ProxyError).map(Some)
            }
        }
    }

    /// Whether the connection to the proxy needs certificate authorities.
    pub(super) fn needs_certificates(&self) -> bool {
        match self {
            Proxy::Url(url) => url.expose().starts_with("https:"),
            Proxy::Environment => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn what_is_compressed_is_read_again() {
        for length in [0, 1, 1000, 1 << 20] {
            let body: Vec<u8> = (0..length).map(|number| (number % 7) as u8 + b'a').collect();
            let gzip = Compression::Gzip.compress(&body).unwrap();
            let mut read = Vec::new();
            flate2::read::GzDecoder::new(&gzip[..]).read_to_end(&mut read).unwrap();
            assert!(read == body);
            let zstd = Compression::Zstd.compress(&body).unwrap();
            assert!(zstd::stream::decode_all(&zstd[..]).unwrap() == body);
            assert!(length < 1000 || gzip.len() < body.len() / 4 && zstd.len() < body.len() / 4);
        }
    }

    #[test]
    fn proxies_are_checked_without_showing_them() {
        let url = |text: &str| Ok(Some(Proxy::Url(Secret::new(text))));
        for (text, expected) in [
            ("off", Ok(None)),
            ("environment", Ok(Some(Proxy::Environment))),
            ("http://p:3128", url("http://p:3128/")),
            (" https://u:hidden@p/ ", url("https://u:hidden@p/")),
            ("socks5://p", Err(ProxyError)),
            ("p:3128", Err(ProxyError)),
            ("http://p/hidden", Err(ProxyError)),
            ("http://p?hidden", Err(ProxyError)),
            ("", Err(ProxyError)),
        ] {
            let got = Proxy::parse(text);
            assert_eq!(got, expected, "{text}");
            assert!(!format!("{got:?}").contains("hidden"));
        }
    }
}
