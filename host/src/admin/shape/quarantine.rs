//! Events that modules could not handle: `/quarantine`.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use hookhost_event::json;
use hookhost_modules::QuarantinedEvent;

use super::time;

/// `GET /quarantine`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Quarantine {
    /// Newest first.
    pub entries: Vec<Quarantined>,
    /// Whether there are more entries, with lower numbers.
    pub more: bool,
}

/// An event in the quarantine; only `GET /quarantine/{id}` includes the event itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Quarantined {
    /// Number of the entry.
    pub id: u64,
    /// Time of the failure, in UTC.
    pub at: String,
    /// The module that failed.
    pub module: String,
    /// Its generation.
    pub generation: u32,
    /// `trapped`, `timed out` or `failed`.
    pub fault: String,
    /// The error text of the module.
    pub text: String,
    /// Hook of the event, under its name in the event JSON.
    pub hook: String,
    /// Id of the event.
    pub event_id: String,
    /// Client id of the event.
    pub client: Option<String>,
    /// Topic or topic filter of the event.
    pub topic: Option<String>,
    /// The event itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<Value>,
}

/// `POST /quarantine/{id}/replay` and `POST /quarantine/replay`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Replayed {
    /// Replayed events.
    pub replayed: Vec<u64>,
    /// Events that could not be replayed and stay in the quarantine.
    pub left: Vec<Left>,
}

/// An event that could not be replayed, or a dead letter that could not be sent again or dropped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Left {
    /// Number of the entry.
    pub id: u64,
    /// The reason.
    pub error: String,
}

/// `DELETE` of events in quarantine or of dead letters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Dropped {
    /// Numbers of the dropped entries.
    pub dropped: Vec<u64>,
    /// The dead letters that hookhost could not drop. Without such letters, the field is absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<Left>,
}

impl Dropped {
    /// Everything was dropped.
    pub(in super::super) fn all(dropped: Vec<u64>) -> Dropped {
        Dropped {
            dropped,
            left: Vec::new(),
        }
    }
}

impl Quarantined {
    /// An entry without its event.
    pub(in super::super) fn brief(entry: &QuarantinedEvent) -> Quarantined {
        let detail = &entry.event.detail;
        Quarantined {
            id: entry.id,
            at: time(entry.at),
            module: entry.module.to_string(),
            generation: entry.generation,
            fault: entry.fault.name().to_owned(),
            text: entry.text.clone(),
            hook: json::hook_name(detail.hook()).to_owned(),
            event_id: entry.event.id.to_string(),
            client: detail.client().map(|client| client.id.to_string()),
            topic: detail.subject().map(str::to_owned),
            event: None,
        }
    }

    /// An entry with its event.
    pub(in super::super) fn whole(entry: &QuarantinedEvent) -> Quarantined {
        Quarantined {
            // All keys of the form are texts, so writing to memory cannot fail.
            event: serde_json::to_value(&*entry.event).ok(),
            ..Quarantined::brief(entry)
        }
    }
}
