//! `module inspect`: shows what a file is, and how a host would load it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;

use super::{host_config, not_loaded, put};
use crate::app;
use hookhost_event::json::hook_name;
use hookhost_modules::LoadError;
use hookhost_modules::trial::{Subject, Trial};
use hookhost_wasm as wasm;
use hookhost_wasm::Engine;

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// The module
    #[arg(value_name = "FILE.wasm")]
    file: PathBuf,
    /// Settings of the module: a .toml as in the modules folder, or a .json with its [config] [default: the .toml of the
    /// same name beside it]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(super) fn main(arguments: &Arguments) -> ExitCode {
    let config = match host_config() {
        Ok(config) => config,
        Err(code) => return code,
    };
    let subject = match Subject::read(&arguments.file, arguments.config.as_deref()) {
        Ok(subject) => subject,
        Err(error) => return not_loaded(&error),
    };
    say("file", arguments.file.display());
    say("size", bytes(subject.size()));
    // Without a cache, to measure the time of compiling.
    let engine = match Engine::new(&wasm::EngineSettings::default()) {
        Ok(engine) => engine,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let start = Instant::now();
    let anatomy = match subject.examine(&engine) {
        Ok(anatomy) => anatomy,
        Err(error) => {
            say("kind", kind(&error));
            return not_loaded(&error);
        }
    };
    let compiled = start.elapsed();
    say("kind", "component");
    list("exports", &anatomy.exports);
    list("imports", &anatomy.imports);
    say("compiled in", time(compiled));
    let component = match anatomy.component {
        Ok(component) => component,
        Err(error) => return not_loaded(&subject.code_error(error)),
    };
    match subject.settings() {
        Some(path) => say("settings", path.display()),
        None => say("settings", "none; the configuration is empty"),
    }
    match subject.load(component, engine, app::trial_settings(&config)) {
        Ok(trial) => {
            say_trial(&trial);
            ExitCode::SUCCESS
        }
        Err(error) => not_loaded(&error),
    }
}

fn say_trial(trial: &Trial) {
    say("started in", time(trial.started()));
    if let Some(memory) = trial.memory() {
        say("memory", format_args!("{} after the start", bytes(memory)));
    }
    let interests: Vec<String> = trial
        .interests()
        .map(|(hook, filters)| match filters.as_slice() {
            [] => hook_name(hook).to_owned(),
            filters => format!("{} on {}", hook_name(hook), filters.join(", ")),
        })
        .collect();
    list("interests", &interests);
    list("may send to", &trial.egress());
    let limits = trial.limits();
    let limits: Vec<String> = limits
        .iter()
        .map(|limit| format!("{} = {}", limit.key, limit.value))
        .collect();
    list("limits", &limits);
}

/// The kind of a file that is not a component.
fn kind(error: &LoadError) -> &'static str {
    match error {
        LoadError::Code {
            source: wasm::LoadError::CoreModule,
            ..
        } => "core module",
        LoadError::Code {
            source: wasm::LoadError::NotWasm { what },
            ..
        } => what,
        _ => "component, possibly damaged",
    }
}

fn say(what: &str, value: impl std::fmt::Display) {
    put(&format!("{what:<12} {value}\n"));
}

/// A line for each value, or `nothing` without values.
fn list(what: &str, values: &[String]) {
    let mut what = what;
    for value in values {
        say(what, value);
        what = "";
    }
    if values.is_empty() {
        say(what, "nothing");
    }
}

/// A number of bytes with a unit.
fn bytes(count: usize) -> String {
    #[expect(clippy::cast_precision_loss, reason = "one digit after the point is shown")]
    let in_units = |unit: usize| count as f64 / unit as f64;
    match count {
        0..1024 => format!("{count} bytes"),
        1024..1_048_576 => format!("{:.1} KiB", in_units(1 << 10)),
        _ => format!("{:.1} MiB", in_units(1 << 20)),
    }
}

/// A time with three significant digits.
pub(super) fn time(time: Duration) -> String {
    let micros = time.as_secs_f64() * 1e6;
    match micros {
        ..1e3 => format!("{micros:.1} µs"),
        1e3..1e6 => format!("{:.2} ms", micros / 1e3),
        _ => format!("{:.2} s", micros / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_for_people() {
        assert_eq!(
            [bytes(17), bytes(1536), bytes(3 << 19)],
            ["17 bytes", "1.5 KiB", "1.5 MiB"]
        );
        let times = [
            Duration::from_nanos(1250),
            Duration::from_micros(20_500),
            Duration::from_secs(8),
        ];
        assert_eq!(times.map(time), ["1.2 µs", "20.50 ms", "8.00 s"]);
    }
}
