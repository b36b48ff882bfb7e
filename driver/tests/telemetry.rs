//! Notices, as the application's observer and `metrics` get them (T1, T2).
#![allow(clippy::unwrap_used, reason = "the lint does not know that the cases are tests")]

mod common;

use std::sync::{Arc, Mutex};

use common::{Dial, InStream, InTask, Mode, Rig, SECOND, World, builder, in_both_modes, reset};
use tidegate_driver::core::PassThrough;

in_both_modes!(
    the_observer_sees_every_notice,
    dropping_a_feed_is_told_like_a_shutdown,
    a_runtime_that_goes_away_is_told_like_a_shutdown
);

/// T2.
fn the_observer_sees_every_notice<M: Mode>() {
    let world = World::default();
    world.script(Dial::Refuse(reset()));
    let names = Arc::new(Mutex::new(Vec::new()));
    let seen = names.clone();
    let builder = builder(&world).on_notice(move |notice, _| seen.lock().unwrap().push(notice.name()));
    let mut rig = Rig::new::<M, _>(&world, builder);
    rig.advance(SECOND);
    rig.peer(1).fail(reset());
    rig.settle();
    rig.handle.shutdown();
    rig.settle();
    let attempt = ["connecting", "failure", "retry"];
    let connection = ["connecting", "success", "status", "status", "disconnected", "retry", "stopped"];
    assert_eq!(*names.lock().unwrap(), [&attempt[..], &connection[..]].concat());
}

/// T1, T2: a gauge must not say for ever that a feed is live which nobody holds any more.
fn dropping_a_feed_is_told_like_a_shutdown<M: Mode>() {
    let world = World::default();
    let (rig, names) = watched::<M>(&world);
    drop(rig.feed);
    world.run();
    world.advance(SECOND);
    world.run();
    assert_eq!(*names.lock().unwrap(), ["status", "disconnected", "stopped"]);
}

/// The task is dropped by its runtime, and the stream where that is what drives the feed.
fn a_runtime_that_goes_away_is_told_like_a_shutdown<M: Mode>() {
    let world = World::default();
    let (rig, names) = watched::<M>(&world);
    world.drop_tasks();
    if M::IN_STREAM {
        drop(rig.feed);
    }
    assert_eq!(*names.lock().unwrap(), ["status", "disconnected", "stopped"]);
}

type Names = Arc<Mutex<Vec<&'static str>>>;

/// A live feed, and the notices from now on.
fn watched<M: Mode>(world: &World) -> (Rig<M::Source<PassThrough>>, Names) {
    let names = Arc::new(Mutex::new(Vec::new()));
    let seen = names.clone();
    let builder = builder(world).on_notice(move |notice, _| seen.lock().unwrap().push(notice.name()));
    let rig = Rig::new::<M, _>(world, builder);
    names.lock().unwrap().clear();
    (rig, names)
}

#[cfg(feature = "metrics")]
mod metrics_feature {
    use std::collections::BTreeMap;

    use metrics::{
        Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
        SharedString, Unit,
    };

    use tidegate_driver::core::Frame;

    use super::*;
    use crate::common::{config, text};

    super::in_both_modes!(notices_are_measured, figures_are_measured);

    type Values = Arc<Mutex<BTreeMap<String, f64>>>;

    /// Keeps the sum of each counter, the last value of each gauge, the count of each histogram.
    #[derive(Clone, Default)]
    struct Sums(Values);

    struct Sum {
        values: Values,
        key: String,
    }

    impl Sums {
        fn of(&self, key: &Key) -> Arc<Sum> {
            let labels: Vec<_> = key.labels().map(|label| format!(" {}", label.value())).collect();
            let key = format!("{}{}", key.name(), labels.concat());
            Arc::new(Sum { values: self.0.clone(), key })
        }
    }

    impl Sum {
        fn change(&self, change: impl FnOnce(f64) -> f64) {
            let mut values = self.values.lock().unwrap();
            let value = values.entry(self.key.clone()).or_default();
            *value = change(*value);
        }
    }

    impl CounterFn for Sum {
        fn increment(&self, by: u64) {
            self.change(|value| value + f64::from(u32::try_from(by).unwrap()));
        }

        fn absolute(&self, _: u64) {
            panic!("counters are only incremented");
        }
    }

    impl GaugeFn for Sum {
        fn increment(&self, by: f64) {
            self.change(|value| value + by);
        }

        fn decrement(&self, by: f64) {
            self.change(|value| value - by);
        }

        fn set(&self, value: f64) {
            self.change(|_| value);
        }
    }

    impl HistogramFn for Sum {
        fn record(&self, _: f64) {
            self.change(|value| value + 1.0);
        }
    }

    impl Recorder for Sums {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

        fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
            Counter::from_arc(self.of(key))
        }

        fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
            Gauge::from_arc(self.of(key))
        }

        fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
            Histogram::from_arc(self.of(key))
        }
    }

    /// T1: the reference's names.
    fn notices_are_measured<M: Mode>() {
        let sums = Sums::default();
        let world = World::default();
        world.script(Dial::Refuse(reset()));
        metrics::with_local_recorder(&sums, || {
            let config = config().telemetry_id("prices").ping_interval(SECOND).pong_timeout(SECOND);
            let mut rig = Rig::new::<M, _>(&world, builder(&world).config(config));
            rig.advance(SECOND);
            rig.advance(SECOND);
            rig.peer(1).send(rig.peer(1).received()[0].clone().into_pong());
            rig.settle();
            rig.advance(SECOND);
            rig.advance(SECOND);
            rig.advance(SECOND);
            rig.handle.shutdown();
            rig.settle();
            rig.advance(SECOND);
        });
        let sums = sums.0.lock().unwrap();
        let value = |name: &str| *sums.get(&format!("prices.connection.{name}")).unwrap_or(&f64::NAN);
        let names =
            ["success", "failure io", "timeout pong_timeout", "disconnected shutdown", "pong", "retry"];
        assert_eq!(names.map(value), [2.0, 1.0, 1.0, 1.0, 1.0, 2.0], "{sums:?}");
        assert!(value("status").abs() < f64::EPSILON, "{sums:?}");
        assert!((value("stopped shutdown") - 1.0).abs() < f64::EPSILON, "{sums:?}");
    }

    /// D1, D3: what is queued and asked for, and what has gone through; a gauge does not outlive its feed.
    fn figures_are_measured<M: Mode>() {
        let sums = Sums::default();
        let world = World::default();
        let read =
            |name: &str| *sums.0.lock().unwrap().get(&format!("prices.feed.{name}")).unwrap_or(&f64::NAN);
        metrics::with_local_recorder(&sums, || {
            let config = config().telemetry_id("prices").min_demand(0).max_demand(1);
            let mut rig = Rig::new::<M, _>(&world, builder(&world).config(config));
            for number in 0..3 {
                rig.peer(1).send(text(&format!("item {number}")));
            }
            rig.settle();
            let stats = rig.handle.stats();
            assert!(M::IN_STREAM || stats.queued > 0, "nobody takes more than one: {stats:?}");
            let queued = [stats.queued, stats.queued_bytes].map(|figure| figure as f64);
            assert_eq!(["queued", "queued_bytes"].map(read), queued);
            let _ = rig.drain();
            assert_eq!(["messages", "items", "delivered"].map(read), [3.0; 3]);
            drop(rig.feed);
            world.run();
            world.advance(SECOND);
            world.run();
        });
        assert_eq!(["queued", "queued_bytes", "demand", "sending", "retries"].map(read), [0.0; 5]);
    }

    trait IntoPong {
        fn into_pong(self) -> Frame;
    }

    impl IntoPong for Frame {
        fn into_pong(self) -> Frame {
            let Self::Ping(payload) = self else { panic!("{self:?} is not a ping") };
            Self::Pong(payload)
        }
    }
}
