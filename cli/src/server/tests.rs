//! The server as a plain client sees it, over loopback.

use std::io::ErrorKind;
use std::ops::Range;
use std::time::Instant;

use async_tungstenite::WebSocketStream;
use async_tungstenite::tokio::{TokioAdapter, client_async};
use async_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use async_tungstenite::tungstenite::{Error, Message};
use bytes::Bytes;
use futures_util::StreamExt;
use http::StatusCode;
use serde_json::Value;
use tidegate::{ConnectionId, Delivery, Overflow};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::ledger::End;
use super::*;
use crate::audit::{Audit, Heard};

type Client = WebSocketStream<TokioAdapter<TcpStream>>;

/// Far longer than anything here takes, even on a machine with better things to do.
const SOON: Duration = Duration::from_secs(5);

/// A server that runs, with a hand on its faults.
struct Running {
    addr: SocketAddr,
    hub: Arc<Hub>,
    events: mpsc::UnboundedReceiver<ServerEvent>,
    stop: oneshot::Sender<()>,
    run: JoinHandle<Ledger>,
}

impl Running {
    async fn start(options: Options) -> Self {
        let (server, events) = FeedServer::bind(([127, 0, 0, 1], 0).into(), options).await.unwrap();
        let (addr, hub) = (server.local_addr(), Arc::clone(&server.hub));
        let (stop, stopped) = oneshot::channel::<()>();
        let run = tokio::spawn(server.run(async {
            let _ = stopped.await;
        }));
        Self { addr, hub, events, stop, run }
    }

    async fn connect(&self) -> Result<Client, Error> {
        let stream = TcpStream::connect(self.addr).await?;
        client_async(format!("ws://{}{PATH}", self.addr), stream).await.map(|(client, _)| client)
    }

    /// A client with its subscription acknowledged, and the first trade it was promised.
    async fn subscriber(&self) -> (Client, u64) {
        let mut client = self.connect().await.unwrap();
        subscribe(&mut client).await;
        let ack = json(&mut client).await;
        assert_eq!((&ack["type"], &ack["channel"]), (&"subscribed".into(), &"trades".into()));
        (client, ack["seq"].as_u64().unwrap())
    }

    async fn stop(self) -> Ledger {
        self.stop.send(()).unwrap();
        timeout(SOON, self.run).await.unwrap().unwrap()
    }
}

async fn running() -> Running {
    Running::start(Options { rate: 1000, ..Options::default() }).await
}

async fn subscribe(client: &mut Client) {
    say(client, r#"{"op":"subscribe","channel":"trades"}"#).await;
}

async fn say(client: &mut Client, text: &'static str) {
    client.send(Message::text(text)).await.unwrap();
}

async fn message(client: &mut Client) -> Option<Result<Message, Error>> {
    timeout(SOON, client.next()).await.expect("the server has something to say")
}

async fn json(client: &mut Client) -> Value {
    let message = message(client).await.unwrap().unwrap();
    serde_json::from_str(message.to_text().unwrap()).unwrap()
}

/// The numbers of the next `count` trades.
async fn trades(client: &mut Client, count: usize) -> Vec<u64> {
    let mut seqs = Vec::new();
    while seqs.len() < count {
        let value = json(client).await;
        if value["type"] == "trade" {
            seqs.push(value["seq"].as_u64().unwrap());
        }
    }
    seqs
}

/// The newest trade that arrives before the connection ends, and how it ends.
async fn end(client: &mut Client) -> (Option<u64>, Option<Result<Message, Error>>) {
    let mut newest = None;
    let over = async {
        loop {
            match message(client).await {
                Some(Ok(Message::Text(text))) => {
                    let value: Value = serde_json::from_str(&text).unwrap();
                    newest = if value["type"] == "trade" { value["seq"].as_u64() } else { newest };
                }
                over => return over,
            }
        }
    };
    let over = timeout(SOON * 4, over).await.expect("an end to the trades");
    (newest, over)
}

fn is_reset(error: &Error) -> bool {
    matches!(error, Error::Io(error) if error.kind() == ErrorKind::ConnectionReset)
}

fn consecutive(from: u64, count: u64) -> Vec<u64> {
    (from..from + count).collect()
}

#[tokio::test]
async fn a_subscriber_gets_an_acknowledgement_and_consecutive_trades() {
    let server = running().await;
    sleep(Duration::from_millis(30)).await;
    let (mut client, first) = server.subscriber().await;
    assert!(first > 1, "the market does not wait for subscribers");
    assert_eq!(trades(&mut client, 100).await, consecutive(first, 100));
    let (mut other, later) = server.subscriber().await;
    assert!(later >= first + 100, "trades are numbered across sessions");
    assert_eq!(trades(&mut other, 10).await, consecutive(later, 10));
    client.close(None).await.unwrap();
    let over = end(&mut client).await;
    assert!(matches!(over, (_, Some(Ok(Message::Close(None))))), "{over:?}");
    assert!(message(&mut client).await.is_none());
    let ledger = server.stop().await;
    let record = ledger.sessions.iter().find(|record| record.id == 1).unwrap();
    assert_eq!(record.end, End::ClosedByClient);
    assert_eq!(record.wrote.len(), 1);
    assert_eq!(record.wrote[0].start, first);
    assert!(record.trades() >= 100 && record.wrote[0].end <= ledger.generated + 1);
    assert_eq!(ledger.sessions.iter().find(|record| record.id == 2).unwrap().end, End::Shutdown);
}

#[tokio::test]
async fn heartbeats_say_how_far_the_trades_are() {
    let options = Options { rate: 100, heartbeat: Duration::from_millis(40), ..Options::default() };
    let server = Running::start(options).await;
    let (mut client, mut next) = server.subscriber().await;
    let mut heartbeats = 0;
    while heartbeats < 3 {
        let value = json(&mut client).await;
        assert_eq!(value["seq"], next, "{value}");
        match value["type"].as_str() {
            Some("trade") => next += 1,
            Some("heartbeat") => heartbeats += 1,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn wrong_requests_are_answered_and_pings_too() {
    let server = running().await;
    let mut client = server.connect().await.unwrap();
    for (request, answer) in [
        ("nonsense", "not JSON"),
        (r#"{"op":"dance"}"#, "unknown op dance"),
        (r#"{"op":"unsubscribe","channel":"trades"}"#, "not subscribed"),
    ] {
        say(&mut client, request).await;
        let value = json(&mut client).await;
        assert_eq!((value["type"].as_str(), value["message"].as_str()), (Some("error"), Some(answer)));
    }
    client.send(Message::Binary(Bytes::from_static(b"x"))).await.unwrap();
    assert_eq!(json(&mut client).await["message"], "text only");
    client.send(Message::Ping(Bytes::from_static(b"there?"))).await.unwrap();
    let pong = message(&mut client).await.unwrap().unwrap();
    assert_eq!(pong, Message::Pong(Bytes::from_static(b"there?")));
}

#[tokio::test]
async fn a_subscription_can_end_and_begin_again() {
    let patience = Duration::from_millis(400);
    let server = Running::start(Options { patience, ..Options::default() }).await;
    let (mut client, first) = server.subscriber().await;
    // Patience starts anew with the end of the subscription.
    sleep(patience).await;
    say(&mut client, r#"{"op":"unsubscribe","channel":"trades"}"#).await;
    let mut next = first;
    let until = loop {
        let value = json(&mut client).await;
        if value["type"] == "unsubscribed" {
            break value["seq"].as_u64().unwrap();
        }
        assert_eq!(value["seq"], next);
        next += 1;
    };
    assert_eq!(until, next);
    sleep(Duration::from_millis(30)).await;
    subscribe(&mut client).await;
    let again = json(&mut client).await["seq"].as_u64().unwrap();
    assert!(again > until);
    trades(&mut client, 5).await;
    let ledger = server.stop().await;
    let wrote: Vec<Range<u64>> = ledger.sessions[0].wrote.clone();
    assert_eq!(wrote.last().unwrap().start, again);
    assert!(wrote.len() == 1 || wrote[0] == (first..until), "{wrote:?}");
}

#[tokio::test]
async fn who_does_not_subscribe_is_shown_the_door() {
    let options = Options { patience: Duration::from_millis(50), ..Options::default() };
    let server = Running::start(options).await;
    let mut client = server.connect().await.unwrap();
    assert_eq!(json(&mut client).await["type"], "error");
    let Some(Ok(Message::Close(Some(frame)))) = message(&mut client).await else { panic!("no Close") };
    assert_eq!(frame.code, CloseCode::Policy);
    assert!(message(&mut client).await.is_none());
    assert_eq!(server.stop().await.sessions[0].end, End::NotSubscribed);
}

#[tokio::test]
async fn another_path_is_not_found() {
    let server = running().await;
    let stream = TcpStream::connect(server.addr).await.unwrap();
    let refused = client_async(format!("ws://{}/", server.addr), stream).await;
    let Err(Error::Http(response)) = refused else { panic!("{refused:?}") };
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert_eq!(server.stop().await.refused, 1);
}

#[tokio::test]
async fn a_reset_is_an_io_error_behind_whole_trades() {
    for mid_frame in [false, true] {
        let server = running().await;
        let (mut client, first) = server.subscriber().await;
        trades(&mut client, 20).await;
        server.hub.inject(Fault::Reset { mid_frame });
        let (newest, over) = end(&mut client).await;
        assert!(matches!(&over, Some(Err(error)) if is_reset(error)), "{over:?}");
        let ledger = server.stop().await;
        let record = &ledger.sessions[0];
        assert_eq!((record.end, record.wrote[0].start), (End::Fault, first));
        assert!(newest.is_none_or(|newest| newest < record.wrote[0].end), "half a trade is none");
        assert_eq!((ledger.faults[0].fault, ledger.faults[0].sessions), (Fault::Reset { mid_frame }, 1));
    }
}

#[tokio::test]
async fn a_reset_in_mid_frame_leaves_half_a_trade() {
    let server = running().await;
    let (client, _) = server.subscriber().await;
    sleep(Duration::from_millis(20)).await;
    server.hub.inject(Fault::Reset { mid_frame: true });
    let mut stream = client.into_inner().into_inner();
    let mut bytes = Vec::new();
    let error = timeout(SOON, stream.read_to_end(&mut bytes)).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let mut rest = bytes.as_slice();
    while rest.len() > 2 && rest.len() >= 2 + usize::from(rest[1]) {
        rest = &rest[2 + usize::from(rest[1])..];
    }
    assert_eq!(rest[0], 0x81);
    assert!(rest[2..].starts_with(br#"{"type":"trade","seq":"#), "{:?}", String::from_utf8_lossy(rest));
}

#[tokio::test]
async fn silence_falls_on_the_connection_but_not_on_new_ones() {
    let server = running().await;
    let (mut client, _) = server.subscriber().await;
    trades(&mut client, 5).await;
    server.hub.inject(Fault::Silence);
    // What was on its way may still come; then nothing does, no pong either.
    let quiet = async {
        while let Ok(message) = timeout(Duration::from_millis(100), client.next()).await {
            message.unwrap().unwrap();
        }
    };
    timeout(SOON, quiet).await.expect("silence");
    client.send(Message::Ping(Bytes::new())).await.unwrap();
    let (mut other, first) = server.subscriber().await;
    assert_eq!(trades(&mut other, 200).await, consecutive(first, 200));
    let heard = timeout(Duration::from_millis(100), client.next()).await;
    assert!(heard.is_err(), "{heard:?}");
    let ledger = server.stop().await;
    assert_eq!(ledger.sessions.iter().find(|record| record.id == 1).unwrap().end, End::Fault);
}

#[tokio::test]
async fn silence_ends_in_the_end() {
    let options = Options { silence: Duration::from_millis(100), ..Options::default() };
    let server = Running::start(options).await;
    let (mut client, _) = server.subscriber().await;
    server.hub.inject(Fault::Silence);
    let (_, over) = end(&mut client).await;
    assert!(matches!(over, Some(Err(_))), "{over:?}");
}

#[tokio::test]
async fn a_refused_upgrade_says_when_to_come_back() {
    let mut server = running().await;
    let (mut client, _) = server.subscriber().await;
    server.hub.inject(Fault::RefuseUpgrade { times: 2 });
    let (_, over) = end(&mut client).await;
    assert!(matches!(over, Some(Err(_))), "cut off without Close: {over:?}");
    for _ in 0..2 {
        let refused = server.connect().await;
        let Err(Error::Http(response)) = refused else { panic!("{refused:?}") };
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()["retry-after"], "1");
    }
    let (mut client, first) = server.subscriber().await;
    assert_eq!(trades(&mut client, 3).await, consecutive(first, 3));
    let mut statuses = Vec::new();
    while let Ok(event) = server.events.try_recv() {
        if let ServerEvent::Refused { status } = event {
            statuses.push(status);
        }
    }
    assert_eq!(statuses, [503, 503]);
    assert_eq!(server.stop().await.refused, 2);
}

#[tokio::test]
async fn a_restart_says_1012_and_is_open_again() {
    let server = running().await;
    let (mut client, first) = server.subscriber().await;
    server.hub.inject(Fault::CloseAndReopen);
    let (newest, over) = end(&mut client).await;
    let Some(Ok(Message::Close(Some(frame)))) = over else { panic!("{over:?}") };
    assert_eq!(frame.code, CloseCode::Restart);
    assert_eq!(u16::from(frame.code), 1012);
    assert!(message(&mut client).await.is_none(), "the handshake is completed");
    let (_, later) = server.subscriber().await;
    let ledger = server.stop().await;
    // Nothing is lost on the way when a connection ends in order.
    assert_eq!(ledger.sessions[0].wrote.last().map(|range| range.end), newest.map(|newest| newest + 1));
    assert!(later >= first);
}

#[tokio::test]
async fn a_restart_waits_for_the_answer_to_its_close() {
    let server = running().await;
    let client = server.connect().await.unwrap();
    sleep(Duration::from_millis(20)).await;
    server.hub.inject(Fault::CloseAndReopen);
    let mut stream = client.into_inner().into_inner();
    let mut header = [0; 4];
    stream.read_exact(&mut header).await.unwrap();
    assert_eq!((header[0], u16::from_be_bytes([header[2], header[3]])), (0x88, 1012));
    let mut reason = vec![0; usize::from(header[1]) - 2];
    stream.read_exact(&mut reason).await.unwrap();
    let early = timeout(Duration::from_millis(100), stream.read(&mut header)).await;
    assert!(early.is_err(), "{early:?}");
    // Close, masked with zeros, without a code.
    stream.write_all(&[0x88, 0x80, 0, 0, 0, 0]).await.unwrap();
    assert_eq!(timeout(SOON, stream.read(&mut header)).await.unwrap().unwrap(), 0);
}

#[tokio::test]
async fn a_flood_loses_nothing_for_a_slow_reader() {
    let server = Running::start(Options { rate: 50, ..Options::default() }).await;
    let (mut client, first) = server.subscriber().await;
    let began = Instant::now();
    // More than the buffers of a loopback connection hold: writing has to stall.
    server.hub.inject(Fault::Flood { trades: 100_000 });
    sleep(Duration::from_millis(200)).await;
    assert_eq!(trades(&mut client, 100_000).await, consecutive(first, 100_000));
    assert!(began.elapsed() < Duration::from_secs(100), "the market alone would take 2000 s");
    client.send(Message::Ping(Bytes::new())).await.unwrap();
    assert!(matches!(end(&mut client).await, (_, Some(Ok(Message::Pong(_))))));
}

#[tokio::test]
async fn faults_strike_a_connection_that_is_not_read() {
    let server = running().await;
    let (mut client, first) = server.subscriber().await;
    server.hub.inject(Fault::Flood { trades: 200_000 });
    sleep(Duration::from_millis(100)).await;
    server.hub.inject(Fault::Reset { mid_frame: true });
    let (newest, over) = end(&mut client).await;
    assert!(matches!(&over, Some(Err(error)) if is_reset(error)), "{over:?}");
    let record = server.stop().await.sessions[0].clone();
    assert!(record.trades() < 200_000, "a reader that does not read is not written to");
    assert!((first..record.wrote[0].end).contains(&newest.unwrap()));
}

#[tokio::test]
async fn stopping_says_goodbye_to_everyone() {
    let server = running().await;
    let (mut client, _) = server.subscriber().await;
    let (mut silenced, _) = server.subscriber().await;
    server.hub.inject(Fault::Silence);
    let (mut late, _) = server.subscriber().await;
    let goodbye = tokio::spawn(async move { end(&mut late).await.1 });
    let ledger = server.stop().await;
    let Some(Ok(Message::Close(Some(frame)))) = goodbye.await.unwrap() else { panic!("no Close") };
    assert_eq!(frame.code, CloseCode::Away);
    for client in [&mut client, &mut silenced] {
        assert!(matches!(end(client).await.1, Some(Err(_))), "silent to the end");
    }
    assert_eq!(ledger.sessions.len(), 3);
}

#[tokio::test]
async fn a_fault_waits_for_somebody_to_strike() {
    let faults = Some(Schedule::endless(1, Duration::ZERO));
    let mut server = Running::start(Options { faults, ..Options::default() }).await;
    sleep(Duration::from_millis(1200)).await;
    assert!(server.hub.ledger().faults.is_empty(), "nobody is there");
    let (_client, _) = server.subscriber().await;
    let injected = async {
        loop {
            if let ServerEvent::FaultInjected { sessions, .. } = server.events.recv().await.unwrap() {
                return sessions;
            }
        }
    };
    assert_eq!(timeout(SOON, injected).await.unwrap(), 1);
}

/// A client that does nothing but come back: what the audit says of it is what it says of an honest feed.
#[tokio::test]
async fn an_honest_client_passes_the_audit_through_every_fault() {
    let server = running().await;
    let mut audit = Audit::new(Overflow::Pause);
    let faults = [
        Fault::Reset { mid_frame: false },
        Fault::Silence,
        Fault::Flood { trades: 20_000 },
        Fault::Reset { mid_frame: true },
        Fault::RefuseUpgrade { times: 1 },
        Fault::CloseAndReopen,
    ];
    let mut faults = faults.into_iter();
    for connection in 1.. {
        if faults.len() == 0 {
            break;
        }
        assert!(connection < 50, "every connection but the refused ones meets a fault");
        let Ok(mut client) = server.connect().await else { continue };
        subscribe(&mut client).await;
        let id = ConnectionId::new(connection);
        audit.see(&Delivery::Opened { id });
        audit.see(&Delivery::Live { id });
        let mut until_fault = 50;
        while let Ok(Some(Ok(Message::Text(text)))) = timeout(Duration::from_millis(150), client.next()).await
        {
            let value: Value = serde_json::from_str(&text).unwrap();
            if value["type"] == "trade" {
                let number = value["seq"].as_u64().unwrap();
                audit.see(&Delivery::Item(Heard::Trade(number)));
                until_fault -= 1;
            }
            if until_fault == 0 {
                let fault = faults.next().unwrap();
                server.hub.inject(fault);
                until_fault = if fault.kind().disconnects() { -1 } else { 20_050 };
            }
        }
        audit.see(&Delivery::Interrupted { id, failure: None });
        sleep(Duration::from_millis(10)).await;
    }
    let verdict = audit.verdict();
    assert!(verdict.passed(), "{verdict:?}");
    assert!(verdict.lost_in_gaps >= 3 && verdict.received > 20_000, "{verdict:?}");
    let ledger = server.stop().await;
    let wrote: u64 = ledger.sessions.iter().map(SessionRecord::trades).sum();
    assert!(verdict.received <= wrote && wrote <= ledger.generated, "{verdict:?}, {wrote}");
    assert_eq!(ledger.refused, 1);
}
