//! Keys of tokens: from settings, or from a URL that publishes a JSON Web Key Set (RFC 7517).

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hookhost_delivery::{Tls, http_client};
use hookhost_settings::error_line;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use ring::digest;
use serde_json::{Map, Value};

use crate::jwt::Key;

/// Keys of one set that are used; more are left out.
const MAX_KEYS: usize = 64;
/// Longest key set in bytes.
const MAX_KEY_SET_BYTES: usize = 256 << 10;
/// A token with an unknown key has the set fetched again, but not more often than this.
const MIN_FETCH_INTERVAL: Duration = Duration::from_secs(10);
/// How long a fetch may take.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// The keys of a source.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Keys {
    /// Keys of the settings.
    Fixed(Arc<[Key]>),
    /// Keys that a URL publishes.
    Published(PublishedKeys),
}

/// Keys that a URL publishes. They are fetched when they are needed and when they are old.
#[derive(Clone)]
pub(crate) struct PublishedKeys {
    url: String,
    refresh: Duration,
    tls: Tls,
    fetched: Arc<Fetched>,
}

#[derive(Default)]
struct Fetched {
    keys: Mutex<(Arc<[Key]>, Option<Instant>)>,
    /// Only one login fetches at a time; the others wait for it.
    fetching: tokio::sync::Mutex<()>,
}

impl PartialEq for PublishedKeys {
    fn eq(&self, other: &PublishedKeys) -> bool {
        (&self.url, self.refresh, &self.tls) == (&other.url, other.refresh, &other.tls)
    }
}

/// Without the URL, which may contain a secret.
impl fmt::Debug for PublishedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublishedKeys")
            .field("refresh", &self.refresh)
            .finish_non_exhaustive()
    }
}

impl Keys {
    /// The keys for a token with this key id.
    pub(crate) async fn current(&self, id: Option<&str>) -> Arc<[Key]> {
        match self {
            Keys::Fixed(keys) => Arc::clone(keys),
            Keys::Published(published) => published.current(id).await,
        }
    }
}

impl PublishedKeys {
    /// Keys that have not been fetched yet. `refresh`: when they are fetched again.
    pub(crate) fn new(url: String, refresh: Duration, tls: Tls) -> PublishedKeys {
        PublishedKeys {
            url,
            refresh,
            tls,
            fetched: Arc::default(),
        }
    }

    /// The known keys, if they are young enough and one of them has this id.
    fn known(&self, id: Option<&str>) -> Option<Arc<[Key]>> {
        let known = self.fetched.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let (keys, at) = &*known;
        let age = at.as_ref()?.elapsed();
        let has_id = id.is_none() || keys.iter().any(|key| key.id.is_none() || key.id.as_deref() == id);
        (age < if has_id { self.refresh } else { MIN_FETCH_INTERVAL }).then(|| Arc::clone(keys))
    }

    async fn current(&self, id: Option<&str>) -> Arc<[Key]> {
        if let Some(keys) = self.known(id) {
            return keys;
        }
        let _fetching = self.fetched.fetching.lock().await;
        if let Some(keys) = self.known(id) {
            return keys;
        }
        let fetched = tokio::time::timeout(FETCH_TIMEOUT, self.fetch()).await;
        let fetched = fetched.unwrap_or_else(|_| Err("no answer in time".to_owned()));
        let mut known = self.fetched.keys.lock().unwrap_or_else(PoisonError::into_inner);
        match fetched {
            Ok(keys) => known.0 = keys,
            // The keys that are known stay in use.
            Err(reason) => tracing::warn!(reason, "cannot fetch the keys of tokens"),
        }
        known.1 = Some(Instant::now());
        Arc::clone(&known.0)
    }

    async fn fetch(&self) -> Result<Arc<[Key]>, String> {
        let short = |error: reqwest::Error| error_line(&error.without_url());
        let client = http_client(&self.tls, FETCH_TIMEOUT)?;
        let mut response = client.get(&self.url).send().await.map_err(short)?;
        if response.status() != 200 {
            return Err(format!("the status is {}", response.status().as_u16()));
        }
        let mut text = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(short)? {
            if text.len() + piece.len() > MAX_KEY_SET_BYTES {
                return Err("longer than 256 KiB".to_owned());
            }
            text.extend_from_slice(&piece);
        }
        parse_key_set(&text).map(Into::into)
    }
}

/// The usable keys of a key set: RSA and elliptic curves. Other keys, shared secrets among them, are left out.
pub(crate) fn parse_key_set(text: &[u8]) -> Result<Vec<Key>, String> {
    let set: Map<String, Value> = serde_json::from_slice(text).map_err(|_| "it is not a JSON object")?;
    let keys = set
        .get("keys")
        .and_then(Value::as_array)
        .ok_or("it has no list `keys`")?;
    let keys: Vec<Key> = keys.iter().filter_map(published_key).take(MAX_KEYS).collect();
    if keys.is_empty() {
        Err("it has no usable key".to_owned())
    } else {
        Ok(keys)
    }
}

fn published_key(value: &Value) -> Option<Key> {
    let jwk: Jwk = serde_json::from_value(value.clone()).ok()?;
    if matches!(jwk.common.public_key_use, Some(PublicKeyUse::Encryption)) {
        return None;
    }
    let family: &[Algorithm] = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => &RSA,
        AlgorithmParameters::EllipticCurve(_) => &CURVES,
        _ => return None,
    };
    let named = match jwk.common.key_algorithm {
        None => None,
        Some(KeyAlgorithm::RS256) => Some(Algorithm::RS256),
        Some(KeyAlgorithm::RS384) => Some(Algorithm::RS384),
        Some(KeyAlgorithm::RS512) => Some(Algorithm::RS512),
        Some(KeyAlgorithm::ES256) => Some(Algorithm::ES256),
        Some(KeyAlgorithm::ES384) => Some(Algorithm::ES384),
        Some(_) => return None,
    };
    let algorithms = match named {
        None => family.to_vec(),
        Some(named) if family.contains(&named) => vec![named],
        Some(_) => return None,
    };
    Some(Key {
        id: jwk.common.key_id.clone(),
        algorithms,
        key: DecodingKey::from_jwk(&jwk).ok()?,
        fingerprint: fingerprint(value.to_string().as_bytes()),
    })
}

const RSA: [Algorithm; 3] = [Algorithm::RS256, Algorithm::RS384, Algorithm::RS512];
const CURVES: [Algorithm; 2] = [Algorithm::ES256, Algorithm::ES384];
const HMAC: [Algorithm; 3] = [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512];

fn fingerprint(bytes: &[u8]) -> [u8; 32] {
    let mut fingerprint = [0; 32];
    fingerprint.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    fingerprint
}

/// A shared secret.
pub(crate) fn secret_key(secret: &[u8]) -> Key {
    Key {
        id: None,
        algorithms: HMAC.to_vec(),
        key: DecodingKey::from_secret(secret),
        fingerprint: fingerprint(secret),
    }
}

/// A public key in PEM: RSA, or an elliptic curve.
pub(crate) fn public_key(pem: &[u8]) -> Result<Key, &'static str> {
    let rsa = DecodingKey::from_rsa_pem(pem).map(|key| (key, RSA.to_vec()));
    let key = rsa.or_else(|_| DecodingKey::from_ec_pem(pem).map(|key| (key, CURVES.to_vec())));
    let (key, algorithms) = key.map_err(|_| "holds no public key of RSA or of an elliptic curve in PEM")?;
    Ok(Key {
        id: None,
        algorithms,
        key,
        fingerprint: fingerprint(pem),
    })
}
