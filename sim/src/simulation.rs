//! Putting a run together: feeds, their consumers, a server, and what goes wrong between them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use tidegate_driver::core::{Config, ConfigBuilder, Delivery, FrameHandler, Message, PassThrough, Timestamp};

use crate::check::{BootstrapRule, Emission};
use crate::fault::{FaultKind, Faults};
use crate::pace::Pace;
use crate::rule::{Judge, Observed};
use crate::scenario::Answer;
use crate::server::{Server, Servers, Silent};
use crate::trace::{Show, show_item, show_message};
use crate::world::Network;

/// Makes a value for each feed, by its number.
type Maker<T> = Box<dyn FnMut(usize) -> T>;

/// A feed under test and everything around it.
#[derive(Debug)]
pub struct Simulation;

impl Simulation {
    /// A builder with a silent server, a network without latency, and no faults.
    pub fn builder() -> SimulationBuilder<PassThrough> {
        SimulationBuilder {
            handler: Box::new(|_| PassThrough),
            judges: Vec::new(),
            show_item: Arc::new(show_message),
            options: RunOptions {
                seed: 0,
                feeds: 1,
                config: Config::default(),
                servers: Servers::Shared(Box::new(Silent)),
                faults: Faults::none(),
                faults_at: Vec::new(),
                answers: Vec::new(),
                steady_clock: false,
                network: Network::default(),
                pace: Pace::Prompt,
                run: Duration::from_secs(600),
                heal: None,
                shutdown: None,
                abandon: None,
                send: None,
                outages: Vec::new(),
                inline: false,
                trace: false,
                show: Arc::new(show_message),
                longest_delay: None,
                only_faults: None,
                max_attempts: None,
                bootstrap: None,
                emission: None,
            },
        }
    }
}

/// Configures a run; [`run`](Self::run) starts it.
#[must_use]
pub struct SimulationBuilder<H: FrameHandler> {
    pub(crate) handler: Maker<H>,
    pub(crate) judges: Vec<Maker<Judge<H::Item>>>,
    pub(crate) show_item: Show<H::Item>,
    pub(crate) options: RunOptions,
}

/// Options that do not depend on the handler. Times count from the start.
pub(crate) struct RunOptions {
    pub(crate) seed: u64,
    pub(crate) feeds: usize,
    pub(crate) config: Config,
    pub(crate) servers: Servers,
    pub(crate) faults: Faults,
    pub(crate) faults_at: Vec<(Duration, FaultKind)>,
    pub(crate) answers: Vec<Answer>,
    pub(crate) steady_clock: bool,
    pub(crate) network: Network,
    pub(crate) pace: Pace,
    pub(crate) run: Duration,
    pub(crate) heal: Option<Duration>,
    pub(crate) shutdown: Option<Duration>,
    pub(crate) abandon: Option<Duration>,
    /// Between messages of the application.
    pub(crate) send: Option<Duration>,
    /// Start and length of each.
    pub(crate) outages: Vec<(Duration, Duration)>,
    pub(crate) inline: bool,
    pub(crate) trace: bool,
    pub(crate) show: Show<Message>,
    pub(crate) longest_delay: Option<Duration>,
    pub(crate) only_faults: Option<BTreeSet<u64>>,
    pub(crate) max_attempts: Option<u64>,
    pub(crate) bootstrap: Option<BootstrapRule>,
    pub(crate) emission: Option<Emission>,
}

impl<H: FrameHandler> SimulationBuilder<H> {
    /// Seed for everything random: the same seed gives the same run, byte for byte.
    pub fn seed(mut self, seed: u64) -> Self {
        self.options.seed = seed;
        self
    }

    /// Number of feeds of the same kind against one server: a fleet. Each is checked against every rule. After an
    /// [`outage`](Self::outage), with full jitter, they must not all dial at once. Default: 1.
    pub fn feeds(mut self, feeds: usize) -> Self {
        self.options.feeds = feeds;
        self
    }

    /// Makes the handler under test; called once for each feed.
    ///
    /// # Panics
    /// Panics if rules were set before, which were those of another handler.
    pub fn handler<G: FrameHandler<Item: Debug + 'static>>(
        self,
        mut make: impl FnMut() -> G + 'static,
    ) -> SimulationBuilder<G> {
        self.handlers(move |_| make())
    }

    /// The handler of each feed, by its number.
    pub(crate) fn handlers<G: FrameHandler<Item: Debug + 'static>>(
        self,
        make: impl FnMut(usize) -> G + 'static,
    ) -> SimulationBuilder<G> {
        assert!(self.judges.is_empty(), "set the handler before its rules");
        let show_item = Arc::new(show_item::<G::Item>);
        SimulationBuilder { handler: Box::new(make), judges: Vec::new(), show_item, options: self.options }
    }

    /// Options of each feed. The checker uses them too: retries are counted and waited for as the policy says, and a feed
    /// stops permanently if and only if the classification, which is called once more for each failure, says so.
    ///
    /// # Panics
    /// Panics if the options contradict each other.
    #[track_caller]
    pub fn config(mut self, config: impl Into<ConfigBuilder>) -> Self {
        self.options.config = config.into().build().unwrap_or_else(|error| panic!("{error}"));
        self
    }

    /// The longest delay of a retry policy with a function of your own: the bound of [`heal_after`](Self::heal_after) follows
    /// from it. A custom policy needs this, and the run fails if it gives a longer one.
    pub fn longest_delay(mut self, longest: Duration) -> Self {
        self.options.longest_delay = Some(longest);
        self
    }

    /// What the server does: one server for all connections.
    pub fn server(mut self, server: impl Server + 'static) -> Self {
        self.options.servers = Servers::Shared(Box::new(server));
        self
    }

    /// Makes a server for each attempt, so that its fields are the state of one connection.
    pub fn server_per_connection<S: Server + 'static>(
        mut self,
        mut make: impl FnMut() -> S + Send + 'static,
    ) -> Self {
        let make = Box::new(move || -> Box<dyn Server> { Box::new(make()) });
        self.options.servers = Servers::PerConnection { make, last: BTreeMap::new() };
        self
    }

    /// What goes wrong, and how often. Default: nothing.
    pub fn faults(mut self, faults: Faults) -> Self {
        self.options.faults = faults;
        self
    }

    /// Adds one fault at a time of your choice, beside those of [`faults`](Self::faults). A fault of an open connection strikes
    /// the one that is open then, or else the next to be opened; a fault of an attempt or of a new connection strikes the next
    /// of them. May be called several times.
    pub fn fault_at(mut self, after: Duration, kind: FaultKind) -> Self {
        self.options.faults_at.push((after, kind));
        self
    }

    /// What becomes of the server's replies, from the first on. Default: all are sent as the server says.
    pub fn answers(mut self, answers: impl IntoIterator<Item = Answer>) -> Self {
        self.options.answers = answers.into_iter().collect();
        self
    }

    /// Leaves [`FaultKind::ClockJump`] out of [`faults`](Self::faults), for rules that measure time. Default: no.
    pub fn steady_clock(mut self, steady: bool) -> Self {
        self.options.steady_clock = steady;
        self
    }

    /// How long frames take. Default: no time at all.
    pub fn network(mut self, network: Network) -> Self {
        self.options.network = network;
        self
    }

    /// Keeps only the faults with these [numbers](crate::InjectedFault::number). The same seed and numbers give the same run.
    /// [`shrink`](crate::shrink) finds the faults that matter.
    pub fn only_faults(mut self, numbers: impl IntoIterator<Item = u64>) -> Self {
        self.options.only_faults = Some(numbers.into_iter().collect());
        self
    }

    /// Takes the server down at `after`, for `span`: it resets all connections at the same instant, and accepts no others. May
    /// be called several times.
    pub fn outage(mut self, after: Duration, span: Duration) -> Self {
        self.options.outages.push((after, span));
        self
    }

    /// Fails the run if a feed dials more often than this.
    pub fn max_attempts(mut self, attempts: u64) -> Self {
        self.options.max_attempts = Some(attempts);
        self
    }

    /// How fast the consumer is. Default: prompt.
    pub fn pace(mut self, pace: Pace) -> Self {
        self.options.pace = pace;
        self
    }

    /// Length of the run in virtual time; then the feed is shut down. Default: 10 minutes.
    pub fn run_for(mut self, span: Duration) -> Self {
        self.options.run = span;
        self
    }

    /// Ends all faults at this time. The feed must then be Live within a bound that follows from its options, and stay Live; a
    /// longer outage delays that. [`run`](Self::run) panics unless retries are unlimited, and an idle timeout or pings find
    /// dead connections.
    pub fn heal_after(mut self, span: Duration) -> Self {
        self.options.heal = Some(span);
        self
    }

    /// Shuts the feed down at this time.
    pub fn shutdown_after(mut self, span: Duration) -> Self {
        self.options.shutdown = Some(span);
        self
    }

    /// Drops the feed at the first delivery after this time.
    pub fn drop_after(mut self, span: Duration) -> Self {
        self.options.abandon = Some(span);
        self
    }

    /// The application sends a message this often, whether or not the feed is Live.
    pub fn send_every(mut self, span: Duration) -> Self {
        self.options.send = Some(span);
        self
    }

    /// Changes the options.
    pub(crate) fn change(self, change: impl FnOnce(ConfigBuilder) -> ConfigBuilder) -> Self {
        let config = change(self.options.config.clone().into());
        self.config(config)
    }

    /// Tells the checker about the campaign's handler.
    pub(crate) fn with_rules(mut self, bootstrap: BootstrapRule, emission: Emission) -> Self {
        self.options.bootstrap = Some(bootstrap);
        self.options.emission = Some(emission);
        self
    }

    /// Drives the connection from the consumer's stream, without a task.
    pub fn inline(mut self, inline: bool) -> Self {
        self.options.inline = inline;
        self
    }

    /// Records what happens, in [`Report::trace`](crate::Report::trace), with payloads and items. Lines that
    /// come again are counted instead.
    pub fn trace(mut self, trace: bool) -> Self {
        self.options.trace = trace;
        self
    }

    /// How a trace shows the payloads of messages; 200 characters of them at most. Default: as text, and bytes that are not
    /// UTF-8 escaped.
    pub fn show(mut self, show: impl Fn(&Message) -> String + Send + Sync + 'static) -> Self {
        self.options.show = Arc::new(show);
        self
    }

    /// How a trace shows the handler's items; 200 characters of them at most. Default: by `Debug`, and
    /// messages like payloads.
    pub fn show_items(mut self, show: impl Fn(&H::Item) -> String + Send + Sync + 'static) -> Self {
        self.show_item = Arc::new(show);
        self
    }

    /// Adds a rule: it sees what reaches the handler, when connections become Live, and what the consumer takes. An error, or a
    /// panic, fails the run. In a fleet each feed has its own clone.
    ///
    /// A server that acknowledges late, and a rule that finds a handler which does not wait for it:
    ///
    /// ```
    /// use std::time::Duration;
    /// use tidegate_sim::{Observed, Peer, Server, Simulation};
    ///
    /// struct Late;
    ///
    /// impl Server for Late {
    ///     fn on_open(&mut self, peer: &mut Peer) {
    ///         peer.send_after(Duration::from_secs(1), "subscribed");
    ///     }
    /// }
    ///
    /// let mut subscribed = false;
    /// let report = Simulation::builder()
    ///     .server(Late)
    ///     .rule(move |observed, _| match observed {
    ///         Observed::Opened { .. } => Ok(subscribed = false),
    ///         Observed::Message { message, .. } => Ok(subscribed |= message.as_text() == Some("subscribed")),
    ///         Observed::Live { id } if !subscribed => Err(format!("ready: {id} is Live too early")),
    ///         _ => Ok(()),
    ///     })
    ///     .run();
    /// // `PassThrough` waits for nothing.
    /// assert_eq!(report.violation.unwrap().name(), "ready");
    /// ```
    pub fn rule(
        self,
        rule: impl FnMut(&Observed<'_, H::Item>, Timestamp) -> Result<(), String> + Clone + Send + 'static,
    ) -> Self {
        self.judges(move |_| Box::new(rule.clone()))
    }

    /// Adds a [rule](Self::rule) that sees the deliveries alone.
    pub fn on_delivery(
        self,
        rule: impl FnMut(&Delivery<H::Item>, Timestamp) -> Result<(), String> + Clone + Send + 'static,
    ) -> Self {
        self.judges(move |_| {
            let mut rule = rule.clone();
            Box::new(move |observed, now| match observed {
                Observed::Delivery(delivery) => rule(delivery, now),
                Observed::Opened { .. } | Observed::Message { .. } | Observed::Live { .. } => Ok(()),
            })
        })
    }

    /// Adds a rule for each feed, by its number.
    pub(crate) fn judges(mut self, make: impl FnMut(usize) -> Judge<H::Item> + 'static) -> Self {
        self.judges.push(Box::new(make));
        self
    }
}
