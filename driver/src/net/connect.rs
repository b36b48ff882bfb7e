//! From a URL to an open connection: addresses, TCP, proxies, redirects.

pub(crate) mod connector;
pub(crate) mod dial;
mod eyeballs;
mod hosts;
pub(crate) mod proxy;
pub(crate) mod redirect;
mod tcp;
