//! An example handler, as a user would fuzz it.

use tidegate_sim::core::{Context, Fault, FrameHandler, Message, Upgrade};

/// Keeps a book of `S <number>`, a snapshot, and `U <number>`, the update after it.
pub struct Book {
    /// Whether a snapshot has come, for the planted bug: over all connections, though `Session` is of one.
    planted: Option<bool>,
}

impl Book {
    /// The handler as it should be.
    pub const fn new() -> Self {
        Self { planted: None }
    }

    /// With a bug: it takes the snapshot of an earlier connection for one of this.
    pub const fn planted() -> Self {
        Self { planted: Some(false) }
    }
}

impl Default for Book {
    fn default() -> Self {
        Self::new()
    }
}

impl FrameHandler for Book {
    type Session = Option<u64>;
    type Item = u64;

    fn on_upgrade(&mut self, _: &mut Upgrade<'_>) -> Result<Option<u64>, Fault> {
        Ok(None)
    }

    fn on_message(
        &mut self,
        last: &mut Option<u64>,
        message: Message,
        cx: &mut Context<'_, u64>,
    ) -> Result<(), Fault> {
        let fault = |text: &str| Fault::retryable(text.to_owned());
        let (kind, number) =
            message.as_text().and_then(|text| text.split_once(' ')).ok_or_else(|| fault("no words"))?;
        let number: u64 = number.parse().map_err(|_| fault("no number"))?;
        match kind {
            "S" => {
                self.planted = self.planted.map(|_| true);
                *last = Some(number);
            }
            "U" if self.planted.unwrap_or(last.is_some()) => {
                let before = last.expect("planted: a snapshot has come");
                if before.checked_add(1) != Some(number) {
                    return Err(fault("a gap"));
                }
                *last = Some(number);
            }
            _ => return Err(fault("an update without a snapshot")),
        }
        cx.emit(number);
        Ok(())
    }
}
