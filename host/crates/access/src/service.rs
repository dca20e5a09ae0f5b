//! Web services that decide: whether a client may connect, or may do something.
//!
//! What their answers mean: [`answer`].
//!
//! A service that does not answer in time, or with more than 64 KiB, has failed; `on_error` says what happens then.

mod answer;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use hookhost_delivery::{Tls, http_client};
use hookhost_settings::error_line;
use reqwest::{Client, Method};
use serde_json::{Map, Value};
use tokio::sync::Semaphore;

use answer::meaning;
pub(crate) use answer::{AnswerStyle, ServiceAnswer};

use crate::Login;
use crate::rules::Operation;
use crate::template::Template;

/// Longest answer in bytes.
const MAX_ANSWER_BYTES: usize = 64 << 10;
/// Requests to one service at a time; more wait.
const MAX_CONCURRENT_REQUESTS: usize = 256;
/// Answers that one service has cached. At the limit, all are forgotten.
const MAX_CACHED_ANSWERS: usize = 10_000;

/// A request with placeholders.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RequestTemplate {
    pub(crate) method: RequestMethod,
    pub(crate) url: Template,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) parameters: Vec<(String, Template)>,
    /// Whether the body is a form; otherwise it is JSON.
    pub(crate) is_form: bool,
}

/// The method of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestMethod {
    /// The parameters are in the query.
    Get,
    Post,
    Put,
}

/// A web service.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Service {
    pub(crate) request: RequestTemplate,
    pub(crate) answers: AnswerStyle,
    pub(crate) timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) tls: Tls,
    /// Whether the next source decides if the service has failed. Otherwise it counts as a refusal.
    pub(crate) continues_after_error: bool,
    /// How long an answer is used again; zero: never.
    pub(crate) cache: Duration,
    pub(crate) state: ServiceState,
}

/// What belongs to a running service. It is no part of the settings, so all are equal.
#[derive(Clone, Default)]
pub(crate) struct ServiceState(Arc<Running>);

struct Running {
    client: OnceLock<Option<Client>>,
    requests: Semaphore,
    cached: Mutex<HashMap<[u8; 32], (ServiceAnswer, Instant)>>,
    /// When a failure was last logged.
    logged: Mutex<Option<Instant>>,
}

impl Default for Running {
    fn default() -> Running {
        Running {
            client: OnceLock::new(),
            requests: Semaphore::new(MAX_CONCURRENT_REQUESTS),
            cached: Mutex::default(),
            logged: Mutex::default(),
        }
    }
}

impl PartialEq for ServiceState {
    fn eq(&self, _: &ServiceState) -> bool {
        true
    }
}

impl fmt::Debug for ServiceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServiceState")
    }
}

impl Service {
    /// Asks about a login, or about an operation of the client.
    pub(crate) async fn ask(&self, login: &Login<'_>, operation: Option<&Operation<'_>>) -> ServiceAnswer {
        match tokio::time::timeout(self.timeout, self.request(login, operation)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(reason)) => self.failed(&reason),
            Err(_) => self.failed("no answer in time"),
        }
    }

    /// As [`ask`](Service::ask), with the answer to an earlier request that had the same key.
    pub(crate) async fn ask_cached(&self, key: [u8; 32], login: &Login<'_>) -> ServiceAnswer {
        if self.cache.is_zero() {
            return self.ask(login, None).await;
        }
        let cached = || self.state.0.cached.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((answer, at)) = cached().get(&key)
            && at.elapsed() < self.cache
        {
            return answer.clone();
        }
        let answer = self.ask(login, None).await;
        if matches!(answer, ServiceAnswer::Allow(_)) {
            let mut cached = cached();
            if cached.len() >= MAX_CACHED_ANSWERS {
                cached.clear();
            }
            cached.insert(key, (answer.clone(), Instant::now()));
        }
        answer
    }

    async fn request(&self, login: &Login<'_>, operation: Option<&Operation<'_>>) -> Result<ServiceAnswer, String> {
        let build = || match http_client(&self.tls, self.connect_timeout) {
            Ok(client) => Some(client),
            Err(error) => {
                tracing::error!(error, "cannot build the HTTP client of an authentication service");
                None
            }
        };
        let running = &self.state.0;
        let client = running
            .client
            .get_or_init(build)
            .as_ref()
            .ok_or("the TLS settings are invalid")?;
        let _permit = running.requests.acquire().await.map_err(|_| "the host stops")?;
        let short = |error: reqwest::Error| error_line(&error.without_url());
        let template = &self.request;
        let mut url = template.url.fill_with(login, operation, percent_encoded);
        let mut body = None;
        if template.method == RequestMethod::Get {
            let query = form(&template.parameters, login, operation);
            if !query.is_empty() {
                url.push(if url.contains(&b'?') { b'&' } else { b'?' });
                url.extend(query.into_bytes());
            }
        } else if template.is_form {
            body = Some((
                "application/x-www-form-urlencoded",
                form(&template.parameters, login, operation),
            ));
        } else {
            body = Some(("application/json", json(&template.parameters, login, operation)?));
        }
        let url = String::from_utf8(url).map_err(|_| "the URL is not UTF-8")?;
        let method = match template.method {
            RequestMethod::Get => Method::GET,
            RequestMethod::Post => Method::POST,
            RequestMethod::Put => Method::PUT,
        };
        let mut request = client.request(method, url);
        if let Some((content_type, body)) = body {
            if !template
                .headers
                .iter()
                .any(|(name, _)| name.eq_ignore_ascii_case("content-type"))
            {
                request = request.header("content-type", content_type);
            }
            request = request.body(body);
        }
        for (name, value) in &template.headers {
            request = request.header(name, value);
        }
        let mut response = request.send().await.map_err(short)?;
        let status = response.status().as_u16();
        let content_type = response.headers().get("content-type");
        let is_json = content_type.is_some_and(|value| is_json(value.as_bytes()));
        let mut answer = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(short)? {
            if answer.len() + piece.len() > MAX_ANSWER_BYTES {
                return Err("an answer of more than 64 KiB".to_owned());
            }
            answer.extend_from_slice(&piece);
        }
        match meaning(self.answers, status, is_json, &answer) {
            ServiceAnswer::Failed => Err("an answer in JSON without a result".to_owned()),
            answer => Ok(answer),
        }
    }

    /// Logs a failure, at most once a second.
    fn failed(&self, reason: &str) -> ServiceAnswer {
        let mut logged = self.state.0.logged.lock().unwrap_or_else(PoisonError::into_inner);
        if logged.is_none_or(|at| at.elapsed() > Duration::from_secs(1)) {
            *logged = Some(Instant::now());
            tracing::warn!(reason, "the web service for authentication or access rules has failed");
        }
        ServiceAnswer::Failed
    }
}

/// Everything but letters, digits and `-._~` as `%XX`.
/// Whether a content type is JSON. RMQTT compares the beginning; media types have no case (RFC 9110, 8.3.1).
fn is_json(content_type: &[u8]) -> bool {
    const JSON: &[u8] = b"application/json";
    content_type
        .get(..JSON.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(JSON))
}

fn percent_encoded(bytes: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(*byte),
            byte => encoded.extend(format!("%{byte:02X}").bytes()),
        }
    }
    encoded
}

fn form(parameters: &[(String, Template)], login: &Login<'_>, operation: Option<&Operation<'_>>) -> String {
    let pair = |(name, template): &(String, Template)| {
        let encoded = |bytes: &[u8]| String::from_utf8(percent_encoded(bytes)).unwrap_or_default();
        format!(
            "{}={}",
            encoded(name.as_bytes()),
            encoded(&template.fill(login, operation))
        )
    };
    parameters.iter().map(pair).collect::<Vec<_>>().join("&")
}

/// JSON cannot carry any bytes: a password that is not UTF-8 is an error.
fn json(
    parameters: &[(String, Template)],
    login: &Login<'_>,
    operation: Option<&Operation<'_>>,
) -> Result<String, String> {
    let mut object = Map::new();
    for (name, template) in parameters {
        let text = String::from_utf8(template.fill(login, operation)).map_err(|_| "a value is not UTF-8")?;
        object.insert(name.clone(), Value::String(text));
    }
    Ok(Value::Object(object).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_type_in_any_case_is_json() {
        let types = [
            "application/json",
            "Application/JSON; charset=utf-8",
            "text/plain",
            "application/js",
            "",
        ];
        assert_eq!(
            types.map(|text| is_json(text.as_bytes())),
            [true, true, false, false, false]
        );
    }

    #[test]
    fn what_a_client_shows_cannot_leave_its_place() {
        let login = Login {
            client_id: "a/../b?x=1&y",
            username: Some("\"},{\n"),
            password: Some(b"\xff& ="),
            address: None,
            protocol: 4,
            certificate: None,
            will: None,
        };
        let template = |text: &str| text.parse::<Template>().unwrap();
        let parameters = [
            ("u".to_owned(), template("${username}")),
            ("p".to_owned(), template("${password}")),
        ];
        assert_eq!(form(&parameters, &login, None), "u=%22%7D%2C%7B%0A&p=%FF%26%20%3D");
        assert!(json(&parameters, &login, None).is_err());
        let sent = json(&parameters[..1], &login, None).unwrap();
        assert_eq!(sent, "{\"u\":\"\\\"},{\\n\"}");
        let url = template("http://h/${clientid}").fill_with(&login, None, percent_encoded);
        assert_eq!(url, b"http://h/a%2F..%2Fb%3Fx%3D1%26y");
        assert!("http://h/${nobody}".parse::<Template>().is_err());
        assert!("${clientid".parse::<Template>().is_err());
    }
}
