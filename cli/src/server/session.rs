//! One connection, from its first frame to its end.

use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use async_tungstenite::tungstenite::protocol::CloseFrame;
use async_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use async_tungstenite::tungstenite::{Error, Message};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, Interval, MissedTickBehavior, sleep_until, timeout};

use super::feed::{self, Request};
use super::hub::{Blow, Hub, Seat};
use super::ledger::End;
use super::upgrade::{Socket, upgrade};

/// How long the client has to answer Close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Trades written before anything else gets a turn.
const BATCH: usize = 256;

/// Serves one client, whatever becomes of it.
pub(super) async fn run(hub: Arc<Hub>, stream: TcpStream, peer: SocketAddr) {
    let Some(socket) = upgrade(&hub, stream).await else { return };
    let mut blows = hub.blows();
    let mut session = Session::new(hub, socket, peer);
    let end = loop {
        tokio::select! {
            biased;
            // Also in the middle of a write that a slow reader holds up. A turn cut short has lost nothing that
            // matters: every blow ends the session.
            blow = next(&mut blows) => break session.struck(blow, &mut blows).await,
            turn = session.turn() => if let ControlFlow::Break(end) = turn { break end },
        }
    };
    session.seat.end = end;
}

struct Session {
    hub: Arc<Hub>,
    socket: Socket,
    /// The cursor lives there: what was handed to the socket is what the account says.
    seat: Seat,
    head: watch::Receiver<u64>,
    heartbeat: Interval,
    /// When an unsubscribed client is shown the door.
    expires: Instant,
}

/// Whether there is a next turn. A failed write means that there is nobody left to write to.
type Turn = ControlFlow<End>;

impl Session {
    fn new(hub: Arc<Hub>, socket: Socket, peer: SocketAddr) -> Self {
        let mut heartbeat = tokio::time::interval(hub.options.heartbeat);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            socket,
            seat: Seat::new(Arc::clone(&hub), peer),
            head: hub.market.watch(),
            heartbeat,
            expires: Instant::now() + hub.options.patience,
            hub,
        }
    }

    /// Waits for the next thing to do, and does it.
    async fn turn(&mut self) -> Turn {
        let subscribed = self.seat.subscribed();
        let cursor = self.seat.cursor();
        let next = tokio::select! {
            message = self.socket.next() => Next::Heard(message),
            _ = self.head.wait_for(|head| *head > cursor), if subscribed => Next::Trades,
            _ = self.heartbeat.tick(), if subscribed => Next::Heartbeat,
            () = sleep_until(self.expires), if !subscribed => Next::Expired,
        };
        match next {
            Next::Heard(Some(Ok(message))) => self.heard(message).await,
            Next::Heard(Some(Err(_)) | None) => Turn::Break(End::Gone),
            Next::Trades => go_on(self.trades().await),
            Next::Heartbeat => self.say(feed::heartbeat(cursor)).await,
            Next::Expired => {
                let _ = timeout(CLOSE_TIMEOUT, self.say(feed::error("subscribe, or be disconnected"))).await;
                self.close(CloseCode::Policy, "not subscribed").await;
                Turn::Break(End::NotSubscribed)
            }
        }
    }

    async fn heard(&mut self, message: Message) -> Turn {
        match message {
            Message::Text(text) => match Request::parse(&text) {
                Request::Subscribe => self.subscribe().await,
                Request::Unsubscribe => self.unsubscribe().await,
                Request::Wrong(why) => self.say(feed::error(&why)).await,
            },
            Message::Binary(_) => self.say(feed::error("text only")).await,
            // The pong is queued already, and goes out with the next read.
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => Turn::Continue(()),
            Message::Close(_) => {
                // The answer is queued; reading on flushes it and ends with the connection.
                self.drain().await;
                Turn::Break(End::ClosedByClient)
            }
        }
    }

    async fn subscribe(&mut self) -> Turn {
        if self.seat.subscribed() {
            return self.say(feed::error("already subscribed")).await;
        }
        let first = *self.head.borrow_and_update();
        self.say(feed::subscribed(first)).await?;
        self.seat.subscribe(first);
        self.heartbeat.reset();
        Turn::Continue(())
    }

    async fn unsubscribe(&mut self) -> Turn {
        if !self.seat.subscribed() {
            return self.say(feed::error("not subscribed")).await;
        }
        self.seat.unsubscribe();
        self.expires = Instant::now() + self.hub.options.patience;
        self.say(feed::unsubscribed(self.seat.cursor())).await
    }

    /// Writes trades up to the market's head, or a batch of them.
    async fn trades(&mut self) -> Result<(), Error> {
        let head = *self.head.borrow_and_update();
        for seq in (self.seat.cursor()..head).take(BATCH) {
            self.socket.feed(Message::text(self.hub.market.quote(seq))).await?;
            self.seat.advance();
        }
        self.socket.flush().await
    }

    async fn say(&mut self, text: String) -> Turn {
        go_on(self.socket.send(Message::text(text)).await)
    }

    /// Carries out what ends this session.
    async fn struck(&mut self, blow: Blow, blows: &mut broadcast::Receiver<Blow>) -> End {
        self.seat.end = End::Fault;
        match blow {
            Blow::Reset { mid_frame } => self.reset(mid_frame).await,
            Blow::Silence => self.silence(blows).await,
            Blow::Drop => {}
            Blow::Restart => self.close(CloseCode::Restart, "service restart").await,
            Blow::Stop => {
                self.close(CloseCode::Away, "going away").await;
                return End::Shutdown;
            }
        }
        End::Fault
    }

    /// Leaves the socket such that dropping it sends RST.
    async fn reset(&mut self, mid_frame: bool) {
        // Half a frame may only follow whole ones: after a part of another it would be taken for its rest. With
        // a reader too slow for that, the reset cuts a frame in two all by itself.
        const FLUSH: Duration = Duration::from_millis(20);
        let flushed = matches!(timeout(FLUSH, self.socket.flush()).await, Ok(Ok(())));
        let stream = self.socket.get_mut().get_mut();
        if mid_frame && flushed && self.seat.subscribed() {
            let _ = stream.try_write(&half_a_frame(&self.hub.market.quote(self.seat.cursor())));
        }
        let _ = stream.set_zero_linger();
    }

    /// Holds the socket and does nothing with it, until the hub says so or the time is over.
    async fn silence(&mut self, blows: &mut broadcast::Receiver<Blow>) {
        self.seat.unsubscribe();
        let stopped = async { while !matches!(next(blows).await, Blow::Stop) {} };
        let _ = timeout(self.hub.options.silence, stopped).await;
    }

    /// The close handshake, from this side.
    async fn close(&mut self, code: CloseCode, reason: &'static str) {
        let frame = CloseFrame { code, reason: reason.into() };
        let sent = timeout(CLOSE_TIMEOUT, self.socket.close(Some(frame))).await;
        if matches!(sent, Ok(Ok(()))) {
            self.drain().await;
        }
    }

    /// Reads until the close handshake is over.
    async fn drain(&mut self) {
        let over = async { while let Some(Ok(_)) = self.socket.next().await {} };
        let _ = timeout(CLOSE_TIMEOUT, over).await;
    }
}

enum Next {
    Heard(Option<Result<Message, Error>>),
    Trades,
    Heartbeat,
    Expired,
}

fn go_on(written: Result<(), Error>) -> Turn {
    match written {
        Ok(()) => Turn::Continue(()),
        Err(_) => Turn::Break(End::Gone),
    }
}

async fn next(blows: &mut broadcast::Receiver<Blow>) -> Blow {
    loop {
        match blows.recv().await {
            Ok(blow) => return blow,
            Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => return Blow::Stop,
        }
    }
}

/// The start of an unmasked text frame that promises all of `text`.
fn half_a_frame(text: &str) -> Vec<u8> {
    // A trade is short enough for a length of one byte.
    let length = text.len().min(125);
    let mut bytes = vec![0x81, length as u8];
    bytes.extend_from_slice(&text.as_bytes()[..length / 2]);
    bytes
}
