//! Runs made of bytes, for fuzzers: what the server says and when, and what goes wrong.

use std::collections::VecDeque;
use std::time::Duration;

use arbitrary::{Result, Unstructured};
use tidegate_driver::core::{Config, FrameHandler, Message, RetryPolicy, StopReason};

use crate::fault::FaultKind;
use crate::pace::Pace;
use crate::report::Report;
use crate::server::{Peer, Server};
use crate::simulation::{Simulation, SimulationBuilder};
use crate::world::Network;

/// At most so many steps and faults.
const MOST_STEPS: usize = 300;

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
        let Ok(input) = Input::read(Unstructured::new(data)) else { return };
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

/// What the bytes stand for.
#[derive(Debug, Default)]
struct Input {
    pace: Pace,
    network: Network,
    faults: Vec<(Duration, FaultKind)>,
    steps: Vec<Step>,
    /// Of all steps and faults.
    span: Duration,
}

/// One thing that the server does, so long after the one before it.
#[derive(Clone, Debug)]
struct Step {
    after: Duration,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Text(String),
    Binary(Vec<u8>),
    Ping,
    Close,
    Reset,
    Fin,
}

impl Input {
    /// One byte after the other, so that a fuzzer's change of one changes little.
    fn read(mut bytes: Unstructured<'_>) -> Result<Self> {
        let mut input = Self { pace: pace(&mut bytes)?, network: network(&mut bytes)?, ..Self::default() };
        let mut after = Duration::ZERO;
        for _ in 0..MOST_STEPS {
            if bytes.is_empty() {
                break;
            }
            let span = span(&mut bytes)?;
            input.span += span;
            after += span;
            let what = match bytes.int_in_range(0..=15)? {
                0..=7 => What::Text(String::from_utf8_lossy(&payload(&mut bytes)?).into_owned()),
                8 => What::Binary(payload(&mut bytes)?),
                9 => What::Ping,
                10 => What::Close,
                11 => What::Reset,
                12 => What::Fin,
                _ => {
                    input.faults.push((input.span, fault(&mut bytes)?));
                    continue;
                }
            };
            input.steps.push(Step { after: std::mem::take(&mut after), what });
        }
        Ok(input)
    }

    fn given_to<H: FrameHandler>(&self, simulation: SimulationBuilder<H>) -> SimulationBuilder<H> {
        let script = Script(self.steps.iter().cloned().collect());
        let simulation = simulation.server(script).pace(self.pace).network(self.network);
        let simulation = simulation.run_for(self.span + Duration::from_secs(30));
        self.faults.iter().fold(simulation, |simulation, (at, kind)| simulation.fault_at(*at, *kind))
    }
}

/// Up to a minute, and more often than not a few seconds.
fn span(bytes: &mut Unstructured<'_>) -> Result<Duration> {
    Ok(Duration::from_millis(u64::from(bytes.arbitrary::<u8>()?).pow(2)))
}

fn payload(bytes: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let len = usize::from(bytes.arbitrary::<u8>()?).min(bytes.len());
    bytes.bytes(len).map(<[u8]>::to_vec)
}

fn fault(bytes: &mut Unstructured<'_>) -> Result<FaultKind> {
    let kinds: Vec<_> = FaultKind::ALL.into_iter().filter(|kind| !kind.is_fatal()).collect();
    bytes.choose(&kinds).copied()
}

/// Mostly prompt.
fn pace(bytes: &mut Unstructured<'_>) -> Result<Pace> {
    Ok(match bytes.int_in_range(0..=15)? {
        13 => Pace::Slow(span(bytes)?),
        14 => Pace::Bursty { items: bytes.int_in_range(1..=50)?, rest: span(bytes)? },
        15 => Pace::Stopping(span(bytes)?),
        _ => Pace::Prompt,
    })
}

fn network(bytes: &mut Unstructured<'_>) -> Result<Network> {
    let latency = Duration::from_millis(bytes.arbitrary::<u8>()?.into());
    Ok(Network::default().latency(latency).jitter(Duration::from_millis(bytes.arbitrary::<u8>()?.into())))
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
