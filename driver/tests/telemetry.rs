//! Notices, as the application's observer and `metrics` get them (T1, T2).
#![allow(clippy::unwrap_used, reason = "the lint does not know that the cases are tests")]

mod common;

use std::sync::{Arc, Mutex};

use common::{Mode, Rig, in_both_modes};

in_both_modes!(dropping_a_feed_is_reported_like_a_shutdown);

/// T1, T2: however the feed goes away; a gauge must not report it as live after that.
fn dropping_a_feed_is_reported_like_a_shutdown(mode: Mode) {
    for runtime_first in [false, true] {
        let names = Arc::new(Mutex::new(Vec::new()));
        let seen = names.clone();
        let rig = Rig::with(mode, |builder| {
            builder.on_notice(move |notice, _| seen.lock().unwrap().push(notice.name()))
        });
        names.lock().unwrap().clear();
        if runtime_first {
            rig.world.drop_tasks();
        }
        rig.drop_feed();
        assert_eq!(*names.lock().unwrap(), ["status", "disconnected", "stopped"]);
    }
}

#[cfg(feature = "metrics")]
mod metrics_feature {
    use std::collections::BTreeMap;

    use metrics::{
        Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
        SharedString, Unit,
    };

    use tidegate_driver::core::{Failure, Frame};

    use super::*;
    use crate::common::{Dial, SECOND, World, builder, config};

    super::in_both_modes!(notices_are_measured, a_recorder_that_panics_ends_the_feed, figures_are_measured);

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
    fn notices_are_measured(mode: Mode) {
        let sums = Sums::default();
        let world = World::default();
        world.next_dial(Dial::Fail(Failure::io("refused")));
        metrics::with_local_recorder(&sums, || {
            let config = config().telemetry_id("prices").ping_interval(SECOND).pong_timeout(SECOND);
            let mut rig = Rig::new(mode, &world, builder(&world).config(config));
            rig.advance(SECOND);
            rig.advance(SECOND);
            let Some(Frame::Ping(payload)) = rig.peer().received().pop() else { panic!("no ping") };
            rig.peer().send(Frame::Pong(payload));
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

    /// H5, T2: the application's observer hears of the end.
    fn a_recorder_that_panics_ends_the_feed(mode: Mode) {
        let sums = Sums::default();
        let poisoned = sums.clone();
        let _ = std::thread::spawn(move || {
            let _guard = poisoned.0.lock();
            panic!("planned");
        })
        .join();
        let names = Arc::<Mutex<Vec<&str>>>::default();
        let seen = names.clone();
        metrics::with_local_recorder(&sums, || {
            let mut rig = Rig::with(mode, |builder| {
                builder.on_notice(move |notice, _| seen.lock().unwrap().push(notice.name()))
            });
            assert_eq!(rig.drain(), ["error handler_panicked", "end"]);
        });
        assert_eq!(*names.lock().unwrap(), ["connecting", "stopped"]);
    }

    /// D1, D3: what is queued and asked for, and what has gone through; a gauge does not outlive its feed.
    fn figures_are_measured(mode: Mode) {
        let sums = Sums::default();
        let read =
            |name: &str| *sums.0.lock().unwrap().get(&format!("prices.feed.{name}")).unwrap_or(&f64::NAN);
        metrics::with_local_recorder(&sums, || {
            let config = config().telemetry_id("prices").min_demand(0).max_demand(1);
            let mut rig = Rig::with(mode, |builder| builder.config(config));
            rig.send_items(0..3);
            rig.settle();
            let stats = rig.handle.stats();
            assert!(mode == Mode::Stream || stats.queued > 0, "nobody takes more than one: {stats:?}");
            let queued = [stats.queued, stats.queued_bytes].map(|figure| figure as f64);
            assert_eq!(["queued", "queued_bytes"].map(read), queued);
            let _ = rig.drain();
            assert_eq!(["messages", "items", "delivered"].map(read), [3.0; 3]);
            rig.drop_feed();
        });
        assert_eq!(["queued", "queued_bytes", "demand", "sending", "retries"].map(read), [0.0; 5]);
    }
}
