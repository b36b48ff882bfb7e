//! Deliberate bugs of the loop, for the simulator to find; the list is the core's, and so is the `cfg`.

/// Whether the bug of this name is on.
macro_rules! bug {
    ($name:ident) => {{
        #[cfg(tidegate_bugs)]
        let on = tidegate_core::bugs::is_on(tidegate_core::bugs::Bug::$name);
        #[cfg(not(tidegate_bugs))]
        let on = false;
        on
    }};
    ($name:ident: $wrong:expr, not $right:expr) => {
        if bug!($name) { $wrong } else { $right }
    };
}
pub(crate) use bug;

#[cfg(tidegate_bugs)]
impl<T: crate::Transport> crate::link::Link<T> {
    /// Takes what a connection has received, and the next one has no business with.
    pub(crate) fn unread(&mut self) -> Vec<tidegate_core::Frame> {
        let mut unread = Vec::new();
        let Self::Up { line, .. } = self else { return unread };
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        while bug!(OldFramesAccepted)
            && let std::task::Poll::Ready(Some(Ok(frame))) = line.poll_read(&mut cx)
        {
            unread.push(frame);
        }
        unread
    }
}
