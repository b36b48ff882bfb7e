//! Runs made of bytes, for fuzzers: what the server says and when, and what goes wrong.

use std::collections::VecDeque;
use std::time::Duration;

use arbitrary::{Arbitrary, Result, Unstructured};
use tidegate_driver::core::{Config, FrameHandler, Message, RetryPolicy, StopReason};

use crate::fault::FaultKind;
use crate::pace::Pace;
use crate::report::Report;
use crate::scenario::{Answer, Scenario};
use crate::server::{Peer, Server};
use crate::simulation::{Simulation, SimulationBuilder};
use crate::world::Network;

/// At most so many faults and answers.
const MOST: usize = 8;

/// Lines of a failure's trace.
const LINES: usize = 60;

/// Runs a handler against a server that says what the bytes say, with faults at times that they choose. The same bytes give
/// the same run.
///
/// This is all that a target of [cargo-fuzz](https://rust-fuzz.github.io/book/cargo-fuzz.html) needs:
///
/// ```
/// # use tidegate_sim::core::PassThrough;
/// # let data: &[u8] = &[0; 64];
/// // fuzz_target!(|data: &[u8]| {
/// tidegate_sim::fuzz(data, || PassThrough);
/// // });
/// ```
///
/// # Panics
/// Panics if the handler panics or a rule of tidegate's design is broken: with what the bytes stood for, and the end of the trace.
/// For rules of your own see [`Simulation::fuzz`].
#[track_caller]
pub fn fuzz<H>(data: &[u8], handler: impl FnMut() -> H + Clone + 'static)
where
    H: FrameHandler<Item: std::fmt::Debug + Send, Session: Send> + Send + 'static,
{
    let config = Config::builder()
        .retry(RetryPolicy::fixed(Duration::from_secs(1)).unlimited())
        .idle_timeout(Duration::from_secs(30));
    Simulation::fuzz(data, || Simulation::builder().config(config.clone()).handler(handler.clone()));
}

impl Simulation {
    /// Like [`fuzz()`], for a simulation with options and rules of your own. The bytes replace its server, pace, network and
    /// length.
    ///
    /// # Panics
    /// Panics as [`fuzz()`] does, and if a rule of your own is broken.
    #[track_caller]
    pub fn fuzz<H>(data: &[u8], mut make: impl FnMut() -> SimulationBuilder<H>)
    where
        H: FrameHandler<Item: Send, Session: Send> + Send + 'static,
    {
        // Too few bytes are no input.
        let Ok(input) = Input::arbitrary_take_rest(Unstructured::new(data)) else { return };
        let mut run = |trace| input.given_to(make()).trace(trace).run();
        if failure(&run(false)).is_some() {
            let report = run(true);
            let from = report.trace.len().saturating_sub(LINES);
            let failure = failure(&report).unwrap_or_else(|| "a run that is not the same again".to_owned());
            panic!("{failure}\n{input:#?}\nIts last lines:\n{}", report.trace[from..].join("\n"));
        }
    }
}

fn failure(report: &Report) -> Option<String> {
    let panicked = report.feeds.iter().any(|feed| feed.stopped == Some(StopReason::HandlerPanicked));
    let broken = report.violation.as_ref().map(|violation| format!("a rule is broken {violation}"));
    broken.or_else(|| panicked.then(|| "the handler panicked".to_owned()))
}

#[derive(Arbitrary, Debug)]
struct Input {
    scenario: Scenario,
    steps: Vec<Step>,
}

impl Input {
    fn given_to<H: FrameHandler>(&self, simulation: SimulationBuilder<H>) -> SimulationBuilder<H> {
        let span: Duration = self.steps.iter().map(|step| step.after).sum();
        let script = Script(self.steps.iter().cloned().collect());
        simulation.server(script).scenario(&self.scenario).run_for(span + Duration::from_secs(30))
    }
}

/// One thing that the server does, so long after the one before it.
#[derive(Clone, Debug)]
struct Step {
    after: Duration,
    what: What,
}

#[derive(Arbitrary, Clone, Debug)]
enum What {
    Text(String),
    Binary(Vec<u8>),
    Ping,
    Close,
    Reset,
    Fin,
}

impl<'a> Arbitrary<'a> for Step {
    fn arbitrary(input: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self { after: span(input)?, what: input.arbitrary()? })
    }
}

impl<'a> Arbitrary<'a> for Scenario {
    fn arbitrary(input: &mut Unstructured<'a>) -> Result<Self> {
        let kinds: Vec<_> = FaultKind::ALL.into_iter().filter(|kind| !kind.is_fatal()).collect();
        let faults = several(input, |input| Ok((span(input)?, *input.choose(&kinds)?)))?;
        let answers = several(input, |input| {
            Ok(match input.int_in_range(0..=3)? {
                0 => Answer::Sent,
                1 => Answer::Late(span(input)?),
                2 => Answer::Lost,
                _ => Answer::Twice,
            })
        })?;
        // Mostly prompt.
        let pace = match input.int_in_range(0..=7)? {
            0 => Pace::Slow(span(input)?),
            1 => Pace::Bursty { items: input.int_in_range(1..=50)?, rest: span(input)? },
            2 => Pace::Stopping(span(input)?),
            _ => Pace::Prompt,
        };
        let millis = |input: &mut Unstructured<'_>| Ok(Duration::from_millis(input.int_in_range(0..=200)?));
        let network = Network::default().latency(millis(input)?).jitter(millis(input)?);
        Ok(Self { faults, answers, pace, network })
    }
}

fn several<'a, T>(
    input: &mut Unstructured<'a>,
    mut one: impl FnMut(&mut Unstructured<'a>) -> Result<T>,
) -> Result<Vec<T>> {
    (0..input.int_in_range(0..=MOST)?).map(|_| one(input)).collect()
}

/// Up to a minute, and more often than not a few seconds.
fn span(input: &mut Unstructured<'_>) -> Result<Duration> {
    Ok(Duration::from_millis(u64::from(input.arbitrary::<u8>()?).pow(2)))
}

/// Does one step after the other, on whatever connection is open.
struct Script(VecDeque<Step>);

impl Script {
    fn wait(&self, peer: &mut Peer) {
        match self.0.front() {
            Some(step) => peer.tick_every(step.after),
            None => peer.stop_ticking(),
        }
    }
}

impl Server for Script {
    fn on_open(&mut self, peer: &mut Peer) {
        self.wait(peer);
    }

    fn on_tick(&mut self, peer: &mut Peer) {
        match self.0.pop_front().map(|step| step.what) {
            Some(What::Text(text)) => peer.send(text),
            Some(What::Binary(bytes)) => peer.send(Message::Binary(bytes.into())),
            Some(What::Ping) => peer.ping(),
            Some(What::Close) => peer.close(Some(1001)),
            Some(What::Reset) => peer.reset(),
            Some(What::Fin) => peer.fin(),
            None => {}
        }
        self.wait(peer);
    }
}
