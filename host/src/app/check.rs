//! Finds the errors in modules and TLS files without starting the host.

use super::settings::{engine_settings, trial_settings};
use crate::config::{Config, Problem, Refused};
use hookhost_modules::{LoadError, Modules};
use hookhost_settings::{Place, error_line};
use hookhost_wasm as wasm;

/// Loads every module as [`run`](super::run) does and returns the errors; starts nothing.
pub fn check(config: &Config) -> Vec<Problem> {
    mistakes(config, true)
}

/// Adds the errors of modules to a configuration that has errors already, so that all are reported at once.
pub fn complete(mut refused: Refused) -> Vec<Problem> {
    refused.add(mistakes(refused.rest(), refused.has_rules()));
    refused.problems
}

/// The errors in modules and in their configurations. Without `has_rules` the rules of the host are incomplete. The
/// errors that the built-in module finds in them are then left out.
fn mistakes(config: &Config, has_rules: bool) -> Vec<Problem> {
    let engine = match wasm::Engine::new(&engine_settings(config)) {
        Ok(engine) => engine,
        Err(error) => return vec![problem("the engine", error_line(&error))],
    };
    let reports = Modules::check(trial_settings(config), engine);
    let failed = reports
        .into_iter()
        .filter_map(|report| Some((report.module, report.result.err()?)));
    let reported = failed.filter(|(_, error)| {
        has_rules
            || !matches!(
                error,
                LoadError::Refused {
                    is_host_configuration: true,
                    ..
                }
            )
    });
    let listeners = config.mqtt.listeners.iter();
    let listeners = listeners.map(|listener| (format!("listener {}", listener.name), &listener.tls));
    let admin = ("admin".to_owned(), &config.admin.tls);
    let unusable = listeners.chain([admin]).filter_map(|(name, tls)| {
        let error = tls.as_ref()?.check().err()?;
        Some(Place::flag(name).problem(error.to_string()))
    });
    let mut problems: Vec<Problem> = unusable
        .chain(reported.flat_map(|(module, error)| problems(&module, &error)))
        .collect();
    problems.sort();
    problems
}

/// Invalid settings give a problem for each error. Any other error is one problem.
fn problems(module: &str, error: &LoadError) -> Vec<Problem> {
    match error.problems() {
        [] => vec![problem(module, error_line(error))],
        mistakes => mistakes.to_vec(),
    }
}

fn problem(module: &str, text: String) -> Problem {
    Place::module(module, "").problem(text)
}
