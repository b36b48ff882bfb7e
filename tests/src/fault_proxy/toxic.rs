//! What can be done to one direction of the connections.

use std::mem::discriminant;
use std::time::{Duration, Instant};

use super::shared::End;

/// How often a narrow bandwidth lets something through.
const STEPS_PER_SECOND: u64 = 50;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    Upstream,
    /// From the server to the client.
    Downstream,
}

/// What is done to one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Toxic {
    /// Everything comes later, in order: by `delay`, give or take up to `jitter`.
    Latency {
        /// The middle.
        delay: Duration,
        /// How far from it, at most.
        jitter: Duration,
    },
    /// No more than so much gets through.
    Bandwidth {
        /// At least 1.
        bytes_per_second: u64,
    },
    /// The end of the stream comes later than the last of the data.
    SlowClose {
        /// By so much.
        delay: Duration,
    },
    /// Nothing gets through: data is taken and lost, the end of the stream waits.
    Timeout,
    /// Nothing gets through and nothing is lost: the sender is held up as soon as the buffers are full.
    Stall,
    /// The connection is reset after that time, counted from when it began or this was set.
    ResetPeer {
        /// Zero for at once.
        after: Duration,
    },
    /// Data comes in small pieces.
    Slicer {
        /// The most in one piece, at least 1.
        size: usize,
        /// The time between two.
        delay: Duration,
    },
    /// The connection ends when so much has got through in this direction since it began.
    LimitData {
        /// So much.
        bytes: u64,
        /// In this way.
        end: End,
    },
}

/// All of one direction, each with the time it was set; one of a kind.
#[derive(Debug, Default)]
pub(super) struct Toxics(Vec<(Toxic, Instant)>);

/// What becomes of a piece of data.
#[derive(Debug, Default)]
pub(super) struct Treatment {
    pub(super) lost: bool,
    pub(super) stalled: bool,
    pub(super) slice: Option<(usize, Duration)>,
    pub(super) bandwidth: Option<u64>,
    pub(super) limit: Option<(u64, End)>,
    pub(super) slow_close: Duration,
}

impl Treatment {
    /// Of `len` bytes, how many may go now, and how long to wait after them; `sent` have gone before.
    pub(super) fn piece(&self, len: usize, sent: u64) -> (usize, Duration) {
        let at_most = |size: usize, bytes: u64| size.min(usize::try_from(bytes).unwrap_or(size));
        let (mut size, mut pause) = (len, Duration::ZERO);
        if let Some((slice, delay)) = self.slice {
            (size, pause) = (size.min(slice), delay);
        }
        if let Some((limit, _)) = self.limit {
            size = at_most(size, limit.saturating_sub(sent));
        }
        if let Some(rate) = self.bandwidth {
            size = at_most(size, (rate / STEPS_PER_SECOND).max(1));
            pause = pause.max(Duration::from_secs_f64(size as f64 / rate as f64));
        }
        (size, pause)
    }
}

impl Toxics {
    pub(super) fn set(&mut self, toxic: Toxic) {
        self.0.retain(|(other, _)| discriminant(other) != discriminant(&toxic));
        self.0.push((toxic, Instant::now()));
    }

    pub(super) fn treatment(&self) -> Treatment {
        let mut all = Treatment::default();
        for (toxic, _) in &self.0 {
            match *toxic {
                Toxic::Latency { .. } | Toxic::ResetPeer { .. } => {}
                Toxic::Bandwidth { bytes_per_second } => all.bandwidth = Some(bytes_per_second.max(1)),
                Toxic::SlowClose { delay } => all.slow_close = delay,
                Toxic::Timeout => all.lost = true,
                Toxic::Stall => all.stalled = true,
                Toxic::Slicer { size, delay } => all.slice = Some((size.max(1), delay)),
                Toxic::LimitData { bytes, end } => all.limit = Some((bytes, end)),
            }
        }
        all
    }

    /// By how much data that comes now is held back.
    pub(super) fn latency(&self) -> Duration {
        let latency = |toxic: &Toxic| {
            let Toxic::Latency { delay, jitter } = *toxic else { return None };
            Some((delay + jitter.mul_f64(2.0 * fastrand::f64())).saturating_sub(jitter))
        };
        self.0.iter().find_map(|(toxic, _)| latency(toxic)).unwrap_or_default()
    }

    /// When a connection is reset that began at `since`.
    pub(super) fn deadline(&self, since: Instant) -> Option<Instant> {
        let deadline = |(toxic, set): &(Toxic, Instant)| {
            let Toxic::ResetPeer { after } = *toxic else { return None };
            Some(since.max(*set) + after)
        };
        self.0.iter().find_map(deadline)
    }
}
