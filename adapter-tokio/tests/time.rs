//! Clock and timer follow tokio's, which can be paused.

use std::future::poll_fn;
use std::time::Duration;

use tidegate_driver::core::Timestamp;
use tidegate_driver::{Alarm as _, Runtime as _};
use tidegate_tokio::SocketRuntime;

#[tokio::test(start_paused = true)]
async fn the_clock_starts_at_the_origin_and_follows_tokio() {
    let runtime = SocketRuntime::default();
    assert_eq!(runtime.now(), Timestamp::ZERO);
    tokio::time::advance(Duration::from_millis(5)).await;
    assert_eq!(runtime.now(), Timestamp::from_millis(5));
}

#[tokio::test(start_paused = true)]
async fn the_alarm_rings_once_and_at_the_time_last_set() {
    let runtime = SocketRuntime::default();
    let mut alarm = runtime.alarm();
    alarm.set(Timestamp::from_millis(50));
    alarm.set(Timestamp::from_millis(20));
    poll_fn(|cx| alarm.poll_ring(cx)).await;
    assert_eq!(runtime.now(), Timestamp::from_millis(20));
    let silent = tokio::time::timeout(Duration::from_secs(60), poll_fn(|cx| alarm.poll_ring(cx))).await;
    assert!(silent.is_err(), "it rang a second time");
    alarm.set(Timestamp::from_millis(10));
    poll_fn(|cx| alarm.poll_ring(cx)).await;
    assert_eq!(runtime.now(), Timestamp::from_millis(60_020), "a time that has passed rings at once");
}

#[tokio::test(start_paused = true)]
async fn an_alarm_at_the_end_of_time_does_not_ring() {
    let mut alarm = SocketRuntime::default().alarm();
    alarm.set(Timestamp::from_nanos(u64::MAX));
    let silent = tokio::time::timeout(Duration::from_secs(60), poll_fn(|cx| alarm.poll_ring(cx))).await;
    assert!(silent.is_err());
}
