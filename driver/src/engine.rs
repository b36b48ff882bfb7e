//! The loop: fixed phases per poll, bounded work, one clock reading, one timer.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::task::{Context, Poll};

use tidegate_core::{
    Action, ConnectionFailure, ConnectionId, Deadline, Event, Failure, Frame, FrameHandler, Machine, Message,
    Phase, SendError, StopReason, Timestamp,
};

use crate::control::{Control, Requests, SendRequest, Wish};
use crate::link::Links;
use crate::mailbox::Inbox;
use crate::observe::{Figures, Observer, guarded};
use crate::resolve::Target;
use crate::runtime::Runtime;

mod due;
mod poll;

pub(crate) use poll::Consumer;
use poll::{Budget, PollState, Running};

/// Drives one machine on one runtime.
pub(crate) struct Engine<R: Runtime, H: FrameHandler> {
    machine: Machine<H>,
    runtime: R,
    links: Links<R::Transport>,
    target: Target,
    control: Arc<Control>,
    inbox: Box<dyn Inbox<H>>,
    observer: Observer,
    /// Payload bytes read so far.
    bytes: u64,
    /// The phase that was last published to handles.
    published: Phase,
    alarm: R::Alarm,
    /// Time at which the alarm fires next.
    alarm_at: Deadline,
    /// End of the second look (L2). `Never` while there is none.
    verdict: Deadline,
}

// No field is pinned structurally.
impl<R: Runtime, H: FrameHandler> Unpin for Engine<R, H> {}

impl<R: Runtime, H: FrameHandler> Engine<R, H> {
    pub(crate) fn new(
        machine: Machine<H>,
        runtime: R,
        target: Target,
        control: Arc<Control>,
        inbox: Box<dyn Inbox<H>>,
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
            inbox,
            observer,
            bytes: 0,
            published,
            alarm,
            alarm_at: Deadline::Never,
            verdict: Deadline::Never,
        }
    }

    /// Does all work that is due, then parks. Ready once the feed has stopped. Items that are queued can still be
    /// taken.
    pub(crate) fn poll<C: Consumer<H>>(
        &mut self,
        cx: &mut Context<'_>,
        consumer: &mut C,
    ) -> Poll<StopReason> {
        self.control.register(cx.waker());
        let full = Budget { frames: C::FRAMES, bytes: C::BYTES };
        let mut poll = PollState {
            now: self.runtime.now(),
            budget: full,
            running: Running::Transport,
            deadline: Deadline::Never,
        };
        self.links.all_open().for_each(|(_, connection)| connection.readable = true);
        let mut rounds = 1..C::ROUNDS;
        // Once per poll: handles that send more wake the loop for another poll, and cannot keep it in this one.
        self.requests(poll.now);
        // In the first poll and not when the feed is built: the connect deadline must not run before the first poll.
        if self.machine.phase() == Phase::Idle {
            self.tell(Event::Start, poll.now);
        }
        loop {
            // Deadlines count once all that has arrived has been read (L2).
            let left = poll.budget.bytes;
            let mut moved = self.each_link(|engine, id| engine.drive(id, cx, &mut poll));
            self.bytes += left.abs_diff(poll.budget.bytes);
            moved = moved || self.time(&mut poll);
            // Each action counts: it may have created a future that has never been polled.
            moved |= self.actions(poll.now);
            // After the actions, so that no notice waits behind a frame.
            moved |= self.each_link(|engine, id| engine.write(id, cx, poll.now));
            // Before the hand-over, since a consumer that sees `Live` may send. In every round, so that messages for a
            // lost connection are refused before the next one is Live: no round does both (O1).
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
            if let Some(reason) = self.machine.stopped().cloned() {
                self.close_inbox();
                return Poll::Ready(reason);
            }
            return self.park(cx, &poll, consumer.comes_back());
        }
    }

    /// Adds to the consumer's demand.
    pub(crate) fn request(&mut self, items: u64) {
        self.machine.request(items);
    }

    /// Passes an event to the machine, which runs the handler.
    fn tell(&mut self, event: Event, now: Timestamp) {
        self.run(now, |machine| machine.handle(event, now));
    }

    /// Calls the machine, which may run code of the application.
    fn run(&mut self, now: Timestamp, call: impl FnOnce(&mut Machine<H>)) {
        if guarded(|| call(&mut self.machine)).is_none() {
            self.panicked(now);
        }
    }

    fn panicked(&mut self, now: Timestamp) {
        self.machine.handle(Event::HandlerPanicked, now);
    }

    /// Publishes phase and figures to handles and metrics. Returns whether the application's metrics recorder panicked.
    fn publish(&mut self, now: Timestamp) -> bool {
        self.published = self.machine.phase();
        let stats = self.machine.stats();
        self.control.publish(self.published, stats, self.machine.stopped());
        let recorded = self.observer.figures(Figures { phase: self.published, stats, bytes: self.bytes });
        if recorded.is_none() {
            self.panicked(now);
        }
        recorded.is_none()
    }

    fn requests(&mut self, now: Timestamp) {
        let Requests { sends, wishes, shutdown } = self.control.take_requests().unwrap_or_default();
        for SendRequest { message, reply } in sends {
            let answer = self.send(message);
            // The sender may have stopped waiting for the reply.
            let _ = guarded(|| reply.map(|reply| reply.send(answer)));
        }
        // Before what ends the connection: a command may have something to send on it.
        let Self { inbox, machine, control, .. } = self;
        if guarded(|| inbox.pass_on(machine, control, now)).is_none() {
            self.panicked(now);
        }
        for wish in wishes {
            self.run(now, |machine| match wish {
                Wish::Reconnect => machine.reconnect(now),
                Wish::RetryNow => machine.retry_now(now),
                Wish::Probe => machine.probe(now),
            });
        }
        if let Some(close) = shutdown {
            self.run(now, |machine| machine.shutdown_with(close, now));
        }
    }

    /// Drops commands that wait, and refuses those to come. A task that waits for room learns of it.
    fn close_inbox(&self) {
        // Commands may panic when they are dropped.
        let _ = guarded(|| self.inbox.close());
        self.control.wake_waiters();
    }

    /// Sends a message on the current connection (O1).
    pub(crate) fn send(&mut self, message: Message) -> Result<ConnectionId, SendError> {
        let Some(id) = self.machine.connection() else { return Err(SendError::NotLive(message)) };
        self.machine.send(message).map(|()| id)
    }

    /// Takes a step for each link. Returns whether anything changed.
    fn each_link(&mut self, mut step: impl FnMut(&mut Self, ConnectionId) -> bool) -> bool {
        let mut moved = false;
        let mut next = self.links.next(None);
        while let Some(id) = next {
            moved |= step(self, id);
            next = self.links.next(next);
        }
        moved
    }

    /// Drives an attempt, or reads from an open connection.
    fn drive(&mut self, id: ConnectionId, cx: &mut Context<'_>, poll: &mut PollState) -> bool {
        let Some(link) = self.links.get(id) else { return false };
        if link.open().is_some() {
            return self.read(id, cx, poll);
        }
        match guarded(|| link.poll_dial(id, &self.runtime, cx)) {
            Some(Poll::Ready(Ok(()))) => {
                let connected = link.open().map(|connection| connection.connected()).unwrap_or_default();
                self.tell(Event::Connected { id, connected }, poll.now);
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
            // The loss is reported after what has arrived has been read.
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
        let Some(mut connection) = self.links.open(id).filter(|connection| connection.readable) else {
            return false;
        };
        let mut moved = false;
        while !poll.budget.is_spent() && self.machine.wants_frames() {
            let read = connection.poll_read(cx);
            if bootstrapping && read.is_ready() {
                // Reading also flushes (O2): this may answer the bootstrap frames, and Live comes first (B2), or be the end
                // of a connection that has sent them (B4).
                self.write(id, cx, poll.now);
                connection = self.links.open(id).expect("writing removes no connection");
            }
            match read {
                // An arm of its own, so that the machine's fast path is chosen without another match.
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
                    // Read no more before the Close has been written: the next read may find the end of the stream.
                    return true;
                }
                Poll::Ready(Some(Err(failure))) => return self.lost(id, failure, poll.now),
                // The machine knows whether the end was expected.
                Poll::Ready(None) => {
                    let failure = Failure::io("the stream of frames ended");
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
            if connection.failed().is_some() && !self.machine.failure_deadline().is_due(poll.now) {
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
                Action::Connect { id } => {
                    match guarded(|| self.target.resolve(id, self.machine.stats().retries)) {
                        Some(request) => self.links.begin(id, request),
                        None => self.panicked(now),
                    }
                }
                Action::Abort { id } => self.links.remove(id),
                Action::Notify(notice) => {
                    if self.observer.notice(&notice, now).is_none() {
                        self.panicked(now);
                    }
                    if let Some(failure) = notice.failure() {
                        self.target.failed(failure);
                    }
                }
            }
        }
        if self.machine.stopped().is_some() {
            self.links.clear();
        }
        moved
    }

    /// Ends the feed without a closing handshake, unless it has ended. Returns the reason.
    pub(crate) fn cut_short(&mut self, why: Event) -> StopReason {
        if self.machine.stopped().is_none() {
            // Guarded: if a panic of the runtime ended the loop, a second panic would abort the process. The machine takes no
            // time that is earlier than the last.
            let now = guarded(|| self.runtime.now()).unwrap_or(Timestamp::ZERO);
            // One that the loop has not seen.
            if self.control.wants_shutdown() {
                self.tell(Event::Shutdown, now);
            }
            self.tell(why, now);
            self.tell(Event::RuntimeStopped, now);
            self.actions(now);
        }
        self.machine.stopped().cloned().expect("an event has ended it")
    }
}

/// However the loop ends, observers are notified (T1, T2), and no handle waits any longer (H5).
impl<R: Runtime, H: FrameHandler> Drop for Engine<R, H> {
    fn drop(&mut self) {
        self.cut_short(Event::Shutdown);
        self.close_inbox();
        self.control.close(self.machine.stats(), self.machine.stopped());
    }
}
