//! The world as a runtime.

use std::collections::VecDeque;
use std::future::ready;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_sink::Sink;
use tidegate_driver::core::{Failure, Frame, Message, Timestamp};
use tidegate_driver::{Alarm, ConnectRequest, Runtime, Spawn, Transport};

use crate::world::{Step, Task, World};

static ZEROS: [u8; 512 * 1024] = [0; 512 * 1024];

impl Runtime for World {
    type Alarm = Timer;
    type Transport = Connection;

    fn now(&self) -> Timestamp {
        self.state().now
    }

    fn alarm(&self) -> Timer {
        Timer { world: self.clone(), at: Timestamp::ZERO }
    }

    fn connect(
        &self,
        _: ConnectRequest,
    ) -> impl Future<Output = Result<Connection, Failure>> + Send + 'static {
        let mut state = self.state();
        ready(match state.scripts.pop_front() {
            Some(script) => {
                state.opened += 1;
                Ok(Connection {
                    world: self.clone(),
                    number: state.opened,
                    script: script.into(),
                    closed: false,
                })
            }
            None => Err(Failure::io("refused by the script")),
        })
    }
}

impl Spawn for World {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.state().task = Some(Task(Box::pin(task)));
    }
}

/// Rings at once or never, as the clock says.
pub struct Timer {
    world: World,
    at: Timestamp,
}

impl Alarm for Timer {
    fn set(&mut self, at: Timestamp) {
        self.at = at;
    }

    fn poll_ring(&mut self, _: &mut Context<'_>) -> Poll<()> {
        if self.world.jump_to(self.at) { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// One connection.
pub struct Connection {
    world: World,
    number: usize,
    script: VecDeque<Step>,
    /// A Close was sent, and the peer has closed the connection.
    closed: bool,
}

impl Transport for Connection {
    fn bytes_read(&self) -> u64 {
        0
    }
}

impl Stream for Connection {
    type Item = Result<Frame, Failure>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.closed {
            return Poll::Ready(None);
        }
        match self.script.pop_front() {
            Some(Step::Message(text)) => Poll::Ready(Some(Ok(Message::from(text).into()))),
            Some(Step::Zeros(count)) => Poll::Ready(Some(Ok(Message::from(ZEROS[..count].to_vec()).into()))),
            Some(Step::Reset) => Poll::Ready(Some(Err(Failure::io("reset")))),
            Some(Step::Yield) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            None => Poll::Pending,
        }
    }
}

impl Sink<Frame> for Connection {
    type Error = Failure;

    fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn start_send(mut self: Pin<&mut Self>, frame: Frame) -> Result<(), Failure> {
        match frame {
            Frame::Message(message) => {
                let text = message.as_text().unwrap().to_owned();
                let number = self.number;
                self.world.state().sent.push((number, text));
            }
            Frame::Close(_) => self.closed = true,
            _ => {}
        }
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        if self.closed {
            // The end of the stream is there to be read.
            cx.waker().wake_by_ref();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.world.state().closed += 1;
    }
}
