//! What the environment says of proxies.

use std::net::Ipv4Addr;
use std::process::Command;

use futures_util::StreamExt;
use tidegate::{ConnectFailure, ConnectRequest, Failure, Frame, ProxyProblem};
use tidegate_tests::Connector;
use tidegate_tests::prelude::*;
use tidegate_tests::server::Server;

cases! {
    single: [from_the_environment, an_environment_that_cannot_be_used_is_told],
}

/// Of a process that is to connect to this URL and be greeted so.
const URL: &str = "TIDEGATE_PROXY_TEST_URL";
const GREETING: &str = "TIDEGATE_PROXY_TEST_GREETING";

/// This process once more, for one case, without proxies: only a process of its own can be given an environment.
pub(super) fn child<A: Adapter>(case: &str) -> Command {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", &format!("{}::{case}", A::NAME)]);
    for name in ["https_proxy", "all_proxy", "no_proxy"] {
        child.env_remove(name).env_remove(name.to_ascii_uppercase());
    }
    child
}

/// Whether the case passed there, and what was printed.
pub(super) fn outcome(mut child: Command) -> (bool, String) {
    let output = child.output().unwrap();
    let story = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.success() && story.contains("1 passed"), story)
}

async fn from_the_environment<A: Adapter>() {
    if let (Ok(url), Ok(greeting)) = (std::env::var(URL), std::env::var(GREETING)) {
        let connector = Connector::default().resolve("feed.test", [Ipv4Addr::LOCALHOST.into()]);
        let request = ConnectRequest::new(url).unwrap();
        let mut connection = within(A::connect_once(request, connector, WAIT)).await.unwrap();
        assert_eq!(within(connection.next()).await, Some(Ok(Frame::from(greeting))));
        return;
    }
    let proxy = Server::start(|_, peer| {
        peer.request()?;
        peer.raw(b"HTTP/1.1 200 OK\r\n\r\n")?;
        peer.upgrade()?;
        peer.text("through the proxy")?;
        peer.serve()
    });
    let server = Server::start(|_, peer| {
        peer.upgrade()?;
        peer.text("directly")?;
        peer.serve()
    });
    let proxy_url = format!("http://reader:hunter2@{}", proxy.address());
    let port = server.address().port();
    let table = [
        ("feed.test", "ALL_PROXY", "", "through the proxy"),
        ("feed.test", "all_proxy", "other.test", "through the proxy"),
        ("feed.test", "ALL_PROXY", ".test", "directly"),
        ("127.0.0.1", "ALL_PROXY", "", "directly"),
        ("feed.test", "HTTP_PROXY", "", "directly"),
    ];
    for (host, variable, exceptions, greeting) in table {
        let mut child = child::<A>("proxy_environment::from_the_environment");
        child.env(variable, &proxy_url).env("NO_PROXY", exceptions);
        child.env(URL, format!("ws://{host}:{port}/feed")).env(GREETING, greeting);
        let (passed, story) = outcome(child);
        assert!(passed, "{variable}, {exceptions:?}: {story}");
    }
    assert_eq!((proxy.accepted(), server.accepted()), (2, 3));
    let authorization = Some("Basic cmVhZGVyOmh1bnRlcjI=".to_owned());
    assert_eq!(proxy.headers("proxy-authorization"), [authorization.clone(), None, authorization, None]);
}

/// R6: each attempt says so, also one that would go to no proxy; and not with the password.
async fn an_environment_that_cannot_be_used_is_told<A: Adapter>() {
    if let Ok(url) = std::env::var(URL) {
        let request = ConnectRequest::new(url).unwrap();
        let failure = within(A::connect_once(request, Connector::default(), WAIT)).await.err().unwrap();
        let Failure::Connect(ConnectFailure::Proxy { problem, detail }) = &failure else {
            panic!("{failure}")
        };
        assert_eq!(*problem, ProxyProblem::Misconfigured);
        assert!(detail.contains("all_proxy") && !detail.contains("hunter2"), "{detail}");
        return;
    }
    let server = Server::start(|_, peer| peer.serve());
    for value in ["http://reader:hunter2@:0", "gopher://reader:hunter2@proxy.test"] {
        let mut child = child::<A>("proxy_environment::an_environment_that_cannot_be_used_is_told");
        child.env("all_proxy", value).env(URL, server.url());
        let (passed, story) = outcome(child);
        assert!(passed, "{value:?}: {story}");
    }
    assert_eq!(server.accepted(), 0);
}
