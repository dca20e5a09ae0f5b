//! `clients`: the MQTT clients of a running host.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use hyper::Method;

use super::admin::{AdminArguments, encoded, ended, escaped, print, print_json, table};
use crate::admin::shape::{Clients, Kicked};

#[derive(Debug, Args)]
pub(super) struct ClientsArguments {
    #[command(subcommand)]
    command: ClientsCommand,
    #[command(flatten)]
    admin: AdminArguments,
}

#[derive(Debug, Subcommand)]
enum ClientsCommand {
    /// Show the sessions of clients, by id
    List {
        /// Only clients whose id, user name or address contains this text, in any case
        #[arg(long, value_name = "TEXT", default_value = "")]
        search: String,
        /// Show at most this number of clients: 1 to 1000
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: usize,
    },
    /// End the connection and the session of a client
    Kick {
        /// The client id
        id: String,
    },
}

pub(super) fn clients(arguments: &ClientsArguments) -> ExitCode {
    let ClientsArguments { command, admin } = arguments;
    ended(match command {
        ClientsCommand::List { search, limit } => list(admin, search, *limit),
        ClientsCommand::Kick { id } => kick(admin, id),
    })
}

fn list(admin: &AdminArguments, search: &str, limit: usize) -> anyhow::Result<bool> {
    let query = format!("/clients?limit={limit}&search={}", encoded(search));
    let answer: Clients = admin.client()?.ask(Method::GET, &query)?;
    if admin.json {
        print_json(&answer)?;
        return Ok(true);
    }
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let rows: Vec<_> = answer
        .clients
        .iter()
        .map(|client| {
            [
                client.id.clone(),
                if client.connected { "connected" } else { "disconnected" }.to_owned(),
                or_none(&client.username),
                or_none(&client.address),
                client.subscriptions.to_string(),
                (client.queued + client.unconfirmed).to_string(),
            ]
        })
        .collect();
    let mut text = table(
        ["CLIENT", "STATE", "USER", "ADDRESS", "SUBSCRIPTIONS", "WAITING"],
        &rows,
    );
    if answer.total > rows.len() {
        text.push_str(&format!(
            "{} more; --limit shows more, --search selects\n",
            answer.total - rows.len()
        ));
    }
    print(&text)?;
    Ok(true)
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

/// Path of a client in the API.
fn path(id: &str) -> String {
    format!("/clients?id={}", encoded(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_id_can_be_named() {
        assert_eq!(path("a/b c+d?ü"), "/clients?id=a%2Fb+c%2Bd%3F%C3%BC");
    }
}
