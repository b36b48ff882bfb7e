//! Single connections, without a feed around them.

use futures_util::StreamExt;
use tidegate::{ConnectRequest, Failure, Frame};

use crate::Connector;
use crate::adapter::Adapter;
use crate::server::{Peer, Server};
use crate::wait::{WAIT, within};

/// One connection to this URL, with the default connector.
#[track_caller]
pub fn connect<A: Adapter>(url: &str) -> impl Future<Output = Result<A::Transport, Failure>> {
    within(A::connect_once(ConnectRequest::new(url).unwrap(), Connector::default(), 2 * WAIT))
}

/// One connection for this request.
#[track_caller]
pub fn request<A: Adapter>(
    request: ConnectRequest,
    connector: Connector,
) -> impl Future<Output = Result<A::Transport, Failure>> {
    within(A::connect_once(request, connector, 2 * WAIT))
}

/// An open connection, and its server, which follows the script once it has answered the upgrade.
pub async fn pair<A: Adapter>(
    script: impl Fn(&mut Peer) -> std::io::Result<()> + Send + Sync + 'static,
) -> (A::Transport, Server) {
    let server = Server::start(move |_, peer| {
        peer.upgrade()?;
        script(peer)
    });
    (connect::<A>(&server.url()).await.unwrap(), server)
}

/// What comes next on a connection.
#[track_caller]
pub fn next<A: Adapter>(
    connection: &mut A::Transport,
) -> impl Future<Output = Option<Result<Frame, Failure>>> {
    within(connection.next())
}
