//! The loop: fixed phases per poll, bounded work, one clock reading, one alarm.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::task::{Context, Poll};

use tidegate_core::{
    Action, Connected, ConnectionFailure, ConnectionId, Deadline, Event, Failure, Feed, Frame, FrameHandler,
    Phase, StopReason, Timestamp,
};

use crate::control::Control;
use crate::link::Links;
use crate::observe::Observer;
use crate::resolve::Target;
use crate::runtime::Runtime;
use crate::turn::{Budget, Running, Turn};

mod due;

/// Drives one machine over one runtime.
pub(crate) struct Engine<R: Runtime, H: FrameHandler> {
    feed: Feed<H>,
    runtime: R,
    links: Links<R::Transport>,
    target: Target,
    control: Arc<Control>,
    observer: Observer,
    /// The phase that handles were last told of.
    published: Phase,
    alarm: R::Alarm,
    /// When the alarm rings next.
    rings: Deadline,
    /// When the second look ends; never while none is under way.
    verdict: Deadline,
}

// Nothing in it is pinned structurally.
impl<R: Runtime, H: FrameHandler> Unpin for Engine<R, H> {}

/// Who takes deliveries from the machine.
pub(crate) trait Consumer<H: FrameHandler> {
    /// How often frames are read and handed over in one poll at most, so that others get their turn.
    const ROUNDS: usize;
    /// Frames read at most before they are handed over.
    const FRAMES: usize;
    /// No further frame is read before the hand-over once this much has been, in bytes: what lies in a queue before anybody
    /// looks at it falls out of the processor's caches, and the allocator must find new memory for what comes next.
    const BYTES: usize;

    /// Passes on demand and deliveries; whether anything moved.
    fn hand_over(&mut self, feed: &mut Feed<H>, now: Timestamp) -> bool;

    /// Whether it polls again without being woken.
    fn comes_back(&self) -> bool;
}

impl<R: Runtime, H: FrameHandler> Engine<R, H> {
    pub(crate) fn new(
        feed: Feed<H>,
        runtime: R,
        target: Target,
        control: Arc<Control>,
        observer: Observer,
    ) -> Self {
        let alarm = runtime.alarm();
        let published = feed.phase();
        Self {
            feed,
            runtime,
            links: Links::new(),
            target,
            control,
            observer,
            published,
            alarm,
            rings: Deadline::Never,
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
        let mut turn = Turn { now: self.runtime.now(), budget: full, running: Running::Transport };
        self.links.all_open().for_each(|(_, connection)| connection.readable = true);
        let mut rounds = 1..C::ROUNDS;
        // Once a poll: who orders more has woken the loop for another, and cannot keep it in this one.
        self.orders(turn.now);
        // Not when it is built: the connect deadline must not run before anybody polls.
        if self.feed.phase() == Phase::Idle {
            self.tell(Event::Start, turn.now);
        }
        loop {
            let mut moved = self.each_link(|engine, id| engine.drive(id, cx, &mut turn));
            moved |= self.time(&turn);
            // An action carried out counts: a future that was just made has not been polled yet.
            moved |= self.actions(turn.now);
            // After the actions: no notice waits behind a frame.
            moved |= self.each_link(|engine, id| engine.write(id, cx, turn.now));
            // Before the hand-over: whoever has been told that the feed is Live may send. And in each round, since no connection
            // is lost and the next one Live in the same: what waits for the lost one comes back (O1).
            if self.feed.phase() != self.published {
                self.publish();
            }
            moved |= consumer.hand_over(&mut self.feed, turn.now);
            if turn.budget.is_spent() && rounds.next().is_some() {
                turn.budget = full;
            }
            if moved {
                continue;
            }
            self.publish();
            if let Some(reason) = self.feed.stopped() {
                return Poll::Ready(reason.clone());
            }
            return self.park(cx, &turn, consumer.comes_back());
        }
    }

    /// More is wanted.
    pub(crate) fn request(&mut self, items: u64) {
        self.feed.request(items);
    }

    /// Tells the machine, in which the handler runs.
    fn tell(&mut self, event: Event, now: Timestamp) {
        if guarded(|| self.feed.handle(event, now)).is_none() {
            self.panicked(now);
        }
    }

    fn panicked(&mut self, now: Timestamp) {
        self.feed.handle(Event::HandlerPanicked, now);
    }

    fn publish(&mut self) {
        self.published = self.feed.phase();
        let stats = self.feed.stats();
        self.control.publish(self.published, stats);
        #[cfg(feature = "metrics")]
        self.observer.figures(stats);
    }

    fn orders(&mut self, now: Timestamp) {
        let orders = self.control.take_orders();
        for order in orders.sends {
            // A reply nobody waits for is no matter.
            let _ = order.reply.send(self.feed.send(order.message));
        }
        if orders.shutdown {
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
    fn drive(&mut self, id: ConnectionId, cx: &mut Context<'_>, turn: &mut Turn) -> bool {
        let Some(link) = self.links.get(id) else { return false };
        if link.open().is_some() {
            return self.read(id, cx, turn);
        }
        match guarded(|| link.poll_dial(id, &self.runtime, cx)) {
            Some(Poll::Ready(Ok(()))) => {
                self.tell(Event::Connected { id, connected: Connected::default() }, turn.now);
            }
            Some(Poll::Ready(Err(failure))) => {
                self.links.remove(id);
                self.tell(Event::ConnectFailed { id, failure }, turn.now);
            }
            Some(Poll::Pending) => return false,
            None => {
                self.links.remove(id);
                self.panicked(turn.now);
            }
        }
        true
    }

    fn write(&mut self, id: ConnectionId, cx: &mut Context<'_>, now: Timestamp) -> bool {
        let Some(connection) = self.links.open(id) else { return false };
        match connection.poll_write(id, &mut self.feed, cx) {
            Poll::Ready(Some(Ok(()))) => self.tell(Event::Flushed { id }, now),
            // What has arrived by now is still to be read; the loss is reported after it.
            Poll::Ready(Some(Err(failure))) => connection.fail(failure),
            Poll::Ready(None) | Poll::Pending => return false,
        }
        true
    }

    fn read(&mut self, id: ConnectionId, cx: &mut Context<'_>, turn: &mut Turn) -> bool {
        match catch_unwind(AssertUnwindSafe(|| self.read_frames(id, cx, turn))) {
            Ok(moved) => moved,
            Err(panic) => {
                if turn.running == Running::Transport {
                    resume_unwind(panic);
                }
                turn.running = Running::Transport;
                self.panicked(turn.now);
                true
            }
        }
    }

    fn read_frames(&mut self, id: ConnectionId, cx: &mut Context<'_>, turn: &mut Turn) -> bool {
        let bootstrapping = self.feed.phase() == Phase::Bootstrapping;
        let Some(mut connection) = self.links.open(id) else { return false };
        let mut moved = false;
        while connection.readable && !turn.budget.is_spent() && self.feed.wants_frames() {
            let read = connection.poll_read(cx);
            if bootstrapping && matches!(read, Poll::Ready(Some(Ok(_)))) {
                // To read writes, too (O2). What this may answer has been flushed, and Live comes before it (B2).
                self.write(id, cx, turn.now);
                connection = self.links.open(id).expect("to write removes none");
            }
            match read {
                // An arm of its own: the machine's short way needs no look at what kind of frame it is.
                Poll::Ready(Some(Ok(Frame::Message(message)))) => {
                    turn.budget.spend(message.len());
                    turn.running = Running::Machine;
                    self.feed.handle(Event::Frame { id, frame: Frame::Message(message) }, turn.now);
                    turn.running = Running::Transport;
                }
                Poll::Ready(Some(Ok(mut frame))) => {
                    turn.budget.spend(frame.len());
                    connection.control(&mut frame);
                    turn.running = Running::Machine;
                    self.feed.handle(Event::Frame { id, frame }, turn.now);
                    turn.running = Running::Transport;
                }
                Poll::Ready(Some(Err(Failure::Connection(ConnectionFailure::Protocol { code, detail })))) => {
                    self.tell(Event::ProtocolError { id, code, detail }, turn.now);
                    // The Close goes out before anything more is read: the peer's end of the stream, say.
                    return true;
                }
                Poll::Ready(Some(Err(failure))) => return self.lost(id, failure, turn.now),
                // Whether that was due, the machine knows.
                Poll::Ready(None) => {
                    let failure = Failure::io("the connection was closed");
                    return self.lost(id, failure, turn.now);
                }
                Poll::Pending => {
                    connection.readable = false;
                    if !moved {
                        connection.read_partial(turn.now);
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
        while let Some(action) = self.feed.poll_action() {
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
        if self.feed.stopped().is_some() {
            self.links.clear();
        }
        moved
    }

    /// Nobody drives the feed any more: a shutdown, without a handshake.
    fn cut_short(&mut self, now: Timestamp) {
        self.tell(Event::Shutdown, now);
        if let Some(id) = self.feed.connection() {
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
        if self.feed.stopped().is_none()
            && let Some(now) = guarded(|| self.runtime.now())
        {
            self.cut_short(now);
        }
        self.control.close();
    }
}

/// Runs a function of the application's; nothing comes of it if it panics (H5).
fn guarded<T>(run: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(run)).ok()
}
