//! What a consumer asks for, and when (D5).

/// The consumer's side of demand: asks for up to `max`, and again once what is outstanding falls to `min` (D5).
#[derive(Clone, Copy, Debug)]
pub struct DemandWindow {
    min: u64,
    max: u64,
    outstanding: u64,
}

impl DemandWindow {
    /// Nothing asked for yet.
    pub(crate) fn new(min: u32, max: u32) -> Self {
        Self { min: min.into(), max: max.into(), outstanding: 0 }
    }

    /// One item has been taken.
    pub fn taken(&mut self) {
        self.outstanding = self.outstanding.saturating_sub(1);
    }

    /// What to ask for now, if it is time to; counts as asked.
    pub fn top_up(&mut self) -> Option<u64> {
        if self.outstanding > self.min {
            return None;
        }
        let more = self.max - self.outstanding;
        self.outstanding = self.max;
        Some(more)
    }
}
