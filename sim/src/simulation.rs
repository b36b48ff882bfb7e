//! Putting a run together: feeds, their consumers, a server, and what goes wrong between them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tidegate_driver::core::{Config, ConfigBuilder, Delivery, FrameHandler, Message, PassThrough, Timestamp};
use tidegate_driver::{FeedBuilder, FeedHandle};

use crate::check::{BootstrapRule, Checker, Delays, Emission, Fleet, Rules};
use crate::consumer::{Consumer, Judge, spawn_application};
use crate::fault::Faults;
use crate::injector::Injector;
use crate::journal::Journal;
use crate::pace::Pace;
use crate::report::Report;
use crate::run::Run;
use crate::runtime::SimRuntime;
use crate::saboteur::{Sabotaged, sabotaged};
use crate::server::{Server, Servers, Silent};
use crate::trace::{Show, Trace, show_message};
use crate::world::{Network, ScheduledEvent, World};

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
            judge: None,
            show_item: Arc::new(show_message),
            options: RunOptions {
                seed: 0,
                feeds: 1,
                config: Config::default(),
                servers: Servers::Shared(Box::new(Silent)),
                faults: Faults::none(),
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
    judge: Option<Maker<Judge<H::Item>>>,
    show_item: Show<H::Item>,
    pub(crate) options: RunOptions,
}

/// Options that do not depend on the handler. Times count from the start.
pub(crate) struct RunOptions {
    seed: u64,
    feeds: usize,
    pub(crate) config: Config,
    servers: Servers,
    faults: Faults,
    network: Network,
    pace: Pace,
    run: Duration,
    heal: Option<Duration>,
    shutdown: Option<Duration>,
    abandon: Option<Duration>,
    /// Between messages of the application.
    send: Option<Duration>,
    /// Start and length of each.
    outages: Vec<(Duration, Duration)>,
    inline: bool,
    trace: bool,
    show: Show<Message>,
    longest_delay: Option<Duration>,
    only_faults: Option<BTreeSet<u64>>,
    max_attempts: Option<u64>,
    bootstrap: Option<BootstrapRule>,
    emission: Option<Emission>,
}

impl<H: FrameHandler> SimulationBuilder<H> {
    /// Seed for everything random: the same seed gives the same run, byte for byte.
    pub fn seed(mut self, seed: u64) -> Self {
        self.options.seed = seed;
        self
    }

    /// Number of feeds of the same kind against one server: a fleet. Each is checked against every rule. After an
    /// [`outage`](Self::outage), with full jitter, they must not all dial at once (R3). Default: 1.
    pub fn feeds(mut self, feeds: usize) -> Self {
        self.options.feeds = feeds;
        self
    }

    /// Makes the handler under test; called once for each feed.
    pub fn handler<G: FrameHandler<Item: Debug>>(
        self,
        mut make: impl FnMut() -> G + 'static,
    ) -> SimulationBuilder<G> {
        self.handlers(move |_| make())
    }

    /// The handler of each feed, by its number.
    pub(crate) fn handlers<G: FrameHandler<Item: Debug>>(
        self,
        make: impl FnMut(usize) -> G + 'static,
    ) -> SimulationBuilder<G> {
        let show_item = Arc::new(|item: &G::Item| format!("{item:?}"));
        SimulationBuilder { handler: Box::new(make), judge: None, show_item, options: self.options }
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

    /// Drops the feed at the first delivery after this time (S4).
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

    /// Records what happens, in [`Report::trace`], with payloads and items. A line that comes again is counted instead.
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

    /// How a trace shows the handler's items; 200 characters of them at most. Default: by `Debug`.
    pub fn show_items(mut self, show: impl Fn(&H::Item) -> String + Send + Sync + 'static) -> Self {
        self.show_item = Arc::new(show);
        self
    }

    /// Checks each delivery; an error fails the run. In a fleet each feed has its own clone.
    pub fn on_delivery(
        self,
        judge: impl FnMut(&Delivery<H::Item>, Timestamp) -> Result<(), String> + Clone + Send + 'static,
    ) -> Self {
        self.judges(move |_| Box::new(judge.clone()))
    }

    /// Checks the deliveries of each feed, by its number.
    pub(crate) fn judges(mut self, make: impl FnMut(usize) -> Judge<H::Item> + 'static) -> Self {
        self.judge = Some(Box::new(make));
        self
    }
}

impl<H> SimulationBuilder<H>
where
    H: FrameHandler<Item: Send, Session: Send> + Send + 'static,
{
    /// Runs to the end, or to the first broken rule.
    ///
    /// # Panics
    /// Panics if the retry policy is custom and [`longest_delay`](Self::longest_delay) is not set, and if
    /// [`heal_after`](Self::heal_after) is called for a feed that need not recover.
    #[track_caller]
    pub fn run(self) -> Report {
        let rules = self.rules();
        if self.options.heal.is_some() {
            assert!(
                rules.config.retry().retries().is_none(),
                "heal_after needs unlimited retries: RetryPolicy::unlimited"
            );
            assert!(rules.detects_silence(), "heal_after needs idle_timeout or ping_interval");
        }
        let journal = self.journal(&rules);
        self.run_by(&rules, journal)
    }

    /// Runs, checked against these rules.
    pub(crate) fn run_by(mut self, rules: &Rules, journal: Journal) -> Report {
        let mut rng = Rng::with_seed(self.options.seed);
        let options = &mut self.options;
        let injector = Injector::new(options.faults.clone(), options.only_faults.take(), rng.fork());
        let servers = std::mem::replace(&mut options.servers, Servers::Shared(Box::new(Silent)));
        let outages = std::mem::take(&mut options.outages);
        let (seed, feeds, heal, mut end) = (options.seed, options.feeds, options.heal, options.run);
        let world = World::new(feeds, rng.fork(), injector, options.network, servers, journal);
        let runtime = SimRuntime::new(world);
        let rest = options.pace.longest_rest();
        let recovery = rules.recovery_bound() + rest + options.network.longest() * 20;
        let close_timeout = rules.config.close_timeout();
        // A panic in code under test fails the run like a broken rule.
        let handles = catch_unwind(AssertUnwindSafe(|| {
            (0..feeds).map(|feed| self.start(&runtime.of_feed(feed), rng.fork())).collect()
        }));
        let mut run = Run::new(runtime, seed, handles.ok());
        outages.iter().for_each(|(after, span)| run.schedule(*after, ScheduledEvent::Outage(*span)));
        if let Some(heal) = heal {
            let calm = outages.iter().map(|(after, span)| *after + *span).fold(heal, Duration::max);
            let bound = recovery + (calm - heal);
            run.schedule(heal, ScheduledEvent::Heal(bound));
            end = end.max(heal + bound * 2);
        }
        run.go(end);
        run.shut_down();
        // Consumers that sleep wake up, and take what is queued.
        run.go(end + close_timeout + rest + Duration::from_secs(120));
        run.report()
    }

    pub(crate) fn rules(&self) -> Rules {
        let options = &self.options;
        Rules {
            delays: Delays::new(&options.config, options.longest_delay),
            longest_delay: options.longest_delay,
            config: options.config.clone(),
            prompt: !options.inline || options.pace == Pace::Prompt,
            max_attempts: options.max_attempts,
            bootstrap: options.bootstrap,
            emission: options.emission,
        }
    }

    pub(crate) fn journal(&self, rules: &Rules) -> Journal {
        let options = &self.options;
        let checkers = (0..options.feeds).map(|_| Checker::new(rules));
        let fleet = Fleet::new(rules, options.network.longest(), options.feeds);
        let trace = options.trace.then(|| Trace::new(options.show.clone(), options.feeds));
        Journal::new(checkers, fleet, trace)
    }

    fn start(&mut self, runtime: &SimRuntime, mut rng: Rng) -> FeedHandle {
        let feed = runtime.feed;
        let classification = sabotaged(self.options.config.classification().clone(), runtime.clone());
        let config = ConfigBuilder::from(self.options.config.clone()).classification(classification);
        let (notices, resolver) = (runtime.clone(), runtime.clone());
        let builder = FeedBuilder::new(runtime.clone(), "ws://server.sim/")
            .config(config)
            .seed(rng.u64(..))
            .handler(Sabotaged::new((self.handler)(feed), runtime.clone()))
            .on_notice(move |notice, _| notices.notice(notice))
            .resolver(move |attempt| resolver.resolve(attempt));
        let judge = self.judge.as_mut().map(|make| make(feed));
        let show = self.options.trace.then(|| self.show_item.clone());
        let consumer = Consumer::new(runtime.clone(), self.options.pace, rng, judge, show);
        let handle = if self.options.inline {
            let feed = builder.inline().expect("the options are checked");
            consumer.spawn(feed, self.options.abandon)
        } else {
            let feed = builder.spawn().expect("the options are checked");
            consumer.spawn(feed, self.options.abandon)
        };
        spawn_application(runtime, &handle, self.options.send, self.options.shutdown);
        handle
    }
}
