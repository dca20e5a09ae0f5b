//! Shared parts of the commands for a running host: its address and token, and the printing of answers.

use std::fmt::Display;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use hookhost_delivery::{Certificates, Identity, PemError, PrivateKey, Tls};
use serde::Serialize;

use super::finish;
use crate::admin::client::Client;
use crate::admin::{DEFAULT_ADDRESS, read_text};
use crate::config::{Environment, environment};

#[derive(Debug, Clone, Args)]
pub(super) struct AdminArguments {
    /// Address of the admin API of the host, or its URL with https: [env: HOOKHOST_ADMIN] [default: 127.0.0.1:18083]
    #[arg(long, value_name = "ADDR", global = true)]
    admin: Option<String>,
    /// File with the token of the admin API [env: HOOKHOST_ADMIN_TOKEN contains the token itself]
    #[arg(long, value_name = "FILE", global = true)]
    token_file: Option<PathBuf>,
    /// File with the authority of the API's certificate, instead of those of the system [env: HOOKHOST_ADMIN_CA_FILE]
    #[arg(long, value_name = "FILE", global = true)]
    ca_file: Option<PathBuf>,
    /// File with a client certificate, if the API asks for one; needs --key-file [env: HOOKHOST_ADMIN_CERT_FILE]
    #[arg(long, value_name = "FILE", global = true)]
    cert_file: Option<PathBuf>,
    /// File with the key of the client certificate [env: HOOKHOST_ADMIN_KEY_FILE]
    #[arg(long, value_name = "FILE", global = true)]
    key_file: Option<PathBuf>,
    /// Print the response of the host as JSON
    #[arg(long, global = true)]
    pub(super) json: bool,
}

impl AdminArguments {
    /// A client for the host.
    pub(super) fn client(&self) -> anyhow::Result<Client> {
        let environment = environment();
        let (address, token) = self.place(&environment);
        let token = match token {
            Some(Token::Is(token)) => Some(token),
            Some(Token::In(file)) => {
                let read = read_text(&file);
                Some(read.with_context(|| format!("the token in {} cannot be read", file.display()))?)
            }
            None => None,
        };
        Ok(Client::new(&address, token, self.tls(&environment)?))
    }

    /// The authorities that may sign the certificate of the API, and the client certificate.
    fn tls(&self, environment: &Environment) -> anyhow::Result<Tls> {
        let file = |given: &Option<PathBuf>, variable: &str| {
            let variable = environment.get(variable).filter(|value| !value.is_empty());
            given.clone().or_else(|| variable.map(PathBuf::from))
        };
        let ca = file(&self.ca_file, "HOOKHOST_ADMIN_CA_FILE");
        let certificate = file(&self.cert_file, "HOOKHOST_ADMIN_CERT_FILE");
        let key = file(&self.key_file, "HOOKHOST_ADMIN_KEY_FILE");
        let identity = match (certificate, key) {
            (Some(certificate), Some(key)) => Some(Identity {
                certificates: parsed(&certificate, Certificates::parse)?,
                key: parsed(&key, PrivateKey::parse)?,
            }),
            (None, None) => None,
            _ => bail!("a client certificate needs both --cert-file FILE and --key-file FILE"),
        };
        Ok(Tls {
            ca: ca.map(|file| parsed(&file, Certificates::parse)).transpose()?,
            identity,
            ..Tls::default()
        })
    }

    /// Address and token, from the first source that has them: the flags, `HOOKHOST_ADMIN` and `HOOKHOST_ADMIN_TOKEN`,
    /// and the variables that configure a host. In the environment of the host, no flags are needed.
    fn place(&self, environment: &Environment) -> (String, Option<Token>) {
        let variable = |name: &str| environment.get(name).filter(|value| !value.is_empty()).cloned();
        let address = self.admin.clone();
        let address = address
            .or_else(|| variable("HOOKHOST_ADMIN"))
            .or_else(|| variable("HOOKHOST_ADMIN__LISTEN"));
        let token = self.token_file.clone().map(Token::In);
        let token = token
            .or_else(|| variable("HOOKHOST_ADMIN_TOKEN").map(Token::Is))
            .or_else(|| variable("HOOKHOST_ADMIN__TOKEN").map(Token::Is))
            .or_else(|| variable("HOOKHOST_ADMIN__TOKEN_FILE").map(|file| Token::In(file.into())));
        (address.unwrap_or_else(|| DEFAULT_ADDRESS.to_string()), token)
    }
}

/// The content of a PEM file.
fn parsed<T>(file: &Path, parse: impl FnOnce(&[u8]) -> Result<T, PemError>) -> anyhow::Result<T> {
    let pem = fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
    parse(&pem).map_err(|error| anyhow!("{} {error}", file.display()))
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Is(String),
    In(PathBuf),
}

/// The exit code of a command. `Ok(false)` means that the host did only a part of it.
pub(super) fn ended(result: anyhow::Result<bool>) -> ExitCode {
    match result {
        Ok(false) => ExitCode::FAILURE,
        other => finish(other.map(drop)),
    }
}

/// Prints an answer as JSON.
pub(super) fn print_json(answer: &impl Serialize) -> anyhow::Result<()> {
    print(&(serde_json::to_string_pretty(answer)? + "\n"))
}

/// Prints a text. A reader that closes the pipe is not an error.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context("cannot write"),
        _ => Ok(()),
    }
}

/// Rows below their headings, each column as wide as its longest cell. Texts come from modules and clients, so control
/// characters are escaped.
pub(super) fn table<const N: usize>(headings: [&str; N], rows: &[[String; N]]) -> String {
    let rows: Vec<[String; N]> = std::iter::once(headings.map(str::to_owned))
        .chain(rows.iter().map(|row| row.each_ref().map(|text| cell(text))))
        .collect();
    let width = |column: usize| {
        rows.iter()
            .map(|row| row.get(column).map_or(0, |cell| cell.chars().count()))
            .max()
    };
    let widths: Vec<usize> = (0..N).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in &rows {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// A text without control characters and line feeds.
pub(super) fn one_line(text: &str) -> String {
    escaped(text).replace('\n', " ")
}

/// A text for one cell, cut to 100 characters.
fn cell(text: &str) -> String {
    const MAX_CHARS: usize = 100;
    let text = one_line(text);
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// A text with escapes for all control characters except line feeds.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        if char.is_control() && char != '\n' {
            escaped.extend(char.escape_debug());
        } else {
            escaped.push(char);
        }
    }
    escaped
}

/// Calls `action` with each entry, named by its number or name. Prints errors and continues. Returns whether all succeeded.
pub(super) fn each<T: Display>(
    entries: &[T],
    mut action: impl FnMut(&T) -> anyhow::Result<()>,
) -> anyhow::Result<bool> {
    let mut all_succeeded = true;
    for entry in entries {
        if let Err(error) = action(entry) {
            eprintln!("error: {entry}: {error:#}");
            all_succeeded = false;
        }
    }
    Ok(all_succeeded)
}

/// A value for the query of a URL.
pub(super) fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_host_is() {
        let nothing = AdminArguments {
            admin: None,
            token_file: None,
            ca_file: None,
            cert_file: None,
            key_file: None,
            json: false,
        };
        let said = AdminArguments {
            admin: Some("a:1".into()),
            token_file: Some("f".into()),
            ca_file: None,
            cert_file: None,
            key_file: None,
            json: false,
        };
        let (is, file) = (
            |text: &str| Some(Token::Is(text.into())),
            |text: &str| Some(Token::In(text.into())),
        );
        let host = [
            ("HOOKHOST_ADMIN__LISTEN", "host:1"),
            ("HOOKHOST_ADMIN__TOKEN", "hosts"),
            ("HOOKHOST_ADMIN__TOKEN_FILE", "file"),
        ];
        let own = [("HOOKHOST_ADMIN", "own:1"), ("HOOKHOST_ADMIN_TOKEN", "own")];
        for (arguments, variables, address, token) in [
            (&nothing, vec![], "127.0.0.1:18083", None),
            (&nothing, vec![("HOOKHOST_ADMIN", "")], "127.0.0.1:18083", None),
            (&nothing, host.to_vec(), "host:1", is("hosts")),
            (&nothing, vec![host[2]], "127.0.0.1:18083", file("file")),
            (&nothing, [&host[..], &own].concat(), "own:1", is("own")),
            (&said, [&host[..], &own].concat(), "a:1", file("f")),
        ] {
            let environment = variables.iter().map(|(name, value)| ((*name).into(), (*value).into()));
            let (got, given) = arguments.place(&environment.collect());
            assert_eq!((got.as_str(), given), (address, token), "{variables:?}");
        }
    }

    #[test]
    fn tables_are_aligned_and_escaped() {
        let rows = [
            ["webhook".to_owned(), "1".to_owned()],
            ["é".to_owned(), "red\x1b[31m\nline".to_owned()],
            ["x".to_owned(), "y".repeat(200)],
        ];
        let expected = format!(
            "NAME     N\nwebhook  1\né        red\\u{{1b}}[31m line\nx        {}…\n",
            "y".repeat(100)
        );
        assert_eq!(table(["NAME", "N"], &rows), expected);
    }

    #[test]
    fn names_in_queries() {
        assert_eq!(encoded("a&all=true ü"), "a%26all%3Dtrue+%C3%BC");
    }
}
