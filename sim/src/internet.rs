//! The network and the server: frames on their way, replies, faults of open connections.

use std::time::Duration;

use fastrand::Rng;
use tidegate_driver::core::{CloseFrame, Frame, Message};

use crate::connection::{ConnectionKey, NEVER, SimConnection, Unit};
use crate::entry::Entry;
use crate::fault::{FaultKind, Stage};
use crate::injector::PlannedFault;
use crate::scenario::Answer;
use crate::server::{Peer, Server, ServerAction};
use crate::world::{Place, Sabotage, ScheduledEvent, State, span};

/// Shortest and longest duration of a fault that passes by itself.
pub(crate) const PASSING: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(40));

/// Bandwidth of a throttled connection, in bytes a second.
const TRICKLE: std::ops::Range<u64> = 50..2_000;

/// Close codes that servers send (RFC 6455 §7.4.1), and one of an application.
const CODES: [Option<u16>; 7] =
    [None, Some(1000), Some(1001), Some(1008), Some(1011), Some(1012), Some(4000)];

fn close_code(rng: &mut Rng) -> Option<u16> {
    CODES[rng.usize(0..CODES.len())]
}

impl State {
    /// Opens a connection: the upgrade is complete.
    pub(crate) fn open(&mut self, key: ConnectionKey) {
        let ConnectionKey { feed, id } = key;
        let quirk = self.injector.strike(Stage::Opening, self.now);
        let kind = quirk.as_ref().map(|fault| fault.kind);
        self.feeds[feed].connection = Some(SimConnection { id, quirk: kind, ..SimConnection::default() });
        self.record(feed, &Entry::Opened { id });
        if let Some(PlannedFault { kind, number, .. }) = &quirk {
            let (kind, number) = (*kind, *number);
            self.record(feed, &Entry::Fault { id, kind, number });
        }
        self.call_server(key, false, |server, peer| server.on_open(peer));
        if let Some(PlannedFault { kind, mut rng, .. }) = quirk {
            if kind == FaultKind::AcceptThenClose {
                self.carry_out(key, false, ServerAction::Close(close_code(&mut rng)));
            } else if kind == FaultKind::HandlerRefuses {
                self.feeds[feed].sabotage = Some(Sabotage::Refusal);
            }
        }
        self.plan_fault(key);
        if self.injector.is_due(self.now) {
            self.schedule(self.now, ScheduledEvent::PlannedFault);
        }
    }

    /// Strikes with the planned faults that are due, as long as a connection is open.
    fn strike_planned(&mut self) {
        let open = |state: &Self| {
            state
                .feeds
                .iter()
                .enumerate()
                .find_map(|(feed, it)| Some(ConnectionKey { feed, id: it.connection.as_ref()?.id }))
        };
        while let Some(key) = open(self)
            && let Some(fault) = self.injector.take_due(Stage::Open, self.now)
        {
            self.strike(key, fault);
        }
    }

    fn strike(&mut self, key: ConnectionKey, fault: PlannedFault) {
        let (id, kind, number) = (key.id, fault.kind, fault.number);
        self.record(key.feed, &Entry::Fault { id, kind, number });
        self.inject(key, fault);
    }

    fn plan_fault(&mut self, key: ConnectionKey) {
        if let Some((fault, span)) = self.injector.next() {
            self.schedule_in(span, ScheduledEvent::Fault(key, Box::new(fault)));
        }
    }

    pub(crate) fn handle(&mut self, event: ScheduledEvent) {
        match event {
            ScheduledEvent::Wake(waker) => waker.wake(),
            ScheduledEvent::Alarm(feed) => {
                let alarm = &mut self.feeds[feed].alarm;
                if alarm.at.is_some_and(|at| at <= self.now)
                    && let Some(waker) = alarm.waker.take()
                {
                    waker.wake();
                }
            }
            ScheduledEvent::ToClient(key) => self.arrived(key),
            ScheduledEvent::Seen(key) => {
                let now = self.now;
                if let Some(connection) = self.connection(key) {
                    connection.seen = now;
                }
                self.wake_client(key);
            }
            ScheduledEvent::Writable(key) => self.wake_client(key),
            ScheduledEvent::Broken(key) => {
                if let Some(connection) = self.connection(key) {
                    connection.broken = true;
                }
                self.wake_client(key);
                self.arrived(key);
            }
            ScheduledEvent::ToServer(key) => self.server_reads(key),
            ScheduledEvent::Tick(key, rhythm) => self.tick(key, rhythm),
            ScheduledEvent::Late(key, reply, message) => self.send_late(key, reply, message),
            ScheduledEvent::Fault(key, fault) => {
                if self.connection(key).is_some() && !self.healed {
                    if !fault.left_out {
                        self.strike(key, *fault);
                    }
                    self.plan_fault(key);
                }
            }
            ScheduledEvent::PlannedFault => self.strike_planned(),
            ScheduledEvent::Outage(span) => self.outage(span),
            ScheduledEvent::Heal(bound) => self.heal(bound),
        }
    }

    /// Something is in the socket. The runtime notices after the readiness delay.
    fn arrived(&mut self, key: ConnectionKey) {
        let now = self.now;
        if !self.connection(key).is_some_and(|connection| connection.to_client.has_arrived(now)) {
            return;
        }
        self.record(key.feed, &Entry::Arrived { id: key.id });
        self.schedule_in(self.network.readiness_delay, ScheduledEvent::Seen(key));
    }

    pub(crate) fn wake_client(&mut self, key: ConnectionKey) {
        let Some(connection) = self.connection(key) else { return };
        for waker in [connection.reader.take(), connection.writer.take()].into_iter().flatten() {
            waker.wake();
        }
    }

    /// The server reads what has arrived, unless it is a test.
    fn server_reads(&mut self, key: ConnectionKey) {
        if self.servers.is_test() {
            return;
        }
        let now = self.now;
        let arrived = |connection: &mut SimConnection| {
            if connection.server_gone { None } else { connection.to_server.pop(now) }
        };
        while let Some(Unit::Frame(frame)) = self.connection(key).and_then(arrived) {
            match frame {
                Frame::Message(message) => {
                    self.call_server(key, true, |server, peer| server.on_message(peer, message));
                }
                Frame::Ping(payload) => self.push(key, Unit::Frame(Frame::Pong(payload))),
                Frame::Pong(_) => {}
                Frame::Close(close) => {
                    let Some(connection) = self.connection(key) else { return };
                    let keeps_open = connection.keeps_open;
                    if !std::mem::replace(&mut connection.server_closed, true) {
                        self.push(key, Unit::Frame(Frame::Close(close)));
                    }
                    if !keeps_open {
                        self.push(key, Unit::End);
                    }
                }
            }
        }
    }

    fn tick(&mut self, key: ConnectionKey, rhythm: u64) {
        let Some(connection) =
            self.connection(key).filter(|connection| connection.rhythm == rhythm && connection.can_send())
        else {
            return;
        };
        let (mute_until, tick) = (connection.mute_until, connection.tick);
        if mute_until > self.now {
            return self.schedule(mute_until, ScheduledEvent::Tick(key, rhythm));
        }
        if let Some(span) = tick {
            self.schedule_in(span, ScheduledEvent::Tick(key, rhythm));
            self.call_server(key, false, |server, peer| server.on_tick(peer));
        }
    }

    fn send_late(&mut self, key: ConnectionKey, reply: bool, message: Message) {
        let now = self.now;
        let mute = self.connection(key).map(|connection| connection.mute_until).filter(|until| *until > now);
        match mute.filter(|_| !reply) {
            Some(until) => self.schedule(until, ScheduledEvent::Late(key, reply, message)),
            None => self.carry_out(key, reply, ServerAction::Send(message)),
        }
    }

    /// Tells the server that a connection is over, while there is a run.
    pub(crate) fn closed(&mut self, key: ConnectionKey) {
        if self.journal.violation.is_none()
            && let Some(server) = self.servers.of(key)
        {
            server.on_close(&Peer::new(key, self.now));
        }
    }

    fn call_server(
        &mut self,
        key: ConnectionKey,
        replies: bool,
        call: impl FnOnce(&mut dyn Server, &mut Peer),
    ) {
        let Some(server) = self.servers.of(key) else { return };
        let mut peer = Peer::new(key, self.now);
        call(server, &mut peer);
        for action in peer.actions {
            self.carry_out(key, replies, action);
        }
    }

    fn carry_out(&mut self, key: ConnectionKey, reply: bool, action: ServerAction) {
        let Some(connection) = self.connection(key).filter(|connection| connection.can_send()) else {
            return;
        };
        match action {
            ServerAction::Send(message) => self.send(key, reply, message),
            ServerAction::SendAfter(span, message) => {
                self.schedule_in(span, ScheduledEvent::Late(key, reply, message));
            }
            ServerAction::Ping => self.push(key, Unit::Frame(Frame::Ping(Default::default()))),
            ServerAction::Close(code) => {
                connection.server_closed = true;
                self.push(key, Unit::Frame(Frame::Close(code.map(CloseFrame::new))));
            }
            ServerAction::Reset => {
                connection.server_gone = true;
                self.push(key, Unit::Reset);
            }
            ServerAction::Fin => {
                connection.server_gone = true;
                self.push(key, Unit::Fin);
            }
            ServerAction::TickEvery(span) => {
                connection.tick = span;
                connection.rhythm += 1;
                let rhythm = connection.rhythm;
                if let Some(span) = span {
                    self.schedule_in(span, ScheduledEvent::Tick(key, rhythm));
                }
            }
        }
    }

    /// Sends a message of the server's, unless it is a reply to which something happens.
    fn send(&mut self, key: ConnectionKey, reply: bool, message: Message) {
        let answer = if reply { self.answers.pop_front() } else { None };
        let quirk = self.connection(key).and_then(|connection| connection.quirk).filter(|_| reply);
        let copies = match (answer.unwrap_or_default(), quirk) {
            (Answer::Late(span), _) => {
                return self.schedule_in(span, ScheduledEvent::Late(key, false, message));
            }
            (Answer::Lost, _) | (_, Some(FaultKind::RepliesMissing)) => 0,
            (_, Some(FaultKind::RepliesPartial)) => self.rng.usize(0..=1),
            (Answer::Twice, _) | (_, Some(FaultKind::RepliesTwice)) => 2,
            (Answer::Sent, Some(_) | None) => 1,
        };
        for _ in 0..copies {
            self.push(key, Unit::Frame(message.clone().into()));
        }
    }

    /// Sends something to the feed.
    pub(crate) fn push(&mut self, key: ConnectionKey, unit: Unit) {
        let mut latency = self.latency();
        let (now, bandwidth) = (self.now, self.network.bandwidth);
        let Some(connection) = self.connection(key) else { return };
        if connection.slow_until > now {
            latency += Duration::from_secs(2);
        }
        let reset = matches!(unit, Unit::Reset);
        let bandwidth = connection.bandwidth(now, bandwidth);
        let arrival = connection.to_client.push(now, latency, bandwidth, unit);
        self.schedule(
            arrival,
            if reset { ScheduledEvent::Broken(key) } else { ScheduledEvent::ToClient(key) },
        );
    }

    /// Sends a frame of the feed to the server.
    pub(crate) fn push_to_server(&mut self, key: ConnectionKey, frame: Frame) {
        let latency = self.latency();
        let (now, bandwidth) = (self.now, self.network.bandwidth);
        let Some(connection) = self.connection(key) else { return };
        let bandwidth = connection.bandwidth(now, bandwidth);
        let arrival = connection.to_server.push(now, latency, bandwidth, Unit::Frame(frame));
        self.schedule(arrival, ScheduledEvent::ToServer(key));
    }

    /// Carries out a fault of an open connection.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the other kinds are of attempts and openings")]
    fn inject(&mut self, key: ConnectionKey, fault: PlannedFault) {
        let PlannedFault { kind, mut rng, .. } = fault;
        let now = self.now;
        let until = now.saturating_add(span(&mut rng, PASSING.0, PASSING.1));
        let Some(connection) = self.connection(key) else { return };
        match kind {
            FaultKind::Reset => self.carry_out(key, false, ServerAction::Reset),
            FaultKind::Fin => self.carry_out(key, false, ServerAction::Fin),
            FaultKind::HalfOpen => connection.hold(now, NEVER),
            FaultKind::HalfOpenInbound => connection.to_client.hold(now, NEVER),
            FaultKind::HalfOpenOutbound => connection.to_server.hold(now, NEVER),
            FaultKind::Stall => {
                connection.hold(now, until);
                self.schedule(until, ScheduledEvent::ToClient(key));
                self.schedule(until, ScheduledEvent::ToServer(key));
            }
            FaultKind::WriteStall => connection.blocked_until = connection.blocked_until.max(until),
            FaultKind::Delay => connection.slow_until = until,
            FaultKind::Throttle => connection.throttle = Some((rng.u64(TRICKLE), until)),
            FaultKind::Mute => connection.mute_until = until,
            FaultKind::Close => self.carry_out(key, false, ServerAction::Close(close_code(&mut rng))),
            FaultKind::CloseKeepsOpen => {
                connection.keeps_open = true;
                self.carry_out(key, false, ServerAction::Close(close_code(&mut rng)));
            }
            FaultKind::Protocol => {
                // The server reads the Close that answers it, or is gone.
                connection.server_gone = rng.bool();
                self.push(key, Unit::Invalid);
            }
            FaultKind::Flood => self.flood(key, rng.usize(50..600)),
            FaultKind::ClockJump => {
                self.record_all(&Entry::Jumped { to: until });
                self.now = until;
            }
            FaultKind::HandlerFault => self.sabotage(key, Sabotage::Fault),
            FaultKind::HandlerFatal => self.sabotage(key, Sabotage::Fatal),
            FaultKind::HandlerReconnect => self.sabotage(key, Sabotage::Reconnect),
            FaultKind::Panic => {
                let places = [Place::Message, Place::Upgrade, Place::Resolver, Place::Classification];
                self.sabotage(key, Sabotage::Panic(places[rng.usize(0..places.len())]));
            }
            other => unreachable!("{other} is no fault of an open connection"),
        }
    }

    fn flood(&mut self, key: ConnectionKey, messages: usize) {
        if self.connection(key).is_some_and(|connection| connection.tick.is_some() && connection.can_send()) {
            for _ in 0..messages {
                self.call_server(key, false, |server, peer| server.on_tick(peer));
            }
        }
    }

    fn sabotage(&mut self, key: ConnectionKey, sabotage: Sabotage) {
        self.feeds[key.feed].sabotage = Some(sabotage);
    }

    /// The server goes away with all its connections.
    fn outage(&mut self, span: Duration) {
        let until = self.now.saturating_add(span);
        self.record_all(&Entry::Outage { until });
        self.down_until = self.down_until.max(until);
        for feed in 0..self.feeds.len() {
            if let Some(id) = self.feeds[feed].connection.as_ref().map(|connection| connection.id) {
                self.carry_out(ConnectionKey { feed, id }, false, ServerAction::Reset);
            }
        }
    }

    /// Ends all faults. What hangs still hangs: only the feed can recover from that.
    fn heal(&mut self, bound: Duration) {
        self.record_all(&Entry::Healed { bound: bound + PASSING.1 });
        self.injector.heal();
        self.healed = true;
        for feed in &mut self.feeds {
            feed.sabotage = None;
            if let Some(connection) = &mut feed.connection {
                connection.quirk = None;
                connection.slow_until = self.now;
                connection.throttle = None;
            }
        }
    }
}
