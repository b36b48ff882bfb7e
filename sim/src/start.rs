//! Starts a run: its world, its feeds, their consumers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use fastrand::Rng;
use tidegate_driver::core::{ConfigBuilder, FrameHandler, Notice};
use tidegate_driver::{FeedBuilder, FeedHandle};

use crate::check::{Checker, Delays, Fleet, Rules};
use crate::consumer::{Consumer, spawn_application};
use crate::fault::FaultKind;
use crate::injector::Injector;
use crate::journal::Journal;
use crate::pace::Pace;
use crate::report::Report;
use crate::rule::{Judges, Observed};
use crate::run::Run;
use crate::runtime::SimRuntime;
use crate::saboteur::{Sabotaged, sabotaged};
use crate::server::{Servers, Silent};
use crate::simulation::SimulationBuilder;
use crate::trace::Trace;
use crate::world::{ScheduledEvent, World};

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
        if options.steady_clock {
            options.faults = options.faults.clone().weight(FaultKind::ClockJump, 0);
        }
        let mut injector = Injector::new(options.faults.clone(), options.only_faults.take(), rng.fork());
        injector.plan(options.seed, &options.faults_at);
        let (planned, answers) = (injector.times(), std::mem::take(&mut options.answers));
        let servers = std::mem::replace(&mut options.servers, Servers::Shared(Box::new(Silent)));
        let outages = std::mem::take(&mut options.outages);
        let (seed, feeds, heal, mut end) = (options.seed, options.feeds, options.heal, options.run);
        let world = World::new(feeds, rng.fork(), injector, options.network, servers, journal);
        world.state().answers = answers.into();
        planned.into_iter().for_each(|at| world.state().schedule(at, ScheduledEvent::PlannedFault));
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
        let judges = self.judges.iter_mut().map(|make| make(feed)).collect();
        let judges = Judges::new(judges, runtime.clone());
        let classification = sabotaged(self.options.config.classification().clone(), runtime.clone());
        let config = ConfigBuilder::from(self.options.config.clone()).classification(classification);
        let (notices, live, resolver) = (runtime.clone(), judges.clone(), runtime.clone());
        let builder = FeedBuilder::new(runtime.clone(), "ws://server.sim/")
            .config(config)
            .seed(rng.u64(..))
            .handler(Sabotaged::new((self.handler)(feed), judges.clone(), runtime.clone()))
            .on_notice(move |notice, _| {
                notices.notice(notice);
                if let Notice::Success { id } = notice {
                    live.see(&Observed::Live { id: *id });
                }
            })
            .resolver(move |attempt| resolver.resolve(attempt));
        let show = self.options.trace.then(|| self.show_item.clone());
        let consumer = Consumer::new(runtime.clone(), self.options.pace, rng, judges, show);
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
