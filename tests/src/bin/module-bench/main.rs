//! Module bench: the cost of an event in a module, compared with the same work in native code in the same run.
//!
//! [`guest`] runs modules in the host's own engine, without broker and delivery. [`native`] does the work of the Rust
//! module in this process. [`idle`] starts the real host with and without modules and compares its memory. With
//! `--module FILE` the bench measures one module of any language instead, with its settings and one event of your
//! choice.
//!
//! ```sh
//! cargo run --profile dist -p hookhost-tests --bin module-bench
//! ```

// This is a measuring instrument: an unexpected result must stop it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "test code"
)]

use hookhost as _; // links its global allocator into this program

mod events;
mod guest;
mod idle;
mod native;
mod table;

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Parser;
use hookhost_tests::binary;

use crate::events::Sample;
use crate::guest::Subject;
use crate::table::Table;

/// Measures time and memory of modules.
#[derive(Debug, Parser)]
#[command(name = "module-bench")]
struct Cli {
    /// Measure this component instead of the Rust modules
    #[arg(long, value_name = "FILE")]
    module: Option<PathBuf>,
    /// The module's settings, of which [config] is handed to it
    #[arg(long, value_name = "TOML", requires = "module")]
    settings: Option<PathBuf>,
    #[command(flatten)]
    sample: Sample,
    /// How often everything is measured
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// What to measure
    #[arg(long, value_enum, default_value_t = Part::All)]
    part: Part,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Everything
    All,
    /// Time, and memory inside of the module
    Time,
    /// Memory of the host
    Memory,
}

/// The limit in the settings of the bench's module. The payloads have 64 bytes.
const CONFIG: &str = r#"{"url":"http://127.0.0.1:5656/alerts","limit":40.0,"topic":"devices/{device}/temp"}"#;
const HOT: &str = r#"{"celsius":41.5,"battery":80,"firmware":"1.14.2","rssi":-71.0} "#;
const MILD: &str = r#"{"celsius":21.5,"battery":80,"firmware":"1.14.2","rssi":-71.0} "#;
/// One rule of the built-in module.
const RULES: &str =
    r#"{"urls":["http://127.0.0.1:5656/hook"],"rule":{"message_publish":[{"action":"message_publish"}]}}"#;

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let mut table = Table::default();
    match &cli.module {
        Some(file) => one(&mut table, &cli, file)?,
        None => rust(&mut table, &cli)?,
    }
    print!("{table}");
    Ok(())
}

/// One module, with the event and the settings of the command line.
fn one(table: &mut Table, cli: &Cli, file: &Path) -> anyhow::Result<()> {
    let subject = Subject {
        wasm: std::fs::read(file).with_context(|| file.display().to_string())?,
        config: cli.settings.as_deref().map_or_else(|| Ok("{}".to_owned()), config)?,
    };
    if cli.part != Part::Memory {
        guest::start(table, &subject, &cli.sample, cli.rounds)?;
        guest::events(table, "event", &subject, &cli.sample, cli.rounds)?;
    }
    if cli.part != Part::Time {
        idle::memory(table, &subject, 1)?;
    }
    Ok(())
}

/// The Rust modules, as components and natively.
fn rust(table: &mut Table, cli: &Cli) -> anyhow::Result<()> {
    let filter = Subject {
        wasm: std::fs::read(binary::bench_module())?,
        config: CONFIG.to_owned(),
    };
    let webhook = Subject {
        wasm: std::fs::read(binary::builtin_module())?,
        config: RULES.to_owned(),
    };
    if cli.part != Part::Memory {
        let hot = Sample::publish("devices/k7/temp", HOT);
        guest::start(table, &filter, &hot, cli.rounds)?;
        for (name, sample) in [
            ("drop by topic", Sample::publish("devices/k7/humidity", HOT)),
            ("drop by payload", Sample::publish("devices/k7/temp", MILD)),
            ("shape", hot.clone()),
        ] {
            guest::events(table, name, &filter, &sample, cli.rounds)?;
            native::events::<hookhost_bench_guest::Filter>(table, name, CONFIG, &sample, cli.rounds)?;
        }
        let name = "built-in module";
        guest::events(table, name, &webhook, &hot, cli.rounds)?;
        native::events::<hookhost_webhook::Webhook>(table, name, RULES, &hot, cli.rounds)?;
    }
    if cli.part != Part::Time {
        idle::memory(table, &filter, 10)?;
    }
    Ok(())
}

/// `[config]` of a module's settings as JSON.
fn config(file: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let settings: toml::Table = text.parse().with_context(|| file.display().to_string())?;
    let empty = toml::Table::new().into();
    Ok(serde_json::to_string(settings.get("config").unwrap_or(&empty))?)
}
