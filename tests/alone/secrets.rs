//! Header values, queries and payloads hold credentials: they are shown nowhere, not even where a server repeats them in what
//! may be shown of it (T3).

use std::fmt::{Debug, Display};
use std::io;
use std::sync::{Arc, Mutex, OnceLock};

use http::HeaderValue;
use http::header::COOKIE;
use tidegate::{Attempt, BuildError, Config, ConnectRequest, Fault, Message, RetryPolicy, StopReason};
use tidegate_tests::prelude::*;
use tidegate_tests::server::{CLOSE, Server, frame};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

cases! {
    both: [a_server_is_quoted_and_nothing_shows_a_secret],
}

/// In every secret.
const SECRET: &str = "hunter2";

/// Everything that is shown.
#[derive(Default)]
struct Output(String);

impl Output {
    fn show(&mut self, value: &(impl Debug + ?Sized)) {
        self.0 += &shown(value);
    }

    fn show_error(&mut self, error: &(impl Debug + Display)) {
        self.show(error);
        self.0 += &error.to_string();
    }
}

/// A run in which everything fails once, on a server that repeats in every place what it was told in confidence.
async fn a_server_is_quoted_and_nothing_shows_a_secret<M: Mode>() {
    let log = Log::installed();
    let server = telltale();
    let notices = Notices::default();
    let mut output = Output::default();
    let url = format!("{}?token={SECRET}-query", server.url());
    let request = ConnectRequest::new(url.as_str()).unwrap();
    output.show(&request);
    let resolver = |attempt: Attempt| async move {
        if attempt.id.get() == 2 {
            return Err("no token".into());
        }
        Ok(attempt.request.with_header(COOKIE, HeaderValue::from_static("hunter2-cookie")))
    };
    let config = Config::builder()
        .retry(RetryPolicy::fixed(ms(5)).max_retries(8))
        .close_timeout(ms(100))
        .idle_timeout(ms(300))
        .telemetry_id("secrets");
    let builder = M::feed(&url)
        .config(config)
        .header("authorization", format!("Bearer {SECRET}-header"))
        .resolver(resolver)
        .on_upgrade(|_| Ok::<_, Fault>([format!("subscribe with {SECRET}-key")]))
        .on_notice(notices.watch());
    let mut feed = M::start(builder);
    let handle = feed.handle();
    output.show_error(&handle.send(format!("{SECRET}-message")).await.unwrap_err());
    output.show(&feed);
    let reason = loop {
        match within(feed.recv()).await.expect("it ended") {
            Ok(delivery) => output.show(&delivery),
            Err(reason) => break reason,
        }
    };
    output.show_error(&reason);
    output.show(&(&feed, &handle, handle.stats()));
    let StopReason::RetriesExhausted { last } = &reason else { panic!("{reason}") };
    output.show_error(last);
    for seen in notices.all() {
        output.show(&seen.notice);
        if let Some(failure) = seen.notice.failure() {
            output.show_error(failure);
        }
    }
    builders::<M>(&mut output);

    let (log, lines) = (log.take(), notices.lines());
    assert!(log.contains("secrets") && log.contains("retries_exhausted"), "no log: {log}");
    for kind in ["rejected", "resolve", "closed", "io", "protocol", "upgrade", "idle_timeout"] {
        assert!(lines.iter().any(|line| line.ends_with(kind)), "no {kind} in {lines:?}");
    }
    assert!(!output.0.contains(SECRET), "{}", output.0);
    assert!(!log.contains(SECRET), "{log}");
    let refusal = r"HTTP 503 said-reason ***: said-body\u{1b} ***, ***, ***";
    assert!(output.0.contains(refusal) && log.contains(refusal), "{} {log}", output.0);
    let close = r"code 4001: said-close\u{7} ***";
    assert!(output.0.contains(close) && log.contains(close), "{} {log}", output.0);
}

/// Ends every connection in another way.
fn telltale() -> Server {
    Server::start(|number, peer| {
        let cookie = "Set-Cookie: session=hunter2-session\r\nLocation: /hunter2-location\r\n";
        match number {
            1 => {
                peer.request()?;
                let start = format!("HTTP/1.1 503 said-reason Bearer hunter2-header\r\n{cookie}\r\n");
                let body = "said-body\x1b hunter2-header, hunter2-cookie, hunter2-query";
                peer.raw(format!("{start}{body}").as_bytes())?;
                return peer.fin();
            }
            2 => {
                peer.request()?;
                return peer.raw(b"hunter2-banner\r\n\r\n");
            }
            3 => {
                peer.request()?;
                peer.raw(b"HTTP/1.1 101 hunter2\r\nSec-WebSocket-Accept: hunter2-accept\r\n\r\n")?;
                return peer.be_silent();
            }
            _ => peer.upgrade()?,
        }
        peer.text("hunter2-text")?;
        match number {
            4 => {
                peer.raw(&frame(CLOSE, b"\x0f\xa1said-close\x07 hunter2-query"))?;
                peer.be_silent()
            }
            5 => peer.raw(&frame(CLOSE, b"\x0f\xa1hunter2-\xff")),
            6 => peer.raw(b"\x81\x09hunter2-\xff"),
            7 => peer.be_silent(),
            _ => peer.fin(),
        }
    })
}

/// What is said of what cannot be used.
fn builders<M: Mode>(output: &mut Output) {
    let urls = [
        "http://host/?token=hunter2",
        "ws://user:hunter2@host/",
        "ws://host:99999/?hunter2",
        "ws:///?hunter2",
        "hunter2 nonsense",
        "//host/hunter2",
    ];
    for url in urls {
        output.show_error(&M::feed(url).inline().unwrap_err());
    }
    output.show_error(&M::feed("ws://host").path("no slash hunter2").inline().unwrap_err());
    let bad = M::feed("ws://host").header("authorization", "hunter2\n").inline().unwrap_err();
    assert_eq!(bad, BuildError::HeaderValue { name: http::header::AUTHORIZATION });
    output.show_error(&bad);
    output.show_error(&M::feed("ws://host").header("host", "hunter2").inline().unwrap_err());
    output.show_error(&M::feed("ws://host").host("hunter2/").inline().unwrap_err());
    output.show(&Message::from("hunter2"));
    let request = ConnectRequest::new("ws://host/?hunter2").unwrap();
    let secret = HeaderValue::from_static("hunter2");
    output.show(&request.with_header(http::header::AUTHORIZATION, secret));
}

/// What `tracing` was told by us; other libraries answer for themselves.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn installed() -> Self {
        static LOG: OnceLock<Log> = OnceLock::new();
        let install = || {
            let log = Self::default();
            let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(log.clone());
            let ours = Targets::new().with_target("tidegate", LevelFilter::TRACE);
            tracing_subscriber::registry().with(ours).with(layer).init();
            log
        };
        LOG.get_or_init(install).clone()
    }

    fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
