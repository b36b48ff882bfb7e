//! The HTTP half of a connection: which clients are admitted.

use std::sync::Arc;
use std::time::Duration;

use async_tungstenite::WebSocketStream;
use async_tungstenite::tokio::{TokioAdapter, accept_hdr_async_with_config};
use async_tungstenite::tungstenite::handshake::server::{Callback, ErrorResponse, Request, Response};
use async_tungstenite::tungstenite::protocol::WebSocketConfig;
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use tokio::net::TcpStream;

use super::PATH;
use super::hub::Hub;

pub(super) type Socket = WebSocketStream<TokioAdapter<TcpStream>>;

/// How long a client may take over its upgrade.
const PATIENCE: Duration = Duration::from_secs(10);

/// The largest thing a client has to say is a subscription.
const MAX_REQUEST: usize = 16 * 1024;

/// The connection, if its upgrade was in order and is not one to refuse.
pub(super) async fn upgrade(hub: &Arc<Hub>, stream: TcpStream) -> Option<Socket> {
    // A trade is not to wait for the next one to share a packet with; without it, it is only late.
    let _ = stream.set_nodelay(true);
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_REQUEST))
        .max_frame_size(Some(MAX_REQUEST))
        .read_buffer_size(MAX_REQUEST);
    let handshake = accept_hdr_async_with_config(stream, Gate(Arc::clone(hub)), Some(config));
    tokio::time::timeout(PATIENCE, handshake).await.ok()?.ok()
}

struct Gate(Arc<Hub>);

impl Callback for Gate {
    fn on_request(self, request: &Request, response: Response) -> Result<Response, ErrorResponse> {
        let mut refusal = if request.uri().path() != PATH {
            refusal(StatusCode::NOT_FOUND, "the feed is at /feed\n")
        } else if self.0.refuses() {
            refusal(StatusCode::SERVICE_UNAVAILABLE, "down for a moment\n")
        } else {
            return Ok(response);
        };
        if refusal.status() == StatusCode::SERVICE_UNAVAILABLE {
            refusal.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        self.0.refused(refusal.status().as_u16());
        Err(refusal)
    }
}

fn refusal(status: StatusCode, body: &str) -> ErrorResponse {
    let mut response = ErrorResponse::new(Some(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    response
}
