//! Servers that no one here wrote: each path of theirs, on each of them. What a path does is said in
//! `tidegate_tests::peers`.

use std::sync::OnceLock;

use futures_util::{SinkExt, StreamExt};
use tidegate::{
    CloseFrame, Config, ConnectRequest, ConnectionFailure, Context, Delivery, Failure, Fault, Feed, Frame,
    FrameHandler, Message, Notice, RetryPolicy, Source, StopReason, Upgrade,
};
use tidegate_tests::peers::{Peer, ServerTls, WebSocketServer, nginx_in_front_of};
use tidegate_tests::pki::{Authority, Leaf};
use tidegate_tests::prelude::*;
use tidegate_tests::{Connector, TlsOptions};

/// The cases below as groups, one for each server, which is started once.
macro_rules! against {
    ($($module:ident: $server:ident needs $need:ident),* ; $cases:tt) => {
        $(against!(@group $module $server $need $cases);)*

        /// Adds these groups for one adapter.
        pub(super) fn cases<A: Adapter>(cases: &mut tidegate_tests::case::Cases) {
            $($module::cases::<A>(cases);)*
            through_nginx::cases::<A>(cases);
        }
    };
    (@group $module:ident $server:ident $need:ident {
        both: [$($both:ident),* $(,)?],
        single: [$($single:ident),* $(,)?],
    }) => {
        mod $module {
            use super::*;
            use tidegate_tests::needs::$need;

            cases! {
                both: [$($both needs [$need]),*],
                single: [$($single needs [$need]),*],
            }

            fn server() -> &'static Peer {
                static SERVER: OnceLock<Peer> = OnceLock::new();
                SERVER.get_or_init(|| WebSocketServer::$server.start().unwrap())
            }

            $(async fn $both<M: Mode>() {
                super::$both::<M>(server()).await;
            })*
            $(async fn $single<A: Adapter>() {
                super::$single::<A>(server()).await;
            })*
        }
    };
}

against! {
    python_websockets: Websockets needs WEBSOCKETS,
    python_aiohttp: Aiohttp needs AIOHTTP,
    node_ws: Ws needs WS;
    {
        both: [
            messages_go_both_ways,
            ten_thousand_messages,
            large_messages,
            a_close_with_a_code,
            pings_are_answered,
            live_once_it_is_acknowledged,
            a_dropped_connection,
            retry_after_a_second,
            unauthorized,
            the_first_subprotocol_it_knows,
            no_subprotocol_it_knows,
            headers_arrive,
            redirects_are_followed,
            nothing_is_compressed,
            a_goodbye_is_answered,
        ],
        single: [a_single_connection],
    }
}

fn numbered(range: std::ops::Range<u32>) -> impl Iterator<Item = String> {
    range.map(|number| format!("{{\"n\":{number}}}"))
}

/// Sends this, and gives the next delivery.
async fn answer<S: Source<Item = Message>>(feed: &mut Feed<S>, message: Message) -> Message {
    let handle = feed.handle();
    // The answer may come before `send` has.
    let answer = async {
        loop {
            if let Delivery::Item(item) = feed.recv().await.unwrap().unwrap() {
                return item;
            }
        }
    };
    let (sent, answer) = within(futures_util::future::join(handle.send(message), answer)).await;
    sent.unwrap();
    answer
}

/// Text and binary, of every length that has an encoding of its own.
async fn messages_go_both_ways<M: Mode>(server: &Peer) {
    let mut feed = M::start(M::feed(&server.url("/echo")).config(quick()).on_upgrade(|_| Ok(["zwölf"])));
    assert_eq!(take(&mut feed, 2).await, ["live 1", "zwölf"]);
    for len in [0, 1, 125, 126, 65_535, 65_536, 1 << 20] {
        let (text, binary) = ("x".repeat(len), vec![0xff; len]);
        for message in [Message::Text(text.into()), Message::Binary(binary.into())] {
            let back = answer(&mut feed, message.clone()).await;
            assert!(back == message, "{len} bytes are {} on their way back", back.len());
        }
    }
}

/// D2: all of them, in order.
async fn ten_thousand_messages<M: Mode>(server: &Peer) {
    let mut feed = M::start(M::feed(&server.url("/feed?count=10000")).config(quick()));
    let seen = take(&mut feed, 10_001).await;
    assert!(seen[1..].iter().cloned().eq(numbered(0..10_000)));
}

async fn large_messages<M: Mode>(server: &Peer) {
    const SIZE: usize = 2 << 20;
    let url = server.url(&format!("/feed?count=12&size={SIZE}"));
    let mut feed = M::start(M::feed(&url).config(quick()));
    assert_eq!(next(&mut feed).await, "live 1");
    for number in 0..12 {
        let message = next(&mut feed).await;
        assert!(message.len() == SIZE && message.starts_with(&format!("{{\"n\":{number},")), "{number}");
    }
}

/// C5.
async fn a_close_with_a_code<M: Mode>(server: &Peer) {
    let notices = Notices::default();
    let builder = M::feed(&server.url("/close?code=4001&reason=later")).config(quick());
    let mut feed = M::start(builder.on_notice(notices.watch()));
    for id in 1..=2 {
        let expected = [format!("live {id}"), r#"{"n":0}"#.into(), format!("interrupted {id}: closed")];
        assert_eq!(take(&mut feed, 3).await, expected);
    }
    let reason = notices.all().into_iter().find_map(|seen| {
        let Notice::Disconnected { failure, .. } = seen.notice else { return None };
        failure
    });
    // The reason is a value of the query, and may be a secret (T3).
    let close = CloseFrame { code: 4001, reason: "***".to_owned() };
    assert_eq!(reason, Some(Failure::Connection(ConnectionFailure::Closed(Some(close)))));
}

/// O2.
async fn pings_are_answered<M: Mode>(server: &Peer) {
    let mut feed = M::start(M::feed(&server.url("/ping")).config(quick()));
    assert_eq!(take(&mut feed, 2).await, ["live 1", "pong ok"]);
}

/// Subscribes to two channels, and is ready when both are acknowledged.
struct Subscribed;

impl FrameHandler for Subscribed {
    type Session = ();
    type Item = String;

    fn on_upgrade(&mut self, upgrade: &mut Upgrade<'_>) -> Result<(), Fault> {
        upgrade.send("subscribe a");
        upgrade.send("subscribe b");
        upgrade.wait_for_ready();
        Ok(())
    }

    fn on_message(
        &mut self,
        (): &mut (),
        message: Message,
        cx: &mut Context<'_, String>,
    ) -> Result<(), Fault> {
        match message.as_text().unwrap() {
            "subscribed a" => {}
            "subscribed b" => cx.ready(),
            item => cx.emit(item.replace(' ', "")),
        }
        Ok(())
    }
}

/// B1, B2, B5.
async fn live_once_it_is_acknowledged<M: Mode>(server: &Peer) {
    let url = server.url("/subscribe?count=3");
    let mut feed = M::start(M::feed(&url).config(quick()).handler(Subscribed));
    let items = |channel| (0..3).map(move |n| format!("{{\"n\":{n},\"channel\":\"{channel}\"}}"));
    let expected: Vec<_> = items("a").chain(["live 1".to_owned()]).chain(items("b")).collect();
    assert_eq!(take(&mut feed, 7).await, expected);
}

/// A reset may overtake what was sent before it, the answer to the upgrade too.
async fn a_dropped_connection<M: Mode>(server: &Peer) {
    let mut feed = M::start(M::feed(&server.url("/drop")).config(quick()));
    let mut interrupted = 0;
    while interrupted < 3 {
        let line = next(&mut feed).await;
        if line.starts_with("interrupted") {
            assert!(line.ends_with(": io"), "{line}");
            interrupted += 1;
        } else {
            assert!(line.starts_with("live") || line == r#"{"n":0}"#, "{line}");
        }
    }
}

/// R5.
async fn retry_after_a_second<M: Mode>(server: &Peer) {
    let notices = Notices::default();
    let config = Config::builder().retry(RetryPolicy::fixed(ms(5)).max_retries(1));
    let builder = M::feed(&server.url("/refuse?status=503&retry_after=1")).config(config);
    let mut feed = M::start(builder.on_notice(notices.watch()));
    let last = Failure::rejected(503, Some(ms(1000)));
    assert_eq!(end(&mut feed).await.map(stop_without_words), Some(StopReason::RetriesExhausted { last }));
    let waited = spans(&notices.times("connecting"));
    assert!(waited.len() == 1 && waited[0] >= ms(1000), "{waited:?}");
}

/// R6.
async fn unauthorized<M: Mode>(server: &Peer) {
    let notices = Notices::default();
    let builder = M::feed(&server.url("/refuse?status=401")).config(quick());
    let mut feed = M::start(builder.on_notice(notices.watch()));
    let failure = Failure::rejected(401, None);
    assert_eq!(end(&mut feed).await.map(stop_without_words), Some(StopReason::Fatal { failure }));
    assert_eq!(notices.lines(), ["connecting 1", "failure 1: rejected", "stopped: fatal"]);
}

async fn the_first_subprotocol_it_knows<M: Mode>(server: &Peer) {
    let builder = M::feed(&server.url("/subprotocol")).config(quick());
    let mut feed = M::start(builder.subprotocol("v3.feed").subprotocol("v2.feed"));
    let seen = take(&mut feed, 2).await;
    assert_eq!(seen[1].replace(' ', ""), r#"{"subprotocol":"v2.feed"}"#);
}

/// As in browsers, a server must choose one of those that were offered.
async fn no_subprotocol_it_knows<M: Mode>(server: &Peer) {
    let config = Config::builder().retry(RetryPolicy::fixed(ms(5)).max_retries(0));
    let builder = M::feed(&server.url("/subprotocol")).config(config);
    let mut feed = M::start(builder.subprotocol("v3.feed"));
    let reason = end(&mut feed).await.unwrap();
    let kind = reason.failure().unwrap().kind();
    assert_eq!(kind, "upgrade", "{reason}");
}

async fn headers_arrive<M: Mode>(server: &Peer) {
    let builder = M::feed(&server.url("/headers"))
        .config(quick())
        .header("authorization", "Bearer of news")
        .header("x-test", "one, two")
        .origin("https://app.example");
    let mut feed = M::start(builder);
    let seen: serde_json::Value = serde_json::from_str(&take(&mut feed, 2).await[1]).unwrap();
    let expected = serde_json::json!({
        "Authorization": "Bearer of news",
        "Origin": "https://app.example",
        "X-Test": "one, two",
        "Host": server.address().to_string(),
    });
    assert_eq!(seen, expected);
}

async fn redirects_are_followed<M: Mode>(server: &Peer) {
    for status in [301, 302, 307, 308] {
        let url = server.url(&format!("/redirect?status={status}&to=/feed%3Fcount%3D2"));
        let mut feed = M::start(M::feed(&url).config(quick()));
        assert_eq!(take(&mut feed, 3).await, ["live 1", r#"{"n":0}"#, r#"{"n":1}"#], "{status}");
    }
}

/// permessage-deflate is not offered, so the server must do without.
async fn nothing_is_compressed<M: Mode>(server: &Peer) {
    let mut feed = M::start(M::feed(&server.url("/deflate")).config(quick()));
    assert_eq!(take(&mut feed, 2).await[1].replace(' ', ""), r#"{"deflate":false}"#);
    assert_eq!(answer(&mut feed, "x".into()).await, "x".into());
}

/// S1: the feed would wait for the answer far longer than the case does.
async fn a_goodbye_is_answered<M: Mode>(server: &Peer) {
    let mut feed = M::start(M::feed(&server.url("/feed?count=1")).config(quick().close_timeout(6 * WAIT)));
    assert_eq!(take(&mut feed, 2).await, ["live 1", r#"{"n":0}"#]);
    feed.handle().shutdown();
    assert_eq!(end(&mut feed).await, None);
}

/// Without a feed around it.
async fn a_single_connection<A: Adapter>(server: &Peer) {
    let name = http::HeaderValue::from_static("v2.feed");
    let request = ConnectRequest::new(server.url("/subprotocol").as_str()).unwrap();
    let request = request.with_header(http::header::SEC_WEBSOCKET_PROTOCOL, name);
    let mut connection = within(A::connect_once(request, Connector::default(), WAIT)).await.unwrap();
    assert_eq!(A::subprotocol(&connection), Some("v2.feed"));
    assert!(matches!(within(connection.next()).await, Some(Ok(Frame::Message(Message::Text(_))))));
    let goodbye = Frame::Close(Some(CloseFrame::new(1000)));
    within(connection.send(goodbye.clone())).await.unwrap();
    assert_eq!(within(connection.next()).await, Some(Ok(goodbye)));
    assert_eq!(within(connection.next()).await, None);
}

/// nginx, which ends TLS in front of a WebSocket server.
mod through_nginx {
    use super::*;
    use tidegate_tests::needs::{NGINX, WEBSOCKETS};

    cases! {
        both: [
            a_feed_over_tls needs [NGINX, WEBSOCKETS],
            a_close_comes_through needs [NGINX, WEBSOCKETS],
            nobody_is_behind_it needs [NGINX, WEBSOCKETS],
        ],
    }

    fn authority() -> &'static Authority {
        static AUTHORITY: OnceLock<Authority> = OnceLock::new();
        AUTHORITY.get_or_init(Authority::new)
    }

    fn start(behind: &Peer) -> Peer {
        let tls = ServerTls::new(authority().issue(Leaf::server(["localhost"])));
        nginx_in_front_of(behind, &tls).unwrap()
    }

    /// What is behind it, and nginx itself.
    fn nginx() -> &'static Peer {
        static SERVERS: OnceLock<(Peer, Peer)> = OnceLock::new();
        let servers = SERVERS.get_or_init(|| {
            let behind = WebSocketServer::Websockets.start().unwrap();
            let nginx = start(&behind);
            (behind, nginx)
        });
        &servers.1
    }

    fn trusting() -> TlsOptions {
        TlsOptions::default().ca_pem(authority().pem())
    }

    /// nginx listens on 127.0.0.1 only, whatever else `localhost` means here.
    async fn a_feed_over_tls<M: Mode>() {
        let url = nginx().url_by_name("localhost", "/feed?count=2000");
        let mut feed = M::start(M::feed(&url).config(quick().close_timeout(6 * WAIT)).tls(trusting()));
        assert!(take(&mut feed, 2001).await[1..].iter().cloned().eq(numbered(0..2000)));
        feed.handle().shutdown();
        assert_eq!(end(&mut feed).await, None);
    }

    async fn a_close_comes_through<M: Mode>() {
        let url = nginx().url_by_name("localhost", "/close?code=1012");
        let mut feed = M::start(M::feed(&url).config(quick()).tls(trusting()));
        for id in 1..=2 {
            let expected = [format!("live {id}"), r#"{"n":0}"#.into(), format!("interrupted {id}: closed")];
            assert_eq!(take(&mut feed, 3).await, expected);
        }
    }

    /// R6: its 502 is retried.
    async fn nobody_is_behind_it<M: Mode>() {
        let behind = WebSocketServer::Websockets.start().unwrap();
        let nginx = start(&behind);
        drop(behind);
        let config = Config::builder().retry(RetryPolicy::fixed(ms(5)).max_retries(1));
        let builder = M::feed(&nginx.url_by_name("localhost", "/echo")).config(config);
        let mut feed = M::start(builder.tls(trusting()));
        let last = Failure::rejected(502, None);
        assert_eq!(end(&mut feed).await.map(stop_without_words), Some(StopReason::RetriesExhausted { last }));
    }
}
