//! A runtime of your own: one thread, one task, the system's `poll`. `cargo run --example custom_runtime -- ws://…`
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};
use std::{future::PollFn, future::poll_fn, io, mem, net::TcpStream};

use rustix::event::{PollFd, PollFlags, poll};
use tidegate::driver::net::{Interest, Net, Reactor, SocketRuntime, StdStream};
use tidegate::{Connector, FeedBuilder};

type Cause = Result<Instant, (Arc<TcpStream>, PollFlags)>;
/// Wakers that wait for a time or a socket. Any event wakes all of them.
static WAITING: Mutex<Vec<(Waker, Cause)>> = Mutex::new(Vec::new());

/// Wakes the task, as if its timer had fired.
struct Now;

impl Wake for Now {
    fn wake(self: Arc<Self>) {
        WAITING.lock().expect("one thread").push((Waker::noop().clone(), Ok(Instant::now())));
    }
}

fn block_on<T>(task: impl Future<Output = T>) -> T {
    let (mut task, waker) = (pin!(task), Waker::from(Arc::new(Now)));
    loop {
        if let Poll::Ready(done) = task.as_mut().poll(&mut Context::from_waker(&waker)) {
            return done;
        }
        let waiting = mem::take(&mut *WAITING.lock().expect("one thread"));
        let next = waiting.iter().filter_map(|(_, on)| on.as_ref().ok()).min();
        let timeout = next.map(|at| at.saturating_duration_since(Instant::now()).try_into().expect("soon"));
        let sockets = waiting.iter().filter_map(|(_, on)| on.as_ref().err());
        let mut sockets: Vec<_> = sockets.map(|(socket, flags)| PollFd::new(socket, *flags)).collect();
        poll(&mut sockets, timeout.as_ref()).expect("the system polls");
        waiting.iter().for_each(|(waker, _)| waker.wake_by_ref());
        WAITING.lock().expect("one thread").clear();
    }
}

struct Mine;

impl Reactor for Mine {
    fn wake_when(socket: &Arc<TcpStream>, interest: Interest, waker: &Waker) {
        let flags = if interest == Interest::Readable { PollFlags::IN } else { PollFlags::OUT };
        WAITING.lock().expect("one thread").push((waker.clone(), Err((socket.clone(), flags))));
    }
}

impl Net for Mine {
    type Stream = StdStream<Self>;
    type Timer = PollFn<Box<dyn FnMut(&mut Context<'_>) -> Poll<()> + Send>>;

    async fn connected(socket: TcpStream) -> io::Result<StdStream<Self>> {
        StdStream::connected(socket).await
    }
    fn timer(after: Duration) -> Self::Timer {
        let at = Instant::now() + after;
        poll_fn(Box::new(move |cx| {
            WAITING.lock().expect("one thread").push((cx.waker().clone(), Ok(at)));
            if Instant::now() < at { Poll::Pending } else { Poll::Ready(()) }
        }))
    }
    async fn unblock<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
        work() // Name lookups: with threads, on another one.
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).ok_or("usage: custom_runtime ws://host:port/path")?;
    let mut feed = FeedBuilder::new(SocketRuntime::with_net(Mine, Connector::default()), url).inline()?;
    block_on(async {
        while let Some(delivery) = feed.recv().await {
            println!("{:?}", delivery?);
        }
        Ok(())
    })
}
