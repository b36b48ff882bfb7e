//! The proxies set in the environment.

use super::no_proxy::NoProxy;
use super::{Proxy, ProxyError};
use crate::url::Scheme;

/// The names of each variable. The first one that is set is used.
const HTTPS_PROXY: [&str; 2] = ["https_proxy", "HTTPS_PROXY"];
const ALL_PROXY: [&str; 2] = ["all_proxy", "ALL_PROXY"];
const NO_PROXY: [&str; 2] = ["no_proxy", "NO_PROXY"];

/// The proxies set in the environment, read once.
///
/// `HTTP_PROXY` is not read, not even for `ws`. Under CGI, a client can set it with a `Proxy` header (httpoxy,
/// CVE-2016-5385). It also names a proxy for plain HTTP, and most of those refuse a CONNECT to port 80.
#[derive(Clone, Debug)]
pub(crate) struct Environment {
    https: Option<Proxy>,
    all: Option<Proxy>,
    exceptions: NoProxy,
}

impl Environment {
    /// Reads the variables of this process.
    pub(crate) fn read() -> Result<Self, ProxyError> {
        // A byte that is not Unicode becomes a character that no URL may contain.
        Self::from_lookup(|name| Some(std::env::var_os(name)?.to_string_lossy().into_owned()))
    }

    /// Reads the variables through `lookup`.
    pub(crate) fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ProxyError> {
        let https = parsed(&lookup, HTTPS_PROXY, Proxy::new)?;
        let all = parsed(&lookup, ALL_PROXY, Proxy::new)?;
        let exceptions = parsed(&lookup, NO_PROXY, NoProxy::new)?.unwrap_or_default();
        Ok(Self { https, all, exceptions })
    }

    /// Returns the proxy for a connection to `host`, an IPv6 address without its brackets.
    pub(crate) fn proxy_for(&self, scheme: Scheme, host: &str, port: u16) -> Option<&Proxy> {
        let proxy = match scheme {
            Scheme::Wss => self.https.as_ref().or(self.all.as_ref()),
            Scheme::Ws => self.all.as_ref(),
        };
        proxy.filter(|_| !self.exceptions.covers(host, port))
    }
}

/// Parses the first of `names` that is set and not empty.
fn parsed<T>(
    lookup: impl Fn(&str) -> Option<String>,
    names: [&'static str; 2],
    parse: impl Fn(&str) -> Result<T, ProxyError>,
) -> Result<Option<T>, ProxyError> {
    let set = |name| lookup(name).filter(|value| !value.trim().is_empty()).map(|value| (name, value));
    let Some((name, value)) = names.into_iter().find_map(set) else { return Ok(None) };
    let problem = |problem| ProxyError::Variable { name, problem: Box::new(problem) };
    parse(value.trim()).map(Some).map_err(problem)
}
