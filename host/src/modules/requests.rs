//! From what a module returns to what is delivered.

use std::sync::Arc;

use super::egress::{Egress, Refusal};
use crate::delivery;
use crate::event::Event;
use crate::wasm;

/// The request to deliver for one that a module made of an event.
///
/// # Errors
///
/// [`Refusal`] if it names what was not granted or what the host does not have.
pub(super) fn prepare(
    request: wasm::Request,
    event: &Event,
    egress: &Egress,
    module: &Arc<str>,
    generation: u32,
) -> Result<delivery::Request, Refusal> {
    if let Some(destination) = request.destination {
        return Err(Refusal::Destination(excerpt(&destination)));
    }
    if let Some((option, _)) = request.options.first() {
        return Err(Refusal::Option(excerpt(option)));
    }
    let ordering_key = match request.ordering_key {
        Some(key) => key,
        None => event
            .detail
            .client()
            .map_or_else(String::new, |client| client.id.to_string()),
    };
    Ok(delivery::Request {
        id: event.id.to_string(),
        source: Arc::clone(module),
        generation,
        method: method(request.method),
        url: egress.check(request.url)?,
        via: delivery::Via::Url,
        headers: request.headers,
        body: request.body,
        ordering_key,
    })
}

fn method(method: wasm::Method) -> delivery::Method {
    match method {
        wasm::Method::Get => delivery::Method::Get,
        wasm::Method::Post => delivery::Method::Post,
        wasm::Method::Put => delivery::Method::Put,
        wasm::Method::Patch => delivery::Method::Patch,
        wasm::Method::Delete => delivery::Method::Delete,
    }
}

/// Enough of a name to recognise it, fit for a line of the log.
fn excerpt(name: &str) -> String {
    name.chars().take(40).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hooks::testing;
    use serde_json::json;

    fn request() -> wasm::Request {
        wasm::Request {
            method: wasm::Method::Put,
            url: "http://h/a/b".into(),
            headers: vec![("x".into(), "y".into())],
            body: "body".into(),
            ordering_key: None,
            destination: None,
            options: vec![],
        }
    }

    fn prepared(request: wasm::Request) -> Result<delivery::Request, Refusal> {
        let egress = Egress::new(&json!("http://h/a"), &[]);
        prepare(request, &testing::numbered("client", 10), &egress, &"m".into(), 7)
    }

    #[test]
    fn a_request_is_told_apart_by_event_module_and_generation() {
        let got = prepared(request()).unwrap();
        assert_eq!(got.id, "0000000000000000000000000000000A");
        assert_eq!(
            (&*got.source, got.generation, got.method),
            ("m", 7, delivery::Method::Put)
        );
        assert_eq!(
            (got.url.as_str(), &got.body[..], got.headers.len()),
            ("http://h/a/b", &b"body"[..], 1)
        );
    }

    #[test]
    fn order_is_that_of_the_client_unless_the_module_says_otherwise() {
        for (key, expected) in [(None, "client"), (Some(""), ""), (Some("k"), "k")] {
            let request = wasm::Request {
                ordering_key: key.map(str::to_owned),
                ..request()
            };
            assert_eq!(prepared(request).unwrap().ordering_key, expected);
        }
    }

    #[test]
    fn what_the_host_does_not_have_is_refused() {
        let elsewhere = wasm::Request {
            url: "http://evil/".into(),
            ..request()
        };
        assert_eq!(
            prepared(elsewhere).unwrap_err(),
            Refusal::NotGranted("http://evil:80".into())
        );
        let named = wasm::Request {
            destination: Some("crm\n".into()),
            ..request()
        };
        assert_eq!(
            prepared(named).unwrap_err().to_string(),
            "there is no destination 'crm\\n'"
        );
        let wish = wasm::Request {
            options: vec![("sign".into(), "yes".into())],
            ..request()
        };
        assert_eq!(
            prepared(wish).unwrap_err().to_string(),
            "there is no option 'sign' for requests"
        );
    }
}
