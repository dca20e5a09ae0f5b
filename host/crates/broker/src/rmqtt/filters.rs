//! Invalid filters in a SUBSCRIBE of MQTT 3.
//!
//! RMQTT ends the connection of a client that subscribes to an empty filter, or to one that begins with `$share`, `$limit`
//! or `$exclusive` and is incomplete or not enabled. MQTT 3.1.1 has a code for that, 0x80, which RMQTT sends for all other
//! invalid filters, such as one with too many levels. So the relay replaces the filter by such a one: the client gets 0x80
//! for it, and its other filters are not affected.

use bytestring::ByteString;

use ::rmqtt::codec::types::QoS;
use ::rmqtt::types::Subscribe;
use hookhost_relay::packet::FieldReader;

use super::limits::Limits;

/// What makes a filter valid.
#[derive(Debug, Clone, Copy)]
pub(super) struct FilterRules {
    shared_subscription: bool,
    limit_subscription: bool,
    max_levels: usize,
}

impl FilterRules {
    pub(super) fn new(limits: &Limits) -> FilterRules {
        FilterRules {
            shared_subscription: limits.shared_subscription,
            limit_subscription: limits.limit_subscription,
            max_levels: limits.max_topic_levels,
        }
    }

    /// Whether RMQTT answers it, with whatever code.
    fn is_answered(&self, filter: &str) -> bool {
        let parsed = Subscribe::from_v3(
            &ByteString::from(filter),
            QoS::AtMostOnce,
            self.shared_subscription,
            self.limit_subscription,
        );
        parsed.is_ok()
    }

    /// Replaces each filter that RMQTT does not answer by one that it refuses. Returns the new body of the SUBSCRIBE; `None`
    /// if RMQTT answers all filters, or if the packet is malformed.
    pub(super) fn replace_invalid(&self, body: &[u8]) -> Option<Vec<u8>> {
        let mut fields = FieldReader::new(body);
        let mut replaced = fields.take(2)?.to_vec();
        let refusable = "/".repeat(self.max_levels);
        let mut is_replaced = false;
        while !fields.is_empty() {
            let filter = std::str::from_utf8(fields.text()?).ok()?;
            let qos = fields.byte()?;
            let is_answered = self.is_answered(filter);
            is_replaced |= !is_answered;
            let filter = if is_answered { filter } else { &refusable };
            replaced.extend(u16::try_from(filter.len()).ok()?.to_be_bytes());
            replaced.extend(filter.as_bytes());
            replaced.push(qos);
        }
        is_replaced.then_some(replaced)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(filters: &[&str]) -> Vec<u8> {
        let mut body = vec![0, 7];
        for (qos, filter) in filters.iter().enumerate() {
            body.extend((filter.len() as u16).to_be_bytes());
            body.extend(filter.as_bytes());
            body.push(qos as u8);
        }
        body
    }

    #[test]
    fn only_invalid_filters_are_replaced() {
        let rules = FilterRules {
            shared_subscription: true,
            limit_subscription: false,
            max_levels: 3,
        };
        for (filters, expected) in [
            (&["a/b", "a/#/b", "$share/g/t"][..], None),
            (&["a", "$share/g", "c"], Some(["a", "///", "c"])),
            (&["", "$exclusive/t", "$share"], Some(["///", "///", "///"])),
        ] {
            let replaced = rules.replace_invalid(&body(filters));
            assert_eq!(replaced, expected.map(|filters| body(&filters)), "{filters:?}");
        }
        let whole = body(&["$share"]);
        for length in 0..whole.len() {
            assert_eq!(rules.replace_invalid(&whole[..length]), None, "{length}");
        }
    }
}
