//! The stream of the outbox: created at the start, or compared with the settings. An existing one is never changed.

use std::time::{Duration, SystemTime};

use async_nats::HeaderMap;
use bytes::Bytes;
use serde_json::{Value, json};
use tracing::info;

use super::api::{Api, ApiError, code};
use super::dead_letters::FIRST_SHARED_LETTER;
use super::settings::{LetterLimits, Settings};

/// How long the server recognises a record that is sent again, unless records live shorter.
pub(super) const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);

/// The key of the stream's metadata with the number of partitions.
const PARTITIONS: &str = "hookhost-partitions";

/// Returns the configuration of the stream of requests.
fn configuration(settings: &Settings) -> Value {
    json!({
        "name": settings.name,
        "subjects": [format!("{}.*", settings.name)],
        "retention": "workqueue",
        "storage": "file",
        "num_replicas": settings.replicas,
        "max_bytes": settings.max_bytes,
        "max_age": nanos(settings.max_age.unwrap_or_default()),
        "discard": "new",
        "duplicate_window": nanos(duplicate_window(settings.max_age)),
        "allow_atomic": true,
        "allow_direct": true,
        "metadata": { PARTITIONS: settings.partitions.to_string() },
    })
}

/// Returns the configuration of the stream of dead letters. At a limit the server drops the oldest ones.
fn dead_letters_configuration(settings: &Settings) -> Value {
    let LetterLimits { records, bytes, age } = settings.dead_letters;
    json!({
        "name": dead_letters_name(settings),
        "subjects": [dead_letters_name(settings)],
        "retention": "limits",
        "storage": "file",
        "num_replicas": settings.replicas,
        "max_msgs": records,
        "max_bytes": bytes,
        "max_age": nanos(age.unwrap_or_default()),
        "discard": "old",
        "duplicate_window": nanos(duplicate_window(age)),
        "allow_direct": true,
    })
}

/// The name of the stream of dead letters, which is its only subject.
pub(super) fn dead_letters_name(settings: &Settings) -> String {
    format!("{}-dead-letters", settings.name)
}

/// NATS refuses a window that is longer than the age of records.
fn duplicate_window(max_age: Option<Duration>) -> Duration {
    max_age.map_or(DUPLICATE_WINDOW, |age| age.min(DUPLICATE_WINDOW))
}

/// The sequence of the first record of a stream that is created at this time: above those of an earlier stream of this name.
/// A record of the new stream is then never taken for one of the old stream. Limit: 64 records in each millisecond since
/// 1970, which no stream exceeds.
pub(super) fn first_sequence(now: SystemTime) -> u64 {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(0) << 6
}

/// Returns what an existing stream has that the settings do not say, in one line; empty if it can be used.
fn differences(wanted: &Value, found: &Value) -> String {
    let at = |value: &Value, path: &str| value.pointer(path).cloned().unwrap_or(Value::Null);
    let paths = [
        "/subjects",
        "/retention",
        "/storage",
        "/num_replicas",
        "/max_msgs",
        "/max_bytes",
        "/max_age",
        "/discard",
        "/duplicate_window",
        "/allow_atomic",
        "/allow_direct",
        "/allow_rollup_hdrs",
        "/allow_msg_ttl",
        "/max_msgs_per_subject",
        "/metadata/hookhost-partitions",
    ];
    let is_other = |path: &&&str| wanted.pointer(path).is_some() && at(wanted, path) != at(found, path);
    let differing = paths.iter().filter(is_other);
    let texts: Vec<String> = differing
        .map(|path| {
            let name = path.trim_start_matches("/metadata").trim_start_matches('/');
            format!("{name} is {}, not {}", at(found, path), at(wanted, path))
        })
        .collect();
    texts.join("; ")
}

/// Creates the stream of requests if it does not exist.
///
/// # Errors
///
/// [`StreamError`].
pub(super) async fn prepare(api: &Api, settings: &Settings) -> Result<(), StreamError> {
    prepare_stream(api, configuration(settings), first_sequence(SystemTime::now()))
        .await
        .map(drop)
}

/// Creates the stream of dead letters if it does not exist.
///
/// # Errors
///
/// [`StreamError`].
pub(super) async fn prepare_dead_letters(api: &Api, settings: &Settings) -> Result<(), StreamError> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let first = now.unwrap_or_default().as_secs().max(FIRST_SHARED_LETTER);
    prepare_stream(api, dead_letters_configuration(settings), first)
        .await
        .map(drop)
}

/// Creates a stream if it does not exist; `first` is then the sequence of its first message. Returns what JetStream says about
/// it.
///
/// # Errors
///
/// [`StreamError`].
pub(super) async fn prepare_stream(api: &Api, wanted: Value, first: u64) -> Result<Value, StreamError> {
    let name = wanted.get("name").and_then(Value::as_str).unwrap_or_default();
    let found = match api.ask(&format!("STREAM.INFO.{name}"), &Value::Null).await {
        Ok(info) => info,
        Err(error) if error.code() == Some(code::NO_STREAM) => {
            let mut new = wanted.clone();
            if let Some(new) = new.as_object_mut() {
                new.insert("first_seq".to_owned(), first.into());
            }
            match api.ask(&format!("STREAM.CREATE.{name}"), &new).await {
                Ok(created) => {
                    info!(stream = name, "a stream of NATS is created");
                    created
                }
                // Another host was faster.
                Err(error) if error.code() == Some(code::OTHER_STREAM) => {
                    api.ask(&format!("STREAM.INFO.{name}"), &Value::Null).await?
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(error) => return Err(error.into()),
    };
    let differences = differences(&wanted, found.get("config").unwrap_or(&Value::Null));
    if differences.is_empty() {
        Ok(found)
    } else {
        Err(StreamError::Form {
            stream: name.to_owned(),
            differences,
        })
    }
}

/// Reads one message of a stream; `None`: it is not there.
///
/// # Errors
///
/// [`ApiError`] if there is no answer, or the server that has answered does not have the message yet.
pub(super) async fn read(api: &Api, stream: &str, sequence: u64) -> Result<Option<Bytes>, ApiError> {
    let body = json!({ "seq": sequence });
    let subject = format!("$JS.API.DIRECT.GET.{stream}");
    let answer = api.exchange(subject, HeaderMap::new(), body.to_string().into()).await?;
    match answer.status.map(|status| status.as_u16()) {
        None => Ok(Some(Bytes::copy_from_slice(&answer.payload))),
        // Any server of a cluster may have answered. The leader of the stream knows.
        Some(404) => match api.ask(&format!("STREAM.MSG.GET.{stream}"), &body).await {
            Err(error) if error.code() == Some(code::NO_MESSAGE) => Ok(None),
            Err(error) => Err(error),
            Ok(_) => Err(ApiError::NoAnswer(
                "a server of the cluster does not have the message yet".to_owned(),
            )),
        },
        Some(status) => {
            let text = answer.description.unwrap_or_default();
            Err(ApiError::NoAnswer(format!("status {status} {text}")))
        }
    }
}

/// The stream cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum StreamError {
    /// It has another form.
    #[error(
        "the stream {stream} of NATS does not match the settings, and hookhost does not change it: {differences}; change \
         the settings or the stream, or choose another name"
    )]
    Form { stream: String, differences: String },
    /// It cannot be read or created.
    #[error(transparent)]
    Api(#[from] ApiError),
}

/// The unit of times in JetStream.
pub(super) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_that_is_created_later_begins_above_all_earlier_records() {
        let day = Duration::from_secs(24 * 3600);
        let (now, later) = (
            SystemTime::UNIX_EPOCH + 20_000 * day,
            SystemTime::UNIX_EPOCH + 20_001 * day,
        );
        let (first, second) = (first_sequence(now), first_sequence(later));
        assert!(first + 50_000 * day.as_secs() < second, "{first} {second}");
        // The number of a record has 48 bits for its sequence.
        assert!(first_sequence(SystemTime::UNIX_EPOCH + 50_000 * day) < 1 << 48);
    }

    #[test]
    fn every_property_that_differs_is_named() {
        let wanted = configuration(&Settings::default());
        assert_eq!(differences(&wanted, &wanted), "");
        let mut found = wanted.clone();
        // The server adds properties of its own.
        found["compression"] = json!("none");
        found["metadata"]["_nats.ver"] = json!("2.15.1");
        assert_eq!(differences(&wanted, &found), "");
        found["retention"] = json!("limits");
        found["max_bytes"] = json!(-1);
        found["metadata"][PARTITIONS] = json!("8");
        found.as_object_mut().unwrap().remove("allow_atomic");
        assert_eq!(
            differences(&wanted, &found),
            "retention is \"limits\", not \"workqueue\"; max_bytes is -1, not 10737418240; allow_atomic is null, not \
             true; hookhost-partitions is \"8\", not \"64\""
        );
    }

    #[test]
    fn a_stream_of_dead_letters_has_limits_and_differs_in_them() {
        let mut settings = Settings::default();
        settings.dead_letters.age = Some(Duration::from_secs(60));
        let wanted = dead_letters_configuration(&settings);
        assert_eq!(
            (
                &wanted["max_msgs"],
                &wanted["max_bytes"],
                &wanted["max_age"],
                &wanted["duplicate_window"]
            ),
            (
                &json!(10_000),
                &json!(64 << 20),
                &json!(60_000_000_000_u64),
                &json!(60_000_000_000_u64)
            )
        );
        let mut found = wanted.clone();
        found["max_msgs"] = json!(5);
        assert_eq!(differences(&wanted, &found), "max_msgs is 5, not 10000");
    }
}
