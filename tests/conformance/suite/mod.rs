//! Every case once, for any adapter; named after the rules of `docs/design.md` that it holds the feed to.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod addresses;
mod canceled;
mod canceling;
mod client_certificates;
mod closing;
mod deadlines;
mod demand;
mod faults;
mod frames;
mod handshake;
#[cfg(target_os = "linux")]
mod links;
mod own_connections;
mod peers;
mod proxies;
mod proxy_environment;
mod redirects;
mod sending;
mod stopping;
mod tls;
mod tls_options;
mod tls_refusals;
mod violations;

use tidegate_tests::case::{Cases, Suite};
use tidegate_tests::prelude::*;

/// All of it.
pub(crate) struct Conformance;

impl Suite for Conformance {
    fn cases<A: Adapter>(cases: &mut Cases) {
        addresses::cases::<A>(cases);
        canceled::cases::<A>(cases);
        canceling::cases::<A>(cases);
        client_certificates::cases::<A>(cases);
        closing::cases::<A>(cases);
        deadlines::cases::<A>(cases);
        demand::cases::<A>(cases);
        frames::cases::<A>(cases);
        faults::cases::<A>(cases);
        handshake::cases::<A>(cases);
        #[cfg(target_os = "linux")]
        links::cases::<A>(cases);
        own_connections::cases::<A>(cases);
        peers::cases::<A>(cases);
        proxies::cases::<A>(cases);
        proxy_environment::cases::<A>(cases);
        redirects::cases::<A>(cases);
        sending::cases::<A>(cases);
        stopping::cases::<A>(cases);
        tls::cases::<A>(cases);
        tls_options::cases::<A>(cases);
        tls_refusals::cases::<A>(cases);
        violations::cases::<A>(cases);
    }
}
