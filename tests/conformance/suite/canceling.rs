//! Futures that are dropped before they are done: nothing is lost by it.

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll};

use futures_util::StreamExt;
use futures_util::future::join;
use tidegate::driver::Source;
use tidegate::{Delivery, Feed, Message, Phase};
use tidegate_tests::prelude::*;
use tidegate_tests::server::{Fact, Server, switching};

cases! {
    both: [
        no_future_of_the_stream_keeps_anything,
        waiting_for_a_phase_can_be_given_up,
        a_send_that_is_given_up_goes_out_once_or_not_at_all,
    ],
}

/// One poll with a future of its own, of another kind each time.
fn poll_once<S: Source<Item = Message>>(
    feed: &mut Feed<S>,
    round: usize,
    cx: &mut Context<'_>,
    into: &mut Vec<Delivery<Message>>,
) -> Poll<()> {
    let before = into.len();
    let polled = match round % 3 {
        0 => pin!(feed.recv()).poll(cx).map(|delivery| into.push(delivery.unwrap().unwrap())),
        1 => pin!(feed.recv_many(into, 3)).poll(cx).map(|count| assert!((1..=3).contains(&count.unwrap()))),
        _ => pin!(feed.next()).poll(cx).map(|delivery| into.push(delivery.unwrap().unwrap())),
    };
    assert_eq!(polled.is_pending(), into.len() == before);
    polled
}

/// Every future of the session is polled once and dropped, in all phases.
async fn no_future_of_the_stream_keeps_anything<M: Mode>() {
    const CONNECTIONS: usize = 5;
    let server = Server::start(|number, peer| {
        // In pieces with pauses, so that there is something to wait for everywhere.
        let answer = switching(&peer.request()?);
        answer.as_bytes().chunks(40).try_for_each(|chunk| peer.drip(chunk, ms(0)))?;
        peer.read_frames(2)?;
        for item in 0..200 {
            peer.text(&format!("{number} {item}"))?;
            if item % 40 == 0 {
                std::thread::sleep(ms(2));
            }
        }
        peer.fin()
    });
    let config = quick().min_demand(1).max_demand(5).buffer(10);
    let mut feed = M::start(M::to(&server).config(config).on_upgrade(|_| Ok(["a", "b"])));
    let (mut seen, mut round) = (Vec::new(), 0);
    let all = poll_fn(|cx| {
        while seen.len() < CONNECTIONS * 203 {
            round += 1;
            if poll_once(&mut feed, round, cx, &mut seen).is_pending() {
                return Poll::Pending;
            }
        }
        Poll::Ready(())
    });
    within(all).await;
    let expected = (1..=CONNECTIONS).flat_map(|id| {
        let items = (0..200).map(move |item| format!("{id} {item}"));
        [format!("opened {id}"), format!("live {id}")]
            .into_iter()
            .chain(items)
            .chain([format!("interrupted {id}: io")])
    });
    let seen: Vec<_> = seen.iter().map(line).collect();
    assert_eq!(seen[..CONNECTIONS * 203], expected.collect::<Vec<_>>());
}

async fn waiting_for_a_phase_can_be_given_up<M: Mode>() {
    let server = Server::start(|_, peer| {
        peer.upgrade()?;
        peer.wait("go")?;
        peer.fin()
    });
    let mut feed = M::start(M::to(&server).config(quick()));
    let handle = feed.handle();
    next(&mut feed).await;
    let patient = handle.wait_for(|phase| phase == Phase::Waiting);
    let impatient = async {
        for _ in 0..100 {
            // Dropped after one poll: it must not take a wake-up along that is another's.
            let given_up = poll_fn(|cx| {
                let first = pin!(handle.wait_for(|phase| phase == Phase::Stopped)).poll(cx);
                Poll::Ready(first)
            });
            assert!(given_up.await.is_pending());
            sleep(ms(1)).await;
        }
        server.open("go");
    };
    let ((phase, ()), _) = drive(&mut feed, join(patient, impatient)).await;
    assert_eq!(phase, Phase::Waiting);
}

/// O1: what was accepted comes in order and once; what was given up, at most once, and in its place.
async fn a_send_that_is_given_up_goes_out_once_or_not_at_all<M: Mode>() {
    let server = Server::start(|_, peer| {
        peer.upgrade()?;
        peer.be_silent()
    });
    let mut feed = M::start(M::to(&server).config(quick()));
    let handle = feed.handle();
    next(&mut feed).await;
    let sends = async {
        let mut accepted = Vec::new();
        for number in 0..200 {
            if number % 3 == 0 {
                let given_up = poll_fn(|cx| Poll::Ready(pin!(handle.send(number.to_string())).poll(cx)));
                drop(given_up.await);
            } else if handle.send(number.to_string()).await.is_ok() {
                accepted.push(number.to_string());
            }
        }
        handle.send("last").await.unwrap();
        accepted
    };
    let (accepted, _) = drive(&mut feed, sends).await;
    let last = server.saw(1, Fact::Frame(1, b"last".to_vec()));
    drive(&mut feed, last).await;
    let mut texts = server.texts(1);
    assert_eq!(texts.pop().unwrap(), "last");
    let numbers: Vec<u32> = texts.iter().map(|text| text.parse().unwrap()).collect();
    assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
    assert!(accepted.iter().all(|text| texts.contains(text)));
    assert_eq!(accepted.len(), 133);
}
