//! Types for state that threads share. For the suite in `tests/loom`, they are loom's.

#[cfg(not(all(loom, feature = "loom")))]
pub(crate) use {
    atomic_waker::AtomicWaker,
    futures_channel::oneshot,
    std::sync::{Mutex, MutexGuard},
};

#[cfg(all(loom, feature = "loom"))]
pub(crate) use {
    loom::sync::{Mutex, MutexGuard},
    waker::AtomicWaker,
};

/// The interface of `atomic_waker` over loom's type.
#[cfg(all(loom, feature = "loom"))]
mod waker {
    use std::task::Waker;

    pub(crate) struct AtomicWaker(loom::future::AtomicWaker);

    impl AtomicWaker {
        pub(crate) fn new() -> Self {
            Self(loom::future::AtomicWaker::new())
        }

        pub(crate) fn register(&self, waker: &Waker) {
            self.0.register_by_ref(waker);
        }

        pub(crate) fn wake(&self) {
            self.0.wake();
        }

        pub(crate) fn take(&self) -> Option<Waker> {
            self.0.take_waker()
        }
    }
}

/// The part of `futures_channel::oneshot` that the driver uses. loom must see every operation that another depends on.
#[cfg(all(loom, feature = "loom"))]
pub(crate) mod oneshot {
    use std::mem;
    use std::pin::Pin;
    use std::sync::Arc;
    use std::task::{Context, Poll, Waker};

    use super::Mutex;

    enum State<T> {
        Waiting(Option<Waker>),
        Sent(T),
        Canceled,
    }

    /// Error of a receiver whose sender was dropped.
    pub(crate) struct Canceled;

    pub(crate) struct Sender<T>(Arc<Mutex<State<T>>>);

    pub(crate) struct Receiver<T>(Arc<Mutex<State<T>>>);

    pub(crate) fn channel<T>() -> (Sender<T>, Receiver<T>) {
        let state = Arc::new(Mutex::new(State::Waiting(None)));
        (Sender(state.clone()), Receiver(state))
    }

    impl<T> Sender<T> {
        pub(crate) fn send(self, value: T) -> Result<(), T> {
            self.end(State::Sent(value));
            Ok(())
        }

        fn end(&self, end: State<T>) {
            let mut state = self.0.lock().expect("nothing panics under the lock");
            let State::Waiting(waker) = &mut *state else { return };
            let waker = waker.take();
            *state = end;
            drop(state);
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    impl<T> Drop for Sender<T> {
        fn drop(&mut self) {
            self.end(State::Canceled);
        }
    }

    impl<T> Future for Receiver<T> {
        type Output = Result<T, Canceled>;

        fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
            let mut state = self.0.lock().expect("nothing panics under the lock");
            match mem::replace(&mut *state, State::Canceled) {
                State::Waiting(_) => {
                    *state = State::Waiting(Some(cx.waker().clone()));
                    Poll::Pending
                }
                State::Sent(value) => Poll::Ready(Ok(value)),
                State::Canceled => Poll::Ready(Err(Canceled)),
            }
        }
    }
}
