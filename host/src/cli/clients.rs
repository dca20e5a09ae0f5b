//! `clients`: the MQTT clients of a running host.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use hyper::Method;

use super::admin::{AdminArguments, encoded, ended, escaped, print, print_json};
use crate::admin::shape::Kicked;

#[derive(Debug, Args)]
pub(super) struct ClientsArguments {
    #[command(subcommand)]
    command: ClientsCommand,
    #[command(flatten)]
    admin: AdminArguments,
}

#[derive(Debug, Subcommand)]
enum ClientsCommand {
    /// End the connection and the session of a client
    Kick {
        /// The client id
        id: String,
    },
}

pub(super) fn clients(arguments: &ClientsArguments) -> ExitCode {
    let ClientsArguments { command, admin } = arguments;
    ended(match command {
        ClientsCommand::Kick { id } => kick(admin, id),
    })
}

fn kick(admin: &AdminArguments, id: &str) -> anyhow::Result<bool> {
    let answer: Kicked = admin.client()?.ask(Method::DELETE, &path(id))?;
    if admin.json {
        print_json(&answer)?;
    } else {
        print(&format!("{}: kicked\n", escaped(&answer.kicked)))?;
    }
    Ok(true)
}

/// Path of a client in the API. In a path a blank is `%20`, not `+`.
fn path(id: &str) -> String {
    format!("/clients/{}", encoded(id).replace('+', "%20"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_in_paths() {
        assert_eq!(path("a/b c+d?ü"), "/clients/a%2Fb%20c%2Bd%3F%C3%BC");
    }
}
