//! The queue: what one more message takes at its bound, and whether a long queue takes more than a short one.

use divan::Bencher;
use tidegate::core::{Config, Overflow, Phase};

use crate::fixture::{Fixture, text};

/// In items. No cost may grow with it.
const LENGTHS: [usize; 3] = [1, 1_000, 100_000];

/// A bound that is soon reached, so that each run may have a feed of its own.
const BOUND: usize = 64;

/// A Live feed whose queue is bounded by `bound` items and holds `length`, its consumer asking for nothing.
fn holding(length: usize, bound: usize, overflow: Overflow) -> Fixture {
    let config = Config::builder().buffer(bound).buffer_bytes(1 << 30).overflow(overflow);
    let mut fixture = Fixture::new(config);
    fixture.bring_to(Phase::Live);
    fill(&mut fixture, length);
    fixture
}

fn fill(fixture: &mut Fixture, length: usize) {
    for _ in 0..length {
        fixture.tell(fixture.frame(text()));
    }
    assert_eq!(fixture.feed.stats().queued, length as u64);
}

/// One more item: it is the last that there is room for (`Pause`), or the first that there is none for.
#[divan::bench(args = Overflow::ALL.to_vec())]
fn at_the_bound(bencher: Bencher<'_, '_>, overflow: Overflow) {
    let length = if overflow == Overflow::Pause { BOUND - 1 } else { BOUND };
    bencher
        .with_inputs(|| {
            let fixture = holding(length, BOUND, overflow);
            let event = fixture.frame(text());
            (fixture, Some(event))
        })
        .bench_local_refs(|(fixture, event)| {
            if let Some(event) = event.take() {
                fixture.tell(event);
            }
        });
}

/// Measures `step` once it has been all around the queue's memory.
fn steadily(bencher: Bencher<'_, '_>, mut fixture: Fixture, step: impl Fn(&mut Fixture)) {
    for _ in 0..2 * LENGTHS[LENGTHS.len() - 1] {
        step(&mut fixture);
    }
    bencher.bench_local(move || step(&mut fixture));
}

/// One in, one out.
#[divan::bench(args = LENGTHS)]
fn in_and_out(bencher: Bencher<'_, '_>, length: usize) {
    steadily(bencher, holding(length, length + 2, Overflow::Pause), |fixture| {
        fixture.tell(fixture.frame(text()));
        fixture.feed.request(1);
        fixture.deliver();
    });
}

/// One in, and the oldest dropped for it.
#[divan::bench(args = LENGTHS)]
fn full_drop_oldest(bencher: Bencher<'_, '_>, length: usize) {
    let fixture = holding(length, length, Overflow::DropOldest);
    steadily(bencher, fixture, |fixture| fixture.tell(fixture.frame(text())));
}

/// One dropped.
#[divan::bench(args = LENGTHS)]
fn full_drop_newest(bencher: Bencher<'_, '_>, length: usize) {
    let fixture = holding(length, length, Overflow::DropNewest);
    steadily(bencher, fixture, |fixture| fixture.tell(fixture.frame(text())));
}
