//! The names of modules.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Name of a module.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ModuleName(Arc<str>);

/// A text that is not a valid module name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a module's name consists of letters, digits, '_' and '-'")]
pub(crate) struct InvalidModuleName;

impl FromStr for ModuleName {
    type Err = InvalidModuleName;

    fn from_str(text: &str) -> Result<ModuleName, InvalidModuleName> {
        let good = !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
        if good {
            Ok(ModuleName(text.into()))
        } else {
            Err(InvalidModuleName)
        }
    }
}

impl ModuleName {
    /// The built-in module.
    pub(crate) const WEBHOOK: &str = "webhook";

    pub(crate) fn webhook() -> ModuleName {
        ModuleName(Self::WEBHOOK.into())
    }

    pub(crate) fn is_webhook(&self) -> bool {
        &*self.0 == Self::WEBHOOK
    }

    pub(crate) fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

impl Borrow<str> for ModuleName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ModuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
