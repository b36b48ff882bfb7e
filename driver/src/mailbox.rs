//! Commands on their way to the handler (H6).

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};

use tidegate_core::{CommandError, CommandHandler, FrameHandler, Machine, Timestamp};

use crate::control::Control;
use crate::sync::{Mutex, MutexGuard};

/// Commands that the handler has not got yet.
pub(crate) struct Mailbox<C> {
    /// `None` once the loop has ended.
    waiting: Mutex<Option<VecDeque<C>>>,
    bound: usize,
}

impl<C> Mailbox<C> {
    pub(crate) fn new(bound: usize) -> Arc<Self> {
        Arc::new(Self { waiting: Mutex::new(Some(VecDeque::new())), bound })
    }

    pub(crate) fn push(&self, command: C) -> Result<(), CommandError<C>> {
        match &mut *self.lock() {
            None => Err(CommandError::Stopped(command)),
            Some(waiting) if waiting.len() >= self.bound => Err(CommandError::Full(command)),
            Some(waiting) => {
                waiting.push_back(command);
                Ok(())
            }
        }
    }

    fn pop(&self) -> Option<C> {
        self.lock().as_mut()?.pop_front()
    }

    fn len(&self) -> usize {
        self.lock().as_ref().map_or(0, VecDeque::len)
    }

    fn lock(&self) -> MutexGuard<'_, Option<VecDeque<C>>> {
        // No code of the application runs under the lock.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The loop's end of a mailbox.
pub(crate) trait Inbox<H: FrameHandler>: Send {
    /// Passes on the commands that wait, as far as the machine takes them. More that are sent meanwhile wait for the
    /// next poll.
    fn pass_on(&self, machine: &mut Machine<H>, control: &Control, now: Timestamp);

    /// Returns whether a command waits that the machine would take.
    fn is_due(&self, machine: &Machine<H>) -> bool;

    /// Drops all commands, and refuses those to come.
    fn close(&self);
}

/// The inbox of a handler without commands.
pub(crate) struct NoCommands;

impl<H: FrameHandler> Inbox<H> for NoCommands {
    fn pass_on(&self, _: &mut Machine<H>, _: &Control, _: Timestamp) {}

    fn is_due(&self, _: &Machine<H>) -> bool {
        false
    }

    fn close(&self) {}
}

impl<H: CommandHandler> Inbox<H> for Arc<Mailbox<H::Command>>
where
    H::Command: Send,
{
    fn pass_on(&self, machine: &mut Machine<H>, control: &Control, now: Timestamp) {
        let count = self.len();
        for _ in 0..count {
            if !machine.takes_commands() {
                break;
            }
            let Some(command) = self.pop() else { break };
            // It is refused only by a feed that has stopped, and dropped then like all others.
            let _ = machine.command(command, now);
        }
        if self.len() < count {
            control.wake_waiters();
        }
    }

    fn is_due(&self, machine: &Machine<H>) -> bool {
        machine.takes_commands() && self.len() > 0
    }

    fn close(&self) {
        let unheard = self.lock().take();
        drop(unheard);
    }
}
