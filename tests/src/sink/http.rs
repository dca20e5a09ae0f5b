//! The sink's HTTP: reads requests and sends the requested answers, valid or invalid.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::{Answer, Received, Shared};

/// Serves all connections until the sink goes down.
pub(super) async fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    shared: Arc<Shared>,
    mut up: watch::Receiver<bool>,
) {
    let mut connection = 0;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = down(&mut up) => return,
        };
        let Ok((stream, _)) = accepted else { return };
        connection += 1;
        drop(stream.set_nodelay(true));
        let (tls, shared, up) = (tls.clone(), shared.clone(), up.clone());
        tokio::spawn(async move {
            let Some(tls) = tls else {
                return serve(stream, (connection, None), shared, up).await;
            };
            // A client whose handshake fails sends no request.
            if let Ok(stream) = tls.accept(stream).await {
                let name = stream.get_ref().1.server_name().map(str::to_owned);
                serve(stream, (connection, name), shared, up).await;
            }
        });
    }
}

/// Waits until the sink goes down.
async fn down(up: &mut watch::Receiver<bool>) {
    drop(up.wait_for(|up| !up).await);
}

/// `connection` is its number and the server name that the client requested.
async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    connection: (usize, Option<String>),
    shared: Arc<Shared>,
    mut up: watch::Receiver<bool>,
) {
    let mut buffer = Vec::new();
    let mut read = [0; 16 * 1024];
    loop {
        let Some((request, length)) = parse(&buffer, &connection) else {
            let idle = buffer.is_empty();
            tokio::select! {
                got = stream.read(&mut read) => match got {
                    Ok(n) if n > 0 => buffer.extend_from_slice(&read[..n]),
                    _ => return,
                },
                // Going down closes idle connections only. A request that has begun to arrive is answered first.
                () = down(&mut up), if idle => return,
            }
            continue;
        };
        buffer.drain(..length);
        let answer = shared.take(request);
        if !reply(&mut stream, answer, &mut up).await {
            return;
        }
    }
}

/// Returns whether the connection stays open.
async fn reply(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    answer: Answer,
    up: &mut watch::Receiver<bool>,
) -> bool {
    let status = |status: u16| format!("HTTP/1.1 {status} Told\r\ncontent-length: 0\r\n\r\n").into_bytes();
    match answer {
        Answer::Status(code) => stream.write_all(&status(code)).await.is_ok(),
        Answer::After(delay, code) => {
            tokio::time::sleep(delay).await;
            stream.write_all(&status(code)).await.is_ok()
        }
        Answer::Redirect(to) => {
            let text = format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n");
            stream.write_all(text.as_bytes()).await.is_ok()
        }
        Answer::Hang => {
            let mut byte = [0; 1];
            tokio::select! {
                _ = stream.read(&mut byte) => (),
                () = down(up) => (),
            }
            false
        }
        Answer::Close => false,
        Answer::Bytes(bytes) => {
            drop(stream.write_all(&bytes).await);
            drop(stream.shutdown().await);
            false
        }
        Answer::Endless => {
            let chunk = vec![b'x'; 64 * 1024];
            if stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n")
                .await
                .is_ok()
            {
                let flood = async { while stream.write_all(&chunk).await.is_ok() {} };
                tokio::select! {
                    () = flood => (),
                    () = down(up) => (),
                }
            }
            false
        }
    }
}

/// The first request in the buffer and its length; `None` if it is not complete.
fn parse(buffer: &[u8], (connection, server_name): &(usize, Option<String>)) -> Option<(Received, usize)> {
    let head_end = buffer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&buffer[..head_end]);
    let mut lines = head.split("\r\n");
    let mut request_line = lines.next().unwrap_or_default().split(' ');
    let (method, path) = (
        request_line.next().unwrap_or_default(),
        request_line.next().unwrap_or_default(),
    );
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers
        .iter()
        .find(|(name, _)| name == "content-length")
        .map_or("0", |(_, value)| value);
    let length: usize = length.parse().unwrap_or_else(|_| panic!("content-length {length}"));
    let body_start = head_end + 4;
    let body = buffer.get(body_start..body_start + length)?;
    let request = Received {
        at: Instant::now(),
        time: SystemTime::now(),
        connection: *connection,
        server_name: server_name.clone(),
        method: method.to_owned(),
        path: path.to_owned(),
        headers,
        body: text(body),
        status: None,
    };
    Some((request, body_start + length))
}

/// The bytes as text. Each byte that is not UTF-8 is written as `\xff`, which no JSON contains.
fn text(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}
