//! What goes wrong in one run, written down: for tests that choose it themselves, and for tools that shrink it.

use std::time::Duration;

use tidegate_driver::core::FrameHandler;

use crate::fault::FaultKind;
use crate::pace::Pace;
use crate::simulation::SimulationBuilder;
use crate::world::Network;

/// What becomes of a reply of the server's: of what it sends from [`Server::on_message`](crate::Server::on_message).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// It is sent as the server says.
    #[default]
    Sent,
    /// It is sent this much later.
    Late(Duration),
    /// It is never sent.
    Lost,
    /// It is sent twice.
    Twice,
}

/// Everything around a handler that may be bad, in one value.
///
/// The feature `proptest` has strategies for scenarios.
///
/// ```
/// use std::time::Duration;
/// use tidegate_sim::core::{Config, RetryPolicy};
/// use tidegate_sim::{FaultKind, Scenario, Simulation};
///
/// let seconds = Duration::from_secs;
/// let mut scenario = Scenario::default();
/// scenario.faults = vec![(seconds(5), FaultKind::Reset), (seconds(5), FaultKind::Refused)];
/// let config = Config::builder().retry(RetryPolicy::fixed(seconds(1)).unlimited());
/// let report = Simulation::builder().config(config).scenario(&scenario).run();
/// report.assert_ok();
/// assert_eq!((report.stats.connections, report.stats.attempts), (2, 3));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Scenario {
    /// Faults, as [`fault_at`](SimulationBuilder::fault_at) takes them.
    pub faults: Vec<(Duration, FaultKind)>,
    /// What becomes of the server's replies, from the first on. Those after these are sent as the server says.
    pub answers: Vec<Answer>,
    /// How fast the consumer is.
    pub pace: Pace,
    /// How long frames take.
    pub network: Network,
}

impl<H: FrameHandler> SimulationBuilder<H> {
    /// Adds the faults of a scenario, and sets its answers, pace and network.
    pub fn scenario(mut self, scenario: &Scenario) -> Self {
        for (after, kind) in &scenario.faults {
            self = self.fault_at(*after, *kind);
        }
        self.answers(scenario.answers.iter().copied()).pace(scenario.pace).network(scenario.network)
    }
}
