//! What a module returns for an event: nothing, requests for the host to send, or an error.
//!
//! A module has no network. The host sends the requests, retries them and keeps them in order. A module may use the URLs
//! in its settings, paths below them, and the URLs that `[egress]` in its `.toml` file allows. The host refuses requests
//! to any other URL.

use std::fmt::Display;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use crate::bindings::hookhost::hook::types::{Body, Method, Outcome, Request};

/// The default is POST.
impl Default for Method {
    fn default() -> Method {
        Method::Post
    }
}

impl Method {
    /// Whether requests with this method have a body: all but GET and DELETE.
    pub fn has_body(self) -> bool {
        !matches!(self, Method::Get | Method::Delete)
    }
}

const CONTENT_TYPE: &str = "content-type";

impl Request {
    /// A request without headers and with an empty body.
    ///
    /// The URL begins with `http:`, `https:`, `file:`, `stdout:` or `mqtt:`.
    pub fn new(method: Method, url: impl Into<String>) -> Request {
        Request {
            method,
            url: url.into(),
            headers: Vec::new(),
            body: Body::Text(String::new()),
            ordering_key: None,
            destination: None,
            options: Vec::new(),
        }
    }

    /// A POST to a URL.
    ///
    /// ```
    /// use hookhost_guest::{Outcome, Request};
    ///
    /// let request = Request::post("http://127.0.0.1:5656/alerts").header("x-origin", "cellar").text("too hot");
    /// assert_eq!(request.body_str(), Some("too hot"));
    /// let outcome: Outcome = request.into();
    /// ```
    pub fn post(url: impl Into<String>) -> Request {
        Request::new(Method::Post, url)
    }

    /// A PUT to a URL.
    pub fn put(url: impl Into<String>) -> Request {
        Request::new(Method::Put, url)
    }

    /// Sets a header. Replaces a header with the same name; upper and lower case do not matter.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Request {
        let name = name.into();
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(&name));
        self.headers.push((name, value.into()));
        self
    }

    /// Sets the body to a text, sent as UTF-8. Does not set a content type.
    pub fn text(mut self, text: impl Into<String>) -> Request {
        self.body = Body::Text(text.into());
        self
    }

    /// Sets the body to bytes, sent as they are. Does not set a content type.
    pub fn bytes(mut self, bytes: impl Into<Vec<u8>>) -> Request {
        self.body = Body::Bytes(bytes.into());
        self
    }

    /// Serializes a value to JSON as the body, and sets the content type `application/json` unless the request has one.
    ///
    /// Call it last: it returns a `Result`, which converts into an [`Outcome`] directly.
    ///
    /// # Errors
    ///
    /// If JSON cannot represent the value, for example a map with keys that are not strings.
    ///
    /// ```
    /// use hookhost_guest::{Outcome, Request};
    ///
    /// let outcome: Outcome = Request::post("http://127.0.0.1:5656/").json(&[1, 2]).into();
    /// assert_eq!(outcome.requests()[0].body_str(), Some("[1,2]"));
    /// ```
    pub fn json<T: Serialize + ?Sized>(mut self, value: &T) -> Result<Request, serde_json::Error> {
        self.body = Body::Text(serde_json::to_string(value)?);
        if self.header_value(CONTENT_TYPE).is_none() {
            self.headers
                .push((CONTENT_TYPE.to_owned(), "application/json".to_owned()));
        }
        Ok(self)
    }

    /// Sets the ordering key. The host sends requests with the same key one after the other. The default key is the client
    /// id of the event.
    pub fn ordering_key(mut self, key: impl Into<String>) -> Request {
        self.ordering_key = Some(key.into());
        self
    }

    /// Sends the request in no particular order.
    pub fn unordered(self) -> Request {
        self.ordering_key("")
    }

    /// Sends the request to a destination of the host's configuration, which sets credentials, TLS and retries. The URL
    /// may then be empty or a path below the URL of the destination.
    pub fn destination(mut self, name: impl Into<String>) -> Request {
        self.destination = Some(name.into());
        self
    }

    /// Adds an option: `max_age`, a duration such as `10m`, is the age of the event at which the host sends the request no
    /// more. `batch`, words such as `format=ndjson max_events=500`, lets the host send the request together with others. The
    /// host refuses a request with any other option.
    pub fn option(mut self, name: impl Into<String>, value: impl Into<String>) -> Request {
        self.options.push((name.into(), value.into()));
        self
    }

    /// The value of a header. Upper and lower case of the name do not matter.
    pub fn header_value(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The body as text; `None` if it is not UTF-8.
    pub fn body_str(&self) -> Option<&str> {
        match &self.body {
            Body::Text(text) => Some(text),
            Body::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
        }
    }

    /// Deserializes the body from JSON.
    ///
    /// # Errors
    ///
    /// If the body is not JSON or does not have the form of `T`.
    pub fn body_json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        match &self.body {
            Body::Text(text) => serde_json::from_str(text),
            Body::Bytes(bytes) => serde_json::from_slice(bytes),
        }
    }
}

impl From<String> for Body {
    fn from(text: String) -> Body {
        Body::Text(text)
    }
}

impl From<&str> for Body {
    fn from(text: &str) -> Body {
        Body::Text(text.to_owned())
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Body {
        Body::Bytes(bytes)
    }
}

impl Outcome {
    /// The module could not handle the event. The host puts the event into quarantine with this text.
    pub fn fail(why: impl Display) -> Outcome {
        Outcome::Fail(why.to_string())
    }

    /// The requests to send; empty for `Ignore` and `Fail`.
    pub fn requests(&self) -> &[Request] {
        match self {
            Outcome::Deliver(requests) => requests,
            Outcome::Ignore | Outcome::Fail(_) => &[],
        }
    }
}

/// Sends one request.
impl From<Request> for Outcome {
    fn from(request: Request) -> Outcome {
        Outcome::Deliver(vec![request])
    }
}

/// Sends the requests in this order.
impl From<Vec<Request>> for Outcome {
    fn from(requests: Vec<Request>) -> Outcome {
        if requests.is_empty() {
            Outcome::Ignore
        } else {
            Outcome::Deliver(requests)
        }
    }
}

/// Converts the value, or ignores the event if the value is missing.
impl<T: Into<Outcome>> From<Option<T>> for Outcome {
    fn from(value: Option<T>) -> Outcome {
        value.map_or(Outcome::Ignore, Into::into)
    }
}

/// Converts the value, or fails with the text of the error.
impl<T: Into<Outcome>, E: Display> From<Result<T, E>> for Outcome {
    fn from(value: Result<T, E>) -> Outcome {
        value.map_or_else(Outcome::fail, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_header_is_replaced_whatever_its_case() {
        let request = Request::post("x:")
            .header("X-A", "1")
            .header("b", "2")
            .header("x-a", "3");
        assert_eq!(request.headers, [("b".into(), "2".into()), ("x-a".into(), "3".into())]);
    }

    #[test]
    fn json_keeps_a_content_type_of_its_own() {
        let plain = Request::post("x:").json(&1).unwrap();
        assert_eq!(plain.header_value("Content-Type"), Some("application/json"));
        let own = Request::post("x:")
            .header("Content-Type", "application/senml+json")
            .json(&1)
            .unwrap();
        assert_eq!(
            own.headers,
            [("Content-Type".to_string(), "application/senml+json".to_string())]
        );
    }

    #[test]
    fn outcomes_are_made_of_what_a_hook_has() {
        let request = || Request::post("x:");
        assert_eq!(Outcome::from(request()).requests().len(), 1);
        assert_eq!(Outcome::from(vec![request(), request()]).requests().len(), 2);
        assert_eq!(Outcome::from(Vec::new()), Outcome::Ignore);
        assert_eq!(Outcome::from(None::<Request>), Outcome::Ignore);
        assert_eq!(Outcome::from(Ok::<_, String>(Some(request()))).requests().len(), 1);
        assert_eq!(Outcome::from(Err::<Request, _>("no")), Outcome::Fail("no".into()));
        let keys = BTreeMap::from([((1, 2), 3)]);
        assert!(matches!(request().json(&keys).into(), Outcome::Fail(text) if text.contains("key must be a string")));
    }
}
