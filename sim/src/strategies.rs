//! Strategies for [proptest](https://docs.rs/proptest), which draws scenarios and shrinks them.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, prop_oneof};
use proptest::sample::select;

use crate::fault::FaultKind;
use crate::pace::Pace;
use crate::scenario::{Answer, Scenario};
use crate::world::Network;

/// Scenarios whose faults begin in the first `within` of a run. They shrink to fewer and earlier faults, fewer answers, a
/// prompt consumer and a network that takes no time.
///
/// A [`heal_after`](crate::SimulationBuilder::heal_after) of the same span asks that the feed recovers from them.
pub fn scenarios(within: Duration) -> impl Strategy<Value = Scenario> {
    (faults(within), answers(), paces(), networks()).prop_map(|(faults, answers, pace, network)| Scenario {
        faults,
        answers,
        pace,
        network,
    })
}

/// At most twelve faults that a feed recovers from, each at a time before `within`.
pub fn faults(within: Duration) -> impl Strategy<Value = Vec<(Duration, FaultKind)>> {
    let kinds: Vec<_> = FaultKind::ALL.into_iter().filter(|kind| !kind.is_fatal()).collect();
    vec((millis(within), select(kinds)), 0..=12)
}

/// What becomes of at most twelve replies of the server's.
pub fn answers() -> impl Strategy<Value = Vec<Answer>> {
    let answer = prop_oneof![
        Just(Answer::Sent),
        millis(Duration::from_secs(5)).prop_map(Answer::Late),
        Just(Answer::Twice),
        Just(Answer::Lost),
    ];
    // Without those at the end that change nothing, to which others shrink.
    vec(answer, 0..=12).prop_map(|mut answers: Vec<Answer>| {
        while answers.pop_if(|answer| *answer == Answer::Sent).is_some() {}
        answers
    })
}

/// Consumers, from prompt to one that sleeps for half a minute.
pub fn paces() -> impl Strategy<Value = Pace> {
    prop_oneof![
        Just(Pace::Prompt),
        millis(Duration::from_secs(2)).prop_map(Pace::Slow),
        (1_u64..100, millis(Duration::from_secs(10))).prop_map(|(items, rest)| Pace::Bursty { items, rest }),
        millis(Duration::from_secs(30)).prop_map(Pace::Stopping),
    ]
}

/// Networks with a latency and a jitter of up to 200 ms each.
pub fn networks() -> impl Strategy<Value = Network> {
    let most = Duration::from_millis(200);
    (millis(most), millis(most))
        .prop_map(|(latency, jitter)| Network::default().latency(latency).jitter(jitter))
}

/// Whole milliseconds up to `most`.
fn millis(most: Duration) -> impl Strategy<Value = Duration> {
    (0..=u64::try_from(most.as_millis()).unwrap_or(u64::MAX)).prop_map(Duration::from_millis)
}
