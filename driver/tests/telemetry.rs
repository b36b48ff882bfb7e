//! Notices, as the application's observer and `metrics` get them (T1, T2).
#![allow(clippy::unwrap_used, reason = "the lint does not know that the cases are tests")]

mod common;

use std::sync::{Arc, Mutex};

use common::{Mode, Rig, in_both_modes};

in_both_modes!(dropping_a_feed_is_reported_like_a_shutdown);

/// T1, T2: however the feed goes away; a gauge must not report it as live after that.
fn dropping_a_feed_is_reported_like_a_shutdown(mode: Mode) {
    for runtime_first in [false, true] {
        let notices = Arc::new(Mutex::new(Vec::new()));
        let seen = notices.clone();
        let rig = Rig::with(mode, |builder| {
            builder.on_notice(move |notice, _| seen.lock().unwrap().push((notice.name(), notice.reason())))
        });
        notices.lock().unwrap().clear();
        if runtime_first {
            rig.world.drop_tasks();
        }
        rig.drop_feed();
        // Only the task of a spawned feed is the runtime's.
        let reason = if runtime_first && mode == Mode::Task { "runtime_stopped" } else { "shutdown" };
        let expected = [("status", None), ("disconnected", Some("shutdown")), ("stopped", Some(reason))];
        assert_eq!(*notices.lock().unwrap(), expected);
    }
}

#[cfg(feature = "metrics")]
mod metrics_feature {
    use std::collections::BTreeSet;

    use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
    use metrics_exporter_prometheus::{PrometheusHandle, PrometheusRecorder};
    use tidegate_driver::core::{Failure, Frame, Overflow};
    use tidegate_driver::{BuildError, FeedBuilder};

    use super::*;
    use crate::common::{Dial, SECOND, World, builder, config};

    super::in_both_modes!(
        notices_are_measured,
        a_recorder_that_panics_ends_the_feed,
        figures_are_measured,
        feeds_differ_in_their_labels,
    );

    fn exporter() -> (PrometheusRecorder, PrometheusHandle) {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        (recorder, handle)
    }

    /// The value of the metric `tidegate_<name>` with these labels.
    fn value(rendered: &str, name: &str) -> f64 {
        let line = rendered.lines().find_map(|line| line.strip_prefix(&format!("tidegate_{name} ")));
        line.unwrap_or_else(|| panic!("{name} is not in\n{rendered}")).parse().unwrap()
    }

    /// T1.
    fn notices_are_measured(mode: Mode) {
        let (recorder, exporter) = exporter();
        let world = World::default();
        world.next_dial(Dial::Fail(Failure::io("refused")));
        metrics::with_local_recorder(&recorder, || {
            let config = config().telemetry_id("prices").ping_interval(SECOND).pong_timeout(SECOND);
            let mut rig = Rig::new(mode, &world, builder(&world).config(config));
            assert_eq!(value(&exporter.render(), r#"retries{feed="prices"}"#), 1.0);
            rig.advance(SECOND);
            let live = |state| {
                value(&exporter.render(), &format!(r#"connections{{feed="prices",state="{state}"}}"#))
            };
            assert_eq!(["connecting", "bootstrapping", "live", "closing"].map(live), [0.0, 0.0, 1.0, 0.0]);
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
        let rendered = exporter.render();
        for (name, expected) in [
            (r#"connect_attempts_total{feed="prices",outcome="io"}"#, 1.0),
            (r#"connect_attempts_total{feed="prices",outcome="success"}"#, 2.0),
            (r#"connect_duration_seconds_count{feed="prices"}"#, 2.0),
            (r#"disconnects_total{feed="prices",cause="pong_timeout"}"#, 1.0),
            (r#"disconnects_total{feed="prices",cause="shutdown"}"#, 1.0),
            (r#"round_trip_seconds_count{feed="prices"}"#, 1.0),
            (r#"stops_total{feed="prices",reason="shutdown"}"#, 1.0),
            (r#"connections{feed="prices",state="live"}"#, 0.0),
        ] {
            assert_eq!(value(&rendered, name), expected, "{name}");
        }
    }

    /// D1, D3: what is queued and asked for, and what has gone through; a gauge does not outlive its feed.
    fn figures_are_measured(mode: Mode) {
        let (recorder, exporter) = exporter();
        let read = |name: &str| value(&exporter.render(), &format!(r#"{name}{{feed="prices"}}"#));
        const GAUGES: [&str; 4] = ["queue_items", "queue_bytes", "demand_items", "send_queue_frames"];
        metrics::with_local_recorder(&recorder, || {
            let config = config().telemetry_id("prices").min_demand(0).max_demand(1).buffer(2);
            let mut rig = Rig::with(mode, |builder| builder.config(config.overflow(Overflow::DropOldest)));
            rig.send_items(0..5);
            rig.settle();
            let stats = rig.handle.stats();
            assert!(mode == Mode::Stream || stats.queued > 0, "nobody takes more than one: {stats:?}");
            let gauges = [stats.queued, stats.queued_bytes, stats.demand, stats.sending];
            assert_eq!(GAUGES.map(read), gauges.map(|figure| figure as f64));
            let _ = rig.drain();
            let stats = rig.handle.stats();
            let counters =
                ["received_messages_total", "items_total", "delivered_items_total", "discarded_items_total"];
            assert_eq!(
                counters.map(read),
                [5, 5, stats.delivered, stats.dropped].map(|figure| figure as f64)
            );
            assert_eq!(read("received_bytes_total"), 5.0 * 6.0);
            rig.drop_feed();
        });
        assert_eq!(GAUGES.map(read), [0.0; 4]);
    }

    /// T1: 200 feeds have one set of names, which is the one that is documented, and 200 sets of labels.
    fn feeds_differ_in_their_labels(mode: Mode) {
        let (recorder, exporter) = exporter();
        metrics::with_local_recorder(&recorder, || {
            let mut rigs: Vec<_> = (0..200)
                .map(|feed| {
                    let config = config().telemetry_id(format!("feed-{feed}")).buffer(1);
                    Rig::with(mode, |builder| {
                        builder.config(config).metric_labels([("venue", format!("v{}", feed % 3))])
                    })
                })
                .collect();
            for (feed, rig) in rigs.iter_mut().enumerate() {
                rig.send_items(0..feed);
                let _ = rig.drain();
            }
            let rendered = exporter.render();
            for feed in 0..200 {
                let labels = format!(r#"{{feed="feed-{feed}",venue="v{}"}}"#, feed % 3);
                let read = |name: &str| value(&rendered, &format!("{name}{labels}"));
                assert_eq!(
                    ["received_messages_total", "delivered_items_total"].map(read),
                    [f64::from(feed); 2]
                );
                let live = format!(r#"connections{{feed="feed-{feed}",venue="v{}",state="live"}}"#, feed % 3);
                assert_eq!(value(&rendered, &live), 1.0);
            }
            // So that each metric has a value.
            for rig in &mut rigs {
                rig.handle.shutdown();
                rig.settle();
                rig.advance(SECOND);
            }
        });
        let rendered = exporter.render();
        let metrics = |keyword: &'static str| {
            rendered.lines().filter_map(move |line| {
                line.strip_prefix("# ")?.strip_prefix(keyword)?.strip_prefix(" tidegate_")
            })
        };
        let types: BTreeSet<_> = metrics("TYPE").map(|line| line.replace(" summary", " histogram")).collect();
        assert_eq!(types, documented());
        assert_eq!(metrics("HELP").count(), types.len(), "{rendered}");
    }

    /// Name and type of each metric in the table of `telemetry`.
    fn documented() -> BTreeSet<String> {
        let rows = include_str!("../src/telemetry.rs")
            .lines()
            .filter_map(|line| line.strip_prefix("//! | `tidegate_"));
        rows.map(|row| row.split(" | ").take(2).collect::<Vec<_>>().join(" ").replace('`', "")).collect()
    }

    #[test]
    fn a_label_that_cannot_be_read_back_is_refused() {
        let build = |names: &[&str]| {
            let labels = names.iter().map(|name| (*name, "hush"));
            FeedBuilder::new(World::default(), crate::common::URL).metric_labels(labels).inline().map(drop)
        };
        assert_eq!(build(&["venue", "_1"]), Ok(()));
        for names in [
            &["feed"][..],
            &["state"],
            &["outcome"],
            &["cause"],
            &["reason"],
            &["a", "a"],
            &["a-b"],
            &[""],
            &["1a"],
            &["__a"],
        ] {
            let name = (*names.last().unwrap()).to_owned();
            let error = build(names).unwrap_err();
            assert!(!error.to_string().contains("hush"), "{error}");
            assert_eq!(error, BuildError::MetricLabel { name });
        }
    }

    struct Panics;

    impl Recorder for Panics {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

        fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
            panic!("planned")
        }

        fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
            panic!("planned")
        }

        fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
            panic!("planned")
        }
    }

    /// H5, T2: the application's observer hears of the end.
    fn a_recorder_that_panics_ends_the_feed(mode: Mode) {
        let names = Arc::<Mutex<Vec<&str>>>::default();
        let seen = names.clone();
        metrics::with_local_recorder(&Panics, || {
            let mut rig = Rig::with(mode, |builder| {
                builder.on_notice(move |notice, _| seen.lock().unwrap().push(notice.name()))
            });
            assert_eq!(rig.drain(), ["error handler_panicked", "end"]);
        });
        assert_eq!(*names.lock().unwrap(), ["connecting", "stopped"]);
    }
}
