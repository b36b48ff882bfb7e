//! Numbered items, and what must hold of them whatever the network does.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tidegate::driver::Source;
use tidegate::{ConfigBuilder, ConnectionId, Continuity, Delivery, Feed, FeedHandle, Message, Overflow};
use tidegate_tests::fault_proxy::FaultProxy;
use tidegate_tests::prelude::*;
use tidegate_tests::server::{Server, switching};

/// How often the server sends an item.
pub(super) const EVERY: Duration = ms(5);

/// How long an item is, in bytes.
pub(super) const ITEM: usize = 60;

/// A frame's head, and the item.
const FRAME: usize = 2 + ITEM;

/// The newest connection, and the number of items so far.
#[derive(Default)]
struct Client {
    newest: usize,
    items: u64,
}

/// Numbers the items of each connection, and those of each client over all of its connections. An item goes out on a
/// client's newest connection alone: what is missing between two connections was sent on the first of them.
pub(super) fn numbered() -> Server {
    let clients: Arc<Mutex<BTreeMap<String, Client>>> = Arc::default();
    Server::start(move |number, peer| {
        peer.upgrade()?;
        let (_, name) = peer.read()?;
        let name = String::from_utf8(name).map_err(|_| ErrorKind::InvalidData)?;
        for item in 0.. {
            let total = {
                let mut clients = clients.lock().unwrap();
                let client = clients.entry(name.clone()).or_default();
                if client.newest > number {
                    break;
                }
                client.newest = number;
                client.items += 1;
                client.items
            };
            let text = format!("{name} {number} {item} {total} ");
            peer.text(&format!("{text:x<ITEM$}"))?;
            peer.serve_for(EVERY)?;
        }
        peer.serve()
    })
}

/// How many bytes a connection has brought with so many whole items.
pub(super) fn bytes_before(item: usize) -> u64 {
    (switching("").len() + item * FRAME) as u64
}

/// A feed of numbered items that is held to them at every step.
pub(super) struct Followed<S: Source> {
    feed: Feed<S>,
    audit: Audit,
}

/// Starts one through the proxy.
pub(super) fn follow<M: Mode>(
    proxy: &FaultProxy,
    name: &str,
    config: ConfigBuilder,
    notices: &Notices,
) -> Followed<impl Source<Item = Message> + use<M>> {
    let hello = name.to_owned();
    let builder = M::feed(&proxy.url("/feed")).config(config).on_notice(notices.watch());
    let feed = M::start(builder.on_upgrade(move |_| Ok([hello.clone()])));
    Followed { feed, audit: Audit::new(name) }
}

impl<S: Source<Item = Message>> Followed<S> {
    /// Says what is being done, should something go wrong.
    pub(super) fn step(&mut self, what: String) {
        self.audit.step = what;
    }

    pub(super) fn handle(&self) -> FeedHandle {
        self.feed.handle()
    }

    /// How often it has been Live.
    pub(super) fn connections(&self) -> usize {
        self.audit.connections
    }

    async fn next(&mut self) -> String {
        let Some(received) = timeout(WAIT, self.feed.recv()).await else {
            panic!("it hangs: {}", self.audit)
        };
        let line = line(&received.unwrap().unwrap());
        self.audit.see(&line);
        line
    }

    /// Takes so many items, on one connection.
    pub(super) async fn items(&mut self, count: usize) {
        let (before, enough) = (self.audit.interruptions, self.audit.items + count);
        while self.audit.items < enough {
            self.next().await;
        }
        assert_eq!(self.audit.interruptions, before, "interrupted: {}", self.audit);
    }

    /// Takes items until the connection has brought so many, however many connections that takes.
    pub(super) async fn recover(&mut self, count: usize) {
        while !self.audit.continuity.is_live() || self.audit.on_connection < count {
            self.next().await;
        }
    }

    /// Takes items up to the end of the connection: how many it has brought in all, and why it ended.
    pub(super) async fn interruption(&mut self) -> (usize, String) {
        loop {
            if let Some(end) = self.next().await.strip_prefix("interrupted ") {
                let kind = end.split_once(": ").unwrap().1.to_owned();
                return (self.audit.on_connection, kind);
            }
        }
    }

    /// Goes on while `work` does.
    pub(super) async fn during<T>(&mut self, work: impl Future<Output = T>) -> T {
        let (done, lines) = drive(&mut self.feed, work).await;
        lines.iter().for_each(|line| self.audit.see(line));
        done
    }
}

/// What has been seen of a feed. Whatever comes next must fit.
#[derive(Debug)]
struct Audit {
    name: String,
    step: String,
    /// What is missing between two connections was sent on the first of them.
    continuity: Continuity,
    connections: usize,
    interruptions: usize,
    items: usize,
    on_connection: usize,
}

impl std::fmt::Display for Audit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}

impl Audit {
    fn new(name: &str) -> Self {
        let continuity = Continuity::numbered_by_peer(Overflow::Pause);
        let (connections, interruptions, items, on_connection) = (0, 0, 0, 0);
        let (name, step) = (name.to_owned(), String::new());
        Self { name, step, continuity, connections, interruptions, items, on_connection }
    }

    fn see(&mut self, line: &str) {
        let words: Vec<_> = line.split([' ', ':']).collect();
        let number = |word: usize| words[word].parse().unwrap();
        let id = || ConnectionId::new(number(1));
        let delivery = match words[0] {
            "opened" => Delivery::Opened { id: id() },
            "live" => {
                self.on_connection = 0;
                self.connections += 1;
                Delivery::Live { id: id() }
            }
            "interrupted" => {
                assert!(self.continuity.is_live(), "{line} without a connection: {self}");
                self.interruptions += 1;
                Delivery::Interrupted { id: id(), failure: None }
            }
            "dropped" => Delivery::Dropped { count: number(1) },
            name => {
                assert_eq!(name, self.name, "another's item: {self}");
                assert!(self.continuity.is_live(), "{line} outside of a connection: {self}");
                assert_eq!(number(2), self.on_connection as u64, "lost at its beginning: {line}: {self}");
                self.on_connection += 1;
                self.items += 1;
                Delivery::Item(number(3))
            }
        };
        let fits = self.continuity.check(&delivery, |item| Some(*item));
        fits.unwrap_or_else(|broken| panic!("{broken}: {line}: {self}"));
    }
}
