//! A PUBLISH that modules want: decoded, with the topic behind its alias. The same for both directions.

use super::aliases::{Aliases, Resolved};
use super::connection_state::ConnectionState;
use super::step::Step;
use crate::frame::Frame;
use crate::packet::{InvalidPacket, Packet, Publish};
use hookhost_event::{ByteString, Hook};
use hookhost_hooks::InterestedIn;

/// A decoded PUBLISH, its topic, and the modules that are interested in its events.
pub(super) struct WantedPublish {
    pub(super) publish: Publish,
    pub(super) topic: ByteString,
    pub(super) interested: InterestedIn,
}

impl WantedPublish {
    /// Decodes a PUBLISH with the topic name `sent` if `is_needed` returns true for the interests in its topic. Costs one
    /// look-up of interests.
    ///
    /// # Errors
    ///
    /// The packet is malformed, or its topic alias is unknown or out of range.
    pub(super) fn decode(
        frame: Frame<'_>,
        sent: &str,
        hooks: &[Hook],
        is_needed: impl Fn(&InterestedIn, &Step<'_>) -> bool,
        aliases: &mut Aliases,
        state: &mut ConnectionState,
        step: &Step<'_>,
    ) -> Result<Option<WantedPublish>, InvalidPacket> {
        let look_up = |topic: &str| {
            let found = step.interested_in(hooks, Some(topic));
            is_needed(&found, step).then_some(found)
        };
        // With aliases the topic is known only after decoding, and a packet that sets one must be decoded in any case.
        let has_alias = state.version() == 5 && (aliases.any() || sent.is_empty());
        let mut interested = None;
        if !has_alias {
            interested = look_up(sent);
            if interested.is_none() {
                return Ok(None);
            }
        }
        let Packet::Publish(publish) = state.decode(frame)? else {
            return Err(InvalidPacket(130));
        };
        let topic = match aliases.resolve(publish.topic.clone(), publish.alias, &mut state.budget) {
            Resolved::Topic(topic) => topic,
            Resolved::OutOfRange => return Err(InvalidPacket(148)),
            Resolved::Unknown => return Err(InvalidPacket(130)),
        };
        Ok(interested.or_else(|| look_up(&topic)).map(|interested| WantedPublish {
            publish,
            topic,
            interested,
        }))
    }
}
