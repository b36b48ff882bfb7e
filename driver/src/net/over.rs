//! Connections over streams that the application opens.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_io::{AsyncRead, AsyncWrite};
use tidegate_core::{Failure, FrameHandler, Timestamp};

use super::connect::connector::Connector;
use super::connect::dial::dial_over;
use super::failure;
use super::runtime::Networked;
use super::socket::Prefixed;
use super::transport::WebSocket;
use crate::builder::FeedBuilder;
use crate::request::ConnectRequest;
use crate::runtime::{Runtime, Spawn};
use crate::secrets::Secrets;

#[cfg(feature = "tungstenite")]
pub(crate) mod tungstenite;

/// A runtime whose connections the application opens. Clock, timer and tasks are those of `R`. Returned by
/// [`FeedBuilder::over`].
pub struct Over<R, T> {
    runtime: R,
    connect: Arc<Connect<R, T>>,
}

type Connect<R, T> = dyn Fn(&R, ConnectRequest) -> Connecting<T> + Send + Sync;

type Connecting<T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send>>;

impl<R, T> Over<R, T> {
    fn new(
        runtime: R,
        connect: impl Fn(&R, ConnectRequest) -> Connecting<T> + Send + Sync + 'static,
    ) -> Self {
        Self { runtime, connect: Arc::new(connect) }
    }
}

impl<R: Clone, T> Clone for Over<R, T> {
    fn clone(&self) -> Self {
        Self { runtime: self.runtime.clone(), connect: Arc::clone(&self.connect) }
    }
}

impl<R: fmt::Debug, T> fmt::Debug for Over<R, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Over").field("runtime", &self.runtime).finish_non_exhaustive()
    }
}

impl<R: Runtime, T: crate::Transport + 'static> Runtime for Over<R, T> {
    type Alarm = R::Alarm;
    type Transport = T;

    fn now(&self) -> Timestamp {
        self.runtime.now()
    }

    fn alarm(&self) -> R::Alarm {
        self.runtime.alarm()
    }

    fn connect(&self, request: ConnectRequest) -> impl Future<Output = Result<T, Failure>> + Send + 'static {
        (self.connect)(&self.runtime, request)
    }
}

impl<R: Spawn, T: crate::Transport + 'static> Spawn for Over<R, T> {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(task);
    }
}

impl<R, S> Networked for Over<R, WebSocket<S>>
where
    R: Networked,
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    type Net = R::Net;

    fn connector(&self) -> &Arc<Connector> {
        self.runtime.connector()
    }

    fn connector_mut(&mut self) -> &mut Connector {
        self.runtime.connector_mut()
    }
}

impl<R: Networked, H: FrameHandler> FeedBuilder<R, H> {
    /// Connects over streams that `open` returns, such as Unix sockets or SSH tunnels. tidegate does the upgrade, its
    /// redirects and the framing.
    ///
    /// `open` is called with the request, for each attempt and each redirect, and returns a new stream of bytes to the
    /// server. `connect_timeout` bounds it together with what follows.
    ///
    /// The URL decides about TLS. With `wss`, tidegate speaks TLS over the stream, and checks the certificate for the
    /// URL's host. Use a `ws` URL for a stream that is already secured.
    ///
    /// Of the [`Connector`], the TLS options, the limits, the size of the read buffer and the rule for redirects apply.
    /// Addresses, proxies and options of TCP do not.
    ///
    /// The streams implement the traits of `futures-io`. For tokio's traits, see `feed_over` of the tokio adapter.
    ///
    /// # Failures
    /// An error of `open` is [`ConnectFailure::Custom`](tidegate_core::ConnectFailure::Custom), which is retried by
    /// default. Its text is shown, so keep secrets out of it. If it contains an error of rustls, it is
    /// [`ConnectFailure::Tls`](tidegate_core::ConnectFailure::Tls).
    ///
    /// # Examples
    /// ```
    /// use std::os::unix::net::UnixStream;
    ///
    /// use async_io::Async;
    /// use tidegate_driver::net::Networked;
    /// use tidegate_driver::{BuildError, FeedBuilder};
    ///
    /// # fn example(runtime: impl Networked) -> Result<(), BuildError> {
    /// let feed = FeedBuilder::new(runtime, "ws://localhost/prices")
    ///     .over(|_| Async::<UnixStream>::connect("/run/feed.sock"))
    ///     .inline()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn over<F, Fut, S>(self, open: F) -> FeedBuilder<Over<R, WebSocket<S>>, H>
    where
        F: FnMut(ConnectRequest) -> Fut + Send + 'static,
        Fut: Future<Output = io::Result<S>> + Send + 'static,
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let open = Arc::new(Mutex::new(open));
        let connect = move |runtime: &R, request| -> Connecting<WebSocket<S>> {
            let (connector, open) = (Arc::clone(runtime.connector()), Arc::clone(&open));
            let open = move |request| {
                let secrets = Secrets::of(&request);
                let opening = call(&open, request);
                async move {
                    let stream = opening.await.map_err(|error| failure::of_application(&error, &secrets))?;
                    Ok(Prefixed::new(Bytes::new(), stream))
                }
            };
            Box::pin(async move { dial_over::<R::Net, _, _>(&connector, request, open).await })
        };
        self.map(|runtime, handler| (Over::new(runtime, connect), handler))
    }
}

/// Calls the application's function. Only one attempt at a time does (C1).
fn call<F: FnMut(ConnectRequest) -> Fut, Fut>(connect: &Mutex<F>, request: ConnectRequest) -> Fut {
    let mut connect = connect.lock().expect("a panic in it has ended the feed");
    connect(request)
}
