//! What is drawn: configurations, handlers, and what happens to a feed.

use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use tidegate_core::{
    Config, ConnectionId, Context, Fault, FrameHandler, Jitter, Message, Overflow, Readiness, RetryPolicy,
    Upgrade,
};

/// Milliseconds, few enough that every clock runs out in some case.
type Millis = u64;

/// One feed's configuration and handler.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) seed: u64,
    pub(crate) buffer: usize,
    pub(crate) buffer_bytes: usize,
    pub(crate) overflow: Overflow,
    pub(crate) send_buffer: usize,
    pub(crate) clocks: Clocks,
    pub(crate) spans: Spans,
    pub(crate) retry: Retry,
    pub(crate) handler: Numbers,
}

#[derive(Clone, Debug)]
pub(crate) struct Clocks {
    pub(crate) idle: Option<Millis>,
    /// Interval, as a share of the idle timeout if there is one, and timeout.
    pub(crate) ping: Option<(Millis, Millis)>,
    pub(crate) stale: Option<Millis>,
    pub(crate) max_pause: Option<Millis>,
}

#[derive(Clone, Debug)]
pub(crate) struct Spans {
    connect: Millis,
    bootstrap: Millis,
    close: Millis,
    pub(crate) stable_after: Millis,
}

#[derive(Clone, Debug)]
pub(crate) struct Retry {
    pub(crate) max: Option<u32>,
    /// Base, cap above it, and jitter; a fixed delay if there is none.
    exponential: Option<(Millis, Millis, Jitter)>,
}

impl Setup {
    /// One bootstrap frame, the second upgrade refused, no clocks.
    pub(crate) fn plain(max_retries: Option<u32>) -> Self {
        Self {
            seed: 0,
            buffer: 4,
            buffer_bytes: 64,
            overflow: Overflow::Pause,
            send_buffer: 1,
            clocks: Clocks { idle: None, ping: None, stale: None, max_pause: None },
            spans: Spans { connect: 10, bootstrap: 10, close: 10, stable_after: 10 },
            retry: Retry { max: max_retries, exponential: None },
            handler: Numbers { bootstrap: 1, declares: false, refuses: true, wakes: false, next: 0 },
        }
    }

    pub(crate) fn config(&self) -> Config {
        let ms = Duration::from_millis;
        let policy = match self.retry.exponential {
            Some((base, more, jitter)) => RetryPolicy::exponential(ms(base), ms(base + more)).jitter(jitter),
            None => RetryPolicy::fixed(ms(20)),
        };
        let mut builder = Config::builder()
            .connect_timeout(ms(self.spans.connect))
            .bootstrap_timeout(ms(self.spans.bootstrap))
            .close_timeout(ms(self.spans.close))
            .stable_after(ms(self.spans.stable_after))
            .buffer(self.buffer)
            .buffer_bytes(self.buffer_bytes)
            .overflow(self.overflow)
            .send_buffer(self.send_buffer)
            .retry(match self.retry.max {
                Some(max) => policy.max_retries(max),
                None => policy.unlimited(),
            });
        if let Some(idle) = self.clocks.idle {
            builder = builder.idle_timeout(ms(idle));
        }
        if let Some((interval, timeout)) = self.clocks.ping {
            builder = builder.ping_interval(ms(interval)).pong_timeout(ms(timeout));
        }
        if let Some(stale) = self.clocks.stale {
            builder = builder.stale_after(ms(stale));
        }
        if let Some(pause) = self.clocks.max_pause {
            builder = builder.max_pause(ms(pause));
        }
        builder.build().expect("only valid configurations are drawn")
    }
}

pub(crate) fn setups() -> impl Strategy<Value = Setup> {
    let overflow = prop_oneof![
        3 => Just(Overflow::Pause),
        1 => Just(Overflow::DropOldest),
        1 => Just(Overflow::DropNewest),
        1 => Just(Overflow::Disconnect),
    ];
    let sizes = (1..=6_usize, 1..=160_usize, 1..=3_usize);
    (any::<u64>(), sizes, overflow, clocks(), spans(), retries(), handlers()).prop_map(
        |(seed, (buffer, buffer_bytes, send_buffer), overflow, clocks, spans, retry, handler)| Setup {
            seed,
            buffer,
            buffer_bytes,
            overflow,
            send_buffer,
            clocks,
            spans,
            retry,
            handler,
        },
    )
}

fn clocks() -> impl Strategy<Value = Clocks> {
    let maybe = |span: std::ops::Range<Millis>| proptest::option::of(span);
    let ping = proptest::option::of((1..40_u64, 1..30_u64));
    (maybe(5..60), ping, maybe(5..60), maybe(5..60)).prop_map(|(idle, ping, stale, max_pause)| {
        let below_idle = |(interval, timeout): (Millis, Millis)| match idle {
            Some(idle) => (interval.min(idle - 1), timeout),
            None => (interval, timeout),
        };
        Clocks { idle, ping: ping.map(below_idle), stale, max_pause }
    })
}

fn spans() -> impl Strategy<Value = Spans> {
    (1..50_u64, 1..50_u64, 1..20_u64, 0..50_u64).prop_map(|(connect, bootstrap, close, stable_after)| Spans {
        connect,
        bootstrap,
        close,
        stable_after,
    })
}

fn retries() -> impl Strategy<Value = Retry> {
    let jitter = prop_oneof![Just(Jitter::None), Just(Jitter::Full), Just(Jitter::Equal)];
    let exponential = proptest::option::of((1..20_u64, 0..100_u64, jitter));
    let max = prop_oneof![2 => Just(None), 1 => (0..5_u32).prop_map(Some)];
    (max, exponential).prop_map(|(max, exponential)| Retry { max, exponential })
}

/// A handler that emits consecutive numbers, as many as each message says.
#[derive(Clone, Debug)]
pub(crate) struct Numbers {
    /// How many bootstrap frames.
    pub(crate) bootstrap: u8,
    pub(crate) declares: bool,
    /// Whether the second upgrade of every three is refused.
    pub(crate) refuses: bool,
    wakes: bool,
    next: u64,
}

impl Numbers {
    pub(crate) fn accepts(&self, id: ConnectionId) -> bool {
        !(self.refuses && id.get() % 3 == 2)
    }
}

fn handlers() -> impl Strategy<Value = Numbers> {
    (0..3_u8, any::<bool>(), proptest::bool::weighted(0.1), any::<bool>()).prop_map(
        |(bootstrap, declares, refuses, wakes)| Numbers { bootstrap, declares, refuses, wakes, next: 0 },
    )
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) number: u64,
    pub(crate) connection: ConnectionId,
    weight: u8,
}

/// What a message makes the handler do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Script {
    pub(crate) emit: u8,
    weight: u8,
    pub(crate) then: Then,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    Nothing,
    Reply,
    Wake,
    Ready,
    Reconnect,
    Fault,
    Fatal,
}

impl Then {
    const ALL: [Self; 7] =
        [Self::Nothing, Self::Reply, Self::Wake, Self::Ready, Self::Reconnect, Self::Fault, Self::Fatal];
}

impl Script {
    pub(crate) fn encode(self) -> Bytes {
        Bytes::copy_from_slice(&[self.emit, self.weight, self.then as u8])
    }
}

/// The heaviest an item can be.
const MAX_MORE: u8 = 20;
pub(crate) const MAX_WEIGHT: u64 = size_of::<Item>() as u64 + MAX_MORE as u64;
/// The most items a message can emit.
pub(crate) const MAX_EMIT: u64 = 3;

fn scripts() -> impl Strategy<Value = Script> {
    let then = prop_oneof![
        30 => Just(Then::Nothing),
        6 => Just(Then::Reply),
        6 => Just(Then::Wake),
        12 => Just(Then::Ready),
        2 => Just(Then::Reconnect),
        2 => Just(Then::Fault),
        1 => Just(Then::Fatal),
    ];
    (0..=MAX_EMIT as u8, 0..=MAX_MORE, then).prop_map(|(emit, weight, then)| Script { emit, weight, then })
}

impl FrameHandler for Numbers {
    /// The connection it was made for (H1).
    type Session = ConnectionId;
    type Item = Item;

    fn on_upgrade(&mut self, upgrade: &mut Upgrade<'_>) -> Result<ConnectionId, Fault> {
        let id = upgrade.connection();
        for index in 0..self.bootstrap {
            upgrade.send(format!("b {index} {id}"));
        }
        if self.wakes {
            upgrade.wake_at(upgrade.now().saturating_add(Duration::from_millis(7)));
        }
        if self.accepts(id) { Ok(id) } else { Err(Fault::retryable("refused")) }
    }

    fn on_message(
        &mut self,
        session: &mut ConnectionId,
        message: Message,
        cx: &mut Context<'_, Item>,
    ) -> Result<(), Fault> {
        assert_eq!(*session, cx.connection(), "H1: the session of another connection");
        let [emit, weight, then] = message.payload()[..] else { panic!("not a script") };
        for _ in 0..emit {
            cx.emit(Item { number: self.next, connection: *session, weight });
            self.next += 1;
        }
        match Then::ALL[usize::from(then)] {
            Then::Nothing => {}
            Then::Reply => _ = cx.send(format!("r 0 {session}")),
            Then::Wake => cx.wake_at(cx.now().saturating_add(Duration::from_millis(weight.into()))),
            Then::Ready => cx.ready(),
            Then::Reconnect => cx.reconnect(),
            Then::Fault => return Err(Fault::retryable("told to")),
            Then::Fatal => return Err(Fault::fatal("told to")),
        }
        Ok(())
    }

    fn on_wake(&mut self, session: &mut ConnectionId, cx: &mut Context<'_, Item>) -> Result<(), Fault> {
        assert_eq!(*session, cx.connection(), "H1: the session of another connection");
        cx.emit(Item { number: self.next, connection: *session, weight: 1 });
        self.next += 1;
        Ok(())
    }

    fn readiness(&self) -> Readiness {
        if self.declares { Readiness::WhenDeclared } else { Readiness::WhenFlushed }
    }

    fn weight(item: &Item) -> usize {
        size_of::<Item>() + usize::from(item.weight)
    }
}

/// What happens next. Connections are named relative to the current one, which only the run knows.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// What a calm world would do in this phase, so that cases get somewhere.
    Natural,
    Start,
    Connected(Who),
    ConnectFailed(Who, u8),
    Frame(Who, FrameOp),
    /// Bytes arrived so long ago.
    Heard(Who, Millis),
    ProtocolError(Who),
    Flushed(Who),
    Lost(Who),
    Tick,
    /// A tick this long after the deadline.
    TickAtDeadline(Millis),
    Advance(Millis),
    Shutdown,
    Panicked,
    /// The application sends; the action is taken at once, or only after the next event.
    Send {
        taken: bool,
    },
    Request(u64),
    /// The consumer takes up to so many.
    Take(u8),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Who {
    Current,
    Earlier,
    Later,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum FrameOp {
    /// Handed in although reading is held back, if `rude`.
    Data {
        script: Script,
        rude: bool,
    },
    Ping,
    Pong {
        answer: bool,
    },
    Close,
}

fn who() -> impl Strategy<Value = Who> {
    prop_oneof![12 => Just(Who::Current), 1 => Just(Who::Earlier), 1 => Just(Who::Later)]
}

fn frame_ops() -> impl Strategy<Value = FrameOp> {
    let data =
        (scripts(), proptest::bool::weighted(0.05)).prop_map(|(script, rude)| FrameOp::Data { script, rude });
    prop_oneof![
        12 => data,
        1 => Just(FrameOp::Ping),
        3 => proptest::bool::weighted(0.8).prop_map(|answer| FrameOp::Pong { answer }),
        1 => Just(FrameOp::Close),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        20 => Just(Op::Natural),
        1 => Just(Op::Start),
        4 => who().prop_map(Op::Connected),
        2 => (who(), 0..8_u8).prop_map(|(who, kind)| Op::ConnectFailed(who, kind)),
        24 => (who(), frame_ops()).prop_map(|(who, frame)| Op::Frame(who, frame)),
        2 => (who(), 0..10_u64).prop_map(|(who, ago)| Op::Heard(who, ago)),
        1 => who().prop_map(Op::ProtocolError),
        6 => who().prop_map(Op::Flushed),
        3 => who().prop_map(Op::Lost),
        4 => Just(Op::Tick),
        8 => prop_oneof![3 => Just(0), 1 => 0..40_u64].prop_map(Op::TickAtDeadline),
        8 => (0..15_u64).prop_map(Op::Advance),
        1 => proptest::bool::weighted(0.3).prop_map(|stop| if stop { Op::Shutdown } else { Op::Tick }),
        1 => proptest::bool::weighted(0.1).prop_map(|panic| if panic { Op::Panicked } else { Op::Start }),
        6 => proptest::bool::weighted(0.7).prop_map(|taken| Op::Send { taken }),
        6 => (0..6_u64).prop_map(Op::Request),
        8 => (1..5_u8).prop_map(Op::Take),
    ]
}

pub(crate) fn ops() -> impl Strategy<Value = Vec<Op>> {
    proptest::collection::vec(op(), 1..100)
}
