//! The functions of EMQX 5's rule engine, as one table.
//!
//! Each file has the functions of one theme and lists them in a constant slice of [`Function`]s. [`THEMES`] joins the
//! slices in the order in which the documentation lists them. A function gets its arguments evaluated; it must not panic,
//! whatever they are. It returns [`Failure::argument`] if it does not accept them; the rule then sends nothing for the
//! event.
//!
//! Functions that need much code, such as regular expressions and `jq`, are only in builds with the feature
//! `all-functions`: [`LARGE`] has their names. A module whose rules call none of them can be a third as large.

#[cfg(feature = "all-functions")]
mod bits;
mod calendar;
mod clusters;
mod columns;
#[cfg(feature = "all-functions")]
mod compress;
mod conversions;
mod dates;
mod encode;
#[cfg(feature = "all-functions")]
mod format;
#[cfg(feature = "all-functions")]
mod hash;
mod joining;
mod lists;
mod maps;
mod math;
mod page;
#[cfg(feature = "all-functions")]
mod patterns;
#[cfg(feature = "all-functions")]
mod query;
mod system;
mod terms;
mod texts;
mod types;

use std::ops::RangeInclusive;

pub use page::page;

use crate::environment::Environment;
use crate::failure::Failure;
use crate::value::Value;

/// A function of the SQL.
pub struct Function {
    /// The name, in lower case.
    pub name: &'static str,
    /// The numbers of arguments that it accepts.
    pub arguments: RangeInclusive<usize>,
    /// How it is called, such as `upper(text)`.
    pub signature: &'static str,
    /// What it returns, in one line of Markdown.
    pub about: &'static str,
    /// Calls the function. The number of arguments is one of [`Function::arguments`].
    pub call: fn(&[Value<'_>], &Environment<'_>) -> Result<Value<'static>, Failure>,
}

/// The functions of one theme.
pub struct Theme {
    /// The title in the documentation.
    pub title: &'static str,
    /// The functions, in the order of the documentation.
    pub functions: &'static [Function],
}

/// A row for a function that needs only its arguments. The last parameter is a function from the arguments to the value;
/// `None` means that it does not accept them.
macro_rules! function {
    ($name:literal, $arguments:expr, $signature:literal, $about:literal, $call:expr) => {
        Function {
            name: $name,
            arguments: $arguments,
            signature: $signature,
            about: $about,
            call: |arguments, _| {
                let call: fn(&[Value<'_>]) -> Option<Value<'static>> = $call;
                call(arguments).ok_or_else(|| Failure::argument($name, arguments))
            },
        }
    };
}
use function;

/// All functions, by theme.
pub const THEMES: &[Theme] = &[
    math::THEME,
    #[cfg(feature = "all-functions")]
    bits::THEME,
    types::THEME,
    conversions::THEME,
    texts::THEME,
    joining::THEME,
    #[cfg(feature = "all-functions")]
    format::THEME,
    #[cfg(feature = "all-functions")]
    patterns::THEME,
    lists::THEME,
    maps::THEME,
    encode::THEME,
    #[cfg(feature = "all-functions")]
    hash::THEME,
    #[cfg(feature = "all-functions")]
    compress::THEME,
    dates::THEME,
    columns::THEME,
    system::THEME,
    #[cfg(feature = "all-functions")]
    query::THEME,
];

/// The names of the functions that only a build with the feature `all-functions` has, sorted.
pub const LARGE: [&str; 25] = [
    "bitand",
    "bitnot",
    "bitor",
    "bitsize",
    "bitsl",
    "bitsr",
    "bitxor",
    "bytesize",
    "gunzip",
    "gzip",
    "hash",
    "jq",
    "md5",
    "regex_extract",
    "regex_match",
    "regex_replace",
    "sha",
    "sha256",
    "sprintf",
    "sprintf_s",
    "subbits",
    "unzip",
    "zip",
    "zip_compress",
    "zip_uncompress",
];

/// Functions of EMQX that are not here, each with the reason.
pub const ELSEWHERE: &[(&str, &str)] = &[
    (
        "mongo_date",
        "makes a date that only EMQX's MongoDB action can take; its webhooks send nothing with it",
    ),
    ("schema_encode", "needs EMQX's schema registry"),
    ("schema_decode", "needs EMQX's schema registry"),
    ("schema_check", "needs EMQX's schema registry"),
    ("sparkplug_encode", "needs EMQX's schema registry"),
    ("sparkplug_decode", "needs EMQX's schema registry"),
];

/// Why a name is not that of a function.
pub(crate) fn why_missing(name: &str) -> String {
    match ELSEWHERE.iter().find(|(known, _)| *known == name) {
        Some((name, reason)) => format!("{name} is not supported: it {reason}"),
        None if LARGE.contains(&name) => format!("this build lacks {name}: it has not the feature `all-functions`"),
        None => "there is no function with this name".to_owned(),
    }
}

/// The function with this name; names are case-sensitive.
pub fn find(name: &str) -> Option<&'static Function> {
    THEMES
        .iter()
        .flat_map(|theme| theme.functions)
        .find(|function| function.name == name)
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.signature)
    }
}

/// Functions are equal if they have the same name.
impl PartialEq for Function {
    fn eq(&self, other: &Function) -> bool {
        self.name == other.name
    }
}

#[cfg(test)]
mod testing;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let mut names: Vec<&str> = THEMES
            .iter()
            .flat_map(|theme| theme.functions)
            .map(|f| f.name)
            .collect();
        names.sort_unstable();
        assert!(names.is_sorted_by(|one, next| one < next), "{names:?}");
    }

    #[test]
    fn large_functions_are_those_of_the_feature() {
        assert!(LARGE.is_sorted());
        for name in LARGE {
            assert_eq!(find(name).is_some(), cfg!(feature = "all-functions"), "{name}");
        }
        #[cfg(feature = "all-functions")]
        for theme in [
            bits::THEME,
            compress::THEME,
            format::THEME,
            hash::THEME,
            patterns::THEME,
            query::THEME,
        ] {
            for function in theme.functions {
                assert!(LARGE.contains(&function.name), "{}", function.name);
            }
        }
    }

    #[test]
    fn signatures_begin_with_the_name() {
        for function in THEMES.iter().flat_map(|theme| theme.functions) {
            let inside = function
                .signature
                .strip_prefix(function.name)
                .and_then(|rest| rest.strip_prefix('('));
            assert!(inside.is_some_and(|rest| rest.ends_with(')')), "{}", function.signature);
            assert!(
                !function.about.is_empty() && !function.about.contains('\n'),
                "{}",
                function.signature
            );
        }
    }
}
