//! POSTs like those of a webhook sender, by hand on one thread without a broker: the maximum speed of the sink.

use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::stamp::{LENGTH, Stamp, now};

/// The target and the amount of requests.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Posts {
    #[arg(long)]
    pub(crate) to: SocketAddr,
    #[arg(long)]
    pub(crate) run: u16,
    #[arg(long)]
    pub(crate) connections: u16,
    #[arg(long)]
    pub(crate) payload: usize,
    #[arg(long)]
    pub(crate) seconds: f64,
}

/// Sends POSTs and prints the number of answers, as one line of JSON.
pub(crate) async fn post(posts: Posts) -> anyhow::Result<()> {
    let first = now();
    let end = Instant::now() + Duration::from_secs_f64(posts.seconds);
    let running: Vec<_> = (0..posts.connections)
        .map(|number| tokio::spawn(connection(posts.clone(), number, end)))
        .collect();
    let mut answered = 0;
    for connection in running {
        answered += connection.await??;
    }
    println!("{}", json!({ "confirmed": answered, "first": first, "last": now() }));
    Ok(())
}

/// Sends one request after another on one connection. Returns the number of answers.
async fn connection(posts: Posts, publisher: u16, end: Instant) -> anyhow::Result<u32> {
    let mut stream = TcpStream::connect(posts.to).await?;
    stream.set_nodelay(true)?;
    let mut payload = vec![b'.'; posts.payload.max(LENGTH)];
    let (mut number, mut request, mut answer) = (0, Vec::new(), [0; 256]);
    while Instant::now() < end {
        payload[..LENGTH].copy_from_slice(
            &Stamp {
                run: posts.run,
                publisher,
                number,
                sent: now(),
            }
            .bytes(),
        );
        let payload = base64::engine::general_purpose::STANDARD.encode(&payload);
        let body = format!(
            concat!(
                r#"{{"dup":false,"retain":false,"qos":1,"topic":"bench/{}","packet_id":{},"payload":"{}","ts":1790000000000,"#,
                r#""time":"2026-11-22 10:00:00.000","from_node":1,"from_ipaddress":"127.0.0.1:50000","#,
                r#""from_clientid":"bench-{}","from_username":"undefined","from_type":"custom","action":"message_publish"}}"#
            ),
            publisher, number, payload, publisher
        );
        request.clear();
        let head = format!(
            "POST /hook HTTP/1.1\r\ncontent-type: application/json\r\naccept: */*\r\nhost: {}\r\ncontent-length: {}\r\n\r\n",
            posts.to,
            body.len()
        );
        request.extend_from_slice(head.as_bytes());
        request.extend_from_slice(body.as_bytes());
        stream.write_all(&request).await?;
        if stream.read(&mut answer).await? == 0 {
            anyhow::bail!("the sink closed the connection");
        }
        number += 1;
    }
    Ok(number)
}
