//! `modules`: the modules of a running host.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use hyper::Method;

use super::admin::{AdminArguments, encoded, ended, escaped, print, print_json, table};
use crate::admin::shape::{Module, Modules, Rescan, RolledBack};

#[derive(Debug, Args)]
pub(super) struct ModulesArguments {
    #[command(subcommand)]
    command: Option<ModulesCommand>,
    #[command(flatten)]
    admin: AdminArguments,
}

#[derive(Debug, Subcommand)]
enum ModulesCommand {
    /// Show what each module of a running host is doing (the default)
    List,
    /// Reload the configuration and the modules folder now, and retry modules that did not load or were rolled back
    Rescan,
    /// Roll a module back to its previous generation; its files stay, and are loaded again when they change or at a rescan
    RollBack {
        /// The name of the module
        name: String,
    },
}

pub(super) fn modules(arguments: &ModulesArguments) -> ExitCode {
    let ModulesArguments { command, admin } = arguments;
    ended(match command {
        Some(ModulesCommand::Rescan) => rescan(admin),
        Some(ModulesCommand::RollBack { name }) => roll_back(admin, name),
        Some(ModulesCommand::List) | None => list(admin),
    })
}

fn list(admin: &AdminArguments) -> anyhow::Result<bool> {
    let answer: Modules = admin.client()?.ask(Method::GET, "/modules")?;
    if admin.json {
        print_json(&answer)?;
        return Ok(true);
    }
    let rows: Vec<_> = answer.modules.iter().map(row).collect();
    let headings = [
        "MODULE",
        "STATE",
        "GENERATION",
        "CODE",
        "WAITING",
        "HANDLED",
        "FAILED",
        "QUARANTINE",
        "DEAD LETTERS",
    ];
    let mut text = table(headings, &rows);
    for module in &answer.modules {
        if let Some(problem) = &module.problem {
            text.push_str(&format!("\n{}: {}\n", module.name, escaped(problem)));
        }
    }
    for problem in &answer.left_out {
        text.push_str(&format!("\nleft out: {}\n", escaped(problem)));
    }
    print(&text)?;
    Ok(true)
}

fn row(module: &Module) -> [String; 9] {
    let (generation, events) = (module.generation.as_ref(), &module.events);
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    [
        module.name.clone(),
        module.state.clone(),
        or_none(generation.map(|generation| generation.number.to_string())),
        or_none(generation.map(|generation| generation.origin.clone())),
        or_none(module.queue.as_ref().map(|queue| queue.events.to_string())),
        (events.answered + events.ignored).to_string(),
        (events.failed + events.trapped + events.timed_out).to_string(),
        module.quarantine.events.to_string(),
        module.requests.dead.to_string(),
    ]
}

fn rescan(admin: &AdminArguments) -> anyhow::Result<bool> {
    let found: Rescan = admin.client()?.ask(Method::POST, "/modules/rescan")?;
    if admin.json {
        print_json(&found)?;
    } else {
        print(&report(&found))?;
    }
    let refused = found
        .configuration
        .as_ref()
        .is_some_and(|reread| !reread.problems.is_empty());
    Ok(found.problem.is_none() && found.rejected.is_empty() && !refused)
}

fn roll_back(admin: &AdminArguments, name: &str) -> anyhow::Result<bool> {
    let path = format!("/modules/{}/roll-back", encoded(name));
    let answer: RolledBack = admin.client()?.ask(Method::POST, &path)?;
    if admin.json {
        print_json(&answer)?;
    } else {
        print(&format!(
            "{}: generation {} is active again\n",
            answer.name, answer.generation
        ))?;
    }
    Ok(true)
}

/// The result of a rescan, one line for each module.
fn report(found: &Rescan) -> String {
    let mut lines = Vec::new();
    if let Some(reread) = &found.configuration {
        lines.push(format!("configuration: {}", reread.state));
        lines.extend(reread.problems.iter().map(|problem| format!("error: {problem}")));
        lines.extend(reread.warnings.iter().map(|warning| format!("warning: {warning}")));
    }
    lines.push(match &found.folder {
        Some(folder) => format!("rescanned {folder}"),
        None => "the host has no modules folder; --modules DIR names one when it starts".to_owned(),
    });
    lines.extend(found.problem.clone());
    lines.extend(
        found
            .loaded
            .iter()
            .map(|module| format!("{}: generation {} is active", module.name, module.generation)),
    );
    lines.extend(
        found
            .rejected
            .iter()
            .map(|module| format!("{}: not loaded: {}", module.name, module.problem)),
    );
    lines.extend(found.removed.iter().map(|name| format!("{name}: removed")));
    lines.extend(found.unchanged.iter().map(|name| format!("{name}: unchanged")));
    lines.extend(found.ignored.iter().cloned());
    escaped(&(lines.join("\n") + "\n"))
}
