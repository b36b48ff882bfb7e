//! The loop: fixed phases per poll, bounded work, one clock reading, one alarm.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::task::{Context, Poll};

use tidegate_core::{
    Action, Connected, ConnectionFailure, ConnectionId, Deadline, Event, Failure, Frame, FrameHandler,
    Machine, Phase, StopReason, Timestamp,
};

use crate::control::Control;
use crate::guard::guarded;
use crate::link::Links;
use crate::observe::Observer;
use crate::resolve::Target;
use crate::runtime::Runtime;

mod due;
mod poll;

pub(crate) use poll::Consumer;
use poll::{Budget, PollState, Running};

/// Drives one machine over one runtime.
pub(crate) struct Engine<R: Runtime, H: FrameHandler> {
    machine: Machine<H>,
    runtime: R,
    links: Links<R::Transport>,
    target: Target,
    control: Arc<Control>,
    observer: Observer,
    /// The phase that handles were last told of.
    published: Phase,
    alarm: R::Alarm,
    /// When the alarm rings next.
    alarm_at: Deadline,
    /// When the second look ends; never while none is under way.
    verdict: Deadline,
}

// Nothing in it is pinned structurally.
impl<R: Runtime, H: FrameHandler> Unpin for Engine<R, H> {}

impl<R: Runtime, H: FrameHandler> Engine<R, H> {
    pub(crate) fn new(
        machine: Machine<H>,
        runtime: R,
        target: Target,
        control: Arc<Control>,
        observer: Observer,
    ) -> Self {
        let alarm = runtime.alarm();
        let published = machine.phase();
        Self {
            machine,
            runtime,
            links: Links::new(),
            target,
            control,
            observer,
            published,
            alarm,
            alarm_at: Deadline::Never,
            verdict: Deadline::Never,
        }
    }

    /// Does what there is to do, then parks. Ready once the feed has stopped; what is queued can still be taken.
    pub(crate) fn poll<C: Consumer<H>>(
        &mut self,
        cx: &mut Context<'_>,
        consumer: &mut C,
    ) -> Poll<StopReason> {
        self.control.register(cx.waker());
        let full = Budget { frames: C::FRAMES, bytes: C::BYTES };
        let mut poll = PollState { now: self.runtime.now(), budget: full, running: Running::Transport };
        self.links.all_open().for_each(|(_, connection)| connection.readable = true);
        let mut rounds = 1..C::ROUNDS;
        // Once a poll: whoever sends more has woken the loop for another, and cannot keep it in this one.
        self.commands(poll.now);
        // Not when it is built: the connect deadline must not run before anybody polls.
        if self.machine.phase() == Phase::Idle {
            self.tell(Event::Start, poll.now);
        }
        loop {
            let mut moved = self.each_link(|engine, id| engine.drive(id, cx, &mut poll));
            moved |= self.time(&poll);
            // An action carried out counts: a future that was just made has not been polled yet.
            moved |= self.actions(poll.now);
            // After the actions: no notice waits behind a frame.
            moved |= self.each_link(|engine, id| engine.write(id, cx, poll.now));
            // Before the hand-over: whoever has been told that the feed is Live may send. And in each round, since no connection
            // is lost and the next one Live in the same: what waits for the lost one comes back (O1).
            if self.machine.phase() != self.published {
                moved |= self.publish(poll.now);
            }
            moved |= consumer.hand_over(&mut self.machine, poll.now);
            if poll.budget.is_spent() && rounds.next().is_some() {
                poll.budget = full;
            }
            if moved || self.publish(poll.now) {
                continue;
            }
            if let Some(reason) = self.machine.stopped() {
                return Poll::Ready(reason.clone());
            }
            return self.park(cx, &poll, consumer.comes_back());
        }
    }

    /// More is wanted.
    pub(crate) fn request(&mut self, items: u64) {
        self.machine.request(items);
    }

    /// Tells the machine, in which the handler runs.
    fn tell(&mut self, event: Event, now: Timestamp) {
        if guarded(|| self.machine.handle(event, now)).is_none() {
            self.panicked(now);
        }
    }

    fn panicked(&mut self, now: Timestamp) {
        self.machine.handle(Event::HandlerPanicked, now);
    }

    /// Tells handles and metrics. Returns whether the application's recorder of metrics panicked.
    fn publish(&mut self, now: Timestamp) -> bool {
        self.published = self.machine.phase();
        let stats = self.machine.stats();
        self.control.publish(self.published, stats);
        let recorded = guarded(|| self.observer.figures(stats)).is_some();
        if !recorded {
            self.observer.mute();
            self.panicked(now);
        }
        !recorded
    }

    fn commands(&mut self, now: Timestamp) {
        let commands = self.control.take_commands();
        for command in commands.sends {
            // A reply nobody waits for is no matter.
            let _ = command.reply.send(self.machine.send(command.message));
        }
        if commands.shutdown {
            self.tell(Event::Shutdown, now);
        }
    }

    /// Takes a step for each link. Returns whether anything moved.
    fn each_link(&mut self, mut step: impl FnMut(&mut Self, ConnectionId) -> bool) -> bool {
        let mut moved = false;
        let mut next = self.links.next(None);
        while let Some(id) = next {
            moved |= step(self, id);
            next = self.links.next(next);
        }
        moved
    }

    /// Dials or reads.
    fn drive(&mut self, id: ConnectionId, cx: &mut Context<'_>, poll: &mut PollState) -> bool {
        let Some(link) = self.links.get(id) else { return false };
        if link.open().is_some() {
            return self.read(id, cx, poll);
        }
        match guarded(|| link.poll_dial(id, &self.runtime, cx)) {
            Some(Poll::Ready(Ok(()))) => {
                self.tell(Event::Connected { id, connected: Connected::default() }, poll.now);
            }
            Some(Poll::Ready(Err(failure))) => {
                self.links.remove(id);
                self.tell(Event::ConnectFailed { id, failure }, poll.now);
            }
            Some(Poll::Pending) => return false,
            None => {
                self.links.remove(id);
                self.panicked(poll.now);
            }
        }
        true
    }

    fn write(&mut self, id: ConnectionId, cx: &mut Context<'_>, now: Timestamp) -> bool {
        let Some(connection) = self.links.open(id) else { return false };
        match connection.poll_write(id, &mut self.machine, cx) {
            Poll::Ready(Some(Ok(()))) => self.tell(Event::Flushed { id }, now),
            // What has arrived by now is still to be read; the loss is reported after it.
            Poll::Ready(Some(Err(failure))) => connection.fail(failure),
            Poll::Ready(None) | Poll::Pending => return false,
        }
        true
    }

    fn read(&mut self, id: ConnectionId, cx: &mut Context<'_>, poll: &mut PollState) -> bool {
        match catch_unwind(AssertUnwindSafe(|| self.read_frames(id, cx, poll))) {
            Ok(moved) => moved,
            Err(panic) => {
                if poll.running == Running::Transport {
                    resume_unwind(panic);
                }
                poll.running = Running::Transport;
                self.panicked(poll.now);
                true
            }
        }
    }

    fn read_frames(&mut self, id: ConnectionId, cx: &mut Context<'_>, poll: &mut PollState) -> bool {
        let bootstrapping = self.machine.phase() == Phase::Bootstrapping;
        let Some(mut connection) = self.links.open(id) else { return false };
        let mut moved = false;
        while connection.readable && !poll.budget.is_spent() && self.machine.wants_frames() {
            let read = connection.poll_read(cx);
            if bootstrapping && matches!(read, Poll::Ready(Some(Ok(_)))) {
                // To read writes, too (O2). What this may answer has been flushed, and Live comes before it (B2).
                self.write(id, cx, poll.now);
                connection = self.links.open(id).expect("to write removes none");
            }
            match read {
                // An arm of its own: the machine's short way needs no look at what kind of frame it is.
                Poll::Ready(Some(Ok(Frame::Message(message)))) => {
                    poll.budget.spend(message.len());
                    poll.running = Running::Machine;
                    self.machine.handle(Event::Frame { id, frame: Frame::Message(message) }, poll.now);
                    poll.running = Running::Transport;
                }
                Poll::Ready(Some(Ok(mut frame))) => {
                    poll.budget.spend(frame.len());
                    connection.control(&mut frame);
                    poll.running = Running::Machine;
                    self.machine.handle(Event::Frame { id, frame }, poll.now);
                    poll.running = Running::Transport;
                }
                Poll::Ready(Some(Err(Failure::Connection(ConnectionFailure::Protocol { code, detail })))) => {
                    self.tell(Event::ProtocolError { id, code, detail }, poll.now);
                    // The Close goes out before anything more is read: the peer's end of the stream, say.
                    return true;
                }
                Poll::Ready(Some(Err(failure))) => return self.lost(id, failure, poll.now),
                // Whether that was due, the machine knows.
                Poll::Ready(None) => {
                    let failure = Failure::io("the connection was closed");
                    return self.lost(id, failure, poll.now);
                }
                Poll::Pending => {
                    connection.readable = false;
                    if !moved {
                        connection.read_partial(poll.now);
                    }
                    break;
                }
            }
            moved = true;
        }
        if moved {
            connection.frames_read();
            if connection.failed().is_some() {
                self.verdict = Deadline::Never;
            }
        }
        moved
    }

    #[cold]
    fn lost(&mut self, id: ConnectionId, failure: Failure, now: Timestamp) -> bool {
        self.links.remove(id);
        self.tell(Event::Lost { id, failure }, now);
        true
    }

    fn actions(&mut self, now: Timestamp) -> bool {
        let mut moved = false;
        while let Some(action) = self.machine.poll_action() {
            moved = true;
            match action {
                Action::Connect { id } => match guarded(|| self.target.resolve(id)) {
                    Some(request) => self.links.begin(id, request),
                    None => self.panicked(now),
                },
                Action::Abort { id } => self.links.remove(id),
                Action::Notify(notice) => {
                    if guarded(|| self.observer.notice(&notice, now)).is_none() {
                        self.observer.mute();
                        self.panicked(now);
                    }
                }
            }
        }
        if self.machine.stopped().is_some() {
            self.links.clear();
        }
        moved
    }

    /// Nobody drives the feed any more: a shutdown, without a handshake.
    fn cut_short(&mut self, now: Timestamp) {
        self.tell(Event::Shutdown, now);
        if let Some(id) = self.machine.connection() {
            let failure = Failure::io("dropped");
            self.tell(Event::Lost { id, failure }, now);
        }
        self.actions(now);
    }
}

/// Whatever ends the loop, in a task or in a stream: whoever watches is told as by a shutdown (T1, T2), and no handle waits
/// for it any longer (H5).
impl<R: Runtime, H: FrameHandler> Drop for Engine<R, H> {
    fn drop(&mut self) {
        // Guarded, since it may be a panic of the runtime that ends the loop: a second one would abort the process.
        if self.machine.stopped().is_none()
            && let Some(now) = guarded(|| self.runtime.now())
        {
            self.cut_short(now);
        }
        self.control.close(self.machine.stats());
    }
}
