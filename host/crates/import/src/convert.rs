//! Writes a broker's configuration as a configuration file of hookhost.
//!
//! A comment names the place of each setting in the broker's configuration. Further comments name the settings that were left
//! out or changed, beside their setting or at the top. The written file gives the same settings.

mod text;

use std::collections::BTreeMap;

use hookhost_settings::{Files, Place, Problem, merge};

use super::{Broker, Environment, Import, Input, TextFile};
use text::{Text, one_line};

/// The advice in an error about an unsupported restriction.
const ADVICE: &str = "to convert the file without the access control of that broker, use --ignore-access-control";

/// The input of a conversion.
#[derive(Debug, Clone, Default)]
pub struct Convert {
    /// A broker's file; without one, the environment alone.
    pub file: Option<TextFile>,
    /// The broker; `None` to recognise it by the keys.
    pub broker: Option<Broker>,
    /// The environment variables to read.
    pub environment: Environment,
    /// Leave out possible secrets: values of headers, and credentials of URLs. The result is for showing.
    pub redact: bool,
    /// Convert although the configuration restricts clients in a way that hookhost does not support.
    pub ignore_access_control: bool,
}

impl Convert {
    /// The text of a configuration file. `files` reads the files that the broker's file includes.
    ///
    /// # Errors
    ///
    /// All problems of the broker's configuration, or that it is missing. Restrictions of clients that hookhost does not
    /// support, unless `ignore_access_control` is set. Problems of items that are left out are comments.
    pub fn run(&self, files: &Files<'_>) -> Result<String, Vec<Problem>> {
        let import = super::read_in_full(&Input {
            file: self.file.as_ref(),
            environment: &self.environment,
            broker: self.broker,
            urls: None,
            files,
        });
        let Some(mut import) = import else {
            let text = "has no webhook settings of EMQX or RMQTT, and there is no file";
            return Err(vec![Place::variable("").problem(text)]);
        };
        let mut problems = std::mem::take(&mut import.findings.problems);
        if !self.ignore_access_control {
            let lost = import.server.parts().into_iter().flat_map(|part| part.lost.drain(..));
            problems.extend(lost.map(|problem| Problem {
                text: format!("{}; {ADVICE}", problem.text),
                ..problem
            }));
        }
        match import.broker {
            Some(broker) if problems.is_empty() => Ok(self.write(broker, import)),
            _ => Err(problems),
        }
    }

    fn write(&self, broker: Broker, mut import: Import) -> String {
        let mut text = Text {
            redact: self.redact,
            out: String::new(),
            remarks: BTreeMap::new(),
        };
        let findings = &import.findings;
        let told = [
            (&findings.left_out, "left out: "),
            (&findings.unknown, ""),
            (&findings.warnings, ""),
            (&findings.ignored, "no meaning here: "),
            (&findings.notes, "note: "),
        ];
        for (problems, prefix) in told {
            for problem in problems {
                let remarks = text.remarks.entry(problem.place.clone()).or_default();
                remarks.push(format!("{prefix}{}", problem.text));
            }
        }
        let mut server = import.server;
        if self.ignore_access_control {
            // As in a host with this setting.
            server.authentication.settings.clear();
            server.rules.settings.clear();
        }
        // As in a host, which keeps such listeners local.
        if server.authentication.settings.is_empty() {
            server.listeners.keep_local();
        }
        for part in server.parts() {
            for problem in part.lost.drain(..).chain(part.warnings.drain(..)) {
                text.remarks.entry(problem.place).or_default().push(problem.text);
            }
            merge(&mut import.settings, std::mem::take(&mut part.settings), &|_| false);
        }
        let whence = match &self.file {
            Some(file) => file.path.display().to_string(),
            None => "the environment".to_owned(),
        };
        text.settings(import.settings, &import.origins);
        let mut head = format!(
            "# Made by `hookhost webhook convert` from {}, a configuration of {broker}.\n",
            one_line(&whence)
        );
        head.push_str("# Check it with `hookhost check --config FILE`; every key is explained in docs/webhook.md.\n");
        if self.redact {
            head.push_str("# Headers and passwords are left out.\n");
        }
        if !text.remarks.is_empty() {
            head.push_str("#\n# Left out or changed:\n");
            for (place, remarks) in &text.remarks {
                for remark in remarks {
                    let remark = place.problem(remark).to_string();
                    head.push_str(&format!("# {}\n", one_line(&remark)));
                }
            }
        }
        head + &text.out
    }
}

#[cfg(test)]
#[path = "convert_tests.rs"]
mod tests;
