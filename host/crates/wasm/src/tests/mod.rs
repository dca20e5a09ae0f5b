//! Tests of whole modules in the real engine. The modules are small components written in a few lines of WebAssembly
//! text.

mod calls;
mod hostile;
mod limits;
mod loading;

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use super::*;
use hookhost_event::{Client, Detail, Event, Id, Millis, Node, OtherEvent};
use hookhost_kv::{Kv, KvBounds};

/// A module for tests; `guest.wat` documents its parts.
struct Guest<'a> {
    pages: u32,
    data: &'a str,
    start: &'a str,
    configure: &'a str,
    handle: &'a str,
}

/// Ignores every event.
const QUIET: Guest<'static> = Guest {
    pages: 2,
    data: "",
    start: "",
    configure: "(i32.const 16)",
    handle: "(i32.store (i32.const 32) (i32.const 64)) (i32.store (i32.const 36) (local.get $count)) (i32.const 32)",
};

impl Guest<'_> {
    fn text(&self) -> String {
        include_str!("guest.wat")
            .replace("{types}", include_str!("types.wat"))
            .replace("{pages}", &self.pages.to_string())
            .replace("{data}", self.data)
            .replace("{start}", self.start)
            .replace("{configure}", self.configure)
            .replace("{handle}", self.handle)
    }

    fn component(&self) -> Component {
        compile(&self.text()).unwrap()
    }

    fn instance(&self, limits: &Limits) -> Instance {
        self.component().instantiate(&identity(), limits, &kv()).unwrap()
    }
}

fn engine() -> &'static Engine {
    static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::new(&EngineSettings::default()).unwrap());
    &ENGINE
}

fn compile(text: &str) -> Result<Component, LoadError> {
    engine().compile(&wat::parse_str(text).unwrap())
}

fn identity() -> Identity {
    Identity {
        node: Node {
            name: "n@h".into(),
            id: 1,
        },
        module: "test".into(),
        generation: 7,
    }
}

fn kv() -> Arc<Kv> {
    Kv::new(KvBounds::default())
}

fn events(count: usize) -> Vec<Arc<Event>> {
    let event = |id| Event {
        id: Id(id as u128),
        at: Millis(0),
        utc_offset: 0,
        detail: Detail::Other(OtherEvent {
            name: "test".into(),
            client: Some(Client::default()),
            data: "{}".into(),
        }),
        extras: vec![],
    };
    (0..count).map(|id| Arc::new(event(id))).collect()
}

#[test]
fn instances_can_go_to_another_thread() {
    fn is_send<T: Send>() {}
    fn is_shared<T: Send + Sync>() {}
    is_send::<Instance>();
    is_shared::<Engine>();
    is_shared::<Component>();
    is_shared::<Kv>();
}
