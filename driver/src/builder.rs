//! The builder of a feed.

use std::convert::Infallible;
use std::fmt::{self, Display};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

use http::header::{ORIGIN, SEC_WEBSOCKET_PROTOCOL};
use http::{HeaderName, HeaderValue};
use tidegate_core::{
    CommandHandler, Config, ConfigBuilder, ConfigError, ConnectionId, DemandWindow, Fault, FrameHandler,
    Machine, Message, Notice, PassThrough, Timestamp, WithBootstrap,
};

use crate::consumer::{Feed, Inline, Spawned, SpawnedFeed};
use crate::control::Control;
use crate::engine::Engine;
use crate::handle::FeedHandle;
use crate::handover::{Handover, Task};
use crate::mailbox::{Inbox, Mailbox, NoCommands};
use crate::observe::{Labels, NoticeFn, Observer};
use crate::request::{ConnectRequest, RequestError, is_token};
use crate::resolve::{Attempt, ResolveError, Resolver, Target, boxed};
use crate::runtime::{Runtime, Spawn};
use crate::url::UrlError;

/// A handler behind the frames of [`FeedBuilder::on_upgrade`].
pub(crate) type Bootstrapped<H> = WithBootstrap<H, Frames>;

type Frames = Box<dyn FnMut(ConnectionId) -> Result<Vec<Message>, Fault> + Send>;

/// Builder of a feed. [`spawn`](Self::spawn) and [`inline`](Self::inline) check all options and build it.
///
/// The order of calls does not matter. An option that is set twice has the later value; headers, subprotocols and
/// frames are added.
#[must_use]
pub struct FeedBuilder<R, H = PassThrough> {
    runtime: R,
    request: Result<ConnectRequest, BuildError>,
    resolver: Option<Resolver>,
    /// Apart from the handler, which may be set later.
    frames: Frames,
    handler: H,
    config: ConfigBuilder,
    watch: Option<NoticeFn>,
    labels: Labels,
    seed: Option<u64>,
}

impl<R: Runtime> FeedBuilder<R> {
    /// Returns the builder of a feed of `url` on a runtime of your own. The URL has the form that
    /// [`ConnectRequest::new`] accepts.
    ///
    /// Adapters have shorter functions for their runtimes. An invalid URL is an error of [`spawn`](Self::spawn) and
    /// [`inline`](Self::inline).
    pub fn new(runtime: R, url: impl AsRef<str>) -> Self {
        Self {
            runtime,
            request: ConnectRequest::new(url).map_err(BuildError::Url),
            resolver: None,
            frames: Box::new(|_| Ok(Vec::new())),
            handler: PassThrough,
            config: Config::builder(),
            watch: None,
            labels: Labels::new(),
            seed: None,
        }
    }
}

impl<R: Runtime, H: FrameHandler> FeedBuilder<R, H> {
    /// Replaces the path and query of the URL.
    pub fn path(self, path: &str) -> Self {
        self.change_request(|request| request.with_path(path).map_err(BuildError::Url))
    }

    /// Sets the `Host` header, in place of the URL's host and port. See [`ConnectRequest::with_host`].
    pub fn host(self, host: &str) -> Self {
        self.change_request(|request| request.with_host(host).map_err(|_| BuildError::Host))
    }

    /// Adds a header to the upgrade request. A name may be given more than once. Some headers are refused: see
    /// [`ConnectRequest::with_header`].
    ///
    /// tidegate shows no values of headers. Mark secrets with [`HeaderValue::set_sensitive`] if you log requests
    /// yourself.
    pub fn header(self, name: &str, value: impl TryInto<HeaderValue>) -> Self {
        self.change_request(|request| {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| BuildError::HeaderName)?;
            let Ok(value) = value.try_into() else { return Err(BuildError::HeaderValue { name }) };
            let request = request.with_header(name, value);
            request.check().map(|()| request).map_err(BuildError::Request)
        })
    }

    /// Offers a subprotocol, which is a token (RFC 6455 §1.9).
    ///
    /// Call it several times to offer several, in the order of preference. The attempt fails if the server chooses none
    /// of them, or another one.
    pub fn subprotocol(self, name: &str) -> Self {
        if !is_token(name.as_bytes()) {
            return self.change_request(|_| Err(BuildError::Request(RequestError::Subprotocol)));
        }
        self.header(SEC_WEBSOCKET_PROTOCOL.as_str(), name)
    }

    /// Sets the `Origin` header (RFC 6454 §7), which some servers require even of clients that are no browsers.
    pub fn origin(self, origin: &str) -> Self {
        self.header(ORIGIN.as_str(), origin)
    }

    /// Sets a resolver, which returns the URL and headers for each attempt, for instance a fresh token, a signed URL or
    /// another host. `connect_timeout` bounds it.
    ///
    /// # Failures
    /// An error of the resolver is [`ConnectFailure::Resolve`](tidegate_core::ConnectFailure::Resolve): see
    /// [`ResolveError`]. A request that cannot be sent, because it has a header of the handshake itself, is
    /// [`ConnectFailure::Request`](tidegate_core::ConnectFailure::Request), which is fatal by default.
    ///
    /// # Examples
    /// A token is kept until the server refuses it. Without `retry_once`, the first 401 would stop the feed.
    ///
    /// ```
    /// use std::io;
    ///
    /// use http::header::AUTHORIZATION;
    /// use tidegate_driver::core::{Classification, Config};
    /// use tidegate_driver::{FeedBuilder, Runtime};
    ///
    /// async fn token(refused: bool) -> io::Result<http::HeaderValue> {
    ///     // From a cache, or from the token service if the last one was refused.
    /// #   Ok(http::HeaderValue::from_static("token"))
    /// }
    ///
    /// # fn example(runtime: impl Runtime) {
    /// let builder = FeedBuilder::new(runtime, "wss://exchange.example/ws")
    ///     .config(Config::builder().classification(Classification::Standard.retry_once(401)))
    ///     .resolver(|attempt| async move {
    ///         let refused = attempt.last_failure.is_some_and(|failure| failure.status() == Some(401));
    ///         Ok(attempt.request.with_header(AUTHORIZATION, token(refused).await?))
    ///     });
    /// # }
    /// ```
    pub fn resolver<F, Fut>(mut self, resolver: F) -> Self
    where
        F: FnMut(Attempt) -> Fut + Send + 'static,
        Fut: Future<Output = Result<ConnectRequest, ResolveError>> + Send + 'static,
    {
        self.resolver = Some(boxed(resolver));
        self
    }

    /// Sets the options of the state machine: a [`Config`], or its builder. Default [`Config::default`].
    pub fn config(mut self, config: impl Into<ConfigBuilder>) -> Self {
        self.config = config.into();
        self
    }

    /// Sets the handler, which turns messages into items. Default [`PassThrough`].
    pub fn handler<G: FrameHandler>(self, handler: G) -> FeedBuilder<R, G> {
        self.map(|runtime, _| (runtime, handler))
    }

    /// Adds frames to send after every upgrade, before the connection is Live, such as subscriptions.
    ///
    /// Frames of several calls are sent in the order of the calls, and before those of the handler.
    pub fn on_upgrade<F, I>(mut self, mut frames: F) -> Self
    where
        F: FnMut(ConnectionId) -> Result<I, Fault> + Send + 'static,
        I: IntoIterator,
        I::Item: Into<Message>,
    {
        let mut before = self.frames;
        self.frames = Box::new(move |id| {
            let mut all = before(id)?;
            all.extend(frames(id)?.into_iter().map(Into::into));
            Ok(all)
        });
        self
    }

    /// Calls `watch` with every notice and its time. It runs in the feed's loop, so it must return quickly and must not
    /// block.
    pub fn on_notice(mut self, watch: impl FnMut(&Notice, Timestamp) + Send + 'static) -> Self {
        self.watch = Some(Box::new(watch));
        self
    }

    /// Adds labels to all metrics of this feed: names and values. Metrics need the feature `metrics`; see
    /// [`telemetry`](crate::telemetry).
    ///
    /// Values are shown as they are, so keep secrets out of them. A name must be letters, digits and `_`, must not begin
    /// with a digit or `__`, and must be none that tidegate sets: `feed`, `state`, `outcome`, `cause` and `reason`.
    pub fn metric_labels<N, V>(mut self, labels: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<String>,
        V: Into<String>,
    {
        self.labels.extend(labels.into_iter().map(|(name, value)| (name.into(), value.into())));
        self
    }

    /// Sets the seed for the jitter of delays. Default: a random one for each feed.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Builds the feed and runs it in a task of the runtime, which answers pings while the consumer is busy.
    ///
    /// # Errors
    /// Returns an error that names the option if one is not valid.
    ///
    /// # Panics
    /// Panics if the runtime cannot spawn a task, such as tokio's outside of a tokio runtime.
    pub fn spawn(self) -> Result<SpawnedFeed<H::Item>, BuildError>
    where
        R: Spawn,
        R::Alarm: 'static,
        R::Transport: 'static,
        H: Send + 'static,
        H::Session: Send,
        H::Item: Send,
        R: Clone,
    {
        let runtime = self.runtime.clone();
        self.build(without_commands).map(|parts| parts.spawn(&runtime))
    }

    /// Builds the feed like [`spawn`](Self::spawn). Its handles pass commands to the handler.
    ///
    /// # Errors
    /// Returns an error that names the option if one is not valid.
    ///
    /// # Panics
    /// Panics if the runtime cannot spawn a task, such as tokio's outside of a tokio runtime.
    pub fn spawn_with_commands(self) -> Result<Feed<Spawned<H::Item>, H::Command>, BuildError>
    where
        R: Spawn,
        R::Alarm: 'static,
        R::Transport: 'static,
        H: CommandHandler + Send + 'static,
        H::Session: Send,
        H::Item: Send,
        H::Command: Send + 'static,
        R: Clone,
    {
        let runtime = self.runtime.clone();
        self.build(with_commands).map(|parts| parts.spawn(&runtime))
    }

    /// Builds the feed without a task: polling it drives the connection. See [`Inline`].
    ///
    /// # Errors
    /// Returns an error that names the option if one is not valid.
    pub fn inline(self) -> Result<Feed<Inline<R, H>>, BuildError> {
        self.build(without_commands).map(Parts::inline)
    }

    /// Builds the feed like [`inline`](Self::inline). Its handles pass commands to the handler.
    ///
    /// # Errors
    /// Returns an error that names the option if one is not valid.
    pub fn inline_with_commands(self) -> Result<Feed<Inline<R, H>, H::Command>, BuildError>
    where
        H: CommandHandler,
        H::Command: Send + 'static,
    {
        self.build(with_commands).map(Parts::inline)
    }

    /// `mailbox` makes a mailbox with a bound, and the loop's end of it.
    fn build<C>(
        self,
        mailbox: impl FnOnce(usize) -> Ends<C, Bootstrapped<H>>,
    ) -> Result<Parts<R, H, C>, BuildError> {
        let request = self.request?;
        // A resolver may return another URL.
        if self.resolver.is_none() {
            self.runtime.check(&request)?;
        }
        let config = self.config.build().map_err(BuildError::Config)?;
        check_labels(&self.labels)?;
        let control = Control::new(config.send_buffer());
        let observer = Observer::new(config.telemetry_id().to_owned(), self.labels, self.watch);
        let (demand, max_demand) = (config.demand_window(), config.max_demand());
        let seed = self.seed.unwrap_or_else(|| RandomState::new().build_hasher().finish());
        let feed = Machine::new(config, self.handler.with_bootstrap(self.frames), seed);
        let target = Target::new(request, self.resolver);
        let (mailbox, inbox) = mailbox(control.send_buffer());
        let engine = Engine::new(feed, self.runtime, target, control.clone(), inbox, observer);
        let handle = FeedHandle::new(control.clone(), mailbox);
        Ok(Parts { engine, control, handle, demand, max_demand })
    }

    /// Changes the runtime. An error is returned when the feed is built.
    #[cfg(feature = "net")]
    pub(crate) fn change_runtime(mut self, change: impl FnOnce(&mut R) -> Result<(), BuildError>) -> Self {
        self.request = self.request.and_then(|request| change(&mut self.runtime).map(|()| request));
        self
    }

    /// Changes the request. Only the first error is kept.
    fn change_request(
        mut self,
        change: impl FnOnce(ConnectRequest) -> Result<ConnectRequest, BuildError>,
    ) -> Self {
        self.request = self.request.and_then(change);
        self
    }

    pub(crate) fn map<S, G>(self, map: impl FnOnce(R, H) -> (S, G)) -> FeedBuilder<S, G> {
        let (runtime, handler) = map(self.runtime, self.handler);
        FeedBuilder {
            runtime,
            request: self.request,
            resolver: self.resolver,
            frames: self.frames,
            handler,
            config: self.config,
            watch: self.watch,
            labels: self.labels,
            seed: self.seed,
        }
    }
}

/// A mailbox, and the loop's end of it.
type Ends<C, H> = (Arc<Mailbox<C>>, Box<dyn Inbox<H>>);

fn without_commands<H: FrameHandler>(bound: usize) -> Ends<Infallible, H> {
    (Mailbox::new(bound), Box::new(NoCommands))
}

fn with_commands<H>(bound: usize) -> Ends<H::Command, H>
where
    H: CommandHandler,
    H::Command: Send + 'static,
{
    let mailbox = Mailbox::new(bound);
    (mailbox.clone(), Box::new(mailbox))
}

struct Parts<R: Runtime, H: FrameHandler, C> {
    engine: Engine<R, Bootstrapped<H>>,
    control: Arc<Control>,
    handle: FeedHandle<C>,
    demand: DemandWindow,
    max_demand: u32,
}

impl<R: Runtime, H: FrameHandler, C> Parts<R, H, C> {
    fn inline(self) -> Feed<Inline<R, H>, C> {
        Feed::new(Inline::new(self.engine), self.demand, self.handle)
    }

    fn spawn(self, runtime: &R) -> Feed<Spawned<H::Item>, C>
    where
        R: Spawn,
        R::Alarm: 'static,
        R::Transport: 'static,
        H: Send + 'static,
        H::Session: Send,
        H::Item: Send,
    {
        let handover = Handover::new(self.control, self.max_demand);
        runtime.spawn(Task::new(self.engine, handover.clone()));
        Feed::new(Spawned::new(handover), self.demand, self.handle)
    }
}

/// A recorder would write labels that it cannot read back.
fn check_labels(labels: &Labels) -> Result<(), BuildError> {
    const TAKEN: [&str; 5] = ["feed", "state", "outcome", "cause", "reason"];
    for (at, (name, _)) in labels.iter().enumerate() {
        let valid = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && name.chars().all(|next| next.is_ascii_alphanumeric() || next == '_')
            && !name.starts_with("__");
        let taken = TAKEN.contains(&name.as_str()) || labels[..at].iter().any(|(before, _)| before == name);
        if !valid || taken {
            return Err(BuildError::MetricLabel { name: name.clone() });
        }
    }
    Ok(())
}

/// Why a feed cannot be built.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildError {
    /// The URL or the path is not valid.
    Url(UrlError),
    /// The value of [`host`](FeedBuilder::host) is not valid.
    Host,
    /// The request cannot be sent.
    Request(RequestError),
    /// A header's name is not valid. The error does not contain it: it may be a whole header, with a secret.
    HeaderName,
    /// A header's value is not valid. The error does not contain it.
    HeaderValue {
        /// The header's name.
        name: HeaderName,
    },
    /// An option of the state machine is not valid.
    Config(ConfigError),
    /// The name of a metric's label is not valid, or is taken. See [`metric_labels`](FeedBuilder::metric_labels).
    MetricLabel {
        /// The label's name.
        name: String,
    },
    /// An option of the network is not valid: the proxy or TLS.
    Network {
        /// The error's text.
        detail: String,
    },
}

impl Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(error) => error.fmt(f),
            Self::Request(error) => error.fmt(f),
            Self::Host => f.write_str(
                "host is not valid: give a host name or address, and a port if needed: feed.example:8443",
            ),
            Self::HeaderName => {
                f.write_str("a header's name is not valid: give letters, digits and dashes, without a colon")
            }
            Self::HeaderValue { name } => {
                write!(
                    f,
                    "the value of the header {name} is not valid: it must be one line, without control characters"
                )
            }
            Self::Config(error) => error.fmt(f),
            Self::MetricLabel { name } => {
                write!(f, "the metric label {name:?} is not valid, or is set already: give another name")
            }
            Self::Network { detail } => f.write_str(detail),
        }
    }
}

// Without a source: its text has it already.
impl std::error::Error for BuildError {}
