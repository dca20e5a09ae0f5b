//! Turns the requests of a module into requests to deliver.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::egress::{Egress, Granted, Refusal};
use hookhost_contract::Request;
use hookhost_delivery::{DestinationError, DestinationSelector, EventSummary, OutboxRequest, Reach};
use hookhost_event::{ByteString, Detail, Event, Message, Property, json};
use hookhost_settings::parse_duration;

/// The request to deliver for a request that a module made of an event.
///
/// # Errors
///
/// [`Refusal`] if it names something that was not granted or that the host does not have.
pub(super) fn prepare(
    request: Request,
    event: &Event,
    egress: &Egress,
    module: &Arc<str>,
    generation: u32,
) -> Result<OutboxRequest, Refusal> {
    let mut expires = match &event.detail {
        Detail::MessagePublish(message) => expiry(message),
        _ => None,
    };
    let mut batching = None;
    for (option, value) in &request.options {
        match option.as_str() {
            "max_age" => {
                let max_age = parse_duration(value).map_err(|_| Refusal::MaxAge(excerpt(value)))?;
                let end = time(event.at.0).checked_add(max_age);
                expires = expires.into_iter().chain(end).min();
            }
            "batch" => batching = Some(value.parse()?),
            _ => return Err(Refusal::Option(excerpt(option))),
        }
    }
    let ordering_key = match request.ordering_key {
        Some(key) => key,
        None => event
            .detail
            .client()
            .map_or_else(String::new, |client| String::from(&*client.id)),
    };
    let (url, named) = match request.destination {
        Some(name) => {
            let url = egress
                .at_destination(&name, &request.url)
                .map_err(|error| match error {
                    DestinationError::Unknown => Refusal::Destination(excerpt(&name)),
                    _ => Refusal::Outside(excerpt(&name)),
                })?;
            (url, Some(name))
        }
        None => (request.url, None),
    };
    let Granted { url, reach } = egress.check(url)?;
    // The operator's options for a destination do not apply to hosts that the module chooses.
    let via = match (named, reach) {
        (Some(name), Reach::Public) => return Err(Refusal::Open(excerpt(&name))),
        (Some(name), Reach::Anywhere) => DestinationSelector::Named(name.into()),
        (None, Reach::Public) => DestinationSelector::Nothing,
        (None, Reach::Anywhere) => DestinationSelector::Url,
    };
    Ok(OutboxRequest {
        id: event.id.to_string(),
        event: summary(event),
        source: Arc::clone(module),
        generation,
        method: request.method,
        url,
        receivers: Some(Arc::clone(egress.receivers())),
        via,
        reach,
        headers: request.headers,
        body: request.body,
        ordering_key,
        batching,
        expires,
        republishes: event.detail.message().map_or(0, |message| message.republishes),
        span: None,
        ticket: None,
    })
}

fn summary(event: &Event) -> EventSummary {
    let detail = &event.detail;
    EventSummary {
        hook: ByteString::from_static(json::hook_name(detail.hook())),
        at: event.at.0,
        client: detail.client().map(|client| client.id.clone()).unwrap_or_default(),
        topic: detail.subject().map(ByteString::from).unwrap_or_default(),
    }
}

/// When a message expires, by its own interval. MQTT counts whole seconds, so the second of its arrival is not counted.
fn expiry(message: &Message) -> Option<SystemTime> {
    let properties = &message.properties.as_ref()?.standard;
    let seconds = properties.iter().find_map(|property| match property {
        Property::MessageExpiryInterval(seconds) => Some(u64::from(*seconds)),
        _ => None,
    })?;
    time(message.received_at.0).checked_add(Duration::from_secs(seconds + 1))
}

fn time(millis: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
}

/// The recognisable part of a name, safe for a line of the log.
fn excerpt(name: &str) -> String {
    name.chars().take(40).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hookhost_contract::Method;
    use hookhost_delivery as delivery;
    use hookhost_testing::events as testing;
    use serde_json::json;

    fn request() -> Request {
        Request {
            method: Method::Put,
            url: "http://h/a/b".into(),
            headers: vec![("x".into(), "y".into())],
            body: "body".into(),
            ordering_key: None,
            destination: None,
            options: vec![],
        }
    }

    fn receivers(list: impl IntoIterator<Item = delivery::Destination>) -> Arc<delivery::Receivers> {
        Arc::new(delivery::Receivers {
            destinations: list.into_iter().collect(),
            ..Default::default()
        })
    }

    fn prepared(request: Request) -> Result<OutboxRequest, Refusal> {
        let egress = Egress::new(&json!("http://h/a"), &[]);
        prepare(request, &testing::numbered("client", 10), &egress, &"m".into(), 7)
    }

    #[test]
    fn a_request_is_told_apart_by_event_module_and_generation() {
        let got = prepared(request()).unwrap();
        assert_eq!(got.id, "0000000000000000000000000000000A");
        assert_eq!((&*got.source, got.generation, got.method), ("m", 7, Method::Put));
        assert_eq!(
            (got.url.as_str(), &got.body[..], got.headers.len()),
            ("http://h/a/b", &b"body"[..], 1)
        );
    }

    #[test]
    fn order_is_that_of_the_client_unless_the_module_says_otherwise() {
        for (key, expected) in [(None, "client"), (Some(""), ""), (Some("k"), "k")] {
            let request = Request {
                ordering_key: key.map(str::to_owned),
                ..request()
            };
            assert_eq!(prepared(request).unwrap().ordering_key, expected);
        }
    }

    #[test]
    fn a_request_expires_with_its_message_or_at_the_age_that_the_module_sets() {
        let expires = |interval: Option<u32>, max_age: Option<&str>| {
            let mut event = testing::numbered("client", 10);
            event.at = hookhost_event::Millis(2_000);
            let Detail::MessagePublish(message) = &mut event.detail else {
                panic!("{event:?}")
            };
            message.received_at = hookhost_event::Millis(1_000);
            message.properties = interval.map(|seconds| {
                Box::new(hookhost_event::Properties {
                    standard: vec![Property::MessageExpiryInterval(seconds)],
                    user: vec![],
                })
            });
            let options = max_age.map(|age| ("max_age".to_owned(), age.to_owned()));
            let request = Request {
                options: options.into_iter().collect(),
                ..request()
            };
            let egress = Egress::new(&json!("http://h/a"), &[]);
            let prepared = prepare(request, &event, &egress, &"m".into(), 7).unwrap();
            let since = |at: SystemTime| at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
            prepared.expires.map(since)
        };
        for (interval, max_age, expected) in [
            (None, None, None),
            (Some(0), None, Some(2_000)),
            (Some(60), None, Some(62_000)),
            (None, Some("1m30s"), Some(92_000)),
            (Some(60), Some("1h"), Some(62_000)),
            (Some(u32::MAX), Some("10ms"), Some(2_010)),
        ] {
            assert_eq!(expires(interval, max_age), expected, "{interval:?} {max_age:?}");
        }
    }

    #[test]
    fn a_request_may_be_part_of_a_batch() {
        let batch = Request {
            options: vec![("batch".into(), "format=ndjson max_events=7".into())],
            ..request()
        };
        let expected = delivery::Batching {
            format: delivery::BatchFormat::Ndjson,
            max_events: 7,
            ..Default::default()
        };
        assert_eq!(prepared(batch).unwrap().batching, Some(expected));
        assert_eq!(prepared(request()).unwrap().batching, None);
    }

    #[test]
    fn a_destination_may_be_named_and_grants_nothing() {
        let destination = |name: &str, url: &str| delivery::Destination {
            is_private: false,
            name: name.into(),
            urls: vec![delivery::UrlPrefix::parse(url).unwrap()],
            headers: vec![],
            signing: vec![],
            oauth2: None,
            unix: None,
            tls: Default::default(),
            terms: delivery::Terms::default(),
        };
        let all = [destination("near", "http://h/a/b"), destination("far", "http://far/")];
        let egress = Egress::new(&json!("http://h/a"), &[]).with(receivers(all));
        for (name, url, expected) in [
            ("near", "", Ok("http://h/a/b")),
            ("near", "c?d", Ok("http://h/a/b/c?d")),
            ("near", "http://h/a/b/c", Ok("http://h/a/b/c")),
            (
                "near",
                "http://h/a/c",
                Err("the URL is not below a URL of destination 'near'"),
            ),
            (
                "far",
                "",
                Err(
                    "http://far:80 (or this path) is not granted; add the URL to the module's [config] or to [egress] allow",
                ),
            ),
        ] {
            let request = Request {
                url: url.into(),
                destination: Some(name.into()),
                ..request()
            };
            let got = prepare(request, &testing::numbered("client", 10), &egress, &"m".into(), 7);
            let got = got
                .map(|request| (request.url, request.via))
                .map_err(|refusal| refusal.to_string());
            let expected = expected.map(|url| (url.to_owned(), delivery::DestinationSelector::Named(name.into())));
            assert_eq!(got, expected.map_err(str::to_owned), "{name} {url}");
        }

        // Only destinations that the operator has named get the operator's options.
        let open = |text: &str, name: Option<&str>| {
            let request = Request {
                url: text.into(),
                destination: name.map(str::to_owned),
                ..request()
            };
            let all = [destination("far", "http://far/")];
            let egress = Egress::new(&json!(null), &["http://*/".parse().unwrap()]).with(receivers(all));
            prepare(request, &testing::numbered("client", 10), &egress, &"m".into(), 7)
        };
        let chosen = open("http://far/x", None).unwrap();
        assert_eq!(
            (chosen.via, chosen.reach),
            (DestinationSelector::Nothing, Reach::Public)
        );
        assert_eq!(
            open("x", Some("far")).unwrap_err().to_string(),
            "destination 'far' is not granted by an open host; name its URL in the module's [config] or in [egress] allow"
        );
    }

    #[test]
    fn what_the_host_does_not_have_is_refused() {
        let elsewhere = Request {
            url: "http://evil/".into(),
            ..request()
        };
        assert_eq!(
            prepared(elsewhere).unwrap_err(),
            Refusal::NotGranted("http://evil:80".into())
        );
        let named = Request {
            destination: Some("crm\n".into()),
            ..request()
        };
        assert_eq!(
            prepared(named).unwrap_err().to_string(),
            "there is no destination 'crm\\n'"
        );
        let endless = Request {
            options: vec![("max_age".into(), "for ever".into())],
            ..request()
        };
        assert_eq!(
            prepared(endless).unwrap_err().to_string(),
            "option 'max_age' of the request: 'for ever' is not a duration such as 10m"
        );
        let batch = Request {
            options: vec![("batch".into(), "max_events=0".into())],
            ..request()
        };
        assert_eq!(
            prepared(batch).unwrap_err().to_string(),
            "option 'batch' of the request: `max_events` of a batch should be 1 to 10000"
        );
        let wish = Request {
            options: vec![("sign".into(), "yes".into())],
            ..request()
        };
        assert_eq!(
            prepared(wish).unwrap_err().to_string(),
            "there is no option 'sign' for requests"
        );
    }
}
