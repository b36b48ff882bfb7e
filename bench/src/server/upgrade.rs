//! The server's side of the HTTP upgrade (RFC 6455 §4.2).

use async_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::path::Path;
use crate::Result;

const MAX_HEAD: usize = 8 << 10;
const MAX_HEADERS: usize = 32;

/// Reads the request and answers it. Returns `None` if the client disconnected before that.
pub(crate) async fn upgrade(socket: &mut TcpStream) -> Result<Option<Path>> {
    let mut head = Vec::with_capacity(1024);
    let (path, answer) = loop {
        if socket.read_buf(&mut head).await? == 0 {
            return Ok(None);
        }
        if let Some(request) = request(&head)? {
            break request;
        }
        if head.len() > MAX_HEAD {
            return Err("a request without an end".into());
        }
    };
    socket.write_all(answer.as_bytes()).await?;
    Ok(Some(path))
}

/// The path of a request, and the answer; `None` until the request is complete.
fn request(head: &[u8]) -> Result<Option<(Path, String)>> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    if request.parse(head)?.is_partial() {
        return Ok(None);
    }
    let path = request.path.and_then(Path::parse).ok_or("a path that is not known")?;
    let key = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case("sec-websocket-key"));
    let accept = derive_accept_key(key.ok_or("a request without a key")?.value);
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    Ok(Some((path, answer)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 6455 §1.3.
    #[test]
    fn a_request_is_answered_once_it_is_whole() {
        let head = b"GET /hold HTTP/1.1\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        let (path, answer) = request(head).unwrap().unwrap();
        assert_eq!(path, Path::Hold);
        assert!(answer.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{answer}");
        assert!(request(&head[..head.len() - 1]).unwrap().is_none());
        assert!(request(b"GET /hold HTTP/1.1\r\n\r\n").is_err());
        assert!(request(b"GET /other HTTP/1.1\r\nSec-WebSocket-Key: x\r\n\r\n").is_err());
    }
}
