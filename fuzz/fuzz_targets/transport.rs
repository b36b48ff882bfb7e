//! Any bytes from a server, through the real framing into a Live feed.
//!
//! The first byte says how they come in pieces, the second what is taken meanwhile. Frames are those that tungstenite makes of
//! the bytes, though most are taken past it. After the first failure nothing more reaches the feed; until then every frame is
//! valid, and memory is bounded (D3).

#![no_main]

use std::io::{self, Read, Write};
use std::pin::pin;
use std::task::{Context, Waker};

use futures_util::{SinkExt, StreamExt};
use libfuzzer_sys::fuzz_target;
use tidegate_core::{
    Action, Config, Connected, ConnectionFailure, ConnectionId, Delivery, Event, Failure, Machine, Frame,
    Message, PassThrough, Phase, Timestamp,
};
use tidegate_driver::net::{Connector, Limits, fuzzing};
use tidegate_fuzz::Peer;
use tungstenite::Message as WsMessage;
use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};

/// Small, so that an input can go past them.
const MAX_FRAME: usize = 2048;
const MAX_MESSAGE: usize = 4096;
const BUFFER_BYTES: usize = 1024;
const BUFFER: usize = 8;

/// For an input of 8 KiB, of which one poll drops a byte at least behind Close or a violation.
const MAX_POLLS: usize = 10_000;

/// The longest payload of a control frame (RFC 6455 §5.5).
const MAX_CONTROL: usize = 125;

fuzz_target!(|bytes: &[u8]| {
    let [piece, taking, says @ ..] = bytes else { return };
    let mut served = pin!(serve(Peer::new(says, (*piece).into()), *taking, Tungstenite::new(says)));
    let mut cx = Context::from_waker(Waker::noop());
    // It yields now and then.
    let ready = (0..MAX_POLLS).any(|_| served.as_mut().poll(&mut cx).is_ready());
    assert!(ready, "the peer is always ready, and so must the transport be");
});

async fn serve(peer: Peer, taking: u8, mut tungstenite: Tungstenite<'_>) {
    let limits = Limits::default().max_frame_size(MAX_FRAME).expect("in bounds");
    let connector = Connector::default()
        .limits(limits.max_message_size(MAX_MESSAGE).expect("in bounds"))
        .read_buffer_size(1 << 10)
        .expect("in bounds");
    let mut transport = pin!(fuzzing::open(&connector, peer));
    let mut feed = Live::new();
    let mut closed = false;
    for count in 0_u64.. {
        let item = transport.next().await;
        let expected = tungstenite.next();
        let frame = item.as_ref().and_then(|item| item.as_ref().ok()).cloned().map(without_reason);
        // Tungstenite takes a length in too long a form, and reports a code that must not be sent as another one (C6).
        if !matches!(&item, Some(Err(failure)) if judged_here(failure)) {
            assert_eq!(frame, expected);
        }
        match item {
            Some(Ok(frame)) => {
                check(&frame);
                assert!(!closed, "a frame behind Close");
                closed = matches!(frame, Frame::Close(_));
                feed.hand_over(frame, count, taking);
            }
            Some(Err(failure)) => return feed.lost(failure, closed),
            None => {
                assert!(closed, "an end without Close must be a failure");
                return feed.lost(Failure::io(""), closed);
            }
        }
        for frame in feed.to_send() {
            if transport.send(frame).await.is_err() {
                break;
            }
        }
    }
}

/// What tungstenite makes of the same bytes by itself.
struct Tungstenite<'a> {
    context: WebSocketContext,
    says: Deaf<'a>,
}

impl<'a> Tungstenite<'a> {
    fn new(says: &'a [u8]) -> Self {
        let config =
            WebSocketConfig::default().max_frame_size(Some(MAX_FRAME)).max_message_size(Some(MAX_MESSAGE));
        Self { context: WebSocketContext::new(Role::Client, Some(config)), says: Deaf(says) }
    }

    /// The next frame, until something goes wrong.
    fn next(&mut self) -> Option<Frame> {
        self.context.read(&mut self.says).ok().map(|message| match message {
            WsMessage::Text(text) => Frame::Message(Message::Text(text.into())),
            WsMessage::Binary(payload) => Frame::Message(Message::Binary(payload)),
            WsMessage::Ping(payload) => Frame::Ping(payload),
            WsMessage::Pong(payload) => Frame::Pong(payload),
            WsMessage::Close(_) => Frame::Close(None),
            WsMessage::Frame(frame) => panic!("read: {frame}"),
        })
    }
}

/// Control frames are judged by the transport itself.
fn judged_here(failure: &Failure) -> bool {
    matches!(failure, Failure::Connection(ConnectionFailure::Protocol { detail, .. }) if detail.contains("Close frame") || detail.contains("control frame"))
}

/// What a Close says depends on who sent the first: tungstenite tells a code that is not allowed only as an answer.
fn without_reason(frame: Frame) -> Frame {
    match frame {
        Frame::Close(_) => Frame::Close(None),
        Frame::Message(_) | Frame::Ping(_) | Frame::Pong(_) => frame,
    }
}

/// Gives its bytes, and hears nothing.
struct Deaf<'a>(&'a [u8]);

impl Read for Deaf<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into)
    }
}

impl Write for Deaf<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// RFC 6455 §5.5, §5.6, §7.4.
fn check(frame: &Frame) {
    match frame {
        Frame::Message(Message::Text(payload)) => {
            assert!(std::str::from_utf8(payload).is_ok(), "text that is not UTF-8");
            assert!(payload.len() <= MAX_MESSAGE, "a message of {} bytes", payload.len());
        }
        Frame::Message(Message::Binary(payload)) => {
            assert!(payload.len() <= MAX_MESSAGE, "{} bytes", payload.len())
        }
        Frame::Ping(payload) | Frame::Pong(payload) => assert!(payload.len() <= MAX_CONTROL),
        Frame::Close(Some(close)) => {
            assert!(close.reason.len() + 2 <= MAX_CONTROL);
            assert!(close.code >= 1000, "code {}", close.code);
        }
        Frame::Close(None) => {}
    }
}

/// A feed that was Live when the bytes began.
struct Live {
    feed: Machine<PassThrough>,
    id: ConnectionId,
    now: u64,
}

impl Live {
    fn new() -> Self {
        let config = Config::builder().buffer(BUFFER).buffer_bytes(BUFFER_BYTES).build().expect("valid");
        let mut this = Self { feed: Machine::new(config, PassThrough, 0), id: ConnectionId::new(1), now: 0 };
        this.handle(Event::Start);
        this.handle(Event::Connected { id: this.id, connected: Connected::default() });
        this.handle(Event::Flushed { id: this.id });
        while this.feed.poll_action().is_some() {}
        assert_eq!(this.feed.phase(), Phase::Live);
        this
    }

    fn handle(&mut self, event: Event) {
        self.now += 1;
        self.feed.handle(event, Timestamp::from_millis(self.now));
    }

    /// As the driver does: no frame while reading is paused, so that the consumer has to take something first.
    fn hand_over(&mut self, frame: Frame, count: u64, taking: u8) {
        let linked = self.feed.phase() == Phase::Live;
        if linked && !self.feed.wants_frames() || count.is_multiple_of(u64::from(taking) + 1) {
            self.feed.request(BUFFER as u64);
            self.take();
        }
        self.handle(Event::Frame { id: self.id, frame });
        let stats = self.feed.stats();
        assert!(stats.queued <= BUFFER as u64, "D3: {} items", stats.queued);
        assert!(stats.queued_bytes <= (BUFFER_BYTES + MAX_MESSAGE) as u64, "D3: {stats:?}");
    }

    fn take(&mut self) {
        let now = Timestamp::from_millis(self.now);
        while let Some(delivery) = self.feed.poll_delivery(now) {
            if let Delivery::Item(Message::Text(text)) = delivery {
                assert!(std::str::from_utf8(&text).is_ok());
            }
        }
    }

    fn to_send(&mut self) -> Vec<Frame> {
        while let Some(action) = self.feed.poll_action() {
            assert!(!matches!(action, Action::Connect { .. }), "C1: the connection is still open");
        }
        std::iter::from_fn(|| self.feed.poll_send(self.id)).collect()
    }

    /// The end: no item comes after it that was not queued before.
    fn lost(mut self, failure: Failure, closed: bool) {
        assert!(failure.to_string().len() < 200, "{failure}");
        assert!(
            !closed || !matches!(failure, Failure::Connection(ConnectionFailure::Protocol { .. })),
            "after Close nothing matters"
        );
        let items = self.feed.stats().items;
        if let Failure::Connection(ConnectionFailure::Protocol { code, detail }) = &failure {
            self.handle(Event::ProtocolError { id: self.id, code: *code, detail: detail.clone() });
        }
        self.handle(Event::Lost { id: self.id, failure });
        assert_eq!(self.feed.phase(), Phase::Waiting);
        self.handle(Event::Frame {
            id: self.id,
            frame: Frame::Message(Message::Text(bytes::Bytes::from_static(b"late"))),
        });
        assert_eq!(self.feed.stats().items, items, "an item behind the end");
        self.feed.request(u64::MAX);
        self.take();
        let stats = self.feed.stats();
        assert_eq!((stats.delivered, stats.queued), (items, 0), "D2");
    }
}
