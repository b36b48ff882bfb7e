//! Drives the state machine with plain threads and channels: no async, no sockets. The server is a script with a
//! refused attempt, a feed that falls silent, and a connection that is closed in good order.
//!
//! The main loop does all that a driver must do: report what happened, carry out actions, pass deliveries on to the
//! consumer, and wait for the next event or the deadline.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use tidegate_core::{
    Action, Config, ConnectFailure, Connected, ConnectionFailure, ConnectionId, Deadline, Delivery, Event,
    Failure, Frame, Machine, Message, PassThrough, RetryPolicy, Timestamp,
};

fn main() {
    let clock = Clock(Instant::now());
    let config = Config::builder()
        .idle_timeout(Duration::from_millis(60))
        .retry(RetryPolicy::exponential(Duration::from_millis(20), Duration::from_millis(100)))
        .build()
        .expect("the options go together");
    let mut demand = config.demand_window();
    let mut feed = Machine::new(config, PassThrough, 1);
    let (events, inbox) = channel();
    let application = events.clone();
    let mut server = Server { events, line: None };
    let mut taken = 0;

    feed.handle(Event::Start, clock.now());
    loop {
        while let Some(action) = feed.poll_action() {
            println!("{:>4} ms  machine   {action:?}", clock.now().as_millis());
            server.carry_out(action);
        }
        while let Some(id) = feed.connection()
            && let Some(frame) = feed.poll_send(id)
        {
            println!("{:>4} ms  machine   {frame:?}", clock.now().as_millis());
            server.say(frame);
        }
        if let Some(items) = demand.top_up() {
            feed.request(items);
        }
        while let Some(delivery) = feed.poll_delivery(clock.now()) {
            println!("{:>4} ms  consumer  {}", clock.now().as_millis(), describe(&delivery));
            if let Delivery::Item(_) = delivery {
                demand.taken();
                taken += 1;
                if taken == 5 {
                    _ = application.send(Event::Shutdown);
                }
            }
        }
        if let Some(reason) = feed.stopped() {
            return println!("{:>4} ms  stopped   {reason}", clock.now().as_millis());
        }
        // This consumer takes everything, so reading is never paused. Where it may be, frames must stay in the
        // transport while `wants_frames` returns `false`.
        if let Some(event) = wait(&inbox, feed.deadline(), clock) {
            println!("{:>4} ms  world     {event:?}", clock.now().as_millis());
            feed.handle(event, clock.now());
        }
    }
}

fn describe(delivery: &Delivery<Message>) -> String {
    match delivery {
        Delivery::Item(message) => format!("got {:?}", message.as_text()),
        Delivery::Opened { .. }
        | Delivery::Live { .. }
        | Delivery::Interrupted { .. }
        | Delivery::Dropped { .. } => {
            format!("{delivery:?}")
        }
    }
}

/// The only code that reads a clock.
#[derive(Clone, Copy)]
struct Clock(Instant);

impl Clock {
    fn now(self) -> Timestamp {
        Timestamp::ZERO.saturating_add(self.0.elapsed())
    }
}

/// Returns the next event, or a tick once the deadline has passed.
fn wait(inbox: &Receiver<Event>, deadline: Deadline, clock: Clock) -> Option<Event> {
    let Deadline::At(deadline) = deadline else { return inbox.recv().ok() };
    match inbox.recv_timeout(deadline.saturating_since(clock.now())) {
        Ok(event) => Some(event),
        Err(RecvTimeoutError::Timeout) => Some(Event::Tick),
        Err(RecvTimeoutError::Disconnected) => None,
    }
}

/// The transport and the server in one.
struct Server {
    events: Sender<Event>,
    /// Sends frames on the open connection. Dropping it closes the connection.
    line: Option<Sender<Frame>>,
}

impl Server {
    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Connect { id } => {
                let (line, from_client) = channel();
                self.line = Some(line);
                let events = self.events.clone();
                // Sending fails once the feed has ended, and then the events are not needed.
                thread::spawn(move || play(id, &events, &from_client));
            }
            Action::Abort { .. } => self.line = None,
            Action::Notify(_) => {}
        }
    }

    fn say(&self, frame: Frame) {
        if let Some(line) = &self.line {
            _ = line.send(frame);
        }
    }
}

/// Plays the script: a refusal, then a server that falls silent after two messages, then one that behaves.
fn play(id: ConnectionId, events: &Sender<Event>, from_client: &Receiver<Frame>) {
    let say = |event| _ = events.send(event);
    thread::sleep(Duration::from_millis(5));
    let messages = match id.get() {
        1 => {
            return say(Event::ConnectFailed {
                id,
                failure: Failure::Connect(ConnectFailure::Tcp { detail: "refused".into() }),
            });
        }
        2 => 2,
        _ => 3,
    };
    say(Event::Connected { id, connected: Connected::default() });
    for number in 1..=messages {
        thread::sleep(Duration::from_millis(10));
        let frame = Frame::from(format!("message {number} of connection {id}"));
        say(Event::Frame { id, frame });
    }
    // Silent from here on, until the client drops or closes the connection.
    while let Ok(frame) = from_client.recv() {
        if let Frame::Close(_) = frame {
            say(Event::Frame { id, frame });
            return say(Event::Lost { id, failure: Failure::Connection(ConnectionFailure::Closed(None)) });
        }
    }
}
