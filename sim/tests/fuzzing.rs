//! Bytes as runs: nothing is found where nothing is, and bugs of a handler are.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::panic::{AssertUnwindSafe, catch_unwind};

use tidegate_sim::core::{Context, Delivery, Fault, FrameHandler, Message, Upgrade};
use tidegate_sim::{Simulation, fuzz};

/// A bug of the handler below.
#[derive(Clone, Copy, PartialEq)]
enum Bug {
    None,
    /// Takes it that text is never empty.
    EmptyText,
    /// Takes it that there is one connection only.
    SecondConnection,
}

/// Emits the first letter of texts.
struct Initials {
    bug: Bug,
    texts: u32,
}

impl FrameHandler for Initials {
    type Session = u32;
    type Item = char;

    fn on_upgrade(&mut self, _: &mut Upgrade<'_>) -> Result<u32, Fault> {
        Ok(0)
    }

    fn on_message(
        &mut self,
        texts: &mut u32,
        message: Message,
        cx: &mut Context<'_, char>,
    ) -> Result<(), Fault> {
        let Some(text) = message.as_text() else { return Ok(()) };
        *texts += 1;
        self.texts += 1;
        assert!(self.bug != Bug::SecondConnection || *texts == self.texts, "planted: another connection");
        let first = text.chars().next();
        let first = if self.bug == Bug::EmptyText { Some(first.expect("planted: empty")) } else { first };
        first.into_iter().for_each(|letter| cx.emit(letter));
        Ok(())
    }
}

fn inputs() -> impl Iterator<Item = Vec<u8>> {
    let mut rng = fastrand::Rng::with_seed(1);
    std::iter::repeat_with(move || (0..rng.usize(0..300)).map(|_| rng.u8(..)).collect()).take(300)
}

/// What the first input says that fails, and its number.
fn found(fuzz: impl Fn(&[u8])) -> Option<String> {
    inputs().find_map(|input| {
        let panic = catch_unwind(AssertUnwindSafe(|| fuzz(&input))).err()?;
        Some(panic.downcast_ref::<String>().unwrap().clone())
    })
}

fn with(bug: Bug) -> Option<String> {
    found(|input| fuzz(input, move || Initials { bug, texts: 0 }))
}

#[test]
fn panics_of_a_handler_are_found() {
    assert_eq!(with(Bug::None), None);
    for bug in [Bug::EmptyText, Bug::SecondConnection] {
        let text = with(bug).unwrap();
        assert!(text.starts_with("the handler panicked\n"), "{text}");
        // What the bytes stood for, and what came of it.
        assert!(
            text.contains("steps: [") && text.contains("PANIC in a function of the application"),
            "{text}"
        );
    }
}

#[test]
fn rules_of_ones_own_are_checked() {
    let no_text = |delivery: &Delivery<char>, _| {
        if delivery.is_marker() { Ok(()) } else { Err("items: one came".to_owned()) }
    };
    let simulation = || Simulation::builder().handler(|| Initials { bug: Bug::None, texts: 0 });
    let text = found(|input| Simulation::fuzz(input, || simulation().on_delivery(no_text))).unwrap();
    assert!(text.starts_with("a rule is broken at ") && text.contains("items: one came"), "{text}");
    assert_eq!(found(|input| Simulation::fuzz(input, simulation)), None);
}
