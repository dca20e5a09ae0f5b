//! Handlers for destinations and dead letters.

use std::time::{Duration, SystemTime};

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use chrono::DateTime;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Running;
use super::error::{Answer, Asked, Error, Named, blocking, limit};
use super::openapi::Fails;
use super::shape;
use hookhost_delivery::{DeadLetterError, DeadLetterFilter, Reason};
use hookhost_settings::parse_duration;

/// Which letters are meant, and how a list of them is returned.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, default)]
struct Letters {
    /// The name or URL of a destination.
    destination: Option<String>,
    /// A module.
    module: Option<String>,
    /// A client id.
    client: Option<String>,
    /// A topic filter.
    topic: Option<String>,
    /// A hook such as `message-publish`, or the id of an event.
    event: Option<String>,
    /// The HTTP status of the last answer.
    #[param(maximum = 65535)]
    status: Option<u16>,
    /// `refused`, `gave-up`, `expired`, `invalid` or `barred`.
    reason: Option<String>,
    /// A time such as `2026-11-30T10:00:00Z`, or an age such as `2h`.
    since: Option<String>,
    /// A time or an age.
    until: Option<String>,
    /// All letters, instead of conditions.
    all: bool,
    /// Only letters with smaller numbers; for lists.
    before: Option<u64>,
    /// At most this many, 100 by default; for lists.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// With the content; for lists.
    whole: bool,
}

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<Running> {
    OpenApiRouter::default()
        .routes(routes!(destinations))
        .routes(routes!(list, drop_all))
        .routes(routes!(resend_all))
        .routes(routes!(show, drop_one))
        .routes(routes!(resend_one))
}

/// The receivers, with their state and counters.
#[utoipa::path(get, path = "/destinations", responses((status = 200, body = shape::Destinations), Fails<500>))]
async fn destinations(State(running): State<Running>) -> Answer<shape::Destinations> {
    let now = SystemTime::now();
    let destinations = running.monitor.destinations().into_iter();
    let (requests, bytes) = running.monitor.waiting_for_nats();
    let letters = running.letters.clone();
    let usage = blocking(move || letters.usage()).await?;
    Ok(Json(shape::Destinations {
        all: running.monitor.counters().into(),
        destinations: destinations.map(|state| shape::Destination::new(state, now)).collect(),
        waiting_for_nats: shape::Waiting { requests, bytes },
        dead_letters: shape::DeadLetterCounts {
            letters: usage.records,
            bytes: usage.bytes,
            evicted: usage.evicted,
        },
    }))
}

/// Lists the requests that hookhost has given up, newest first.
#[utoipa::path(get, path = "/dead-letters", params(Letters),
    responses((status = 200, body = shape::DeadLetters), Fails<400>, Fails<500>, Fails<503>))]
async fn list(State(running): State<Running>, asked: Asked<Letters>) -> Answer<shape::DeadLetters> {
    let Query(letters) = asked?;
    let (limit, before) = (limit(letters.limit)?, letters.before);
    let shown = match letters.whole {
        true => shape::DeadLetter::whole,
        false => shape::DeadLetter::brief,
    };
    let filter = letters.filter(SystemTime::now())?;
    let mut letters = blocking(move || running.letters.list(&filter, before, limit + 1)).await??;
    let more = letters.len() > limit;
    letters.truncate(limit);
    Ok(Json(shape::DeadLetters {
        letters: letters.iter().map(shown).collect(),
        more,
    }))
}

/// Shows a dead letter with its content.
#[utoipa::path(get, path = "/dead-letters/{id}", params(("id" = u64, Path, description = "The number of the letter")),
    responses((status = 200, body = shape::DeadLetter), Fails<400>, Fails<404>, Fails<500>, Fails<503>))]
async fn show(State(running): State<Running>, id: Named<u64>) -> Answer<shape::DeadLetter> {
    let Path(id) = id?;
    let letter = blocking(move || running.letters.get(id)).await??;
    Ok(Json(shape::DeadLetter::whole(&letter)))
}

/// Sends a dead letter again.
#[utoipa::path(post, path = "/dead-letters/{id}/resend", params(("id" = u64, Path, description = "The number of the letter")),
    responses((status = 200, body = shape::Resent), Fails<400>, Fails<404>, Fails<500>, Fails<503>))]
async fn resend_one(State(running): State<Running>, id: Named<u64>) -> Answer<shape::Resent> {
    let Path(id) = id?;
    let results = resend(running, vec![id]).await?;
    for (_, result) in results {
        result?;
    }
    Ok(Json(shape::Resent {
        resent: vec![id],
        left: Vec::new(),
    }))
}

/// Sends the selected dead letters again, oldest first.
#[utoipa::path(post, path = "/dead-letters/resend", params(Letters),
    responses((status = 200, body = shape::Resent), Fails<400>, Fails<500>, Fails<503>))]
async fn resend_all(State(running): State<Running>, asked: Asked<Letters>) -> Answer<shape::Resent> {
    let ids = selected(&running, asked).await?;
    let mut answer = shape::Resent {
        resent: Vec::new(),
        left: Vec::new(),
    };
    for (id, result) in resend(running, ids).await? {
        match result {
            Ok(()) => answer.resent.push(id),
            // Another request has resent or dropped it.
            Err(DeadLetterError::Unknown(_)) => {}
            Err(error) => answer.left.push(shape::Left {
                id,
                error: error.to_string(),
            }),
        }
    }
    Ok(Json(answer))
}

/// Deletes a dead letter.
#[utoipa::path(delete, path = "/dead-letters/{id}", params(("id" = u64, Path, description = "The number of the letter")),
    responses((status = 200, body = shape::Dropped), Fails<400>, Fails<404>, Fails<503>))]
async fn drop_one(State(running): State<Running>, id: Named<u64>) -> Answer<shape::Dropped> {
    let Path(id) = id?;
    if blocking(move || running.letters.remove(id)).await?? {
        Ok(Json(shape::Dropped::all(vec![id])))
    } else {
        Err(DeadLetterError::Unknown(id).into())
    }
}

/// Deletes the letters that are selected when the request arrives, oldest first. Later ones stay. After a failure, the rest
/// stays too.
#[utoipa::path(delete, path = "/dead-letters", params(Letters),
    responses((status = 200, body = shape::Dropped), Fails<400>, Fails<500>, Fails<503>))]
async fn drop_all(State(running): State<Running>, asked: Asked<Letters>) -> Answer<shape::Dropped> {
    let ids = selected(&running, asked).await?;
    let answer = blocking(move || drop_each(&ids, |id| running.letters.remove(id))).await??;
    Ok(Json(answer))
}

/// Drops letters up to the first failure: the others would wait for the same reason.
///
/// # Errors
///
/// The failure, if no letter was dropped before it.
fn drop_each(
    ids: &[u64],
    mut remove: impl FnMut(u64) -> Result<bool, DeadLetterError>,
) -> Result<shape::Dropped, DeadLetterError> {
    let mut answer = shape::Dropped::all(Vec::with_capacity(ids.len()));
    for (place, id) in ids.iter().enumerate() {
        match remove(*id) {
            Ok(true) => answer.dropped.push(*id),
            // Another request has resent or dropped it.
            Ok(false) => {}
            Err(error) if answer.dropped.is_empty() => return Err(error),
            Err(error) => {
                let left = ids.iter().skip(place).map(|id| shape::Left {
                    id: *id,
                    error: error.to_string(),
                });
                answer.left = left.collect();
                break;
            }
        }
    }
    Ok(answer)
}

async fn resend(running: Running, ids: Vec<u64>) -> Result<Vec<(u64, Result<(), DeadLetterError>)>, Error> {
    blocking(move || running.letters.resend(&ids, &running.modules.receivers())).await
}

/// The selected letters at this moment, oldest first.
async fn selected(running: &Running, asked: Asked<Letters>) -> Result<Vec<u64>, Error> {
    let Query(letters) = asked?;
    if letters.limit.is_some() || letters.before.is_some() || letters.whole {
        return Err(bad_request("limit, before and whole are for lists"));
    }
    if letters.all == letters.has_condition() {
        return Err(bad_request(
            "select letters with a condition such as destination=NAME, or with all=true",
        ));
    }
    let filter = letters.filter(SystemTime::now())?;
    let letters = running.letters.clone();
    Ok(blocking(move || letters.ids(&filter)).await??)
}

fn bad_request(text: impl Into<String>) -> Error {
    Error::new(StatusCode::BAD_REQUEST, text)
}

impl Letters {
    fn has_condition(&self) -> bool {
        let texts = [
            &self.destination,
            &self.module,
            &self.client,
            &self.topic,
            &self.event,
            &self.reason,
            &self.since,
            &self.until,
        ];
        self.status.is_some() || texts.into_iter().any(Option::is_some)
    }

    /// The conditions. Ages count from `now`.
    fn filter(self, now: SystemTime) -> Result<DeadLetterFilter, Error> {
        let topic = self.topic.map(|text| {
            let topic = text.parse();
            topic.map_err(|error| bad_request(format!("topic: {error}")))
        });
        let reason = self.reason.map(|name| {
            let reason = Reason::named(&name);
            reason.ok_or_else(|| bad_request("reason should be refused, gave-up, expired, invalid or barred"))
        });
        let time = |name: &str, text: Option<String>| {
            let time = text.map(|text| millis(&text, now));
            let expected = "should be a time such as 2026-11-30T10:00:00Z, or an age such as 2h";
            let time = time.map(|time| time.ok_or_else(|| bad_request(format!("{name} {expected}"))));
            time.transpose()
        };
        Ok(DeadLetterFilter {
            destination: self.destination,
            module: self.module,
            client: self.client,
            topic: topic.transpose()?,
            event: self.event,
            status: self.status,
            reason: reason.transpose()?,
            since: time("since", self.since)?,
            until: time("until", self.until)?,
        })
    }
}

/// Milliseconds since 1970 of a time, or of an age at `now`.
fn millis(text: &str, now: SystemTime) -> Option<u64> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return u64::try_from(at.timestamp_millis()).ok();
    }
    let age = parse_duration(text).ok()?;
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(now.saturating_sub(age).as_millis()).ok()
}

impl From<DeadLetterError> for Error {
    fn from(error: DeadLetterError) -> Error {
        let status = match error {
            DeadLetterError::Unknown(_) => StatusCode::NOT_FOUND,
            DeadLetterError::Unreadable(_) => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        Error::new(status, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_absolute_or_ages() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(10_000);
        for (text, expected) in [
            ("1970-01-01T00:00:01Z", Some(1000)),
            ("1970-01-01T01:00:01.5+01:00", Some(1500)),
            ("1h", Some(6_400_000)),
            ("1d", Some(0)),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(millis(text, now), expected, "{text}");
        }
    }

    #[test]
    fn what_was_dropped_before_a_failure_is_answered() {
        let unavailable = || DeadLetterError::Unavailable("no answer".to_owned());
        let answer = drop_each(&[1, 2, 3, 4], |id| match id {
            1 => Ok(true),
            2 => Ok(false),
            _ => Err(unavailable()),
        })
        .unwrap();
        assert_eq!(answer.dropped, [1]);
        let left: Vec<u64> = answer.left.iter().map(|left| left.id).collect();
        assert_eq!(left, [3, 4]);
        assert_eq!(drop_each(&[1], |_| Err(unavailable())), Err(unavailable()));
    }

    #[test]
    fn a_condition_that_cannot_be_understood_is_an_error() {
        let filter = |change: fn(&mut Letters)| {
            let mut letters = Letters::default();
            change(&mut letters);
            letters.filter(SystemTime::now()).map_err(|error| error.status())
        };
        assert!(filter(|letters| letters.topic = Some("a/#".to_owned())).is_ok());
        for change in [
            (|letters| letters.topic = Some("a/#/b".to_owned())) as fn(&mut Letters),
            |letters| letters.reason = Some("because".to_owned()),
            |letters| letters.since = Some("later".to_owned()),
        ] {
            assert_eq!(filter(change).err(), Some(StatusCode::BAD_REQUEST));
        }
    }
}
