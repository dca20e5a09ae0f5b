//! The connection to NATS.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::{Client, ConnectOptions, Event, ServerAddr};
use tokio::sync::watch;
use tracing::{info, warn};

use super::settings::{Credentials, Settings};
use super::start::{StartError, WhenUnreachable};

/// The wait before another attempt to connect.
const RETRY: Duration = Duration::from_millis(500);

/// Connects. `connections` counts the connections from then on. If no server can be reached until `end`, the client connects
/// later, or the function fails.
///
/// # Errors
///
/// [`StartError::Settings`] if an address or a secret is invalid; [`StartError::Connect`].
pub(super) async fn connect(
    settings: &Settings,
    connections: watch::Sender<u64>,
    end: Instant,
    when_unreachable: WhenUnreachable,
) -> Result<Client, StartError> {
    let servers = settings.servers.iter().map(|server| {
        let address = server.parse::<ServerAddr>();
        address.map_err(|error| StartError::Settings(format!("{server} is no address of a NATS server: {error}")))
    });
    let servers: Vec<ServerAddr> = servers.collect::<Result<_, _>>()?;
    let connections = Arc::new(connections);
    let mut is_later = false;
    loop {
        let options = options(settings, Arc::clone(&connections))?;
        let options = if is_later {
            options.retry_on_initial_connect()
        } else {
            options
        };
        match options.connect(&servers[..]).await {
            Ok(client) => return Ok(client),
            Err(error) if Instant::now() < end => {
                warn!(error = %error, "cannot connect to NATS; trying again");
                tokio::time::sleep(RETRY).await;
            }
            Err(_) if when_unreachable == WhenUnreachable::Wait && !is_later => is_later = true,
            Err(error) => return Err(StartError::Connect(error.to_string())),
        }
    }
}

fn options(settings: &Settings, connections: Arc<watch::Sender<u64>>) -> Result<ConnectOptions, StartError> {
    let mut options = ConnectOptions::new()
        .name("hookhost")
        .ping_interval(Duration::from_secs(5))
        .reconnect_delay_callback(|attempts| Duration::from_millis(if attempts < 2 { 50 } else { 500 }))
        .event_callback(move |event| {
            match event {
                Event::Connected => {
                    info!("connected to NATS");
                    connections.send_modify(|count| *count += 1);
                }
                Event::Disconnected => warn!("the connection to NATS is lost; connecting again"),
                Event::SlowConsumer(_) => connections.send_modify(|count| *count += 1),
                Event::ServerError(error) => warn!(error = %error, "NATS reports an error"),
                Event::ClientError(error) => warn!(error = %error, "the connection to NATS has failed"),
                Event::LameDuckMode | Event::Draining | Event::Closed => {}
            }
            std::future::ready(())
        });
    options = match &settings.credentials {
        Credentials::None => options,
        Credentials::Password { user, password } => options.user_and_password(user.clone(), password.clone()),
        Credentials::File(text) => options
            // The parser needs the end of the last line, which the reader of secrets has removed.
            .credentials(&format!("{}\n", text.trim_end()))
            .map_err(|error| StartError::Settings(format!("the credentials file of NATS is invalid: {error}")))?,
        Credentials::NKey(seed) => options.nkey(seed.clone()),
    };
    if let Some(file) = &settings.tls.ca_file {
        options = options.add_root_certificates(file.clone());
    }
    if let Some((certificate, key)) = &settings.tls.identity {
        options = options.add_client_certificate(certificate.clone(), key.clone());
    }
    Ok(options)
}
