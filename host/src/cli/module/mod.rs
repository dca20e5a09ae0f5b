//! `module`: creates, inspects and tests modules, without a running host.
//!
//! Exit codes are those of the [command line](super). 1 also means that a host would not load the module, or that the
//! module did not give the expected results.

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
use crate::logging::{Filter, Format};
use hookhost_modules::LoadError;
use hookhost_settings::error_line;

#[derive(Debug, Subcommand)]
pub(super) enum ModuleCommand {
    /// Create a project that builds unchanged
    New(new::Arguments),
    /// Show what a .wasm file is, which events it subscribes to and where it may send
    Inspect(inspect::Arguments),
    /// Run a module with recorded events, in the engine of the host, and show the results
    Test(test::Arguments),
}

pub(super) fn main(command: ModuleCommand) -> ExitCode {
    match command {
        ModuleCommand::New(arguments) => new::main(&arguments),
        ModuleCommand::Inspect(arguments) => inspect::main(&arguments),
        ModuleCommand::Test(arguments) => test::main(&arguments),
    }
}

/// The configuration of a host without a configuration file. The environment may set limits. Starts logging, so that
/// the output of modules is shown.
fn host_config() -> Result<Config, ExitCode> {
    let environment = config::environment();
    let filter = Filter::read(&environment).map_err(|problem| refuse(&[problem]))?;
    let loaded = config::load(Flags::default(), environment).map_err(|refused| refuse(&refused.problems))?;
    filter.install(Format::Text);
    Ok(loaded.config)
}

/// Prints why the module is not loaded. Returns 1 for an error in the module, 2 for a missing file or invalid settings.
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
        LoadError::Unreadable { .. } | LoadError::TooLarge { .. } => (vec![error_line(error)], ExitCode::from(2)),
        _ => (vec![error_line(error)], ExitCode::FAILURE),
    };
    for line in told {
        eprintln!("error: {line}");
    }
    code
}

/// Prints to standard output. A closed pipe, as with `… | head`, is not an error.
fn put(text: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).ok();
}
