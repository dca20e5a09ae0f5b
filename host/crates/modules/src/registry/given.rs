//! What the host's configuration gives to modules, and may give anew.

use std::sync::Arc;

use tracing::{error, info};

use super::Registry;
use crate::explain;
use crate::folder::{self, Change, Content, Files, ModuleName};
use crate::generation::lock;
use crate::load::LoadError;
use crate::{Flawed, Fresh, Given, Outcome, Reread, Rescan};

impl Registry {
    /// Has the default module take what a configuration gives now, and with it the folder's files that are its own. If
    /// it does, all others are given the same. Changes that are carried out are taken out of the list. Gives
    /// the reason if it was refused; the log has it unless these mistakes are known already.
    pub(super) fn configure(
        &self,
        fresh: Fresh,
        scan: &folder::Scan,
        again: bool,
        changes: &mut Vec<(ModuleName, Change)>,
        found: &mut Rescan,
        known: Option<&[String]>,
    ) -> Option<String> {
        let webhook = ModuleName::webhook();
        let Fresh { given, warnings } = fresh;
        let carried_out = match given {
            Ok(given) => self.give(&webhook, given, scan, again, changes, found),
            Err(Flawed { mut refused, rest }) => {
                let files = scan.files.of(&webhook);
                let compiled = self.compiled(&webhook);
                let mistakes = |rest| self.loader.mistakes_in(rest, &webhook, &files, compiled.as_ref());
                refused.add(rest.map(mistakes).unwrap_or_default());
                let problems: Vec<String> = refused.problems.iter().map(ToString::to_string).collect();
                let reason = format!("the configuration has mistakes: {}", problems.join("; "));
                Err((problems, reason))
            }
        };
        let (outcome, problems, reason) = match carried_out {
            Ok(outcome) => (outcome, Vec::new(), None),
            Err((problems, reason)) => (Outcome::Refused, problems, Some(reason)),
        };
        match outcome {
            Outcome::Unchanged => {}
            Outcome::InForce => info!("the configuration was read again and is in force"),
            Outcome::Refused if known == Some(&problems[..]) => {}
            Outcome::Refused => {
                problems.iter().for_each(|problem| error!("{problem}"));
                let mistakes = problems.len();
                error!(
                    mistakes,
                    "the configuration was read again and is refused; what is in force stays"
                );
            }
        }
        found.configuration = Some(Reread {
            outcome,
            problems,
            warnings,
        });
        reason
    }

    /// Gives what is wrong, one by one and as a reason, if the default module does not take it.
    fn give(
        &self,
        webhook: &ModuleName,
        mut given: Given,
        scan: &folder::Scan,
        again: bool,
        changes: &mut Vec<(ModuleName, Change)>,
        found: &mut Rescan,
    ) -> Result<Outcome, (Vec<String>, String)> {
        let before = self.loader.given();
        if given == before {
            // After mistakes the same as before is news to the module.
            if self.is_rejected(webhook) && !changes.iter().any(|(name, _)| name == webhook) {
                changes.push((webhook.clone(), Change::Replaced));
            }
            return Ok(Outcome::Unchanged);
        }
        if given.receivers == before.receivers {
            // The very same: delivery tells by that whether anything has changed.
            given.receivers = Arc::clone(&before.receivers);
        }
        self.loader.give(given);
        let files = scan.files.of(webhook);
        let is_changed = changes.iter().any(|(name, _)| name == webhook);
        changes.retain(|(name, _)| name != webhook);
        let stays = !again && !is_changed && self.has_given_way(webhook, &files);
        let (put, other) = if stays {
            let put = self.put_again(webhook);
            (put.unwrap_or_else(|| self.put(webhook, &files)), None)
        } else {
            let put = self.put(webhook, &files);
            let other = put.is_err().then(|| self.put_in_same_code(webhook, &files)).flatten();
            (put, other)
        };
        match put {
            Ok(generation) => found.loaded.push((webhook.shared(), generation)),
            Err(error) => {
                if !matches!(other, Some(Ok(_))) {
                    self.loader.give(before);
                }
                let reason = self.reject(webhook, &error);
                found.rejected.push((webhook.shared(), reason.clone()));
                // If there is other code, that is what refuses the configuration.
                match other.map_or(Err(error), |other| other) {
                    Ok(generation) => found.loaded.push((webhook.shared(), generation)),
                    Err(error) => {
                        let problems = match error.problems() {
                            [] => vec![explain(&error)],
                            mistakes => mistakes.iter().map(ToString::to_string).collect(),
                        };
                        return Err((problems, reason));
                    }
                }
            }
        }
        Ok(Outcome::InForce)
    }

    /// Loads a module from files that have changed, or because of what modules are `given_anew`: if they do not load, what
    /// is in force is given that.
    pub(super) fn take_up(&self, name: &ModuleName, files: &Files<Content>, given_anew: bool, found: &mut Rescan) {
        match self.put(name, files) {
            Ok(generation) => found.loaded.push((name.shared(), generation)),
            Err(error) => {
                // The same files again would be no better.
                let in_force = self.files_in_force(name).filter(|_| given_anew);
                if in_force.is_some_and(|in_force| in_force.prints() != files.prints()) {
                    self.renew(name, found);
                }
                found.rejected.push((name.shared(), self.reject(name, &error)));
            }
        }
    }

    /// Gives what is in force what modules are given anew.
    pub(super) fn renew(&self, name: &ModuleName, found: &mut Rescan) {
        match self.put_again(name) {
            None => {}
            Some(Ok(generation)) => found.loaded.push((name.shared(), generation)),
            Some(Err(error)) => found.rejected.push((name.shared(), self.reject(name, &error))),
        }
    }

    /// Whether a module was rolled back from these files to others.
    pub(super) fn has_given_way(&self, name: &ModuleName, files: &Files<Content>) -> bool {
        let roll = lock(&self.roll);
        let module = roll.modules.get(name).filter(|module| module.rolled_back.is_some());
        let running = module.and_then(|module| module.running.as_ref());
        running.is_some_and(|running| running.release.files.prints() != files.prints())
    }

    /// As [`put`](Registry::put), with the code that is in force, because the file beside these settings has never been:
    /// as at a start, a file that does not load keeps nothing else from taking effect. None if it is that file's code
    /// that is in force, or if there is no file.
    fn put_in_same_code(&self, name: &ModuleName, files: &Files<Content>) -> Option<Result<u32, LoadError>> {
        let file = files.wasm.as_ref()?.print;
        let in_force = self.files_in_force(name).unwrap_or_default().wasm;
        if in_force.as_ref().map(|content| content.print) == Some(file) {
            return None;
        }
        let files = Files {
            wasm: in_force,
            toml: files.toml.clone(),
        };
        let put = self.put(name, &files);
        if let Ok(generation) = put {
            info!(module = %name, generation, "configuration in force in the code that was there; the module's file does not load");
        }
        Some(put)
    }

    fn is_rejected(&self, name: &ModuleName) -> bool {
        let roll = lock(&self.roll);
        roll.modules.get(name).is_some_and(|module| module.rejected.is_some())
    }

    /// Notes why something else than what the files say is in force.
    pub(super) fn note(&self, name: &ModuleName, reason: String) {
        lock(&self.roll).module(name, || self.common(name)).rejected = Some(reason);
    }

    /// What modules are given now.
    #[cfg(test)]
    pub(in super::super) fn given(&self) -> Given {
        self.loader.given()
    }
}
