//! Connections that break: where, between which items, and that nothing else is touched (D2, R1).

use futures_util::future::join_all;
use tidegate::{Config, RetryPolicy};
use tidegate_tests::prelude::*;
use tidegate_tests::server::{Server, TEXT, frame};

cases! {
    both: [
        an_end_within_a_frame,
        a_reset_within_a_frame,
        a_reset_that_overtakes_items,
        a_close_between_items,
        a_frame_that_breaks_the_protocol,
        two_hundred_feeds_at_once,
    ],
}

/// A FIN after each byte of a frame but the last: the half frame is nothing, the whole one before it is.
async fn an_end_within_a_frame<M: Mode>() {
    let torn = frame(TEXT, b"half");
    let cuts = torn.len();
    let server = Server::start(move |number, peer| {
        peer.upgrade()?;
        peer.text(&format!("whole {number}"))?;
        peer.raw(&torn[..(number - 1) % torn.len()])?;
        peer.fin()
    });
    let mut feed = M::start(M::to(&server).config(quick()));
    for id in 1..=cuts {
        let expected = [format!("live {id}"), format!("whole {id}"), format!("interrupted {id}: io")];
        assert_eq!(take(&mut feed, 3).await, expected);
    }
}

/// The item before it has been taken: a reset takes along what has not been read.
async fn a_reset_within_a_frame<M: Mode>() {
    let server = Server::start(|number, peer| {
        peer.upgrade()?;
        peer.text(&format!("whole {number}"))?;
        peer.raw(&frame(TEXT, &[b'x'; 1000])[..500])?;
        // The client says that it has the item.
        peer.read()?;
        peer.reset()
    });
    let mut feed = M::start(M::to(&server).config(quick()));
    let handle = feed.handle();
    for id in 1..=5 {
        assert_eq!(take(&mut feed, 2).await, [format!("live {id}"), format!("whole {id}")]);
        let (sent, seen) = drive(&mut feed, handle.send("thanks")).await;
        assert_eq!(sent, Ok(()));
        let more = take(&mut feed, 1 - seen.len()).await;
        assert_eq!([seen, more].concat(), [format!("interrupted {id}: io")]);
    }
}

/// What comes of each connection is the beginning of what it sent, and its end is told before the next begins.
async fn a_reset_that_overtakes_items<M: Mode>() {
    const CONNECTIONS: usize = 10;
    let server = Server::start(|number, peer| {
        peer.upgrade()?;
        for item in 0..300 {
            peer.text(&format!("{number} {item}"))?;
        }
        if number < CONNECTIONS { peer.reset() } else { peer.serve() }
    });
    let mut feed = M::start(M::to(&server).config(quick()));
    let seen = take_to(&mut feed, &format!("{CONNECTIONS} 299")).await;
    let (mut connection, mut next_item, mut open) = (0, 0, false);
    for line in seen {
        let words: Vec<_> = line.split([' ', ':']).collect();
        match words[0] {
            "live" => {
                assert!(!open, "{line} without an end before it");
                (connection, next_item, open) = (words[1].parse().unwrap(), 0, true);
            }
            "interrupted" => {
                assert!(open && words[1].parse() == Ok(connection), "{line} during {connection}");
                open = false;
            }
            item => {
                assert!(open && item.parse() == Ok(connection), "{line} during {connection}");
                assert_eq!(words[1].parse(), Ok(next_item), "{line}");
                next_item += 1;
            }
        }
    }
}

/// Everything before a Close counts, nothing after it.
async fn a_close_between_items<M: Mode>() {
    let server = Server::start(|number, peer| {
        peer.upgrade()?;
        peer.text("before")?;
        if number == 1 {
            peer.close(4001)?;
            // The client may have gone by then.
            let _ = peer.text("after");
        }
        peer.serve()
    });
    let mut feed = M::start(M::to(&server).config(quick()));
    let expected = ["live 1", "before", "interrupted 1: closed", "live 2", "before"];
    assert_eq!(take(&mut feed, 5).await, expected);
    assert_eq!(server.saw_close(1).await, Some(4001));
}

async fn a_frame_that_breaks_the_protocol<M: Mode>() {
    let bad: [&[u8]; 4] = [
        &[0xc1, 1, b'x'],       // A reserved bit.
        &[0x83, 0],             // A reserved opcode.
        &[0x09, 0],             // A ping in pieces.
        &[0x81, 2, 0xc3, 0x28], // Text that is no UTF-8.
    ];
    let server = Server::start(move |number, peer| {
        peer.upgrade()?;
        peer.text("good")?;
        peer.raw(bad[(number - 1) % bad.len()])?;
        peer.read_to_close()
    });
    let mut feed = M::start(M::to(&server).config(quick()));
    for id in 1..=bad.len() {
        let expected = [format!("live {id}"), "good".into(), format!("interrupted {id}: protocol")];
        assert_eq!(take(&mut feed, 3).await, expected);
    }
}

/// Each with its own breaks; none sees anything of another.
async fn two_hundred_feeds_at_once<M: Mode>() {
    let server = Server::start(|_, peer| {
        peer.upgrade()?;
        let (_, name) = peer.read()?;
        let name = String::from_utf8(name).unwrap();
        for item in 0..20 {
            peer.text(&format!("{name} {item}"))?;
        }
        peer.fin()
    });
    let feeds = (0..200).map(|number| {
        let config = Config::builder().retry(RetryPolicy::fixed(ms(5)).unlimited());
        let mut feed =
            M::start(M::to(&server).config(config).on_upgrade(move |_| Ok([format!("feed-{number}")])));
        async move {
            for id in 1..=3 {
                let mut expected = vec![format!("live {id}")];
                expected.extend((0..20).map(|item| format!("feed-{number} {item}")));
                expected.push(format!("interrupted {id}: io"));
                assert_eq!(take(&mut feed, 22).await, expected);
            }
        }
    });
    join_all(feeds).await;
}
