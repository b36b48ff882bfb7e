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

/// What a connection leaves behind, in either direction.
#[cfg(tidegate_bugs)]
#[derive(Default)]
pub(crate) struct Leftovers {
    pub(crate) read: Vec<tidegate_core::Frame>,
    pub(crate) unsent: Vec<tidegate_core::Frame>,
}

#[cfg(tidegate_bugs)]
impl<T: crate::Transport> crate::link::Link<T> {
    /// Takes what the next connection has no business with.
    pub(crate) fn salvage(&mut self) -> Leftovers {
        let mut left = Leftovers::default();
        let Self::Up { line, .. } = self else { return left };
        if bug!(SendSurvives) {
            left.unsent = line.unsent();
        }
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        while bug!(OldFramesAccepted)
            && let std::task::Poll::Ready(Some(Ok(frame))) = line.poll_read(&mut cx)
        {
            left.read.push(frame);
        }
        left
    }
}
