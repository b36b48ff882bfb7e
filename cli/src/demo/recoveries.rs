//! How long the feed took to get over each fault.

use std::time::{Duration, Instant};

/// When continuity broke and when it was back, to tell how long each fault took to get over.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recoveries {
    /// Instants at which an interruption was announced, and at which a connection turned live.
    markers: Vec<(Instant, Marker)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Marker {
    Live,
    Interrupted,
}

impl Recoveries {
    /// A connection turned live.
    pub(crate) fn live(&mut self, at: Instant) {
        self.markers.push((at, Marker::Live));
    }

    /// The end of a connection was announced.
    pub(crate) fn interrupted(&mut self, at: Instant) {
        self.markers.push((at, Marker::Interrupted));
    }

    /// From a fault to the first connection that turned live after the interruption it caused; `None` if none
    /// has. A `Live` without an interruption in between belongs to an earlier fault.
    pub(crate) fn after(&self, fault: Instant) -> Option<Duration> {
        let mut since = self.markers.iter().skip_while(|(at, _)| *at < fault);
        since.find(|(_, marker)| *marker == Marker::Interrupted)?;
        let (live, _) = since.find(|(_, marker)| *marker == Marker::Live)?;
        Some(live.duration_since(fault))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recovery_lasts_from_the_fault_to_the_live_after_its_interruption() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut recoveries = Recoveries::default();
        recoveries.live(at(0));
        recoveries.interrupted(at(110));
        recoveries.live(at(150));
        recoveries.interrupted(at(300));
        let after = |fault| recoveries.after(at(fault)).map(|took| took.as_millis());
        assert_eq!(after(100), Some(50));
        assert_eq!(after(110), Some(40));
        // The live at 150 answers an earlier fault.
        assert_eq!(after(120), None);
        assert_eq!(after(400), None);
    }
}
