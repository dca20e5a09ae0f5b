//! `module test`: runs a module with a file of events, in the engine of the host.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::expected::{self, Difference, Expected};
use super::inspect::time;
use super::{host_config, not_loaded, put};
use crate::app;
use crate::config::Config;
use hookhost_event::Event;
use hookhost_event::json::{self, hook_name};
use hookhost_modules::LoadError;
use hookhost_modules::trial::{Subject, Trial, TrialOutcome, TrialRequest, TrialResult};
use hookhost_wasm::{Engine, EngineError};

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// The module
    #[arg(value_name = "FILE.wasm")]
    file: PathBuf,
    /// Events, one JSON object on each line, as `hookhost run --record FILE` writes them
    #[arg(long, value_name = "FILE.ndjson")]
    events: PathBuf,
    /// Settings of the module: a .toml as in the modules folder, or a .json with its [config] [default: the .toml of the
    /// same name beside it]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Compare with expected results, one JSON object for each event; exit with 1 at a difference
    #[arg(long, value_name = "FILE.ndjson")]
    expect: Option<PathBuf>,
    /// Write the results to a file, for --expect
    #[arg(long, value_name = "FILE.ndjson", conflicts_with = "expect")]
    write_expected: Option<PathBuf>,
    /// Format of the output
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One JSON object for each event
    Json,
}

/// One event and its result.
struct Case {
    event: Arc<Event>,
    result: TrialResult,
    /// Fuel of the same call in an engine that counts.
    fuel: Option<u64>,
    differences: Vec<Difference>,
}

pub(super) fn main(arguments: &Arguments) -> ExitCode {
    // Errors in files are reported before anything runs.
    let events = events(&arguments.events);
    let expected = arguments.expect.as_deref().map(read_expected).transpose();
    let (events, expected) = match (events, expected) {
        (Ok(events), Ok(expected)) => (events, expected),
        (events, expected) => {
            for problem in events.err().into_iter().chain(expected.err()).flatten() {
                eprintln!("error: {problem}");
            }
            return ExitCode::from(2);
        }
    };
    if let (Some(expected), Some(path)) = (&expected, &arguments.expect)
        && expected.len() != events.len()
    {
        let (lines, count) = (expected.len(), events.len());
        eprintln!("error: {}: has {lines} lines for {count} events", path.display());
        return ExitCode::from(2);
    }
    let config = match host_config() {
        Ok(config) => config,
        Err(code) => return code,
    };
    let subject = match Subject::read(&arguments.file, arguments.config.as_deref()) {
        Ok(subject) => subject,
        Err(error) => return not_loaded(&error),
    };
    let cases = match cases(&subject, &config, events, expected.as_deref()) {
        Ok(cases) => cases,
        Err(Failure::Load(error)) => return not_loaded(&error),
        Err(Failure::Engine(error)) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    match arguments.format {
        Format::Text => put(&text(&cases)),
        Format::Json => cases.iter().for_each(|case| put(&format!("{}\n", line(case)))),
    }
    if let Some(path) = &arguments.write_expected {
        let lines: String = cases.iter().map(|case| expected_line(&case.result)).collect();
        if let Err(error) = std::fs::write(path, lines) {
            eprintln!("error: cannot write {}: {error}", path.display());
            return ExitCode::from(2);
        }
    }
    let has_failed = match expected {
        Some(_) => cases.iter().any(|case| !case.differences.is_empty()),
        // With --write-expected, failures may be intended.
        None => arguments.write_expected.is_none() && cases.iter().any(|case| case.result.outcome.is_bad()),
    };
    if has_failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

enum Failure {
    Engine(EngineError),
    Load(LoadError),
}

/// Runs every event twice: in the engine of a host, for result and time, and in one that counts fuel.
fn cases(
    subject: &Subject,
    config: &Config,
    events: Vec<Arc<Event>>,
    expected: Option<&[Expected]>,
) -> Result<Vec<Case>, Failure> {
    let settings = app::engine_settings(config);
    let trial = |engine: Result<Engine, EngineError>| -> Result<Trial, Failure> {
        let engine = engine.map_err(Failure::Engine)?;
        let anatomy = subject.examine(&engine).map_err(Failure::Load)?;
        let component = anatomy
            .component
            .map_err(|error| Failure::Load(subject.code_error(error)))?;
        subject
            .load(component, engine, app::trial_settings(config))
            .map_err(Failure::Load)
    };
    let mut trial_of_host = trial(Engine::new(&settings))?;
    let mut metered = trial(Engine::metered(&settings))?.patient();
    let case = |(index, event): (usize, Arc<Event>)| {
        let result = trial_of_host.handle(&event);
        // A module that hangs is not run again with ten times the timeout.
        let fuel = match result.outcome {
            TrialOutcome::NotWanted | TrialOutcome::NoInstance(_) | TrialOutcome::TimedOut(_) => None,
            _ => metered.handle(&event).fuel,
        };
        let expected = expected.and_then(|expected| expected.get(index));
        let differences = expected.map_or_else(Vec::new, |expected| expected.differences(&result));
        Case {
            event,
            result,
            fuel,
            differences,
        }
    };
    Ok(events.into_iter().enumerate().map(case).collect())
}

/// The events of a file, or every line that is not a valid event.
fn events(path: &Path) -> Result<Vec<Arc<Event>>, Vec<String>> {
    let text = read(path)?;
    let mut problems = Vec::new();
    let mut events = Vec::new();
    for line in json::lines(&text) {
        match line {
            Ok(event) => events.push(Arc::new(event)),
            Err(error) => problems.extend(
                error
                    .to_string()
                    .lines()
                    .map(|line| format!("{}: {line}", path.display())),
            ),
        }
    }
    if problems.is_empty() { Ok(events) } else { Err(problems) }
}

fn read_expected(path: &Path) -> Result<Vec<Expected>, Vec<String>> {
    let text = read(path)?;
    let name = |problem: String| format!("{}: {problem}", path.display());
    expected::parse(&text).map_err(|problems| problems.into_iter().map(name).collect())
}

fn read(path: &Path) -> Result<String, Vec<String>> {
    std::fs::read_to_string(path).map_err(|error| vec![format!("cannot read {}: {error}", path.display())])
}

/// A line for `--expect`.
fn expected_line(result: &TrialResult) -> String {
    // Texts and numbers are always JSON.
    let mut line = serde_json::to_string(result).unwrap_or_default();
    line.push('\n');
    line
}

/// A line of `--format json`: the outcome, with time, fuel and differences.
fn line(case: &Case) -> String {
    #[derive(Serialize)]
    struct Line<'a> {
        #[serde(flatten)]
        result: &'a TrialResult,
        #[serde(skip_serializing_if = "Option::is_none")]
        micros: Option<f64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        fuel: Option<u64>,
        #[serde(skip_serializing_if = "<[_]>::is_empty")]
        differences: &'a [Difference],
    }
    let line = Line {
        result: &case.result,
        micros: case.result.time.map(|time| (time.as_secs_f64() * 1e7).round() / 10.0),
        fuel: case.fuel,
        differences: &case.differences,
    };
    serde_json::to_string(&line).unwrap_or_default()
}

/// The readable format: each event with its outcome, then the sum.
fn text(cases: &[Case]) -> String {
    let mut text = String::new();
    for (index, case) in cases.iter().enumerate() {
        text.push_str(&one(index + 1, case));
    }
    text.push_str(&sum(cases));
    text
}

fn one(number: usize, case: &Case) -> String {
    let detail = &case.event.detail;
    let subject = detail
        .subject()
        .map_or_else(String::new, |subject| format!(" {subject}"));
    let client = detail
        .client()
        .map_or_else(String::new, |client| format!(" ({})", client.id));
    let mut text = format!("{number} {}{subject}{client}\n", hook_name(detail.hook()));
    let mut put = |line: &str| {
        // Writing into a text cannot fail.
        writeln!(text, "  {line}").ok();
    };
    let outcome = &case.result.outcome;
    let mut end = meaning(outcome).to_owned();
    if let Some(took) = case.result.time {
        end.push_str(&format!(", {}", time(took)));
    }
    if let Some(fuel) = case.fuel {
        end.push_str(&format!(", fuel {fuel}"));
    }
    if case.result.is_again && outcome.text().is_none() {
        end.push_str("; the first call failed, and it was handled again by a new instance");
    }
    put(&end);
    outcome
        .text()
        .into_iter()
        .flat_map(str::lines)
        .for_each(|line| put(&format!("  {line}")));
    for request in outcome.requests() {
        request_lines(request).iter().for_each(|line| put(line));
    }
    for difference in &case.differences {
        put("NOT AS EXPECTED");
        difference
            .to_string()
            .lines()
            .for_each(|line| put(&format!("  {line}")));
    }
    text
}

fn request_lines(request: &TrialRequest) -> Vec<String> {
    let mut lines = vec![format!("{} {}", request.method, request.url)];
    if let Some(refused) = &request.refused {
        lines.push(format!("  REFUSED: {refused}"));
    }
    for (name, value) in &request.headers {
        lines.push(format!("  {name}: {value}"));
    }
    match request.body_text() {
        Some(body) => lines.extend(body.lines().map(|line| format!("  {line}"))),
        None => lines.push(format!("  {} bytes that are no text", request.body.len())),
    }
    lines
}

/// What a host would do.
fn meaning(outcome: &TrialOutcome) -> &'static str {
    match outcome {
        TrialOutcome::NotWanted => "not wanted: the module has not asked for it",
        TrialOutcome::Ignored => "ignored",
        TrialOutcome::Delivered(_) => "delivered",
        TrialOutcome::Failed(_) => "FAILED: the module could not handle it; a host would put it into the quarantine",
        TrialOutcome::Trapped(_) => "TRAPPED, also in a new instance: a host would put it into the quarantine",
        TrialOutcome::TimedOut(_) => "TOO SLOW, also in a new instance: a host would put it into the quarantine",
        TrialOutcome::NoInstance(_) => "NOT RUN: no instance can be made, and it would wait",
    }
}

fn sum(cases: &[Case]) -> String {
    let count = |is: fn(&TrialOutcome) -> bool| cases.iter().filter(|case| is(&case.result.outcome)).count();
    let requests: usize = cases.iter().map(|case| case.result.outcome.requests().len()).sum();
    let refused = cases.iter().flat_map(|case| case.result.outcome.requests());
    let refused = refused.filter(|request| request.refused.is_some()).count();
    let mut text = format!(
        "{} events: {} delivered, {} ignored, {} not wanted, {} quarantined; {requests} requests, {refused} refused\n",
        cases.len(),
        count(|outcome| matches!(outcome, TrialOutcome::Delivered(_))),
        count(|outcome| matches!(outcome, TrialOutcome::Ignored)),
        count(|outcome| matches!(outcome, TrialOutcome::NotWanted)),
        count(|outcome| outcome.text().is_some()),
    );
    let mut times: Vec<Duration> = cases.iter().filter_map(|case| case.result.time).collect();
    times.sort_unstable();
    if let (Some(median), Some(longest)) = (times.get(times.len() / 2), times.last()) {
        text.push_str(&format!(
            "each in a call of its own: {} in the middle, {} at most; fuel was counted in another run\n",
            time(*median),
            time(*longest)
        ));
    }
    let different = cases.iter().filter(|case| !case.differences.is_empty()).count();
    if different > 0 {
        text.push_str(&format!("{different} not as expected\n"));
    }
    text
}
