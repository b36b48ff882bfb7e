//! H4: a handler that asks to be woken is, also behind bootstrap frames; one that does nothing then needs no code for it.

mod common;

use common::{Bench, Puppet, at, item, live, patient};
use tidegate_core::{Context, Fault, FrameHandler, Message, Phase, Upgrade};

#[test]
fn a_handler_with_bootstrap_frames_is_woken() {
    let handler = Puppet::default().with_bootstrap(|_| Ok(["subscribe"]));
    let mut bench = Bench::new(patient(), handler);
    bench.request(10).connect();
    bench.flushed();
    bench.text("wake:50");
    bench.assert_deadline(50);
    bench.at(50).tick();
    assert_eq!(bench.deliveries(), [live(1), item("woken")]);
}

/// Asks to be woken, and does not say what for.
struct Sleeper;

impl FrameHandler for Sleeper {
    type Session = ();
    type Item = ();

    fn on_upgrade(&mut self, upgrade: &mut Upgrade<'_>) -> Result<(), Fault> {
        upgrade.wake_at(at(50));
        Ok(())
    }

    fn on_message(&mut self, (): &mut (), _: Message, _: &mut Context<'_, ()>) -> Result<(), Fault> {
        Ok(())
    }
}

#[test]
fn without_code_for_it_a_wake_changes_nothing_and_is_over() {
    let mut bench = Bench::new(patient(), Sleeper);
    bench.connect();
    bench.assert_deadline(50);
    assert_eq!(bench.at(50).tick(), []);
    bench.assert_phase(Phase::Live);
    bench.assert_no_deadline();
}
