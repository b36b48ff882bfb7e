//! tokio as a runtime of feeds: its clock, its timer, its tasks.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tidegate_driver::core::{Failure, Timestamp};
use tidegate_driver::net::{Connector, Networked};
use tidegate_driver::{ConnectRequest, Spawn};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::Transport;
use crate::net::TokioNet;

/// Later than any run: where a deadline goes that tokio's clock cannot express.
const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

/// Runs feeds on tokio. Time is tokio's own, so that it can be paused in tests.
///
/// ```
/// let runtime = tidegate_tokio::Runtime::new(tidegate_tokio::Connector::default());
/// ```
#[derive(Clone)]
pub struct Runtime {
    connector: Arc<Connector>,
    origin: Instant,
}

impl Runtime {
    /// A runtime that connects through `connector`. Its time starts now.
    pub fn new(connector: impl Into<Arc<Connector>>) -> Self {
        Self { connector: connector.into(), origin: Instant::now() }
    }
}

impl Default for Runtime {
    /// With the default [`Connector`].
    fn default() -> Self {
        Self::new(Connector::default())
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").field("connector", &self.connector).finish_non_exhaustive()
    }
}

impl tidegate_driver::Runtime for Runtime {
    type Alarm = Alarm;
    type Transport = Transport;

    fn now(&self) -> Timestamp {
        let nanos = self.origin.elapsed().as_nanos();
        Timestamp::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    fn alarm(&self) -> Alarm {
        Alarm { origin: self.origin, sleep: None, set: false }
    }

    fn connect(
        &self,
        request: ConnectRequest,
    ) -> impl Future<Output = Result<Transport, Failure>> + Send + 'static {
        Arc::clone(&self.connector).connect::<TokioNet>(request)
    }
}

impl Networked for Runtime {
    type Net = TokioNet;

    fn connector(&self) -> &Arc<Connector> {
        &self.connector
    }

    fn connector_mut(&mut self) -> &mut Connector {
        Arc::make_mut(&mut self.connector)
    }
}

impl Spawn for Runtime {
    /// # Panics
    /// Outside of a tokio runtime.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(task);
    }
}

/// A timer of tokio, which rings up to a millisecond after its time, never before.
#[derive(Debug)]
pub struct Alarm {
    origin: Instant,
    /// Made when it is first set: a runtime of tokio must be there by then, but need not be before.
    sleep: Option<Pin<Box<Sleep>>>,
    /// It has not rung since it was last set.
    set: bool,
}

impl tidegate_driver::Alarm for Alarm {
    /// # Panics
    /// Outside of a tokio runtime whose time is enabled.
    fn set(&mut self, at: Timestamp) {
        let after = Duration::from_nanos(at.as_nanos());
        let at = self.origin.checked_add(after).unwrap_or_else(|| Instant::now() + FAR);
        match &mut self.sleep {
            Some(sleep) => sleep.as_mut().reset(at),
            None => self.sleep = Some(Box::pin(sleep_until(at))),
        }
        self.set = true;
    }

    fn poll_ring(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(sleep) = self.sleep.as_mut().filter(|_| self.set) else { return Poll::Pending };
        ready!(sleep.as_mut().poll(cx));
        self.set = false;
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tidegate_driver::{Alarm as _, Runtime as _};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_clock_starts_at_the_origin_and_follows_tokio() {
        let runtime = Runtime::default();
        assert_eq!(runtime.now(), Timestamp::ZERO);
        tokio::time::advance(Duration::from_millis(5)).await;
        assert_eq!(runtime.now(), Timestamp::from_millis(5));
    }

    #[tokio::test(start_paused = true)]
    async fn the_alarm_rings_once_and_at_the_time_last_set() {
        let runtime = Runtime::default();
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
        let mut alarm = Runtime::default().alarm();
        alarm.set(Timestamp::from_nanos(u64::MAX));
        let silent = tokio::time::timeout(Duration::from_secs(60), poll_fn(|cx| alarm.poll_ring(cx))).await;
        assert!(silent.is_err());
    }
}
