//! Every event in every phase in which it means something.

use bytes::Bytes;
use divan::Bencher;
use tidegate::core::{ConnectionId, Event, Failure, Frame, Phase};

use crate::fixture::{Fixture, close, refused, text};

#[derive(Clone, Copy, Debug)]
enum Kind {
    Start,
    Connected,
    ConnectFailed,
    Text,
    Ping,
    /// The answer to a ping.
    Pong,
    Close,
    Flushed,
    Lost,
    TickDue,
    TickNotDue,
    Shutdown,
    /// A frame of an earlier connection.
    Stale,
}

use Kind::{
    Close, ConnectFailed, Connected, Flushed, Lost, Ping, Pong, Shutdown, Stale, Start, Text, TickDue,
    TickNotDue,
};

impl Kind {
    fn event(self, fixture: &mut Fixture) -> Event {
        match self {
            Start => Event::Start,
            Connected => Event::Connected { id: fixture.id(), connected: Default::default() },
            ConnectFailed => Event::ConnectFailed { id: fixture.id(), failure: refused() },
            Text => fixture.frame(text()),
            Ping => fixture.frame(Frame::Ping(Bytes::from_static(b"ping"))),
            Pong => {
                let pong = fixture.pong();
                fixture.frame(pong)
            }
            Close => fixture.frame(close()),
            Flushed => Event::Flushed { id: fixture.id() },
            Lost => Event::Lost { id: fixture.id(), failure: Failure::io("end of stream") },
            TickDue => {
                fixture.become_due();
                Event::Tick
            }
            TickNotDue => Event::Tick,
            Shutdown => Event::Shutdown,
            Stale => Event::Frame { id: ConnectionId::new(u64::MAX), frame: text() },
        }
    }
}

fn event(bencher: Bencher<'_, '_>, phase: Phase, kind: Kind) {
    bencher
        .with_inputs(|| {
            let mut fixture = Fixture::in_phase(phase);
            let event = kind.event(&mut fixture);
            (fixture, Some(event))
        })
        .bench_local_refs(|(fixture, event)| {
            if let Some(event) = event.take() {
                fixture.tell(event);
            }
        });
}

#[divan::bench(args = [Start, TickNotDue, Shutdown])]
fn idle(bencher: Bencher<'_, '_>, kind: Kind) {
    event(bencher, Phase::Idle, kind);
}

#[divan::bench(args = [Connected, ConnectFailed, TickDue, TickNotDue, Shutdown, Stale])]
fn connecting(bencher: Bencher<'_, '_>, kind: Kind) {
    event(bencher, Phase::Connecting, kind);
}

#[divan::bench(args = [Text, Ping, Close, Flushed, Lost, TickDue, TickNotDue, Shutdown, Stale])]
fn bootstrapping(bencher: Bencher<'_, '_>, kind: Kind) {
    event(bencher, Phase::Bootstrapping, kind);
}

#[divan::bench(args = [Text, Ping, Pong, Close, Flushed, Lost, TickDue, TickNotDue, Shutdown, Stale])]
fn live(bencher: Bencher<'_, '_>, kind: Kind) {
    event(bencher, Phase::Live, kind);
}

#[divan::bench(args = [Text, Close, Lost, TickDue, TickNotDue, Shutdown, Stale])]
fn closing(bencher: Bencher<'_, '_>, kind: Kind) {
    event(bencher, Phase::Closing, kind);
}

#[divan::bench(args = [TickDue, TickNotDue, Shutdown, Stale])]
fn waiting(bencher: Bencher<'_, '_>, kind: Kind) {
    event(bencher, Phase::Waiting, kind);
}

#[divan::bench(args = [TickNotDue, Shutdown, Stale])]
fn stopped(bencher: Bencher<'_, '_>, kind: Kind) {
    event(bencher, Phase::Stopped, kind);
}
