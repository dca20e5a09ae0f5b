//! Why a module's files do not load, in words for the person who put them there.

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
    /// The name of a file cannot be that of a module.
    #[error("{file} is no module: a module's name consists of letters, digits, '_' and '-'")]
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
    /// A file has changed after it was looked at.
    #[error("{file} was changed while it was being loaded; it is loaded as it is then")]
    Changed {
        /// The file.
        file: String,
    },
    /// A file is too large.
    #[error("{file} has {bytes} bytes, at most {limit} are read")]
    TooLarge {
        /// The file.
        file: String,
        /// Its size.
        bytes: u64,
        /// The largest size.
        limit: u64,
    },
    /// The settings are wrong.
    #[error("{}", joined(.problems))]
    Settings {
        /// All mistakes, each with the file.
        problems: Vec<Problem>,
    },
    /// The code is no module for this host, or cannot be started.
    #[error("{file} cannot be loaded")]
    Code {
        /// The file.
        file: String,
        /// Why.
        source: wasm::LoadError,
    },
    /// The compiler took longer than it may and was killed.
    #[error(
        "{file} was not compiled within {limit:?} (limits.compile_time): raise the limit or retry when the machine is less busy"
    )]
    TooSlow {
        /// The module's file.
        file: String,
        /// The limit.
        limit: Duration,
    },
    /// The module does not take its configuration.
    #[error("{file} refuses its configuration{}{}", if .problems.is_empty() { "" } else { ": " }, in_words(.problems))]
    Refused {
        /// The module's file.
        file: String,
        /// All mistakes, in the module's words and where they stand; perhaps none.
        problems: Vec<Problem>,
        /// Whether the configuration is that of the host, and not the module's own.
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
    /// The module asks for what cannot be.
    #[error("{file} asks for events that cannot be: {}", joined(.errors))]
    Interests {
        /// The module's file.
        file: String,
        /// All mistakes.
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

/// `first; second; and 3 more`: the whole list is there as data, and a module may give one of any length.
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

/// Mistakes of a module that has been named.
fn in_words(problems: &[Problem]) -> String {
    joined(&problems.iter().map(Problem::without_module).collect::<Vec<_>>())
}
