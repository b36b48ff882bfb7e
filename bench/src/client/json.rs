//! Parsing a message, for the clients that parse JSON.

use serde::Deserialize;
use tidegate::{Context, Fault, FrameHandler, Message, Upgrade};

#[derive(Deserialize)]
struct Price {
    p: f64,
}

/// The sum of the prices in a message.
pub(crate) fn sum(message: &[u8]) -> serde_json::Result<f64> {
    let prices: Vec<Price> = serde_json::from_slice(message)?;
    Ok(prices.iter().map(|price| price.p).sum())
}

/// Emits the sum for each message.
pub(crate) struct Sums;

impl FrameHandler for Sums {
    type Session = ();
    type Item = f64;

    fn on_upgrade(&mut self, _: &mut Upgrade<'_>) -> Result<(), Fault> {
        Ok(())
    }

    fn on_message(&mut self, (): &mut (), message: Message, cx: &mut Context<'_, f64>) -> Result<(), Fault> {
        cx.emit(sum(message.payload()).map_err(Fault::fatal)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_the_server_sends_can_be_summed() {
        assert_eq!(super::sum(&crate::payload::json(64)).unwrap(), 4.0 * 64123.5);
    }
}
