//! What people and logs get to see: names, texts and Debug output, none of which holds a payload (T3).

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Bench, Puppet, broken, ms, patient};
use tidegate_core::{Class, Classification, Config, Failure, Jitter, Phase, RetryPolicy, RetryState};

/// T3: neither what was sent nor what waits for the consumer.
#[test]
fn a_feed_shows_its_phase_and_no_payload() {
    let config = patient().idle_timeout(ms(1000));
    let mut bench = Bench::new(config, Puppet::bootstraps(&["hush"]));
    let mut phases = Vec::new();
    let mut look = |bench: &Bench<Puppet>| {
        let (phase, shown) = (bench.feed.phase(), format!("{:?}", bench.feed));
        assert!(shown.contains(&format!("{phase:?}")) && !shown.contains("hush"), "{phase:?}: {shown}");
        phases.push(phase);
    };
    look(&bench);
    bench.start();
    look(&bench);
    bench.connected();
    look(&bench);
    bench.flushed();
    bench.text("item:hush send:hush");
    look(&bench);
    bench.text("fault");
    look(&bench);
    bench.lost();
    look(&bench);
    bench.shutdown();
    look(&bench);
    let expected = [
        Phase::Idle,
        Phase::Connecting,
        Phase::Bootstrapping,
        Phase::Live,
        Phase::Closing,
        Phase::Waiting,
        Phase::Stopped,
    ];
    assert_eq!(phases, expected);
}

/// Whoever reads a configuration's Debug output learns how it retries.
#[test]
fn a_configuration_shows_its_retry_policy() {
    let keep = |state: RetryState, _: &Failure| state;
    let shown = |policy: RetryPolicy| {
        let config = Config::builder().retry(policy).classification(Classification::AnyHttpError);
        format!("{:?}", config.build().expect("it is valid"))
    };
    let exponential = shown(RetryPolicy::exponential(ms(250), Duration::from_secs(30)).jitter(Jitter::Equal));
    assert!(exponential.contains("250ms") && exponential.contains("30s") && exponential.contains("Equal"));
    assert!(shown(RetryPolicy::fixed(ms(125))).contains("125ms"));
    assert!(shown(RetryPolicy::custom(ms(375), keep)).contains("375ms"));
    assert!(exponential.contains("AnyHttpError"));
    let own = Classification::Custom(Arc::new(|_| Class::Retry));
    assert_eq!(format!("{own:?} {:?}", Classification::Standard), "Custom Standard");
}

/// Only delays that grow are spread.
#[test]
fn jitter_changes_nothing_where_the_delay_is_fixed() {
    let config = patient().retry(RetryPolicy::fixed(ms(100)).unlimited().jitter(Jitter::Full));
    let mut bench = Bench::plain(config);
    bench.start();
    for _ in 0..5 {
        assert_eq!(common::delay(&bench.connect_failed(broken())), ms(100));
        bench.expire();
    }
}
