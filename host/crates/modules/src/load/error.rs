//! Why a module's files do not load, in words for the operator.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hookhost_hooks::InterestError;
use hookhost_settings::Problem;
use hookhost_wasm as wasm;
use hookhost_wasm::CallError;

/// Why a module's files do not load. [`LoadError::problems`] has the errors one by one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The name of a file is not a valid module name.
    #[error("{file} is not a module: a module's name consists of letters, digits, '_' and '-'")]
    BadName {
        /// The file.
        file: String,
    },
    /// Settings without a module.
    #[error("{file} has no effect: there is no {missing} beside it")]
    Orphan {
        /// The settings.
        file: String,
        /// The module's file.
        missing: String,
    },
    /// The modules folder cannot be listed.
    #[error("{folder} cannot be listed")]
    Folder {
        /// The folder.
        folder: String,
        /// Why.
        source: std::io::Error,
    },
    /// A file cannot be read.
    #[error("{file} cannot be read: {}", unreadable(*.kind))]
    Unreadable {
        /// The file.
        file: String,
        /// Why.
        kind: std::io::ErrorKind,
    },
    /// A file has changed after it was listed.
    #[error("{file} changed while hookhost loaded it; hookhost loads it again")]
    Changed {
        /// The file.
        file: String,
    },
    /// A file is too large.
    #[error("{file} has {bytes} bytes; the limit is {limit}")]
    TooLarge {
        /// The file.
        file: String,
        /// Its size.
        bytes: u64,
        /// The largest size.
        limit: u64,
    },
    /// The settings are invalid.
    #[error("{}", joined(.problems))]
    Settings {
        /// All errors, each with the file.
        problems: Vec<Problem>,
    },
    /// The code is not a module for this host, or cannot be started.
    #[error("{file} cannot be loaded")]
    Code {
        /// The file.
        file: String,
        /// Why.
        source: wasm::LoadError,
    },
    /// The compiler exceeded its time limit and was killed.
    #[error(
        "{file} was not compiled within {limit:?} (limits.compile_time): raise the limit or retry when the machine is less busy"
    )]
    TooSlow {
        /// The module's file.
        file: String,
        /// The limit.
        limit: Duration,
    },
    /// The module rejects its configuration.
    #[error("{file} refuses its configuration{}{}", if .problems.is_empty() { "" } else { ": " }, in_words(.problems))]
    Refused {
        /// The module's file.
        file: String,
        /// All errors, in the module's words and with their places. May be empty.
        problems: Vec<Problem>,
        /// Whether the configuration comes from the host, and not from the module's own file.
        is_host_configuration: bool,
    },
    /// The module failed while it was configured.
    #[error("{file} fails while it is configured")]
    Configure {
        /// The module's file.
        file: String,
        /// How.
        source: CallError,
    },
    /// The module requests invalid subscriptions or features.
    #[error("{file} subscribes to invalid events: {}", joined(.errors))]
    Interests {
        /// The module's file.
        file: String,
        /// All errors.
        errors: Vec<InterestError>,
    },
    /// The system refuses threads.
    #[error("no threads can be started for {module}")]
    Threads {
        /// The module's name.
        module: Arc<str>,
        /// Why.
        source: std::io::Error,
    },
}

impl LoadError {
    /// The errors in settings one by one, each with its key; empty if the error is about something else.
    pub fn problems(&self) -> &[Problem] {
        match self {
            LoadError::Settings { problems } | LoadError::Refused { problems, .. } => problems,
            _ => &[],
        }
    }
}

/// `first; second; and 3 more`: the full list is available as data, and a module may return a list of any length.
fn joined(list: &[impl std::fmt::Display]) -> String {
    const SHOWN: usize = 8;
    let mut texts: Vec<String> = list.iter().take(SHOWN).map(ToString::to_string).collect();
    if list.len() > SHOWN {
        texts.push(format!("and {} more", list.len() - SHOWN));
    }
    texts.join("; ")
}

fn unreadable(kind: io::ErrorKind) -> String {
    match kind {
        io::ErrorKind::InvalidInput => "it is no regular file".to_owned(),
        kind => kind.to_string(),
    }
}

/// Errors of a module that has been named.
fn in_words(problems: &[Problem]) -> String {
    joined(&problems.iter().map(Problem::without_module).collect::<Vec<_>>())
}
