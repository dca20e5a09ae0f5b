//! A module that misbehaves when a payload tells it to.
//!
//! | payload | what it does |
//! | --- | --- |
//! | `panic` | panics |
//! | `loop` | never returns |
//! | `grow` | takes memory until there is none |
//! | `fail` | says that it cannot handle the event |
//! | `print` | prints to both streams and to the log, then as any other |
//! | `url …` | sends to that URL |
//! | anything, with `tag = "panic"` | panics |
//! | anything else | sends `{"tag":…,"payload":…}` |

use std::hint::black_box;

use hookhost_guest::{Event, Hook, Host, Interest, Message, Module, Outcome, Problems, Request};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    url: String,
    /// Tells bodies of one configuration from those of another.
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
        if config.tag == "refuse" {
            return Err(Problems::one("tag", "told to refuse"));
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
        assert_ne!(tag, "panic", "told to panic on everything");
        match payload {
            "panic" => panic!("told to panic"),
            "loop" => loop {
                black_box(());
            },
            "grow" => {
                let mut hoard = Vec::new();
                loop {
                    hoard.push(black_box(vec![1u8; 1 << 20]));
                }
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
            }
        }
        Request::post(url.as_str()).json(&Body { tag, payload }).into()
    }
}

hookhost_guest::export!(Probe);
