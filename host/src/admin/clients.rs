//! The list of MQTT clients, and how to disconnect one.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::{Answer, Asked, Error, Named, limit};
use super::openapi::Fails;
use super::shape;
use hookhost_broker::{ClientState, EngineHandle};

/// The routes below `/api/v1`.
pub(super) fn routes(engine: EngineHandle) -> OpenApiRouter {
    OpenApiRouter::default()
        .routes(routes!(list, kick))
        .routes(routes!(kick_by_path))
        .with_state(engine)
}

/// Which clients to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ClientQuery {
    /// A part of the client id, user name or address, in any case.
    search: Option<String>,
    /// At most this many; 100 by default.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

/// Lists the sessions of MQTT clients, by client id.
#[utoipa::path(get, path = "/clients", params(ClientQuery),
    responses((status = 200, body = shape::Clients), Fails<400>, Fails<503>))]
async fn list(State(engine): State<EngineHandle>, asked: Asked<ClientQuery>) -> Answer<shape::Clients> {
    let Query(query) = asked?;
    let limit = limit(query.limit)?;
    let search = query.search.unwrap_or_default();
    match engine.clients().await {
        Ok(clients) => Ok(Json(found(clients, &search, limit))),
        Err(error) => Err(Error::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())),
    }
}

/// The client to disconnect.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ClientId {
    /// The client id.
    id: String,
}

/// Ends the connection and the session of an MQTT client.
#[utoipa::path(delete, path = "/clients", params(ClientId),
    responses((status = 200, body = shape::Kicked), Fails<400>, Fails<404>, Fails<503>))]
async fn kick(State(engine): State<EngineHandle>, asked: Asked<ClientId>) -> Answer<shape::Kicked> {
    let Query(ClientId { id }) = asked?;
    disconnect(engine, id).await
}

/// Ends the connection and the session of an MQTT client.
///
/// Clients with the ids `.` and `..` cannot be named so: browsers and HTTP libraries remove these segments from paths.
#[utoipa::path(delete, path = "/clients/{id}", params(("id" = String, Path, description = "The client id")),
    responses((status = 200, body = shape::Kicked), Fails<400>, Fails<404>, Fails<503>))]
async fn kick_by_path(State(engine): State<EngineHandle>, id: Named<String>) -> Answer<shape::Kicked> {
    let Path(id) = id?;
    disconnect(engine, id).await
}

async fn disconnect(engine: EngineHandle, id: String) -> Answer<shape::Kicked> {
    match engine.disconnect(id.clone()).await {
        Ok(true) => Ok(Json(shape::Kicked { kicked: id })),
        Ok(false) => Err(Error::not_found(format!("there is no client {id:?}"))),
        Err(error) => Err(Error::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())),
    }
}

/// The clients that match, ordered by id.
fn found(mut clients: Vec<ClientState>, search: &str, limit: usize) -> shape::Clients {
    let search = search.to_lowercase();
    let matches = |text: &str| text.to_lowercase().contains(&search);
    clients.retain(|state| {
        let client = &state.client;
        let username = client.username.as_ref().is_some_and(|name| matches(name));
        let address = client.peer.is_some_and(|peer| matches(&peer.to_string()));
        search.is_empty() || matches(&client.id) || username || address
    });
    clients.sort_by(|one, other| one.client.id.cmp(&other.client.id));
    let total = clients.len();
    clients.truncate(limit);
    shape::Clients {
        clients: clients.into_iter().map(Into::into).collect(),
        total,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hookhost_event::Client;

    fn state(id: &str, username: Option<&str>, peer: &str) -> ClientState {
        ClientState {
            client: Client {
                id: id.into(),
                username: username.map(Into::into),
                peer: Some(peer.parse().unwrap()),
                ..Client::default()
            },
            connected: true,
            connected_at: None,
            created_at: None,
            keep_alive: 60,
            clean_start: true,
            subscriptions: 0,
            queued: 0,
            unconfirmed: 0,
        }
    }

    #[test]
    fn clients_are_found_by_id_user_name_and_address() {
        let all = || {
            vec![
                state("pump-2", Some("Bob"), "10.0.0.7:1"),
                state("pump-1", None, "10.0.0.8:1"),
                state("Valve", Some("anna"), "10.0.1.8:1"),
            ]
        };
        for (search, limit, ids, total) in [
            ("", 9, vec!["Valve", "pump-1", "pump-2"], 3),
            ("", 1, vec!["Valve"], 3),
            ("PUMP", 9, vec!["pump-1", "pump-2"], 2),
            ("bob", 9, vec!["pump-2"], 1),
            ("10.0.1.", 9, vec!["Valve"], 1),
            ("x", 9, vec![], 0),
        ] {
            let answer = found(all(), search, limit);
            let got: Vec<&str> = answer.clients.iter().map(|client| client.id.as_str()).collect();
            assert_eq!((got, answer.total), (ids, total), "{search}");
        }
    }
}
