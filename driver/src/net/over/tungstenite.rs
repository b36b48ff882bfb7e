//! Connections of tungstenite's messages, which the application opens (feature `tungstenite`).

use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_sink::Sink;
use futures_util::io::Cursor;
use http::header::HOST;
use http::{HeaderValue, Response};
use tidegate_core::{
    CloseFrame, ConnectFailure, ConnectionFailure, Failure, Frame, FrameHandler, TlsProblem,
};
use tungstenite::client::IntoClientRequest;
use tungstenite::error::{ProtocolError, UrlError};
use tungstenite::handshake::client::Request;
use tungstenite::{Error, Message};

use super::{Connecting, Over, call};
use crate::builder::FeedBuilder;
use crate::net::failure;
use crate::net::http::answer::Answer;
use crate::net::http::body;
use crate::net::http::handshake::{of_head, refused};
use crate::net::http::head::HeadError;
use crate::net::message::sent;
use crate::request::ConnectRequest;
use crate::runtime::Runtime;
use crate::secrets::Secrets;

impl<R: Runtime, H: FrameHandler> FeedBuilder<R, H> {
    /// Connects through `connect`, which returns an open WebSocket of tungstenite's messages. Needs the feature
    /// `tungstenite`.
    ///
    /// The WebSocket is any [`Stream`] and [`Sink`] of [`Message`]s, such as a `WebSocketStream` of async-tungstenite
    /// (with its feature `futures-03-sink`) or of tokio-tungstenite.
    ///
    /// `connect` is called for each attempt, and `connect_timeout` bounds it. Its argument has the URL and the
    /// headers of this builder or its resolver. It implements [`IntoClientRequest`], so it can be passed to
    /// `client_async`.
    ///
    /// `connect` is responsible for everything below the messages: TLS, limits, and whether a redirect is followed.
    /// Bytes of an unfinished frame do not count as heard, and a read fails once a pong cannot be written.
    ///
    /// # Failures
    /// Errors of `connect` and of the WebSocket become [`Failure`]s, as for any feed. [`Error::Io`] from `connect` is
    /// [`ConnectFailure::Custom`], which is retried by default. Its text is shown, so keep secrets out of it.
    /// [`Error::Http`] is [`ConnectFailure::Rejected`], without the reason phrase.
    ///
    /// # Versions
    /// With this feature, tungstenite 0.30 is part of the public API, re-exported as
    /// [`net::tungstenite`](crate::net::tungstenite). A release of tidegate with a newer tungstenite is a breaking one.
    ///
    /// # Examples
    /// ```
    /// use std::os::unix::net::UnixStream;
    ///
    /// use async_io::Async;
    /// use async_tungstenite::client_async;
    /// use tidegate_driver::{BuildError, FeedBuilder, Runtime};
    ///
    /// # fn example(runtime: impl Runtime) -> Result<(), BuildError> {
    /// let feed = FeedBuilder::new(runtime, "ws://localhost/prices")
    ///     .over_tungstenite(|request| async {
    ///         let stream = Async::<UnixStream>::connect("/run/feed.sock").await?;
    ///         let (socket, _) = client_async(request, stream).await?;
    ///         Ok(socket)
    ///     })
    ///     .on_upgrade(|_| Ok(["subscribe"]))
    ///     .inline()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn over_tungstenite<F, Fut, S>(self, connect: F) -> FeedBuilder<Over<R, TungsteniteTransport<S>>, H>
    where
        F: FnMut(ConnectRequest) -> Fut + Send + 'static,
        Fut: Future<Output = Result<S, Error>> + Send + 'static,
        S: Stream<Item = Result<Message, Error>> + Sink<Message, Error = Error> + Send + Unpin + 'static,
    {
        let connect = Mutex::new(connect);
        let connect = move |_: &R, request| -> Connecting<TungsteniteTransport<S>> {
            let secrets = Secrets::of(&request);
            let connecting = call(&connect, request);
            Box::pin(async move {
                match connecting.await {
                    Ok(socket) => Ok(TungsteniteTransport { socket, peer: Peer::Open }),
                    Err(error) => Err(not_connected(error, &secrets).await),
                }
            })
        };
        self.map(|runtime, handler| (Over::new(runtime, connect), handler))
    }
}

/// Converts to the request of an upgrade, with a new key.
impl IntoClientRequest for ConnectRequest {
    fn into_client_request(self) -> tungstenite::Result<Request> {
        let mut request = self.uri().into_client_request()?;
        let headers = request.headers_mut();
        headers.insert(HOST, HeaderValue::from_str(self.host_header())?);
        headers.extend(self.sent_headers());
        Ok(request)
    }
}

/// Returns why the application could not connect.
async fn not_connected(error: Error, secrets: &Secrets) -> Failure {
    match error {
        Error::Http(answer) => rejected(*answer, secrets).await,
        Error::Io(error) => failure::of_application(&error, secrets),
        // The error quotes the URL.
        Error::Url(UrlError::UnableToConnect(_)) => Failure::Connect(ConnectFailure::Custom {
            detail: "no address of the URL's host can be reached".to_owned(),
        }),
        Error::Url(error) => Failure::Connect(ConnectFailure::Request { detail: error.to_string() }),
        Error::HttpFormat(_) => {
            Failure::Connect(ConnectFailure::Request { detail: "it is not valid HTTP".to_owned() })
        }
        Error::Protocol(ProtocolError::HandshakeIncomplete) => of_head(&HeadError::Ended),
        Error::Protocol(error) => Failure::Connect(ConnectFailure::Upgrade { detail: error.to_string() }),
        Error::Capacity(error) => Failure::Connect(ConnectFailure::Upgrade { detail: error.to_string() }),
        Error::Utf8(_) => {
            Failure::Connect(ConnectFailure::Upgrade { detail: "a header in it is not ASCII".to_owned() })
        }
        Error::AttackAttempt => {
            Failure::Connect(ConnectFailure::Upgrade { detail: "its head is too long".to_owned() })
        }
        Error::Tls(error) => {
            Failure::Connect(ConnectFailure::Tls { problem: TlsProblem::Other, detail: error.to_string() })
        }
        error @ (Error::ConnectionClosed | Error::AlreadyClosed | Error::WriteBufferFull(_)) => {
            failure::of_connection(error)
        }
    }
}

async fn rejected(answer: Response<Option<Vec<u8>>>, secrets: &Secrets) -> Failure {
    let (head, part) = answer.into_parts();
    let answer = Answer {
        status: head.status.as_u16(),
        is_http_1_1: true,
        reason: String::new(),
        headers: head.headers,
    };
    let part = Cursor::new(part.unwrap_or_default());
    let body = body::read(part, answer.status, &answer.headers, std::future::pending()).await;
    refused(&answer, &body, secrets)
}

/// An open WebSocket connection of tungstenite's messages. Returned by
/// [`FeedBuilder::over_tungstenite`](crate::FeedBuilder::over_tungstenite).
#[derive(Debug)]
pub struct TungsteniteTransport<S> {
    socket: S,
    peer: Peer,
}

/// State of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peer {
    Open,
    /// The peer has sent Close, and tungstenite has queued the answer. Later errors do not matter.
    Closed,
    /// The peer has broken the protocol. Nothing more is read: some WebSockets end at once, which would cut off the
    /// Close (C6).
    Broken,
}

impl<S> crate::Transport for TungsteniteTransport<S>
where
    S: Stream<Item = Result<Message, Error>> + Sink<Message, Error = Error> + Send + Unpin,
{
    fn bytes_read(&self) -> u64 {
        0
    }
}

impl<S: Stream<Item = Result<Message, Error>> + Unpin> Stream for TungsteniteTransport<S> {
    type Item = Result<Frame, Failure>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if self.peer == Peer::Broken {
                return Poll::Pending;
            }
            return Poll::Ready(match ready!(Pin::new(&mut self.socket).poll_next(cx)) {
                Some(Ok(Message::Text(text))) => Some(Ok(tidegate_core::Message::Text(text.into()).into())),
                Some(Ok(Message::Binary(payload))) => Some(Ok(payload.into())),
                Some(Ok(Message::Ping(payload))) => Some(Ok(Frame::Ping(payload))),
                Some(Ok(Message::Pong(payload))) => Some(Ok(Frame::Pong(payload))),
                Some(Ok(Message::Close(frame))) => {
                    self.peer = Peer::Closed;
                    let frame = frame.map(|frame| CloseFrame {
                        code: frame.code.into(),
                        reason: frame.reason.as_str().to_owned(),
                    });
                    Some(Ok(Frame::Close(frame)))
                }
                // A read never returns one.
                Some(Ok(Message::Frame(_))) => continue,
                Some(Err(error)) if self.peer == Peer::Open => {
                    let failure = failure::of_connection(error);
                    if let Failure::Connection(ConnectionFailure::Protocol { .. }) = failure {
                        self.peer = Peer::Broken;
                    }
                    Some(Err(failure))
                }
                Some(Err(_)) | None => None,
            });
        }
    }
}

impl<S: Sink<Message, Error = Error> + Unpin> Sink<Frame> for TungsteniteTransport<S> {
    type Error = Failure;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        let ready = ready!(Pin::new(&mut self.socket).poll_ready(cx));
        Poll::Ready(self.written(ready))
    }

    fn start_send(mut self: Pin<&mut Self>, frame: Frame) -> Result<(), Failure> {
        // tungstenite accepts nothing after its answer to Close.
        if self.peer == Peer::Closed {
            return Ok(());
        }
        let sent = Pin::new(&mut self.socket).start_send(sent(frame));
        self.written(sent)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        let flushed = ready!(Pin::new(&mut self.socket).poll_flush(cx));
        Poll::Ready(self.written(flushed))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        let closed = ready!(Pin::new(&mut self.socket).poll_close(cx));
        Poll::Ready(self.written(closed))
    }
}

impl<S> TungsteniteTransport<S> {
    /// After the peer's Close, a failure to write the answer does not matter: the peer need not wait for it.
    fn written(&self, result: tungstenite::Result<()>) -> Result<(), Failure> {
        match (self.peer, result) {
            (Peer::Closed, _) | (_, Ok(())) => Ok(()),
            (Peer::Open | Peer::Broken, Err(error)) => Err(failure::of_write(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::header::SEC_WEBSOCKET_PROTOCOL;
    use tungstenite::handshake::client::generate_request;

    use super::*;

    #[test]
    fn the_request_of_an_upgrade() {
        let request = ConnectRequest::new("ws://feed.test?a=b").unwrap().with_host("other.test:8").unwrap();
        let request = request
            .with_header(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("v2"))
            .with_header(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("v1"))
            .into_client_request();
        let (head, key) = generate_request(request.unwrap()).unwrap();
        let expected = format!(
            "GET /?a=b HTTP/1.1\r\nHost: other.test:8\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Protocol: v2, v1\r\n\r\n"
        );
        assert_eq!(String::from_utf8(head).unwrap(), expected);
    }

    /// T3: these variants carry the URL, or what a peer sent.
    #[test]
    fn no_detail_quotes_the_url_or_the_peer() {
        use futures_util::FutureExt;
        let secret = "hunter2";
        let errors = [
            Error::Url(UrlError::UnableToConnect(secret.to_owned())),
            Error::HttpFormat(http::Uri::try_from("http://hunter2 ").unwrap_err().into()),
            Error::Utf8(secret.to_owned()),
            Error::WriteBufferFull(Box::new(Message::text(secret))),
        ];
        for error in errors {
            let failure = not_connected(error, &Secrets::default()).now_or_never().unwrap();
            assert!(!failure.to_string().contains(secret), "{failure}");
        }
    }
}
