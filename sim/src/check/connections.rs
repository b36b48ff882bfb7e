//! One connection at a time, and what is sent on it: C1, C2, O1, B1, B2, S2.

use std::collections::{BTreeMap, BTreeSet};

use tidegate_driver::core::{Frame, Notice, Timestamp};

use super::{BootstrapRule, Rules, Verdict, hold};
use crate::entry::Entry;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ConnectionState {
    None,
    Dialing(u64),
    Open(u64),
}

pub(super) struct Connections {
    bootstrap: Option<BootstrapRule>,
    max_attempts: Option<u64>,
    attempts: u64,
    connection: ConnectionState,
    last_id: u64,
    stopped: bool,
    live: Option<u64>,
    /// Messages of the application: on which connection each was accepted, if it is.
    ordered: BTreeMap<u64, Option<u64>>,
    last_sent: Option<u64>,
    traffic: Traffic,
}

/// Frames sent and read on the open connection.
#[derive(Default)]
struct Traffic {
    closed: bool,
    subscriptions: u32,
    unflushed: bool,
    acks: BTreeSet<u32>,
}

impl Connections {
    pub(super) fn new(rules: &Rules) -> Self {
        Self {
            bootstrap: rules.bootstrap,
            max_attempts: rules.max_attempts,
            attempts: 0,
            connection: ConnectionState::None,
            last_id: 0,
            stopped: false,
            live: None,
            ordered: BTreeMap::new(),
            last_sent: None,
            traffic: Traffic::default(),
        }
    }

    pub(super) fn see(&mut self, _now: Timestamp, entry: &Entry) -> Verdict {
        match entry {
            Entry::Connect { id } => {
                hold!(!self.stopped, "S2: connect {id} after the end");
                hold!(
                    self.connection == ConnectionState::None,
                    "C1: connect {id} beside {:?}",
                    self.connection
                );
                hold!(*id > self.last_id, "C2: connect {id} after {}", self.last_id);
                self.last_id = *id;
                self.connection = ConnectionState::Dialing(*id);
                self.attempts += 1;
                let few = self.max_attempts.is_none_or(|most| self.attempts <= most);
                hold!(few, "max_attempts: attempt {} of {:?}", self.attempts, self.max_attempts);
            }
            Entry::Opened { id } => {
                hold!(
                    self.connection == ConnectionState::Dialing(*id),
                    "C1: {id} opened beside {:?}",
                    self.connection
                );
                self.connection = ConnectionState::Open(*id);
                self.traffic = Traffic::default();
            }
            Entry::DialFailed { .. } | Entry::Gone { .. } => self.connection = ConnectionState::None,
            Entry::Sent { id, frame } => self.sent(*id, frame)?,
            Entry::Flushed { .. } => self.traffic.unflushed = false,
            Entry::Read { frame, .. } => {
                if let Some(("ack", number)) = words(frame) {
                    self.traffic.acks.extend(u32::try_from(number));
                }
            }
            Entry::Notice(notice) => self.notice(notice)?,
            Entry::Ordered { number } => {
                self.ordered.insert(*number, self.live);
            }
            _ => {}
        }
        Ok(())
    }

    fn sent(&mut self, id: u64, frame: &Frame) -> Verdict {
        hold!(!self.stopped, "S2: sent on {id} after the end");
        hold!(
            self.connection == ConnectionState::Open(id),
            "O1: sent on {id}, which is {:?}",
            self.connection
        );
        hold!(!self.traffic.closed, "C5: {frame:?} sent on {id} after Close");
        self.traffic.closed |= matches!(frame, Frame::Close(_));
        match words(frame) {
            Some(("sub", number)) => {
                let expected = u64::from(self.traffic.subscriptions);
                hold!(number == expected, "B1: subscription {number} in place of {expected} on {id}");
                self.traffic.subscriptions += 1;
                self.traffic.unflushed = true;
            }
            Some(("app", number)) => {
                let accepted = self.ordered.remove(&number).flatten();
                hold!(accepted == Some(id), "O1: message {number} of {accepted:?} sent on {id}");
                hold!(self.last_sent < Some(number), "O1: message {number} out of order");
                self.last_sent = Some(number);
                self.is_complete(id)?;
            }
            Some(_) | None => {}
        }
        Ok(())
    }

    fn is_complete(&self, id: u64) -> Verdict {
        let owed = self.bootstrap.map_or(0, |rule| rule.frames);
        hold!(self.traffic.subscriptions >= owed, "B1: {} subscriptions on {id}", self.traffic.subscriptions);
        Ok(())
    }

    fn notice(&mut self, notice: &Notice) -> Verdict {
        match notice {
            Notice::Success { id } => {
                self.live = Some(id.get());
                if let Some(rule) = self.bootstrap {
                    self.is_complete(id.get())?;
                    hold!(!self.traffic.unflushed, "B2: {id} is live before the flush");
                    let acks = u32::try_from(self.traffic.acks.len()).unwrap_or(u32::MAX);
                    hold!(
                        !rule.acks || acks == rule.frames,
                        "B2: {id} is live after {acks} acknowledgements"
                    );
                }
            }
            Notice::Disconnected { .. } | Notice::Timeout { .. } => self.live = None,
            Notice::Stopped { .. } => {
                hold!(!self.stopped, "S2: stopped twice");
                self.stopped = true;
            }
            _ => {
                hold!(!self.stopped, "S2: {notice:?} after the end");
            }
        }
        Ok(())
    }
}

/// A kind and a number, if that is what it says.
fn words(frame: &Frame) -> Option<(&str, u64)> {
    let Frame::Message(message) = frame else { return None };
    let (kind, rest) = message.as_text()?.split_once(' ')?;
    let number = rest.split(' ').next()?.parse().ok()?;
    Some((kind, number))
}
