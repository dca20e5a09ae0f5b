//! Access tokens by the client credentials grant of OAuth 2.0 (RFC 6749, section 4.4).
//!
//! A sender thread fetches a token when it needs the first one, keeps it, and fetches the next one before it expires or
//! after an answer 401. Requests that need a token wait for the one fetch that is under way. If a fetch fails, the
//! requests fail like those without a connection, and the next fetch follows [`FETCH_RETRY`] later.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Client;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::form_urlencoded::{Serializer, byte_serialize};

use super::clients::reasons;
use super::secret::Secret;
use super::tls::Certificates;

/// How long a failed fetch counts, so that waiting requests do not flood the server.
const FETCH_RETRY: Duration = Duration::from_secs(1);

/// The life of a token whose server does not say how long it is valid.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(3600);

/// A token is renewed this long before it expires, or at nine tenths of its life if that is later.
const RENEW_BEFORE: Duration = Duration::from_secs(60);

/// Limit of the answer of the server.
const MAX_ANSWER_BYTES: usize = 64 << 10;

/// Where and how a destination gets its access tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuth2 {
    /// The token endpoint: an `http:` or `https:` URL.
    pub token_url: String,
    /// The client id.
    pub client_id: String,
    /// The client secret.
    pub client_secret: Secret,
    /// The scopes, separated by spaces.
    pub scope: Option<String>,
    /// Further parameters of the token request, such as `audience`.
    pub parameters: Vec<(String, String)>,
    /// How the client authenticates.
    pub client_auth: ClientAuth,
    /// Trusted authorities of the token endpoint, in place of those of the platform.
    pub ca: Option<Certificates>,
    /// Timeout of a token request.
    pub timeout: Duration,
}

/// How the client authenticates at the token endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientAuth {
    /// By the header `Authorization: Basic`, which every server supports.
    #[default]
    Basic,
    /// By `client_id` and `client_secret` in the body.
    Body,
}

impl ClientAuth {
    /// All values, by their names in a configuration.
    pub const NAMES: [(&'static str, ClientAuth); 2] = [("basic", ClientAuth::Basic), ("body", ClientAuth::Body)];
}

/// The tokens of one sender thread.
#[derive(Default)]
pub(super) struct Tokens(std::cell::RefCell<Vec<Rc<Token>>>);

/// The token of one destination.
pub(super) struct Token {
    settings: Arc<OAuth2>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    current: Option<Current>,
    failed: Option<(Instant, String)>,
}

struct Current {
    /// The value of `authorization`.
    value: HeaderValue,
    renew_at: Instant,
}

impl Tokens {
    /// Returns the token with these settings.
    pub(super) fn token(&self, settings: &Arc<OAuth2>) -> Rc<Token> {
        let mut all = self.0.borrow_mut();
        if let Some(known) = all.iter().find(|known| known.settings == *settings) {
            return Rc::clone(known);
        }
        all.retain(|known| Rc::strong_count(known) > 1);
        let token = Rc::new(Token {
            settings: Arc::clone(settings),
            state: Mutex::default(),
        });
        all.push(Rc::clone(&token));
        token
    }
}

impl Token {
    /// Returns the value of the header `authorization`. Fetches a token over `client` if there is none that is valid.
    ///
    /// # Errors
    ///
    /// What went wrong, in one line, without the secret.
    pub(super) async fn value(&self, client: &Client) -> Result<HeaderValue, String> {
        let mut state = self.state.lock().await;
        let now = Instant::now();
        if let Some(current) = &state.current
            && now < current.renew_at
        {
            return Ok(current.value.clone());
        }
        if let Some((at, error)) = &state.failed
            && now.saturating_duration_since(*at) < FETCH_RETRY
        {
            return Err(error.clone());
        }
        // Dropping this future, at the timeout of the attempt, ends the fetch.
        match self.fetch(client).await {
            Ok((value, lifetime)) => {
                let early = RENEW_BEFORE.min(lifetime / 10);
                state.current = Some(Current {
                    value: value.clone(),
                    renew_at: now + (lifetime - early),
                });
                state.failed = None;
                Ok(value)
            }
            Err(error) => {
                let error = format!("cannot get an access token: {error}");
                state.failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    /// Forgets a token that a receiver has refused, unless it is replaced already. Returns whether a new one may help.
    pub(super) async fn refused(&self, value: &HeaderValue) -> bool {
        let mut state = self.state.lock().await;
        if state.current.as_ref().is_some_and(|current| current.value == *value) {
            state.current = None;
        }
        state.failed.is_none()
    }

    async fn fetch(&self, client: &Client) -> Result<(HeaderValue, Duration), String> {
        let settings = &self.settings;
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        if let Some(scope) = &settings.scope {
            form.append_pair("scope", scope);
        }
        let (id, secret) = (&settings.client_id, settings.client_secret.expose());
        if settings.client_auth == ClientAuth::Body {
            form.append_pair("client_id", id).append_pair("client_secret", secret);
        }
        for (name, value) in &settings.parameters {
            form.append_pair(name, value);
        }
        let mut request = client
            .post(&settings.token_url)
            .timeout(settings.timeout)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form.finish());
        if settings.client_auth == ClientAuth::Basic {
            request = request.header(AUTHORIZATION, basic(id, secret)?);
        }
        let mut response = request.send().await.map_err(reasons)?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(reasons)? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_ANSWER_BYTES {
                return Err("the answer of the token endpoint is too long".to_owned());
            }
        }
        if !status.is_success() {
            // The code of RFC 6749, section 5.2, such as `invalid_client`.
            let code = serde_json::from_slice::<serde_json::Value>(&body).ok();
            let code = code.as_ref().and_then(|answer| answer.get("error")?.as_str());
            let code: String = code
                .unwrap_or_default()
                .chars()
                .take(60)
                .flat_map(char::escape_debug)
                .collect();
            return Err(match code.as_str() {
                "" => format!("the token endpoint answered with status {}", status.as_u16()),
                code => format!("the token endpoint answered with status {}: {code}", status.as_u16()),
            });
        }
        parse(&body)
    }
}

/// The header of client id and secret. Both are encoded as in a form: RFC 6749, section 2.3.1.
fn basic(id: &str, secret: &str) -> Result<HeaderValue, String> {
    let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", encoded(id), encoded(secret));
    sensitive(&format!("Basic {}", STANDARD.encode(pair))).ok_or_else(|| "the client id is not valid".to_owned())
}

/// Reads a token and its lifetime from the answer of the server.
fn parse(body: &[u8]) -> Result<(HeaderValue, Duration), String> {
    let answer: serde_json::Value =
        serde_json::from_slice(body).map_err(|_| "the answer of the token endpoint is not JSON")?;
    let token = answer.get("access_token").and_then(serde_json::Value::as_str);
    let token = token.filter(|token| !token.is_empty());
    let value = token.and_then(|token| sensitive(&format!("Bearer {token}")));
    let value = value.ok_or("the answer of the token endpoint has no valid access_token")?;
    // Some servers send the number as a string.
    let seconds = answer.get("expires_in").and_then(|seconds| match seconds {
        serde_json::Value::String(text) => text.parse().ok(),
        seconds => seconds.as_f64(),
    });
    /// Limit of the lifetime, so that the clock cannot overflow.
    const MAX_SECONDS: f64 = 366.0 * 24.0 * 3600.0;
    let lifetime = seconds.map(|seconds| Duration::from_secs_f64(seconds.clamp(0.0, MAX_SECONDS)));
    Ok((value, lifetime.unwrap_or(DEFAULT_LIFETIME)))
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_token_endpoints() {
        for (body, expected) in [
            (
                r#"{"access_token":"t","token_type":"Bearer","expires_in":30}"#,
                Ok(("Bearer t", 30)),
            ),
            (r#"{"access_token":"t","expires_in":"30"}"#, Ok(("Bearer t", 30))),
            (r#"{"access_token":"t"}"#, Ok(("Bearer t", 3600))),
            (r#"{"access_token":"t","expires_in":-1}"#, Ok(("Bearer t", 0))),
            (
                r#"{"access_token":"t","expires_in":1e300}"#,
                Ok(("Bearer t", 366 * 24 * 3600)),
            ),
            (r#"{"access_token":""}"#, Err(())),
            (r#"{"access_token":"a\nb"}"#, Err(())),
            (r#"{"token":"t"}"#, Err(())),
            ("<html>", Err(())),
        ] {
            let got = parse(body.as_bytes());
            let got = got
                .as_ref()
                .map(|(value, lifetime)| (value.to_str().unwrap(), lifetime.as_secs()))
                .map_err(|_| ());
            assert_eq!(got, expected, "{body}");
        }
    }

    #[test]
    fn client_id_and_secret_are_encoded_and_hidden() {
        let value = basic("my client", "a:b%").unwrap();
        assert_eq!(value, format!("Basic {}", STANDARD.encode("my+client:a%3Ab%25")));
        assert!(value.is_sensitive());
    }
}
