//! Metrics: their names and labels, and what is recorded when (T1).

use std::mem;

use metrics::{Counter, Gauge, Histogram, Label, Unit};
use tidegate_core::{Notice, Phase, Stats, Timestamp};

use super::{Figures, Labels, guarded};

type Figure = fn(&Figures) -> u64;

const COUNTERS: [(&str, Unit, &str, Figure); 6] = [
    ("tidegate_received_messages_total", Unit::Count, "Messages received.", |now| now.stats.messages),
    ("tidegate_received_bytes_total", Unit::Bytes, "Payload bytes received.", |now| now.bytes),
    ("tidegate_items_total", Unit::Count, "Items that the handler emitted.", |now| now.stats.items),
    ("tidegate_delivered_items_total", Unit::Count, "Items given to the consumer.", |now| {
        now.stats.delivered
    }),
    ("tidegate_discarded_items_total", Unit::Count, "Items that the overflow policy dropped.", |now| {
        now.stats.dropped
    }),
    ("tidegate_stale_events_total", Unit::Count, "Events about a connection that is gone.", |now| {
        now.stats.stale_events
    }),
];

const GAUGES: [(&str, Unit, &str, Figure); 5] = [
    ("tidegate_queue_items", Unit::Count, "Items in the queue.", |now| now.stats.queued),
    ("tidegate_queue_bytes", Unit::Bytes, "Weight of the items in the queue.", |now| now.stats.queued_bytes),
    ("tidegate_demand_items", Unit::Count, "Items requested and not delivered yet.", |now| now.stats.demand),
    ("tidegate_send_queue_frames", Unit::Count, "Frames accepted and not flushed yet.", |now| {
        now.stats.sending
    }),
    ("tidegate_retries", Unit::Count, "Retries in the current streak.", |now| now.stats.retries.into()),
];

const CONNECTIONS: &str = "tidegate_connections";
const STATES: [Phase; 4] = [Phase::Connecting, Phase::Bootstrapping, Phase::Live, Phase::Closing];

const ATTEMPTS: &str = "tidegate_connect_attempts_total";
const DISCONNECTS: &str = "tidegate_disconnects_total";
const STOPS: &str = "tidegate_stops_total";
const EVENTS: [(&str, &str); 3] = [
    (ATTEMPTS, "Attempts that ended, by outcome."),
    (DISCONNECTS, "Live connections that ended, by cause."),
    (STOPS, "Feeds that ended permanently, by reason."),
];

const CONNECT: &str = "tidegate_connect_duration_seconds";
const ROUND_TRIP: &str = "tidegate_round_trip_seconds";
const PAUSE: &str = "tidegate_pause_duration_seconds";

/// The application's recorder of metrics, and what is registered with it.
pub(super) enum Recorder {
    /// Nothing, since the application may install its recorder after the feed is built.
    New(Vec<Label>),
    Registered(Box<Metrics>),
    /// It has panicked.
    Panicked,
}

impl Recorder {
    pub(super) fn new(feed: &str, labels: Labels) -> Self {
        let feed = Label::new("feed", feed.to_owned());
        Self::New(
            [feed]
                .into_iter()
                .chain(labels.into_iter().map(|(name, value)| Label::new(name, value)))
                .collect(),
        )
    }

    /// Returns `None` if the recorder panicked, which is not called again (H5).
    pub(super) fn record(&mut self, record: impl FnOnce(&mut Metrics)) -> Option<()> {
        let recorded = guarded(|| {
            if let Self::New(labels) = self {
                *self = Self::Registered(Box::new(Metrics::new(mem::take(labels))));
            }
            if let Self::Registered(metrics) = self {
                record(metrics);
            }
        });
        if recorded.is_none() {
            *self = Self::Panicked;
        }
        recorded
    }
}

pub(super) struct Metrics {
    /// `feed`, and those of the application.
    labels: Vec<Label>,
    counters: [(Counter, Figure); COUNTERS.len()],
    gauges: [(Gauge, Figure); GAUGES.len()],
    connections: [(Gauge, Phase); STATES.len()],
    connect: Histogram,
    round_trip: Histogram,
    pause: Histogram,
    /// Start of the current attempt.
    connecting: Timestamp,
    recorded: Figures,
}

impl Metrics {
    fn new(labels: Vec<Label>) -> Self {
        describe();
        Self {
            counters: COUNTERS.map(|(name, _, _, of)| (metrics::counter!(name, labels.clone()), of)),
            gauges: GAUGES.map(|(name, _, _, of)| (metrics::gauge!(name, labels.clone()), of)),
            connections: STATES
                .map(|phase| (metrics::gauge!(CONNECTIONS, with(&labels, "state", phase.as_str())), phase)),
            connect: metrics::histogram!(CONNECT, labels.clone()),
            round_trip: metrics::histogram!(ROUND_TRIP, labels.clone()),
            pause: metrics::histogram!(PAUSE, labels.clone()),
            connecting: Timestamp::ZERO,
            recorded: Figures { phase: Phase::Idle, stats: Stats::default(), bytes: 0 },
            labels,
        }
    }

    pub(super) fn notice(&mut self, notice: &Notice, now: Timestamp) {
        let (name, label, value) = match notice {
            Notice::Connecting { .. } => return self.connecting = now,
            Notice::Pong { round_trip, .. } => return self.round_trip.record(round_trip.as_secs_f64()),
            Notice::Resumed { paused_for, .. } => return self.pause.record(paused_for.as_secs_f64()),
            Notice::Success { .. } => {
                self.connect.record(now.saturating_since(self.connecting).as_secs_f64());
                (ATTEMPTS, "outcome", "success")
            }
            Notice::Failure { failure, .. } => (ATTEMPTS, "outcome", failure.kind()),
            Notice::Disconnected { .. } | Notice::Timeout { .. } => {
                (DISCONNECTS, "cause", notice.reason().expect("an end has a reason"))
            }
            Notice::Stopped { reason } => (STOPS, "reason", reason.kind()),
            Notice::Status { .. }
            | Notice::Dropped { .. }
            | Notice::Paused { .. }
            | Notice::Retry { .. }
            | _ => return,
        };
        metrics::counter!(name, with(&self.labels, label, value)).increment(1);
    }

    pub(super) fn figures(&mut self, now: Figures) {
        for (counter, of) in &self.counters {
            let more = of(&now) - of(&self.recorded);
            if more > 0 {
                counter.increment(more);
            }
        }
        for (gauge, of) in &self.gauges {
            if of(&now) != of(&self.recorded) {
                gauge.set(of(&now) as f64);
            }
        }
        if now.phase != self.recorded.phase {
            for (gauge, phase) in &self.connections {
                gauge.set(f64::from(u8::from(*phase == now.phase)));
            }
        }
        self.recorded = now;
    }
}

/// A gauge must not keep the value of a feed that is gone (T2).
impl Drop for Metrics {
    fn drop(&mut self) {
        // Guarded: if a panic of the recorder drops them, a second panic would abort the process.
        let _ = guarded(|| {
            self.gauges.iter().for_each(|(gauge, _)| gauge.set(0.0));
            self.connections.iter().for_each(|(gauge, _)| gauge.set(0.0));
        });
    }
}

fn with(labels: &[Label], name: &'static str, value: &'static str) -> Vec<Label> {
    labels.iter().cloned().chain([Label::from_static_parts(name, value)]).collect()
}

fn describe() {
    for (name, unit, text, _) in COUNTERS {
        metrics::describe_counter!(name, unit, text);
    }
    for (name, text) in EVENTS {
        metrics::describe_counter!(name, Unit::Count, text);
    }
    for (name, unit, text, _) in GAUGES {
        metrics::describe_gauge!(name, unit, text);
    }
    metrics::describe_gauge!(CONNECTIONS, Unit::Count, "Connections, by state.");
    metrics::describe_histogram!(
        CONNECT,
        Unit::Seconds,
        "Time from the start of an attempt until it is live."
    );
    metrics::describe_histogram!(ROUND_TRIP, Unit::Seconds, "Time from a ping to its pong.");
    metrics::describe_histogram!(PAUSE, Unit::Seconds, "Length of the pauses of reading.");
}
