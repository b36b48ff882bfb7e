//! Handles to a feed.

use std::convert::Infallible;
use std::sync::Arc;

use tidegate_core::{
    CloseFrame, CloseFrameError, CommandError, ConnectionId, Message, Phase, SendError, Stats, StopReason,
};

use crate::control::{Control, SendRequest, Wish};
use crate::mailbox::Mailbox;
use crate::sync::oneshot;

/// A handle to a feed, which sends messages and commands, shuts the feed down, and reads its phase and figures.
///
/// `C` is a command of the feed's [`CommandHandler`](tidegate_core::CommandHandler). A feed without commands has a
/// `FeedHandle`.
///
/// Handles can be cloned and used from any thread. Dropping them does not end the feed.
pub struct FeedHandle<C = Infallible> {
    control: Arc<Control>,
    mailbox: Arc<Mailbox<C>>,
}

impl<C> Clone for FeedHandle<C> {
    fn clone(&self) -> Self {
        Self { control: self.control.clone(), mailbox: self.mailbox.clone() }
    }
}

impl<C> FeedHandle<C> {
    pub(crate) const fn new(control: Arc<Control>, mailbox: Arc<Mailbox<C>>) -> Self {
        Self { control, mailbox }
    }

    /// Sends a message on the current connection, and on no other. Waits for room in the outgoing queue. Returns the
    /// connection once the feed has accepted the message.
    ///
    /// An inline feed accepts messages only while its stream is polled. In the task that polls it, use
    /// [`Feed::send`](crate::Feed::send), which does not wait.
    ///
    /// # Errors
    /// Returns the message in an error if the feed is not Live, if the connection ends meanwhile, or if a text message is
    /// not UTF-8.
    ///
    /// # Cancel safety
    /// This method is not cancel safe: if the future is dropped early, the message may or may not be sent.
    pub async fn send(&self, message: impl Into<Message>) -> Result<ConnectionId, SendError> {
        let mut message = message.into();
        // The attempt of the connection that the message is for.
        let mut meant = None;
        loop {
            let (reply, answer) = oneshot::channel();
            let mut request = Some(SendRequest { message: message.clone(), reply: Some(reply) });
            let send_buffer = self.control.send_buffer();
            let accepted = self.control.wait_until(|inner| {
                let attempt = inner.stats.attempts;
                if inner.phase != Phase::Live || *meant.get_or_insert(attempt) != attempt {
                    return Some(false);
                }
                if !inner.has_room(send_buffer) {
                    return None;
                }
                inner.accept(request.take()?);
                Some(true)
            });
            if !accepted.await {
                return Err(SendError::NotLive(message));
            }
            self.control.wake_driver();
            // Without an answer the connection or the loop has ended before the loop saw the message.
            match answer.await.unwrap_or(Err(SendError::NotLive(message))) {
                // The handler has filled the queue meanwhile.
                Err(SendError::Full(unsent)) => message = unsent,
                other => return other,
            }
        }
    }

    /// Sends a message on the current connection, and on no other, without waiting. `Ok` means that it is on its way to
    /// the feed. It is not sent if the connection ends before the feed takes it, or if the handler has filled the outgoing
    /// queue by then.
    ///
    /// # Errors
    /// Returns the message in an error if the feed is not Live, if the outgoing queue is full, or if a text message is
    /// not UTF-8.
    pub fn try_send(&self, message: impl Into<Message>) -> Result<(), SendError> {
        let message = message.into();
        if let Message::Text(text) = &message
            && std::str::from_utf8(text).is_err()
        {
            return Err(SendError::NotUtf8(message));
        }
        {
            let mut inner = self.control.lock();
            if inner.phase != Phase::Live {
                return Err(SendError::NotLive(message));
            }
            if !inner.has_room(self.control.send_buffer()) {
                return Err(SendError::Full(message));
            }
            inner.accept(SendRequest { message, reply: None });
        }
        self.control.wake_driver();
        Ok(())
    }

    /// Passes a command to the handler. Waits for room: as many commands can wait as messages (`send_buffer`). Returns
    /// once the command waits for the handler, which gets it as soon as the queue of items is not full. Commands that still
    /// wait when the feed stops are dropped.
    ///
    /// # Errors
    /// Returns the command in an error if the feed has stopped.
    ///
    /// # Cancel safety
    /// If the future is dropped before it is ready, the command is not passed on.
    pub async fn command(&self, command: C) -> Result<(), CommandError<C>> {
        let mut command = Some(command);
        let pushed = self.control.wait_until(|_| match self.mailbox.push(command.take()?) {
            Err(CommandError::Full(unsent)) => {
                command = Some(unsent);
                None
            }
            other => Some(other),
        });
        let pushed = pushed.await;
        self.control.wake_driver();
        pushed
    }

    /// Passes a command to the handler, without waiting for room.
    ///
    /// # Errors
    /// Returns the command in an error if too many wait already, or if the feed has stopped.
    pub fn try_command(&self, command: C) -> Result<(), CommandError<C>> {
        self.mailbox.push(command)?;
        self.control.wake_driver();
        Ok(())
    }

    /// Replaces the connection: this one is closed, and the retry policy decides when the next attempt is made. Has no
    /// effect without an open connection.
    pub fn reconnect(&self) {
        self.control.wish(Wish::Reconnect);
    }

    /// Ends the delay before the next attempt, for instance because the network is back. Has no effect if there is none.
    pub fn retry_now(&self) {
        self.control.wish(Wish::RetryNow);
    }

    /// Sends a ping now, which must be answered within `pong_timeout`, for instance after the network has changed or the
    /// machine has slept. Has no effect without an open connection, while a ping is out, or while reading is paused.
    pub fn probe(&self) {
        self.control.wish(Wish::Probe);
    }

    /// Ends the feed with a closing handshake. Items that are queued can still be taken from the stream.
    pub fn shutdown(&self) {
        self.control.shut_down(CloseFrame::new(CloseFrame::NORMAL));
    }

    /// Ends the feed like [`shutdown`](Self::shutdown), with this Close frame.
    ///
    /// # Errors
    /// Returns an error if the frame cannot be sent. The feed then goes on.
    pub fn shutdown_with(&self, close: CloseFrame) -> Result<(), CloseFrameError> {
        close.check()?;
        self.control.shut_down(close);
        Ok(())
    }

    /// Returns the phase that the feed is in.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.control.lock().phase
    }

    /// Waits until the feed is in a phase that `wanted` accepts, or has stopped. Returns the phase. A phase that ends
    /// before the calling task looks may be missed.
    pub async fn wait_for(&self, mut wanted: impl FnMut(Phase) -> bool) -> Phase {
        loop {
            let phase = self.phase();
            if wanted(phase) || phase == Phase::Stopped {
                return phase;
            }
            self.control.wait_until(|inner| (inner.phase != phase).then_some(())).await;
        }
    }

    /// Returns why the feed has stopped, or `None` if it has not.
    #[must_use]
    pub fn stop_reason(&self) -> Option<StopReason> {
        self.control.lock().stopped.clone()
    }

    /// Returns the figures that were last published.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.control.lock().stats
    }
}

impl<C> std::fmt::Debug for FeedHandle<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FeedHandle").field("phase", &self.phase()).finish_non_exhaustive()
    }
}
