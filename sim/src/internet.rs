//! What happens between the feed and the server: frames, replies, faults.

use std::time::Duration;

use tidegate_driver::core::{CloseFrame, ConnectionId, Failure, Frame, Message, TlsProblem};

use crate::entry::Entry;
use crate::fault::{FaultKind, Faults};
use crate::server::{Dial, Order, Peer, Server};
use crate::wire::{NEVER, Unit, Wire};
use crate::world::{Happening, State};

/// The shortest and longest that something goes wrong for which passes by itself.
const PASSING: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(40));

/// Close codes of servers (RFC 6455 §7.4.1), and one of an application.
const CODES: [Option<u16>; 7] =
    [None, Some(1000), Some(1001), Some(1008), Some(1011), Some(1012), Some(4000)];

/// Statuses that a retry may mend.
const STATUSES: [u16; 7] = [302, 408, 425, 429, 500, 502, 503];

impl State {
    /// An attempt begins: whether the resolver fails.
    pub(crate) fn announce(&mut self, id: ConnectionId) -> Result<(), &'static str> {
        let fate = self.faults.of_attempt(&mut self.rng);
        self.announced = (id.get(), fate);
        self.record(&Entry::Connect { id: id.get() });
        if fate == Some(FaultKind::Resolver) {
            self.record(&Entry::Fault { id: id.get(), kind: FaultKind::Resolver });
            let failure = Failure::Resolve { detail: "no token".to_owned() };
            self.record(&Entry::DialFailed { id: id.get(), failure });
            return Err("no token");
        }
        Ok(())
    }

    /// What becomes of the attempt that was announced, and when.
    pub(crate) fn dial(&mut self) -> (u64, Dial, Duration) {
        let (id, fate) = self.announced;
        let round_trip = self.latency() + self.latency();
        if let Some(kind) = fate {
            self.record(&Entry::Fault { id, kind });
            let (dial, trips) = self.failed_dial(kind);
            return (id, dial, round_trip * trips);
        }
        let dial = self.server.as_mut().map_or(Dial::Accept, |server| server.on_dial(id));
        // TCP, TLS, upgrade.
        (id, dial, round_trip * 3)
    }

    fn failed_dial(&mut self, kind: FaultKind) -> (Dial, u32) {
        let detail = "by the simulation".to_owned();
        match kind {
            FaultKind::Lookup => (Dial::Fail(Failure::Lookup { detail }), 1),
            FaultKind::Refused => (Dial::Fail(Failure::Tcp { detail }), 1),
            FaultKind::Tls => (Dial::Fail(Failure::Tls { problem: TlsProblem::Expired, detail }), 2),
            FaultKind::Garbage => (Dial::Fail(Failure::Upgrade { detail }), 3),
            FaultKind::Rejected => {
                let status = STATUSES[self.rng.usize(0..STATUSES.len())];
                let after = Duration::from_secs(self.rng.u64(1..400));
                let retry_after = self.rng.bool().then_some(after);
                (Dial::Fail(Failure::Rejected { status, retry_after }), 3)
            }
            // Those after the first two are not of attempts.
            FaultKind::SynLost
            | FaultKind::UpgradeSilent
            | FaultKind::Resolver
            | FaultKind::AcceptThenClose
            | FaultKind::RepliesPartial
            | FaultKind::RepliesMissing
            | FaultKind::RepliesTwice
            | FaultKind::Reset
            | FaultKind::Fin
            | FaultKind::HalfOpen
            | FaultKind::HalfOpenInbound
            | FaultKind::HalfOpenOutbound
            | FaultKind::Stall
            | FaultKind::WriteStall
            | FaultKind::Delay
            | FaultKind::Mute
            | FaultKind::Close
            | FaultKind::CloseKeepsOpen
            | FaultKind::Protocol
            | FaultKind::Flood
            | FaultKind::ClockJump => (Dial::Hang, 0),
        }
    }

    /// The upgrade is complete.
    pub(crate) fn open(&mut self, id: u64) {
        let quirk = self.faults.of_opening(&mut self.rng);
        self.wires.insert(id, Wire::new(quirk));
        self.record(&Entry::Opened { id });
        if let Some(kind) = quirk {
            self.record(&Entry::Fault { id, kind });
        }
        self.call_server(id, false, |server, peer| server.on_open(peer));
        if quirk == Some(FaultKind::AcceptThenClose) {
            let code = CODES[self.rng.usize(0..CODES.len())];
            self.carry_out(id, false, Order::Close(code));
        }
        self.plan_fault(id);
    }

    fn plan_fault(&mut self, id: u64) {
        if let Some((kind, span)) = self.faults.next(&mut self.rng) {
            self.plan_in(span, Happening::Fault(id, kind));
        }
    }

    pub(crate) fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Wake(waker) => waker.wake(),
            Happening::Ring => {
                if self.bell.at.is_some_and(|at| at <= self.now)
                    && let Some(waker) = self.bell.waker.take()
                {
                    waker.wake();
                }
            }
            Happening::ToClient(id) => self.wake_client(id),
            Happening::Broken(id) => {
                if let Some(wire) = self.wires.get_mut(&id) {
                    wire.broken = true;
                }
                self.wake_client(id);
            }
            Happening::Writable(id) => self.wake_client(id),
            Happening::ToServer(id) => self.server_reads(id),
            Happening::Tick(id, rhythm) => self.tick(id, rhythm),
            Happening::Fault(id, kind) => {
                if self.wires.contains_key(&id) && !self.healed {
                    self.record(&Entry::Fault { id, kind });
                    self.inject(id, kind);
                    self.plan_fault(id);
                }
            }
            Happening::Heal(bound) => self.heal(bound),
        }
    }

    fn wake_client(&mut self, id: u64) {
        let Some(wire) = self.wires.get_mut(&id) else { return };
        for waker in [wire.reader.take(), wire.writer.take()].into_iter().flatten() {
            waker.wake();
        }
    }

    /// What has arrived at the server.
    fn server_reads(&mut self, id: u64) {
        while let Some(Unit::Frame(frame)) = self
            .wires
            .get_mut(&id)
            .filter(|wire| !wire.server_gone)
            .and_then(|wire| wire.to_server.pop(self.now))
        {
            match frame {
                Frame::Text(text) => {
                    self.call_server(id, true, |server, peer| server.on_message(peer, Message::Text(text)));
                }
                Frame::Binary(data) => {
                    self.call_server(id, true, |server, peer| server.on_message(peer, Message::Binary(data)));
                }
                Frame::Ping(payload) => self.push(id, Unit::Frame(Frame::Pong(payload))),
                Frame::Pong(_) => {}
                Frame::Close(close) => {
                    let Some(wire) = self.wires.get_mut(&id) else { return };
                    let keeps_open = wire.keeps_open;
                    if !std::mem::replace(&mut wire.server_closed, true) {
                        self.push(id, Unit::Frame(Frame::Close(close)));
                    }
                    if !keeps_open {
                        self.push(id, Unit::End);
                    }
                }
            }
        }
    }

    fn tick(&mut self, id: u64, rhythm: u64) {
        let Some(wire) = self.wires.get(&id).filter(|wire| wire.rhythm == rhythm && wire.can_send()) else {
            return;
        };
        if wire.mute_until > self.now {
            return self.plan(wire.mute_until, Happening::Tick(id, rhythm));
        }
        if let Some(span) = wire.tick {
            self.plan_in(span, Happening::Tick(id, rhythm));
            self.call_server(id, false, |server, peer| server.on_tick(peer));
        }
    }

    fn call_server(&mut self, id: u64, replies: bool, call: impl FnOnce(&mut dyn Server, &mut Peer)) {
        let Some(mut server) = self.server.take() else { return };
        let mut peer = Peer::new(id, self.now);
        call(&mut *server, &mut peer);
        self.server = Some(server);
        for order in peer.orders {
            self.carry_out(id, replies, order);
        }
    }

    fn carry_out(&mut self, id: u64, reply: bool, order: Order) {
        let Some(wire) = self.wires.get_mut(&id).filter(|wire| wire.can_send()) else { return };
        match order {
            Order::Send(message) => {
                let copies = match wire.quirk.filter(|_| reply) {
                    Some(FaultKind::RepliesMissing) => 0,
                    Some(FaultKind::RepliesPartial) => self.rng.usize(0..=1),
                    Some(FaultKind::RepliesTwice) => 2,
                    Some(_) | None => 1,
                };
                for _ in 0..copies {
                    self.push(id, Unit::Frame(message.clone().into()));
                }
            }
            Order::Ping => self.push(id, Unit::Frame(Frame::Ping(Default::default()))),
            Order::Close(code) => {
                wire.server_closed = true;
                self.push(id, Unit::Frame(Frame::Close(code.map(CloseFrame::new))));
            }
            Order::Reset => {
                wire.server_gone = true;
                self.push(id, Unit::Reset);
            }
            Order::Fin => {
                wire.server_gone = true;
                self.push(id, Unit::Fin);
            }
            Order::TickEvery(span) => {
                wire.tick = span;
                wire.rhythm += 1;
                let rhythm = wire.rhythm;
                if let Some(span) = span {
                    self.plan_in(span, Happening::Tick(id, rhythm));
                }
            }
        }
    }

    /// Sends something on its way to the feed.
    fn push(&mut self, id: u64, unit: Unit) {
        let mut latency = self.latency();
        let now = self.now;
        let Some(wire) = self.wires.get_mut(&id) else { return };
        if wire.slow_until > now {
            latency += Duration::from_secs(2);
        }
        let reset = matches!(unit, Unit::Reset);
        let arrival = wire.to_client.push(now.saturating_add(latency), unit);
        self.plan(arrival, if reset { Happening::Broken(id) } else { Happening::ToClient(id) });
    }

    fn inject(&mut self, id: u64, kind: FaultKind) {
        let until = self.now.saturating_add(self.passing());
        let code = CODES[self.rng.usize(0..CODES.len())];
        let Some(wire) = self.wires.get_mut(&id) else { return };
        match kind {
            FaultKind::Reset => self.carry_out(id, false, Order::Reset),
            FaultKind::Fin => self.carry_out(id, false, Order::Fin),
            FaultKind::HalfOpen => {
                wire.to_client.hold(NEVER);
                wire.to_server.hold(NEVER);
            }
            FaultKind::HalfOpenInbound => wire.to_client.hold(NEVER),
            FaultKind::HalfOpenOutbound => wire.to_server.hold(NEVER),
            FaultKind::Stall => {
                wire.to_client.hold(until);
                wire.to_server.hold(until);
                self.plan(until, Happening::ToClient(id));
                self.plan(until, Happening::ToServer(id));
            }
            FaultKind::WriteStall => {
                wire.blocked_until = wire.blocked_until.max(until);
                self.plan(until, Happening::Writable(id));
            }
            FaultKind::Delay => wire.slow_until = until,
            FaultKind::Mute => wire.mute_until = until,
            FaultKind::Close => self.carry_out(id, false, Order::Close(code)),
            FaultKind::CloseKeepsOpen => {
                wire.keeps_open = true;
                self.carry_out(id, false, Order::Close(code));
            }
            FaultKind::Protocol => {
                wire.server_gone = true;
                self.push(id, Unit::Invalid);
            }
            FaultKind::Flood => {
                if wire.tick.is_some() && wire.can_send() {
                    for _ in 0..self.rng.usize(50..600) {
                        self.call_server(id, false, |server, peer| server.on_tick(peer));
                    }
                }
            }
            FaultKind::ClockJump => {
                self.record(&Entry::Jumped { to: until });
                self.now = until;
            }
            // Those of attempts and openings.
            FaultKind::Refused
            | FaultKind::SynLost
            | FaultKind::Lookup
            | FaultKind::Resolver
            | FaultKind::Tls
            | FaultKind::UpgradeSilent
            | FaultKind::Rejected
            | FaultKind::Garbage
            | FaultKind::AcceptThenClose
            | FaultKind::RepliesPartial
            | FaultKind::RepliesMissing
            | FaultKind::RepliesTwice => {}
        }
    }

    fn passing(&mut self) -> Duration {
        self.span(PASSING.0, PASSING.1)
    }

    /// The end of all faults; what hangs goes on hanging, since nothing will mend it but the feed.
    fn heal(&mut self, bound: Duration) {
        self.record(&Entry::Healed { bound: bound + PASSING.1 });
        self.faults = Faults::none();
        self.healed = true;
        for wire in self.wires.values_mut() {
            wire.quirk = None;
            wire.slow_until = self.now;
        }
    }
}
