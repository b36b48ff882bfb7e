//! Clock and timer.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use async_io::Timer;
use tidegate_driver::core::Timestamp;

/// Nanoseconds since a feed's runtime was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn now(self) -> Timestamp {
        Timestamp::from_nanos(u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    pub(crate) fn alarm(self) -> Alarm {
        Alarm { clock: self, timer: Timer::never(), set: false }
    }
}

/// A timer of async-io.
#[derive(Debug)]
pub struct Alarm {
    clock: Clock,
    timer: Timer,
    /// It has not rung since it was last set.
    set: bool,
}

impl tidegate_driver::Alarm for Alarm {
    fn set(&mut self, at: Timestamp) {
        match self.clock.0.checked_add(Duration::from_nanos(at.as_nanos())) {
            Some(at) => self.timer.set_at(at),
            // Later than any run.
            None => self.timer = Timer::never(),
        }
        self.set = true;
    }

    fn poll_ring(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.set {
            return Poll::Pending;
        }
        ready!(Pin::new(&mut self.timer).poll(cx));
        self.set = false;
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;

    use futures_util::FutureExt;
    use futures_util::future::select;
    use tidegate_driver::Alarm as _;

    use super::*;

    fn silent(alarm: &mut Alarm) -> bool {
        poll_fn(|cx| alarm.poll_ring(cx)).now_or_never().is_none()
    }

    #[test]
    fn the_alarm_rings_once_and_at_the_time_last_set() {
        let clock = Clock::start();
        let mut alarm = clock.alarm();
        assert!(silent(&mut alarm), "it was never set");
        alarm.set(Timestamp::from_millis(60_000));
        alarm.set(Timestamp::from_millis(20));
        async_io::block_on(poll_fn(|cx| alarm.poll_ring(cx)));
        assert!(clock.now() >= Timestamp::from_millis(20));
        assert!(silent(&mut alarm), "it rang a second time");
        alarm.set(Timestamp::from_millis(10));
        let rang = poll_fn(|cx| alarm.poll_ring(cx));
        async_io::block_on(select(pin!(rang), pin!(Timer::after(Duration::from_secs(10)))));
        assert!(silent(&mut alarm));
        assert!(clock.now() < Timestamp::from_millis(10_000), "a time that has passed rings at once");
    }

    #[test]
    fn an_alarm_at_the_end_of_time_does_not_ring() {
        let mut alarm = Clock::start().alarm();
        alarm.set(Timestamp::from_nanos(u64::MAX));
        assert!(silent(&mut alarm));
    }
}
