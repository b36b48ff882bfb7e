//! One run: a feed, a consumer, a server, and what goes wrong between them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use fastrand::Rng;
use tidegate_driver::core::{Delivery, FrameHandler, PassThrough, Phase, Timestamp};
use tidegate_driver::{Attempt, Feed, FeedBuilder, FeedHandle, Source};

use crate::check::{BootstrapRule, Checker, Emission, Rules};
use crate::entry::{Consumed, Entry};
use crate::fault::Faults;
use crate::journal::Journal;
use crate::pace::Pace;
use crate::report::Report;
use crate::run::Run;
use crate::runtime::SimRuntime;
use crate::server::{Server, Silent};
use crate::settings::Settings;
use crate::world::{Network, World};

type Judge<T> = Box<dyn FnMut(&Delivery<T>, Timestamp) -> Result<(), String> + Send>;

/// A feed under test, with all that is around it.
#[derive(Debug)]
pub struct Simulation;

impl Simulation {
    /// Begins with a server that says nothing, a network without latency, and no faults.
    pub fn builder() -> SimulationBuilder<PassThrough> {
        SimulationBuilder {
            seed: 0,
            handler: PassThrough,
            settings: Settings::default(),
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
            inline: false,
            trace: false,
            judge: None,
            bootstrap: None,
            emission: None,
        }
    }
}

/// Puts a run together; [`run`](Self::run) runs it.
#[must_use]
pub struct SimulationBuilder<H: FrameHandler> {
    seed: u64,
    handler: H,
    settings: Settings,
    server: Box<dyn Server>,
    faults: Faults,
    network: Network,
    pace: Pace,
    times: Times,
    inline: bool,
    trace: bool,
    judge: Option<Judge<H::Item>>,
    bootstrap: Option<BootstrapRule>,
    emission: Option<Emission>,
}

/// What happens when, from the start on.
#[derive(Clone, Copy)]
struct Times {
    run: Duration,
    heal: Option<Duration>,
    shutdown: Option<Duration>,
    abandon: Option<Duration>,
    /// Between messages of the application.
    send: Option<Duration>,
}

impl<H: FrameHandler> SimulationBuilder<H> {
    /// Everything random is drawn from it: the same seed gives the same run, to the byte.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The handler under test.
    pub fn handler<G: FrameHandler>(self, make: impl FnOnce() -> G) -> SimulationBuilder<G> {
        SimulationBuilder {
            seed: self.seed,
            handler: make(),
            settings: self.settings,
            server: self.server,
            faults: self.faults,
            network: self.network,
            pace: self.pace,
            times: self.times,
            inline: self.inline,
            trace: self.trace,
            judge: None,
            bootstrap: self.bootstrap,
            emission: self.emission,
        }
    }

    /// The options of the feed.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
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
    /// so. It needs unlimited retries, and an idle timeout or pings to find dead connections with.
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

    /// Sees each delivery; an error fails the run.
    pub fn on_delivery(
        mut self,
        judge: impl FnMut(&Delivery<H::Item>, Timestamp) -> Result<(), String> + Send + 'static,
    ) -> Self {
        self.judge = Some(Box::new(judge));
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
    /// If the settings are impossible.
    pub fn run(mut self) -> Report {
        let mut rng = Rng::with_seed(self.seed);
        let rules = Rules {
            settings: self.settings.clone(),
            prompt: !self.inline || self.pace == Pace::Prompt,
            bootstrap: self.bootstrap,
            emission: self.emission,
        };
        let journal = Journal::new(Checker::new(&rules), self.trace);
        let server = std::mem::replace(&mut self.server, Box::new(Silent));
        let world = World::new(rng.fork(), self.faults.clone(), self.network, server, journal);
        let runtime = SimRuntime::new(world);
        let (seed, times) = (self.seed, self.times);
        let recovery =
            self.settings.recovery_bound() + self.pace.longest_rest() + self.network.longest() * 20;
        let close_timeout = self.settings.close_timeout;
        // A panic in code under test is a finding, with its seed, like any other.
        let handle = catch_unwind(AssertUnwindSafe(|| self.start(&runtime, rng)));
        let mut run = Run::new(runtime, seed, handle.ok());
        if let Some(heal) = times.heal {
            run.heal_after(heal, recovery);
        }
        let end = times.heal.map_or(times.run, |heal| times.run.max(heal + recovery * 2));
        run.go(end);
        run.shut_down();
        // Whoever sleeps wakes up, and takes what is queued.
        run.go(end + close_timeout + Duration::from_secs(120));
        run.report()
    }

    fn start(self, runtime: &SimRuntime, mut rng: Rng) -> FeedHandle {
        let world = runtime.world.clone();
        let notices = runtime.world.clone();
        let builder = FeedBuilder::new(runtime.clone(), "ws://server.sim/")
            .config(self.settings.config())
            .seed(rng.u64(..))
            .handler(self.handler)
            .on_notice(move |notice, _| notices.record(&Entry::Notice(notice.clone())))
            .resolver(move |Attempt { id, request }: Attempt| {
                let announced: Result<(), &str> = world.state().announce(id);
                async move { announced.map(|()| request) }
            });
        let consumer =
            Consumer { runtime: runtime.clone(), pace: self.pace, rng, judge: self.judge, items: 0 };
        let handle = if self.inline {
            let feed = builder.inline().expect("the settings are possible");
            consumer.spawn(feed, self.times.abandon)
        } else {
            let feed = builder.spawn().expect("the settings are possible");
            consumer.spawn(feed, self.times.abandon)
        };
        spawn_application(runtime, &handle, self.times);
        handle
    }
}

fn spawn_application(runtime: &SimRuntime, handle: &FeedHandle, times: Times) {
    use tidegate_driver::Spawn;
    if let Some(span) = times.send {
        let (sender, handle) = (runtime.clone(), handle.clone());
        runtime.spawn(async move {
            for number in 0_u64.. {
                sender.sleep(span).await;
                if handle.phase() == Phase::Stopped {
                    return;
                }
                sender.world.record(&Entry::Ordered { number });
                let _ = handle.send(format!("app {number}")).await;
            }
        });
    }
    if let Some(span) = times.shutdown {
        let (clock, handle) = (runtime.clone(), handle.clone());
        runtime.spawn(async move {
            clock.sleep(span).await;
            clock.world.record(&Entry::Shutdown);
            handle.shutdown();
        });
    }
}

struct Consumer<T> {
    runtime: SimRuntime,
    pace: Pace,
    rng: Rng,
    judge: Option<Judge<T>>,
    items: u64,
}

impl<T: Send + 'static> Consumer<T> {
    fn spawn<S>(mut self, mut feed: Feed<S>, abandon: Option<Duration>) -> FeedHandle
    where
        S: Source<Item = T> + Send + 'static,
    {
        use tidegate_driver::Spawn;
        let handle = feed.handle();
        let runtime = self.runtime.clone();
        runtime.spawn(async move {
            let world = self.runtime.world.clone();
            while let Some(next) = feed.recv().await {
                match next {
                    Ok(delivery) => {
                        if let Some(rest) = self.take(&delivery) {
                            world.state().consumer_waits = false;
                            self.runtime.sleep(rest).await;
                            world.state().consumer_waits = true;
                        }
                    }
                    Err(reason) => {
                        let next = feed.recv().await;
                        world.record(&Entry::Ended { reason: Some(reason) });
                        if next.is_some() {
                            world
                                .state()
                                .journal
                                .violate(Timestamp::ZERO, "S3: more after the end".to_owned());
                        }
                        return;
                    }
                }
                let elapsed = world.now().saturating_since(Timestamp::ZERO);
                if abandon.is_some_and(|span| elapsed >= span) {
                    let mut state = world.state();
                    state.consumer_waits = false;
                    state.record(&Entry::Abandoned);
                    return;
                }
            }
            world.record(&Entry::Ended { reason: None });
        });
        handle
    }

    /// Looks at a delivery, and says for how long to rest after it.
    fn take(&mut self, delivery: &Delivery<T>) -> Option<Duration> {
        let world = &self.runtime.world;
        let consumed = Consumed::from(delivery);
        let mut state = world.state();
        state.record(&Entry::Consumed(consumed));
        let (now, healed) = (state.now, state.healed);
        drop(state);
        if let Some(judge) = &mut self.judge
            && let Err(rule) = judge(delivery, now)
        {
            world.state().journal.violate(now, rule);
        }
        if consumed != Consumed::Item || healed {
            return None;
        }
        self.items += 1;
        self.pace.rest(self.items, &mut self.rng)
    }
}
