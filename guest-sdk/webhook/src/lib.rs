//! The default module.
use bindings::exports::hookhost::hook::handler::{Event, Guest, HostInfo, Interest, Outcome, Problem};
use hookhost_guest::bindings;

struct Webhook;

impl Guest for Webhook {
    fn configure(_host: HostInfo, _config: String) -> Result<Vec<Interest>, Vec<Problem>> {
        Ok(Vec::new())
    }

    fn handle(events: Vec<Event>) -> Vec<Outcome> {
        events.iter().map(|_| Outcome::Ignore).collect()
    }
}

hookhost_guest::bindings::export_component!(Webhook with_types_in hookhost_guest::bindings);
