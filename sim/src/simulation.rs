//! One run: feeds, their consumers, a server, and what goes wrong between them.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use fastrand::Rng;
use tidegate_driver::core::{Config, ConfigBuilder, Delivery, FrameHandler, PassThrough, Timestamp};
use tidegate_driver::{FeedBuilder, FeedHandle};

use crate::check::{BootstrapRule, Checker, Delays, Emission, Fleet, Rules};
use crate::consumer::{Consumer, Judge, spawn_application};
use crate::entry::Entry;
use crate::fault::Faults;
use crate::injector::Injector;
use crate::journal::Journal;
use crate::pace::Pace;
use crate::report::Report;
use crate::run::Run;
use crate::runtime::SimRuntime;
use crate::saboteur::{Sabotaged, sabotaged};
use crate::server::{Server, Silent};
use crate::world::{Happening, Network, World};

/// Makes one for each feed, by its number.
type Maker<T> = Box<dyn FnMut(usize) -> T>;

/// A feed under test, with all that is around it.
#[derive(Debug)]
pub struct Simulation;

impl Simulation {
    /// Begins with a server that says nothing, a network without latency, and no faults.
    pub fn builder() -> SimulationBuilder<PassThrough> {
        SimulationBuilder {
            seed: 0,
            feeds: 1,
            handler: Box::new(|_| PassThrough),
            config: Config::default(),
            server: Box::new(Silent),
            faults: Faults::none(),
            network: Network::default(),
            pace: Pace::Prompt,
            times: Times {
                run: Duration::from_secs(600),
                heal: None,
                shutdown: None,
                abandon: None,
                send: None,
            },
            outages: Vec::new(),
            inline: false,
            trace: false,
            judge: None,
            longest_delay: None,
            only_faults: None,
            max_attempts: None,
            bootstrap: None,
            emission: None,
        }
    }
}

/// Puts a run together; [`run`](Self::run) runs it.
#[must_use]
pub struct SimulationBuilder<H: FrameHandler> {
    seed: u64,
    feeds: usize,
    pub(crate) handler: Maker<H>,
    pub(crate) config: Config,
    server: Box<dyn Server>,
    faults: Faults,
    network: Network,
    pace: Pace,
    times: Times,
    /// When, and for how long.
    outages: Vec<(Duration, Duration)>,
    inline: bool,
    trace: bool,
    judge: Option<Maker<Judge<H::Item>>>,
    longest_delay: Option<Duration>,
    only_faults: Option<BTreeSet<u64>>,
    max_attempts: Option<u64>,
    bootstrap: Option<BootstrapRule>,
    emission: Option<Emission>,
}

/// What happens when, from the start on.
#[derive(Clone, Copy)]
pub(crate) struct Times {
    run: Duration,
    heal: Option<Duration>,
    pub(crate) shutdown: Option<Duration>,
    pub(crate) abandon: Option<Duration>,
    /// Between messages of the application.
    pub(crate) send: Option<Duration>,
}

impl<H: FrameHandler> SimulationBuilder<H> {
    /// Everything random is drawn from it: the same seed gives the same run, to the byte.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// So many feeds of the same kind, against one server: a fleet. Every rule is judged for each of them; and after an
    /// [`outage`](Self::outage), if the back-off has full jitter, their attempts must not all come at once (R3).
    pub fn feeds(mut self, feeds: usize) -> Self {
        self.feeds = feeds;
        self
    }

    /// The handler under test; called once for each feed.
    pub fn handler<G: FrameHandler>(self, mut make: impl FnMut() -> G + 'static) -> SimulationBuilder<G> {
        self.handlers(move |_| make())
    }

    /// The handler of each feed, by its number.
    pub(crate) fn handlers<G: FrameHandler>(
        self,
        make: impl FnMut(usize) -> G + 'static,
    ) -> SimulationBuilder<G> {
        SimulationBuilder {
            seed: self.seed,
            feeds: self.feeds,
            handler: Box::new(make),
            config: self.config,
            server: self.server,
            faults: self.faults,
            network: self.network,
            pace: self.pace,
            times: self.times,
            outages: self.outages,
            inline: self.inline,
            trace: self.trace,
            judge: None,
            longest_delay: self.longest_delay,
            only_faults: self.only_faults,
            max_attempts: self.max_attempts,
            bootstrap: self.bootstrap,
            emission: self.emission,
        }
    }

    /// The options of each feed. The checker goes by them: retries are counted and waited for as the policy says, and a
    /// feed stops for good if and only if the classification says so, which is asked once more for each failure.
    ///
    /// # Panics
    /// If the options contradict each other.
    #[track_caller]
    pub fn config(mut self, config: impl Into<ConfigBuilder>) -> Self {
        self.config = config.into().build().unwrap_or_else(|error| panic!("{error}"));
        self
    }

    /// The longest delay that a custom retry policy gives: the run fails if it gives a longer one, and
    /// [`heal_after`](Self::heal_after) goes by it. A custom policy needs it.
    pub fn longest_delay(mut self, longest: Duration) -> Self {
        self.longest_delay = Some(longest);
        self
    }

    /// What the server does.
    pub fn server(mut self, server: impl Server + 'static) -> Self {
        self.server = Box::new(server);
        self
    }

    /// What goes wrong, and how often. Default: nothing.
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// How long frames take. Default: no time at all.
    pub fn network(mut self, network: Network) -> Self {
        self.network = network;
        self
    }

    /// Of the faults that the seed gives only those with these [numbers](crate::InjectedFault::number): with the same
    /// seed and the same numbers, the same run. [`shrink`](crate::shrink) finds those that matter.
    pub fn only_faults(mut self, numbers: impl IntoIterator<Item = u64>) -> Self {
        self.only_faults = Some(numbers.into_iter().collect());
        self
    }

    /// From `after` on, for this long, the server is down: all its connections are reset at the same instant, and it
    /// accepts no others. May be given several times.
    pub fn outage(mut self, after: Duration, span: Duration) -> Self {
        self.outages.push((after, span));
        self
    }

    /// Fails the run if a feed dials more often than this.
    pub fn max_attempts(mut self, attempts: u64) -> Self {
        self.max_attempts = Some(attempts);
        self
    }

    /// How fast the consumer is. Default: prompt.
    pub fn pace(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    /// How long it goes on, in virtual time; then the feed is shut down. Default: 10 minutes.
    pub fn run_for(mut self, span: Duration) -> Self {
        self.times.run = span;
        self
    }

    /// Ends all faults at this time; the feed must then be Live within a bound that follows from its options, and stay
    /// so. An outage that lasts longer delays that. It needs unlimited retries, and an idle timeout or pings to find dead
    /// connections with.
    pub fn heal_after(mut self, span: Duration) -> Self {
        self.times.heal = Some(span);
        self
    }

    /// Shuts the feed down at this time.
    pub fn shutdown_after(mut self, span: Duration) -> Self {
        self.times.shutdown = Some(span);
        self
    }

    /// Drops the feed at the first delivery after this time (S4).
    pub fn drop_after(mut self, span: Duration) -> Self {
        self.times.abandon = Some(span);
        self
    }

    /// The application sends a message this often, whether it can or not.
    pub fn send_every(mut self, span: Duration) -> Self {
        self.times.send = Some(span);
        self
    }

    /// Changes options that are possible to others that are.
    pub(crate) fn change(self, change: impl FnOnce(ConfigBuilder) -> ConfigBuilder) -> Self {
        let config = change(self.config.clone().into());
        self.config(config)
    }

    /// What is known of the handler of the campaign.
    pub(crate) fn with_rules(mut self, bootstrap: BootstrapRule, emission: Emission) -> Self {
        self.bootstrap = Some(bootstrap);
        self.emission = Some(emission);
        self
    }

    /// Drives the connection from the consumer's stream, without a task.
    pub fn inline(mut self, inline: bool) -> Self {
        self.inline = inline;
        self
    }

    /// Writes down what happens.
    pub fn trace(mut self, trace: bool) -> Self {
        self.trace = trace;
        self
    }

    /// Sees each delivery; an error fails the run. In a fleet each feed has a clone of its own.
    pub fn on_delivery(
        self,
        judge: impl FnMut(&Delivery<H::Item>, Timestamp) -> Result<(), String> + Clone + Send + 'static,
    ) -> Self {
        self.judges(move |_| Box::new(judge.clone()))
    }

    /// Who sees the deliveries of each feed, by its number.
    pub(crate) fn judges(mut self, make: impl FnMut(usize) -> Judge<H::Item> + 'static) -> Self {
        self.judge = Some(Box::new(make));
        self
    }
}

impl<H> SimulationBuilder<H>
where
    H: FrameHandler<Item: Send, Session: Send> + Send + 'static,
{
    /// Runs it to its end, or to the first rule that is broken.
    ///
    /// # Panics
    /// If the retry policy is custom, and no [`longest_delay`](Self::longest_delay) is given.
    pub fn run(self) -> Report {
        let rules = self.rules();
        let journal = self.journal(&rules);
        self.run_by(&rules, journal)
    }

    /// Runs it, judged by these rules.
    pub(crate) fn run_by(mut self, rules: &Rules, journal: Journal) -> Report {
        let mut rng = Rng::with_seed(self.seed);
        let injector = Injector::new(self.faults.clone(), self.only_faults.take(), rng.fork());
        let server = std::mem::replace(&mut self.server, Box::new(Silent));
        let world = World::new(self.feeds, rng.fork(), injector, self.network, server, journal);
        let runtime = SimRuntime::new(world);
        let (seed, times, outages) = (self.seed, self.times, std::mem::take(&mut self.outages));
        let rest = self.pace.longest_rest();
        let recovery = rules.recovery_bound() + rest + self.network.longest() * 20;
        let close_timeout = rules.config.close_timeout();
        // A panic in code under test is a finding, with its seed, like any other.
        let handles = catch_unwind(AssertUnwindSafe(|| {
            (0..self.feeds).map(|feed| self.start(&runtime.of_feed(feed), rng.fork())).collect()
        }));
        let mut run = Run::new(runtime, seed, handles.ok());
        outages.iter().for_each(|(after, span)| run.plan(*after, Happening::Outage(*span)));
        let mut end = times.run;
        if let Some(heal) = times.heal {
            let calm = outages.iter().map(|(after, span)| *after + *span).fold(heal, Duration::max);
            let bound = recovery + (calm - heal);
            run.plan(heal, Happening::Heal(bound));
            end = end.max(heal + bound * 2);
        }
        run.go(end);
        run.shut_down();
        // Whoever sleeps wakes up, and takes what is queued.
        run.go(end + close_timeout + rest + Duration::from_secs(120));
        run.report()
    }

    pub(crate) fn rules(&self) -> Rules {
        Rules {
            delays: Delays::new(&self.config, self.longest_delay),
            config: self.config.clone(),
            prompt: !self.inline || self.pace == Pace::Prompt,
            max_attempts: self.max_attempts,
            bootstrap: self.bootstrap,
            emission: self.emission,
        }
    }

    pub(crate) fn journal(&self, rules: &Rules) -> Journal {
        let checkers = (0..self.feeds).map(|_| Checker::new(rules));
        Journal::new(checkers, Fleet::new(rules, self.network.longest(), self.feeds), self.trace)
    }

    fn start(&mut self, runtime: &SimRuntime, mut rng: Rng) -> FeedHandle {
        let feed = runtime.feed;
        let classification = sabotaged(self.config.classification().clone(), runtime.clone());
        let config = ConfigBuilder::from(self.config.clone()).classification(classification);
        let (notices, resolver) = (runtime.clone(), runtime.clone());
        let builder = FeedBuilder::new(runtime.clone(), "ws://server.sim/")
            .config(config)
            .seed(rng.u64(..))
            .handler(Sabotaged::new((self.handler)(feed), runtime.clone()))
            .on_notice(move |notice, _| notices.record(&Entry::Notice(notice.clone())))
            .resolver(move |attempt| resolver.resolve(attempt));
        let judge = self.judge.as_mut().map(|make| make(feed));
        let consumer = Consumer::new(runtime.clone(), self.pace, rng, judge);
        let handle = if self.inline {
            let feed = builder.inline().expect("the options are checked");
            consumer.spawn(feed, self.times.abandon)
        } else {
            let feed = builder.spawn().expect("the options are checked");
            consumer.spawn(feed, self.times.abandon)
        };
        spawn_application(runtime, &handle, self.times);
        handle
    }
}
