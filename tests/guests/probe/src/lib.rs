//! A module that misbehaves as a payload requests.
//!
//! | payload | what it does |
//! | --- | --- |
//! | `panic` | panics |
//! | `loop` | never returns |
//! | `grow` | allocates memory until the limit |
//! | `fail` | reports that it cannot handle the event |
//! | `print` | prints to both streams and to the log, then handles the event as any other |
//! | `exit` | exits its process |
//! | `sleep` | sleeps for an hour |
//! | `overflow` | calls itself without end |
//! | `huge N` | sends a body of N MiB |
//! | `many N` | sends N requests without a body |
//! | `flood the log` | logs without end |
//! | `flood kv` | sets one key after the other without end, and ignores errors of the host |
//! | `count` | counts in `kv` and sends the count as payload |
//! | `url …` | sends to that URL |
//! | `header NAME=VALUE` | sends with that header |
//! | `to NAME URL` | sends to that URL of the destination of that name |
//! | anything else | sends `{"tag":…,"payload":…}` |
//!
//! Its `tag` requests more: `refuse` rejects the configuration, `hang` never finishes it, `slow` takes half a second
//! for it, `bomb` allocates all memory for it, `always` panics on every event.

use std::hint::black_box;
use std::time::Duration;

use hookhost_guest::{Event, Hook, Host, Interest, Message, Module, Outcome, Problems, Request, kv};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    url: String,
    /// Identifies the configuration in the bodies.
    tag: String,
    /// Topic filter.
    topic: String,
}

#[derive(Serialize)]
struct Body<'a> {
    tag: &'a str,
    payload: &'a str,
}

struct Probe(Config);

impl Module for Probe {
    type Config = Config;

    fn new(config: Config, _: &Host) -> Result<Self, Problems> {
        match config.tag.as_str() {
            "refuse" => return Err(Problems::one("tag", "told to refuse")),
            "hang" => hang(),
            "slow" => std::thread::sleep(Duration::from_millis(500)),
            "bomb" => grow(),
            _ => {}
        }
        Ok(Probe(config))
    }

    fn interests(&self) -> Vec<Interest> {
        vec![Interest::matching(Hook::MessagePublish, [self.0.topic.as_str()])]
    }

    fn on_message_publish(&mut self, _: &Event, message: &Message) -> Outcome {
        let Probe(Config { url, tag, .. }) = self;
        let Ok(payload) = message.payload_str() else {
            return Outcome::fail("not UTF-8");
        };
        if tag == "always" {
            panic!("told to panic always");
        }
        let number = |word: &str| payload.strip_prefix(word)?.parse::<usize>().ok();
        match payload {
            "panic" => panic!("told to panic"),
            "loop" => hang(),
            "grow" => grow(),
            "exit" => std::process::exit(3),
            "sleep" => std::thread::sleep(Duration::from_secs(3600)),
            "overflow" => drop(black_box(overflow(black_box(0)))),
            "flood the log" => {
                for number in 0u64.. {
                    hookhost_guest::warn!("flood {number} {}", "x".repeat(500));
                }
            }
            "flood kv" => {
                for number in 0u64.. {
                    drop(kv::set(&format!("flood {number}"), [7; 1000], None));
                }
            }
            "count" => {
                let payload = kv::add("count", 1, None).map_or_else(|full| full.to_string(), |count| count.to_string());
                return Request::post(url.as_str()).json(&Body { tag, payload: &payload }).into();
            }
            "fail" => return Outcome::fail("told to fail"),
            "print" => {
                println!("printed\x1b[31m out");
                eprintln!("printed err");
                hookhost_guest::info!("logged");
            }
            _ => {
                if let Some(url) = payload.strip_prefix("url ") {
                    return Request::post(url).text(payload).into();
                }
                if let Some((name, value)) = payload.strip_prefix("header ").and_then(|pair| pair.split_once('=')) {
                    return Request::post(url.as_str()).header(name, value).text(payload).into();
                }
                if let Some((name, url)) = payload.strip_prefix("to ").and_then(|pair| pair.split_once(' ')) {
                    return Request::post(url).destination(name).text(payload).into();
                }
                if let Some(size) = number("huge ") {
                    return Request::post(url.as_str()).bytes(vec![b'x'; size << 20]).into();
                }
                if let Some(count) = number("many ") {
                    return (0..count).map(|_| Request::post(url.as_str())).collect::<Vec<_>>().into();
                }
            }
        }
        Request::post(url.as_str()).json(&Body { tag, payload }).into()
    }
}

fn hang() -> ! {
    loop {
        black_box(());
    }
}

fn grow() -> ! {
    let mut hoard = Vec::new();
    loop {
        hoard.push(black_box(vec![1u8; 1 << 20]));
    }
}

#[expect(unconditional_recursion, reason = "it is what it is for")]
fn overflow(depth: u64) -> u64 {
    black_box(overflow(black_box(depth + 1))) + black_box(depth)
}

hookhost_guest::export!(Probe);
