//! What happens between the feeds and the server: frames, replies, faults.

use std::time::Duration;

use fastrand::Rng;
use tidegate_driver::core::{CloseFrame, Frame, Message, Timestamp};

use crate::entry::Entry;
use crate::fault::{FaultKind, Stage};
use crate::injector::Planned;
use crate::server::{Order, Peer, Server};
use crate::wire::{NEVER, Unit, Wire};
use crate::world::{Happening, Line, Place, Sabotage, State, span};

/// The shortest and longest that something goes wrong for which passes by itself.
pub(crate) const PASSING: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(40));

/// What a throttled connection carries, in bytes a second.
const TRICKLE: std::ops::Range<u64> = 50..2_000;

/// Close codes of servers (RFC 6455 §7.4.1), and one of an application.
const CODES: [Option<u16>; 7] =
    [None, Some(1000), Some(1001), Some(1008), Some(1011), Some(1012), Some(4000)];

fn close_code(rng: &mut Rng) -> Option<u16> {
    CODES[rng.usize(0..CODES.len())]
}

impl State {
    /// The upgrade is complete.
    pub(crate) fn open(&mut self, line: Line) {
        let Line { feed, id } = line;
        let quirk = self.injector.strike(Stage::Opening);
        let mut wire = Wire::new(id);
        wire.quirk = quirk.as_ref().map(|fault| fault.kind);
        self.stations[feed].wire = Some(wire);
        self.record(feed, &Entry::Opened { id });
        if let Some(Planned { kind, number, .. }) = &quirk {
            let (kind, number) = (*kind, *number);
            self.record(feed, &Entry::Fault { id, kind, number });
        }
        self.call_server(line, false, |server, peer| server.on_open(peer));
        if let Some(Planned { kind, mut rng, .. }) = quirk {
            if kind == FaultKind::AcceptThenClose {
                self.carry_out(line, false, Order::Close(close_code(&mut rng)));
            } else if kind == FaultKind::HandlerRefuses {
                self.stations[feed].sabotage = Some(Sabotage::Refusal);
            }
        }
        self.plan_fault(line);
    }

    fn plan_fault(&mut self, line: Line) {
        if let Some((fault, span)) = self.injector.next() {
            self.plan_in(span, Happening::Fault(line, Box::new(fault)));
        }
    }

    pub(crate) fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Wake(waker) => waker.wake(),
            Happening::Ring(feed) => {
                let bell = &mut self.stations[feed].bell;
                if bell.at.is_some_and(|at| at <= self.now)
                    && let Some(waker) = bell.waker.take()
                {
                    waker.wake();
                }
            }
            Happening::ToClient(line) => self.arrived(line),
            Happening::Seen(line) => {
                let now = self.now;
                if let Some(wire) = self.wire(line) {
                    wire.seen = now;
                }
                self.wake_client(line);
            }
            Happening::Writable(line) => self.wake_client(line),
            Happening::Broken(line) => {
                if let Some(wire) = self.wire(line) {
                    wire.broken = true;
                }
                self.wake_client(line);
                self.arrived(line);
            }
            Happening::ToServer(line) => self.server_reads(line),
            Happening::Tick(line, rhythm) => self.tick(line, rhythm),
            Happening::Fault(line, fault) => {
                if self.wire(line).is_some() && !self.healed {
                    if !fault.left_out {
                        let (id, kind, number) = (line.id, fault.kind, fault.number);
                        self.record(line.feed, &Entry::Fault { id, kind, number });
                        self.inject(line, *fault);
                    }
                    self.plan_fault(line);
                }
            }
            Happening::Outage(span) => self.outage(span),
            Happening::Heal(bound) => self.heal(bound),
        }
    }

    /// Something is in the socket; the runtime sees it at once, or a little later.
    fn arrived(&mut self, line: Line) {
        let now = self.now;
        if !self.wire(line).is_some_and(|wire| wire.to_client.has_arrived(now)) {
            return;
        }
        self.record(line.feed, &Entry::Arrived { id: line.id });
        self.plan_in(self.network.readiness_delay, Happening::Seen(line));
    }

    fn wake_client(&mut self, line: Line) {
        let Some(wire) = self.wire(line) else { return };
        for waker in [wire.reader.take(), wire.writer.take()].into_iter().flatten() {
            waker.wake();
        }
    }

    /// What has arrived at the server.
    fn server_reads(&mut self, line: Line) {
        let now = self.now;
        let arrived = |wire: &mut Wire| if wire.server_gone { None } else { wire.to_server.pop(now) };
        while let Some(Unit::Frame(frame)) = self.wire(line).and_then(arrived) {
            match frame {
                Frame::Message(Message::Text(text)) => {
                    self.call_server(line, true, |server, peer| server.on_message(peer, Message::Text(text)));
                }
                Frame::Message(Message::Binary(data)) => {
                    self.call_server(line, true, |server, peer| {
                        server.on_message(peer, Message::Binary(data))
                    });
                }
                Frame::Ping(payload) => self.push(line, Unit::Frame(Frame::Pong(payload))),
                Frame::Pong(_) => {}
                Frame::Close(close) => {
                    let Some(wire) = self.wire(line) else { return };
                    let keeps_open = wire.keeps_open;
                    if !std::mem::replace(&mut wire.server_closed, true) {
                        self.push(line, Unit::Frame(Frame::Close(close)));
                    }
                    if !keeps_open {
                        self.push(line, Unit::End);
                    }
                }
            }
        }
    }

    fn tick(&mut self, line: Line, rhythm: u64) {
        let Some(wire) = self.wire(line).filter(|wire| wire.rhythm == rhythm && wire.can_send()) else {
            return;
        };
        let (mute_until, tick) = (wire.mute_until, wire.tick);
        if mute_until > self.now {
            return self.plan(mute_until, Happening::Tick(line, rhythm));
        }
        if let Some(span) = tick {
            self.plan_in(span, Happening::Tick(line, rhythm));
            self.call_server(line, false, |server, peer| server.on_tick(peer));
        }
    }

    fn call_server(&mut self, line: Line, replies: bool, call: impl FnOnce(&mut dyn Server, &mut Peer)) {
        let Some(mut server) = self.server.take() else { return };
        let mut peer = Peer::new(line, self.now);
        call(&mut *server, &mut peer);
        self.server = Some(server);
        for order in peer.orders {
            self.carry_out(line, replies, order);
        }
    }

    fn carry_out(&mut self, line: Line, reply: bool, order: Order) {
        let Some(wire) = self.wire(line).filter(|wire| wire.can_send()) else { return };
        match order {
            Order::Send(message) => {
                let copies = match wire.quirk.filter(|_| reply) {
                    Some(FaultKind::RepliesMissing) => 0,
                    Some(FaultKind::RepliesPartial) => self.rng.usize(0..=1),
                    Some(FaultKind::RepliesTwice) => 2,
                    Some(_) | None => 1,
                };
                for _ in 0..copies {
                    self.push(line, Unit::Frame(message.clone().into()));
                }
            }
            Order::Ping => self.push(line, Unit::Frame(Frame::Ping(Default::default()))),
            Order::Close(code) => {
                wire.server_closed = true;
                self.push(line, Unit::Frame(Frame::Close(code.map(CloseFrame::new))));
            }
            Order::Reset => {
                wire.server_gone = true;
                self.push(line, Unit::Reset);
            }
            Order::Fin => {
                wire.server_gone = true;
                self.push(line, Unit::Fin);
            }
            Order::TickEvery(span) => {
                wire.tick = span;
                wire.rhythm += 1;
                let rhythm = wire.rhythm;
                if let Some(span) = span {
                    self.plan_in(span, Happening::Tick(line, rhythm));
                }
            }
        }
    }

    /// Sends something on its way to the feed.
    fn push(&mut self, line: Line, unit: Unit) {
        let mut latency = self.latency();
        let (now, bandwidth) = (self.now, self.network.bandwidth);
        let Some(wire) = self.wire(line) else { return };
        if wire.slow_until > now {
            latency += Duration::from_secs(2);
        }
        let reset = matches!(unit, Unit::Reset);
        let bandwidth = wire.bandwidth(now, bandwidth);
        let arrival = wire.to_client.push(now, latency, bandwidth, unit);
        self.plan(arrival, if reset { Happening::Broken(line) } else { Happening::ToClient(line) });
    }

    /// Sends what the feed has written on its way.
    pub(crate) fn push_to_server(&mut self, line: Line, frame: Frame) {
        let latency = self.latency();
        let (now, bandwidth) = (self.now, self.network.bandwidth);
        let Some(wire) = self.wire(line) else { return };
        let bandwidth = wire.bandwidth(now, bandwidth);
        let arrival = wire.to_server.push(now, latency, bandwidth, Unit::Frame(frame));
        self.plan(arrival, Happening::ToServer(line));
    }

    fn inject(&mut self, line: Line, fault: Planned) {
        let Planned { kind, mut rng, .. } = fault;
        let now = self.now;
        let until = now.saturating_add(span(&mut rng, PASSING.0, PASSING.1));
        let Some(wire) = self.wire(line) else { return };
        match kind {
            FaultKind::Reset => self.carry_out(line, false, Order::Reset),
            FaultKind::Fin => self.carry_out(line, false, Order::Fin),
            FaultKind::HalfOpen => wire.hold(now, NEVER),
            FaultKind::HalfOpenInbound => wire.to_client.hold(now, NEVER),
            FaultKind::HalfOpenOutbound => wire.to_server.hold(now, NEVER),
            FaultKind::Stall => {
                wire.hold(now, until);
                self.plan(until, Happening::ToClient(line));
                self.plan(until, Happening::ToServer(line));
            }
            FaultKind::WriteStall => wire.blocked_until = wire.blocked_until.max(until),
            FaultKind::Delay => wire.slow_until = until,
            FaultKind::Throttle => wire.throttle = Some((rng.u64(TRICKLE), until)),
            FaultKind::Mute => wire.mute_until = until,
            FaultKind::Close => self.carry_out(line, false, Order::Close(close_code(&mut rng))),
            FaultKind::CloseKeepsOpen => {
                wire.keeps_open = true;
                self.carry_out(line, false, Order::Close(close_code(&mut rng)));
            }
            FaultKind::Protocol => {
                // It reads the Close that answers it, or does not.
                wire.server_gone = rng.bool();
                self.push(line, Unit::Invalid);
            }
            FaultKind::Flood => self.flood(line, rng.usize(50..600)),
            FaultKind::ClockJump => {
                self.record_all(&Entry::Jumped { to: until });
                self.now = until;
            }
            FaultKind::HandlerFault => self.sabotage(line, Sabotage::Fault),
            FaultKind::HandlerFatal => self.sabotage(line, Sabotage::Fatal),
            FaultKind::HandlerReconnect => self.sabotage(line, Sabotage::Reconnect),
            FaultKind::Panic => {
                let places = [Place::Message, Place::Upgrade, Place::Resolver, Place::Classification];
                self.sabotage(line, Sabotage::Panic(places[rng.usize(0..places.len())]));
            }
            // Those of attempts and openings.
            FaultKind::Refused
            | FaultKind::SynLost
            | FaultKind::Lookup
            | FaultKind::Resolver
            | FaultKind::ResolverSlow
            | FaultKind::Tls
            | FaultKind::TlsUnknownIssuer
            | FaultKind::TlsWrongHost
            | FaultKind::UpgradeSilent
            | FaultKind::Rejected
            | FaultKind::RejectedForGood
            | FaultKind::Garbage
            | FaultKind::AcceptThenClose
            | FaultKind::RepliesPartial
            | FaultKind::RepliesMissing
            | FaultKind::RepliesTwice
            | FaultKind::HandlerRefuses => {}
        }
    }

    fn flood(&mut self, line: Line, messages: usize) {
        if self.wire(line).is_some_and(|wire| wire.tick.is_some() && wire.can_send()) {
            for _ in 0..messages {
                self.call_server(line, false, |server, peer| server.on_tick(peer));
            }
        }
    }

    fn sabotage(&mut self, line: Line, sabotage: Sabotage) {
        self.stations[line.feed].sabotage = Some(sabotage);
    }

    /// The server goes away with all its connections.
    fn outage(&mut self, span: Duration) {
        let until = self.now.saturating_add(span);
        self.record_all(&Entry::Outage { until });
        self.down_until = self.down_until.max(until);
        for feed in 0..self.stations.len() {
            if let Some(id) = self.stations[feed].wire.as_ref().map(|wire| wire.id) {
                self.carry_out(Line { feed, id }, false, Order::Reset);
            }
        }
    }

    /// The end of all faults; what hangs goes on hanging, since nothing will mend it but the feed.
    fn heal(&mut self, bound: Duration) {
        self.record_all(&Entry::Healed { bound: bound + PASSING.1 });
        self.injector.heal();
        self.healed = true;
        let now: Timestamp = self.now;
        for station in &mut self.stations {
            station.sabotage = None;
            if let Some(wire) = &mut station.wire {
                wire.quirk = None;
                wire.slow_until = now;
                wire.throttle = None;
            }
        }
    }
}
