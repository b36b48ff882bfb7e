//! The configuration: each impossible combination is refused by name, value and rule.

mod common;

use std::time::Duration;

use common::ms;
use tidegate_core::{
    Backoff, Classification, Config, ConfigBuilder, ConfigError, Overflow, RetryPolicy, Value,
};

const ZERO: Duration = Duration::ZERO;

#[track_caller]
fn error(build: impl FnOnce(ConfigBuilder) -> ConfigBuilder) -> ConfigError {
    build(Config::builder()).build().expect_err("it is refused")
}

fn spans(config: &Config) -> [Duration; 6] {
    [
        config.connect_timeout(),
        config.bootstrap_timeout(),
        config.close_timeout(),
        config.stable_after(),
        config.max_retry_after(),
        config.pong_timeout(),
    ]
}

fn clocks(config: &Config) -> [Option<Duration>; 4] {
    [config.ping_interval(), config.idle_timeout(), config.stale_after(), config.max_pause()]
}

#[test]
fn the_defaults_obey_the_rules_and_are_those_that_are_told() {
    let config = Config::default();
    assert_eq!(spans(&config), [10, 10, 1, 10, 300, 10].map(Duration::from_secs));
    assert_eq!(clocks(&config), [Some(Duration::from_secs(20)), None, None, None]);
    assert_eq!((config.buffer(), config.buffer_bytes(), config.send_buffer()), (1024, 1 << 20, 256));
    assert_eq!((config.overflow(), config.telemetry_id()), (Overflow::Pause, "websocket_producer"));
    assert_eq!((config.min_demand(), config.max_demand()), (1000, 2000));
    assert_eq!(Config::builder().telemetry_id("ticks").build().unwrap().telemetry_id(), "ticks");
}

#[test]
fn the_references_defaults_are_those_that_are_told() {
    let config = Config::reference().build().unwrap();
    assert_eq!(spans(&config), [10, 10, 1, 10, 300, 10].map(Duration::from_secs));
    assert_eq!(clocks(&config), [None; 4]);
    assert_eq!((config.min_demand(), config.max_demand()), (10, 100));
    assert_eq!(config.telemetry_id(), "websocket_producer");
    assert!(matches!(config.retry().backoff(), Backoff::Fixed(delay) if *delay == Duration::from_secs(10)));
    assert_eq!(config.retry().retries(), Some(5));
}

#[test]
fn l3_pings_are_on_by_default_and_come_twice_within_the_idle_timeout() {
    let interval = |idle| Config::builder().idle_timeout(idle).build().unwrap().ping_interval();
    for (idle, expected) in [(60_000, 20_000), (40_000, 20_000), (15_000, 7_500), (2, 1)] {
        assert_eq!(interval(ms(idle)), Some(ms(expected)));
    }
    assert!(interval(Duration::from_nanos(1)) > Some(ZERO));
    let before = Config::builder().ping_interval(ms(500)).ping_interval(None);
    assert_eq!(before.build().unwrap().ping_interval(), None);
}

#[test]
fn each_option_is_what_it_was_set_to() {
    let set: [Duration; 10] = std::array::from_fn(|number| ms(number as u64 + 1));
    let built = Config::builder()
        .connect_timeout(set[0])
        .bootstrap_timeout(set[1])
        .close_timeout(set[2])
        .stable_after(set[3])
        .max_retry_after(set[4])
        .pong_timeout(set[5])
        .idle_timeout(set[7])
        .ping_interval(set[6])
        .stale_after(set[8])
        .max_pause(set[9])
        .buffer(1)
        .buffer_bytes(2)
        .send_buffer(3)
        .overflow(Overflow::DropNewest)
        .retry(RetryPolicy::fixed(ms(4)).max_retries(5))
        .classification(Classification::AnyHttpError)
        .build()
        .unwrap();
    // A builder that is made of it changes nothing.
    let config = ConfigBuilder::from(built).build().unwrap();
    assert_eq!(spans(&config), set[..6]);
    assert_eq!(clocks(&config).map(Option::unwrap), set[6..]);
    assert_eq!((config.buffer(), config.buffer_bytes(), config.send_buffer()), (1, 2, 3));
    assert_eq!(config.overflow(), Overflow::DropNewest);
    assert!(matches!(config.classification(), Classification::AnyHttpError));
    let retry = config.retry();
    assert!(matches!(retry.backoff(), Backoff::Fixed(delay) if *delay == ms(4)));
    assert_eq!((retry.retries(), retry.clone().unlimited().retries()), (Some(5), None));
}

#[test]
fn a_span_of_zero_is_refused() {
    type Setter = fn(ConfigBuilder, Duration) -> ConfigBuilder;
    let setters: [(&str, Setter); 8] = [
        ("connect_timeout", ConfigBuilder::connect_timeout),
        ("bootstrap_timeout", ConfigBuilder::bootstrap_timeout),
        ("close_timeout", ConfigBuilder::close_timeout),
        ("idle_timeout", ConfigBuilder::idle_timeout),
        ("ping_interval", ConfigBuilder::ping_interval),
        ("pong_timeout", ConfigBuilder::pong_timeout),
        ("stale_after", ConfigBuilder::stale_after),
        ("max_pause", ConfigBuilder::max_pause),
    ];
    for (option, set) in setters {
        let with_ping = |builder: ConfigBuilder| builder.ping_interval(ms(1));
        assert_eq!(error(|builder| set(with_ping(builder), ZERO)), ConfigError::Zero { option });
        set(with_ping(Config::builder()), Duration::from_secs(1)).build().unwrap();
    }
}

#[test]
fn spans_that_may_be_zero_may_be_zero() {
    Config::builder().stable_after(ZERO).max_retry_after(ZERO).build().unwrap();
}

#[test]
fn a_bound_of_zero_is_refused() {
    type Setter = fn(ConfigBuilder, usize) -> ConfigBuilder;
    let setters: [(&str, Setter); 4] = [
        ("buffer", ConfigBuilder::buffer),
        ("buffer_bytes", ConfigBuilder::buffer_bytes),
        ("send_buffer", ConfigBuilder::send_buffer),
        ("max_demand", |builder, items| builder.max_demand(items.try_into().unwrap())),
    ];
    for (option, set) in setters {
        assert_eq!(error(|builder| set(builder, 0)), ConfigError::Zero { option });
        set(Config::builder(), 1).build().unwrap();
    }
}

#[test]
fn a_retry_without_delay_is_refused_but_for_a_function() {
    let retry = |policy| Config::builder().retry(policy).build();
    let zero = |option| Some(ConfigError::Zero { option });
    assert_eq!(retry(RetryPolicy::fixed(ZERO)).err(), zero("retry delay"));
    assert_eq!(retry(RetryPolicy::exponential(ZERO, ms(1))).err(), zero("retry base"));
    retry(RetryPolicy::custom(ZERO, |state, _| state)).unwrap();
}

#[test]
fn a_base_above_the_cap_is_refused() {
    let refused = error(|builder| builder.retry(RetryPolicy::exponential(ms(200), ms(100))));
    let limit_value = Value::Span(ms(100));
    let value = Value::Span(ms(200));
    assert_eq!(refused, ConfigError::Above { option: "retry base", value, limit: "retry cap", limit_value });
    assert_eq!(refused.to_string(), "retry base is 200ms: it must not be above retry cap, which is 100ms");
    Config::builder().retry(RetryPolicy::exponential(ms(100), ms(100))).build().unwrap();
}

#[test]
fn d5_min_demand_must_be_below_max_demand() {
    let refused = error(|builder| builder.min_demand(5).max_demand(5));
    assert_eq!(refused.to_string(), "min_demand is 5: it must be below max_demand, which is 5");
    error(|builder| builder.min_demand(6).max_demand(5));
    Config::builder().min_demand(4).max_demand(5).build().unwrap();
}

#[test]
fn l3_pings_must_come_more_often_than_the_idle_timeout() {
    let refused = error(|builder| builder.ping_interval(ms(100)).idle_timeout(ms(100)));
    assert_eq!(refused.to_string(), "ping_interval is 100ms: it must be below idle_timeout, which is 100ms");
    Config::builder().ping_interval(ms(99)).idle_timeout(ms(100)).build().unwrap();
}

#[test]
fn l3_a_pong_timeout_needs_pings() {
    Config::builder().pong_timeout(ms(100)).build().unwrap();
    let refused = error(|builder| builder.pong_timeout(ms(100)).ping_interval(None));
    assert_eq!(refused, ConfigError::Needs { option: "pong_timeout", needs: "ping_interval" });
    assert_eq!(refused.to_string(), "pong_timeout is set: it has no effect without ping_interval");
}

#[test]
fn t1_an_empty_telemetry_id_is_refused() {
    let refused = error(|builder| builder.telemetry_id(""));
    assert_eq!(refused.to_string(), "telemetry_id is empty: it must not be");
}
