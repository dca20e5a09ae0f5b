//! Signatures of the Standard Webhooks specification. A receiver verifies with them who sent a request, and that it was
//! neither changed nor replayed.
//!
//! The signature is HMAC-SHA256 of `ID.TIMESTAMP.BODY`. The id stays the same for a retry, so a receiver can detect a
//! duplicate. The timestamp is that of the attempt. This module is pure; the caller passes in the time.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use sha2::{Digest, Sha256};

use super::request::OutboxRequest;

/// A key that signs requests.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey(Arc<[u8]>);

/// Why a text is not a valid key. The error does not contain the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SigningKeyError {
    /// The text is not in the format of a key.
    #[error("should begin with `whsec_`, followed by the key in base64")]
    Form,
    /// The key is too easy to guess, or longer than the specification allows.
    #[error("holds a key of {0} bytes; 24 to 64 are required (`openssl rand -base64 32` creates one)")]
    Length(usize),
}

impl SigningKey {
    /// Parses `whsec_` and the 24 to 64 bytes of a key in base64.
    ///
    /// # Errors
    ///
    /// [`SigningKeyError`]; it does not contain the text.
    pub fn parse(text: &str) -> Result<SigningKey, SigningKeyError> {
        let encoded = text.trim().strip_prefix("whsec_").ok_or(SigningKeyError::Form)?;
        let key = STANDARD.decode(encoded).map_err(|_| SigningKeyError::Form)?;
        if (24..=64).contains(&key.len()) {
            Ok(SigningKey(key.into()))
        } else {
            Err(SigningKeyError::Length(key.len()))
        }
    }

    fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &self.0));
        context.update(format!("{id}.{timestamp}.").as_bytes());
        context.update(body);
        format!("v1,{}", STANDARD.encode(context.sign()))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

/// Returns the value of `webhook-signature`: one signature per key, separated by spaces. While keys are rotated, a
/// receiver accepts the request if it knows one of the keys.
pub(super) fn signatures(keys: &[SigningKey], id: &str, timestamp: u64, body: &[u8]) -> String {
    let each: Vec<String> = keys.iter().map(|key| key.sign(id, timestamp, body)).collect();
    each.join(" ")
}

/// Returns the value of `webhook-id`: the id of the event and a hash that tells apart the requests of one event. The
/// same request always gets the same id.
pub(super) fn message_id(request: &OutboxRequest) -> String {
    let mut hash = Sha256::new();
    for part in [
        request.source.as_bytes(),
        format!("{:?}", request.method).as_bytes(),
        request.url.as_bytes(),
        &request.body,
    ] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let digest = hash.finalize();
    let told_apart: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("msg_{}_{told_apart}", request.id)
}

/// Returns the value of `webhook-id` of a batch: a hash of the ids of its requests. The same requests always get the same
/// id.
pub(super) fn batch_id(ids: &[&str]) -> String {
    let mut hash = Sha256::new();
    for id in ids {
        hash.update((id.len() as u64).to_be_bytes());
        hash.update(id);
    }
    let digest = hash.finalize();
    let told_apart: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("msg_batch_{told_apart}")
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::request;
    use super::*;

    /// The example of the specification's reference libraries.
    #[test]
    fn the_vector_of_the_specification() {
        let key = SigningKey::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let (id, timestamp, body) = (
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(signatures(std::slice::from_ref(&key), id, timestamp, body), expected);
        assert_eq!(
            signatures(&[key.clone(), key], id, timestamp, body),
            format!("{expected} {expected}")
        );
    }

    #[test]
    fn keys_are_checked_and_never_shown() {
        let encoded = |length: usize| format!("whsec_{}", STANDARD.encode(vec![7; length]));
        for length in [24, 32, 64] {
            assert!(SigningKey::parse(&encoded(length)).is_ok());
        }
        for length in [0, 23, 65] {
            assert_eq!(
                SigningKey::parse(&encoded(length)),
                Err(SigningKeyError::Length(length))
            );
        }
        for text in ["", "hidden", "whsec_hidden!", "whsk_aaaa", &encoded(32)[6..]] {
            let error = SigningKey::parse(text).unwrap_err();
            assert_eq!(error, SigningKeyError::Form);
            assert!(!error.to_string().contains("hidden"));
        }
        assert_eq!(
            format!("{:?}", SigningKey::parse(&encoded(32)).unwrap()),
            "SigningKey(…)"
        );
    }

    #[test]
    fn an_id_is_that_of_the_request_and_not_of_the_attempt() {
        let id = |module: &str, url: &str, body: &str| {
            message_id(&OutboxRequest {
                id: "E1".into(),
                source: module.into(),
                url: url.into(),
                body: body.to_owned().into(),
                ..request()
            })
        };
        let one = id("m", "http://h/a", "x");
        assert!(one.starts_with("msg_E1_") && one.len() == 23, "{one}");
        assert_eq!(id("m", "http://h/a", "x"), one);
        for other in [
            id("n", "http://h/a", "x"),
            id("m", "http://h/b", "x"),
            id("m", "http://h/a", "y"),
        ] {
            assert_ne!(other, one);
        }
        // Adjacent parts are kept separate.
        assert_ne!(id("m", "http://h/a", "bx"), id("m", "http://h/ab", "x"));
    }
}
