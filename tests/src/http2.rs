//! A receiver over TLS that prefers HTTP/2.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::PATIENCE;

/// A request as it arrived.
#[derive(Debug)]
pub struct Http2Request {
    /// The number of its connection.
    pub connection: usize,
    /// The version of HTTP.
    pub version: Version,
    /// The body.
    pub body: String,
}

/// The receiver. It answers every request with 200.
pub struct Http2Sink {
    address: SocketAddr,
    requests: UnboundedReceiver<Http2Request>,
}

impl Http2Sink {
    /// Starts it with this certificate.
    pub async fn start(mut config: rustls::ServerConfig) -> Http2Sink {
        config.alpn_protocols = vec![b"h2".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let (sender, requests) = unbounded_channel();
        tokio::spawn(async move {
            for connection in 1.. {
                let Ok((stream, _)) = listener.accept().await else {
                    return;
                };
                let (acceptor, sender) = (acceptor.clone(), sender.clone());
                let answer = move |request: Request<Incoming>| {
                    let sender = sender.clone();
                    async move {
                        let version = request.version();
                        let body = request.into_body().collect().await.expect("a whole body").to_bytes();
                        let body = String::from_utf8_lossy(&body).into_owned();
                        // The test may be over.
                        drop(sender.send(Http2Request {
                            connection,
                            version,
                            body,
                        }));
                        Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
                    }
                };
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                        // The sender closes it in its own way.
                        drop(server.serve_connection(TokioIo::new(stream), service_fn(answer)).await);
                    }
                });
            }
        });
        Http2Sink { address, requests }
    }

    /// An `https://` URL for a path on this receiver.
    pub fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }

    /// The next request.
    pub async fn next(&mut self) -> Http2Request {
        let next = timeout(PATIENCE, self.requests.recv()).await;
        next.expect("no request came").expect("the receiver runs")
    }
}
