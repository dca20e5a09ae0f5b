//! `module`: from an empty folder to a file that is worth dropping into the modules folder.
//!
//! Exit codes are those of the [command line](super), and 1 is also a module that a host would not load, or that did
//! something else than was expected.

mod expected;
mod inspect;
mod new;
mod project;
mod test;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Subcommand;

use super::refuse;
use crate::config::{self, Config, Flags, Problem};
use crate::logging::Filter;
use hookhost_modules::{LoadError, explain};

#[derive(Debug, Subcommand)]
pub(super) enum ModuleCommand {
    /// Start a project that builds as it is
    New(new::Arguments),
    /// Say what a .wasm is, what it wants and what it would be granted
    Inspect(inspect::Arguments),
    /// Hand events to a module in the host's own engine and show what becomes of them
    Test(test::Arguments),
}

pub(super) fn main(command: ModuleCommand) -> ExitCode {
    match command {
        ModuleCommand::New(arguments) => new::main(&arguments),
        ModuleCommand::Inspect(arguments) => inspect::main(&arguments),
        ModuleCommand::Test(arguments) => test::main(&arguments),
    }
}

/// The configuration that a host would have here without a file: limits come from the environment as well. What
/// modules say is logged from here on.
fn host_config() -> Result<Config, ExitCode> {
    let environment = config::environment();
    let filter = Filter::read(&environment).map_err(|problem| refuse(&[problem]))?;
    let loaded = config::load(Flags::default(), environment).map_err(|refused| refuse(&refused.problems))?;
    filter.install();
    Ok(loaded.config)
}

/// Says why there is no module; a mistake in it ends with 1, a file that is not there or settings that are wrong with 2.
fn not_loaded(error: &LoadError) -> ExitCode {
    let (told, code): (Vec<String>, _) = match error {
        LoadError::Settings { problems } => {
            let told = problems.iter().map(Problem::to_string);
            (told.collect(), ExitCode::from(2))
        }
        LoadError::Refused { file, problems, .. } if !problems.is_empty() => {
            let told = problems
                .iter()
                .map(|problem| format!("{file} refuses its configuration: {}", problem.without_module()));
            (told.collect(), ExitCode::FAILURE)
        }
        LoadError::Unreadable { .. } | LoadError::TooLarge { .. } => (vec![explain(error)], ExitCode::from(2)),
        _ => (vec![explain(error)], ExitCode::FAILURE),
    };
    for line in told {
        eprintln!("error: {line}");
    }
    code
}

/// Prints. Nobody is told that nobody listens: `… | head` is no mistake.
fn put(text: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).ok();
}
