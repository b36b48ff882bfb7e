//! What goes wrong, and when.

use std::fmt;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::hub::Hub;

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Connections end in a TCP reset.
    Reset {
        /// With half a trade on the wire.
        mid_frame: bool,
    },
    /// Connections stay open, and not a byte is sent or read on them any more.
    Silence,
    /// Connections are cut off, and the next upgrades get 503 with `Retry-After: 1`.
    RefuseUpgrade {
        /// How many upgrades, for each connection cut off.
        times: u32,
    },
    /// Connections get Close 1012 (service restart); new ones are welcome.
    CloseAndReopen,
    /// A burst of trades, as fast as the socket takes them.
    Flood {
        /// How many.
        trades: u64,
    },
}

/// The kinds of fault, for tables and counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum FaultKind {
    /// [`Fault::Reset`].
    Reset,
    /// [`Fault::Silence`].
    Silence,
    /// [`Fault::RefuseUpgrade`].
    RefuseUpgrade,
    /// [`Fault::CloseAndReopen`].
    CloseAndReopen,
    /// [`Fault::Flood`].
    Flood,
}

/// A fault and when it is due, counted from the start of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Planned {
    /// Since the start.
    pub(crate) at: Duration,
    /// What.
    pub(crate) fault: Fault,
}

/// Faults in a seeded order and spacing: the same seed and the same length give the same list. Every kind
/// occurs once before any occurs again.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    dice: fastrand::Rng,
    bag: Vec<FaultKind>,
    last: Option<FaultKind>,
    slot: Duration,
    next_slot: u32,
    slots: Option<u32>,
    quiet_from: Option<Duration>,
}

impl Fault {
    /// Which kind it is.
    pub(crate) fn kind(self) -> FaultKind {
        match self {
            Self::Reset { .. } => FaultKind::Reset,
            Self::Silence => FaultKind::Silence,
            Self::RefuseUpgrade { .. } => FaultKind::RefuseUpgrade,
            Self::CloseAndReopen => FaultKind::CloseAndReopen,
            Self::Flood { .. } => FaultKind::Flood,
        }
    }
}

impl FaultKind {
    /// Every kind.
    pub(crate) const ALL: [Self; 5] =
        [Self::Reset, Self::Silence, Self::RefuseUpgrade, Self::CloseAndReopen, Self::Flood];

    /// Whether it ends connections, so that there is something to recover from.
    pub(crate) fn disconnects(self) -> bool {
        match self {
            Self::Reset | Self::Silence | Self::RefuseUpgrade | Self::CloseAndReopen => true,
            Self::Flood => false,
        }
    }

    fn draw(self, dice: &mut fastrand::Rng) -> Fault {
        match self {
            Self::Reset => Fault::Reset { mid_frame: dice.bool() },
            Self::Silence => Fault::Silence,
            Self::RefuseUpgrade => Fault::RefuseUpgrade { times: 1 },
            Self::CloseAndReopen => Fault::CloseAndReopen,
            Self::Flood => Fault::Flood { trades: 20_000 },
        }
    }
}

impl Schedule {
    /// Free of faults, for clients to arrive.
    const LEAD: Duration = Duration::from_millis(800);
    /// Free of faults at the end, so that the run ends in recovery.
    const TAIL: Duration = Duration::from_millis(2500);
    /// The least time between two faults: a refusal alone takes a second to get over.
    const MIN_GAP: Duration = Duration::from_millis(1200);
    /// The least a fault and what follows it takes of a run, when there is little time.
    const TIGHT: Duration = Duration::from_millis(1300);
    /// The same when there is enough.
    const EASY: Duration = Duration::from_millis(1600);

    /// For a run of that length. One of 10 s or more sees every kind, one under 4.6 s none.
    pub(crate) fn for_run(seed: u64, duration: Duration) -> Self {
        let quiet_from = duration.saturating_sub(Self::TAIL);
        let window = quiet_from.saturating_sub(Self::LEAD);
        let fit = |slot: Duration| u32::try_from(window.as_millis() / slot.as_millis()).unwrap_or(u32::MAX);
        let kinds = FaultKind::ALL.len() as u32;
        let slots = fit(Self::EASY).max(fit(Self::TIGHT).min(kinds));
        Self::new(seed, window / slots.max(1), Some(slots), Some(quiet_from))
    }

    /// Without end, one fault in each `pace` (1.3 s at least).
    pub(crate) fn endless(seed: u64, pace: Duration) -> Self {
        Self::new(seed, pace.max(Self::TIGHT), None, None)
    }

    /// When the last faults are over, counted from the start; never, for one without end.
    pub(crate) fn quiet_from(&self) -> Option<Duration> {
        self.quiet_from
    }

    fn new(seed: u64, slot: Duration, slots: Option<u32>, quiet_from: Option<Duration>) -> Self {
        let dice = fastrand::Rng::with_seed(seed);
        Self { dice, bag: Vec::new(), last: None, slot, next_slot: 0, slots, quiet_from }
    }

    fn kind(&mut self) -> Option<FaultKind> {
        if self.bag.is_empty() {
            self.bag.extend(FaultKind::ALL);
            self.dice.shuffle(&mut self.bag);
            // Drawn from the back: never twice the same in a row across two bags.
            if self.bag.last().copied() == self.last {
                self.bag.reverse();
            }
        }
        self.last = self.bag.pop();
        self.last
    }
}

impl Iterator for Schedule {
    type Item = Planned;

    fn next(&mut self) -> Option<Planned> {
        if self.slots.is_some_and(|slots| self.next_slot >= slots) {
            return None;
        }
        let fault = self.kind()?.draw(&mut self.dice);
        let room = self.slot.saturating_sub(Self::MIN_GAP);
        let at = Self::LEAD + self.slot * self.next_slot + room.mul_f64(self.dice.f64());
        self.next_slot = self.next_slot.checked_add(1)?;
        Some(Planned { at, fault })
    }
}

/// Does the faults of a schedule when they are due. Never ends.
pub(super) async fn inject(hub: &Hub, schedule: Option<Schedule>) {
    if let Some(schedule) = schedule {
        follow(hub, schedule).await;
    }
    std::future::pending().await
}

/// A fault that is due while nobody is subscribed would test nothing: it waits, in a run with an end until
/// the quiet at the end, in one without for as long as it takes, and all that follow move with it.
async fn follow(hub: &Hub, schedule: Schedule) {
    let mut origin = Instant::now();
    let quiet_from = schedule.quiet_from().map(|quiet| origin + quiet);
    let mut earliest = origin;
    for planned in schedule {
        sleep_until(earliest.max(origin + planned.at)).await;
        match quiet_from {
            Some(quiet) => {
                let somebody = timeout_at(quiet, audience(hub)).await.is_ok();
                // The one before may have been late enough for this one to be due in the quiet.
                if !somebody || Instant::now() >= quiet {
                    return;
                }
            }
            None => {
                audience(hub).await;
                origin = origin.max(Instant::now().checked_sub(planned.at).unwrap_or(origin));
            }
        }
        hub.inject(planned.fault);
        earliest = Instant::now() + Schedule::MIN_GAP;
    }
}

/// Waits until somebody is subscribed, and has been for long enough that its recovery is seen as one.
async fn audience(hub: &Hub) {
    const SETTLE: Duration = Duration::from_millis(250);
    let mut subscribers = hub.subscribers();
    while *subscribers.borrow_and_update() == 0 {
        if subscribers.changed().await.is_err() {
            return;
        }
        sleep(SETTLE).await;
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Reset => "reset",
            Self::Silence => "silence",
            Self::RefuseUpgrade => "refused upgrade",
            Self::CloseAndReopen => "close and reopen",
            Self::Flood => "flood",
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reset { mid_frame: false } | Self::Silence => self.kind().fmt(out),
            Self::Reset { mid_frame: true } => out.write_str("reset in the middle of a frame"),
            Self::RefuseUpgrade { times } => {
                write!(out, "cut off, and {times} upgrade(s) refused with 503, Retry-After: 1")
            }
            Self::CloseAndReopen => out.write_str("close (1012, service restart) and reopen"),
            Self::Flood { trades } => write!(out, "flood of {trades} trades"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::mpsc;

    use super::super::Options;
    use super::super::hub::Seat;
    use super::*;

    fn secs(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn a_seed_gives_one_schedule() {
        let list = |seed| Schedule::for_run(seed, secs(20)).collect::<Vec<_>>();
        assert_eq!(list(1), list(1));
        assert!((2..20).all(|seed| list(seed) != list(1)));
    }

    #[test]
    fn ten_seconds_see_every_kind_and_end_in_quiet() {
        for seed in 0..200 {
            for length in [10, 12, 20, 60] {
                let schedule = Schedule::for_run(seed, secs(length));
                let quiet = schedule.quiet_from().unwrap();
                assert!(secs(length) - quiet >= Schedule::TAIL);
                let list: Vec<_> = schedule.collect();
                for kind in FaultKind::ALL {
                    let first = list.iter().take(5).filter(|planned| planned.fault.kind() == kind).count();
                    assert_eq!(first, 1, "{kind}, seed {seed}, {length} s");
                }
                assert!(list[0].at >= Schedule::LEAD);
                assert!(list.last().unwrap().at <= quiet);
                for pair in list.windows(2) {
                    assert!(pair[1].at - pair[0].at >= Schedule::MIN_GAP, "seed {seed}, {length} s");
                    assert_ne!(pair[1].fault.kind(), pair[0].fault.kind(), "seed {seed}, {length} s");
                }
            }
        }
    }

    #[test]
    fn twenty_seconds_see_every_kind_twice() {
        assert_eq!(Schedule::for_run(3, secs(20)).count(), 10);
    }

    #[test]
    fn seeds_vary_order_and_spacing() {
        let first = |seed| Schedule::for_run(seed, secs(20)).next().unwrap();
        let kinds: std::collections::HashSet<_> = (0..50).map(|seed| first(seed).fault.kind()).collect();
        let times: std::collections::HashSet<_> = (0..50).map(|seed| first(seed).at).collect();
        assert_eq!(kinds.len(), 5);
        assert!(times.len() > 40);
    }

    #[test]
    fn a_run_too_short_sees_none() {
        assert_eq!(Schedule::for_run(1, secs(4)).count(), 0);
        assert_eq!(Schedule::for_run(1, Duration::ZERO).count(), 0);
        assert_eq!(Schedule::for_run(1, secs(6)).count(), 2);
    }

    #[tokio::test]
    async fn no_fault_is_done_in_the_quiet() {
        let late = Schedule::new(1, Duration::ZERO, Some(1), Some(Duration::from_millis(100)));
        assert!(late.clone().all(|planned| planned.at > Duration::from_millis(100)));
        let hub = Arc::new(Hub::new(Options::default(), mpsc::unbounded_channel().0));
        // Neither with nobody there, whom it would have to wait for, nor with somebody.
        timeout_at(Instant::now() + secs(5), follow(&hub, late.clone())).await.unwrap();
        let mut seat = Seat::new(Arc::clone(&hub), ([127, 0, 0, 1], 1).into());
        seat.subscribe(1);
        timeout_at(Instant::now() + secs(5), follow(&hub, late)).await.unwrap();
        assert!(hub.ledger().faults.is_empty());
        let in_time = Schedule::new(1, Duration::ZERO, Some(1), Some(secs(60)));
        timeout_at(Instant::now() + secs(5), follow(&hub, in_time)).await.unwrap();
        assert_eq!(hub.ledger().faults.len(), 1);
    }

    #[test]
    fn one_without_end_keeps_its_pace() {
        let list: Vec<_> = Schedule::endless(1, secs(10)).take(100).collect();
        assert!(list.iter().enumerate().all(|(index, planned)| {
            let slot = Schedule::LEAD + secs(10) * index as u32;
            (slot..slot + secs(10)).contains(&planned.at)
        }));
        assert_eq!(Schedule::endless(1, secs(10)).quiet_from(), None);
        let fastest = Schedule::endless(1, Duration::ZERO).nth(9).unwrap();
        assert!(fastest.at >= Schedule::TIGHT * 9);
    }
}
