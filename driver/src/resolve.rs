//! The target of each attempt: fixed, or returned by the application's resolver (C4).

use std::fmt::Display;
use std::pin::Pin;

use tidegate_core::{ConnectFailure, ConnectionId, Failure, Severity};

use crate::request::{ConnectRequest, RequestError};
use crate::secrets::Secrets;

/// The argument of a resolver: one attempt.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Attempt {
    /// Id of the attempt.
    pub id: ConnectionId,
    /// The builder's request. Return it with another header, or return another one.
    pub request: ConnectRequest,
    /// Number of this retry in its streak, as in [`Notice::Retry`](tidegate_core::Notice::Retry). 0 for the feed's first
    /// attempt; the first after a connection that was Live for `stable_after` is 1.
    pub retries: u32,
    /// Why the attempt or connection before this one ended. `None` for the feed's first attempt.
    pub last_failure: Option<Failure>,
}

/// An error of a resolver. The operator `?` makes a [`Retry`](Self::Retry) of everything that can be displayed: errors of
/// the standard library and of `anyhow`, boxed errors, text.
///
/// The text is shown, escaped and up to 200 characters, without the values of the builder's own headers and query.
/// Keep other secrets out of it.
// Without `Display` and `Error`: only so may every error be converted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResolveError {
    /// The attempt fails, and another one follows after the delay.
    Retry(String),
    /// The feed stops, because no attempt can help.
    Fatal(String),
}

impl<E: Display> From<E> for ResolveError {
    fn from(error: E) -> Self {
        Self::Retry(error.to_string())
    }
}

pub(crate) type Resolving = Pin<Box<dyn Future<Output = Result<ConnectRequest, Failure>> + Send>>;

pub(crate) struct Target {
    request: ConnectRequest,
    resolver: Option<Resolver>,
    last_failure: Option<Failure>,
}

pub(crate) type Resolver = Box<dyn FnMut(Attempt) -> Resolving + Send>;

impl Target {
    pub(crate) const fn new(request: ConnectRequest, resolver: Option<Resolver>) -> Self {
        Self { request, resolver, last_failure: None }
    }

    /// Notes why an attempt or a connection ended, for the next attempt.
    pub(crate) fn failed(&mut self, failure: &Failure) {
        if self.resolver.is_some() {
            self.last_failure = Some(failure.clone());
        }
    }

    pub(crate) fn resolve(&mut self, id: ConnectionId, retries: u32) -> Resolving {
        let request = self.request.clone();
        match &mut self.resolver {
            Some(resolver) => {
                resolver(Attempt { id, request, retries, last_failure: self.last_failure.take() })
            }
            None => Box::pin(std::future::ready(Ok(request))),
        }
    }
}

/// Boxes the application's resolver. Its errors become failures of the attempt.
pub(crate) fn boxed<F, Fut>(mut resolver: F) -> Resolver
where
    F: FnMut(Attempt) -> Fut + Send + 'static,
    Fut: Future<Output = Result<ConnectRequest, ResolveError>> + Send + 'static,
{
    Box::new(move |attempt| {
        // The resolver's error may contain secrets of the request (T3).
        let secrets = Secrets::of(&attempt.request);
        let resolving = resolver(attempt);
        Box::pin(async move {
            let request = resolving.await.map_err(|error| {
                let (detail, severity) = match error {
                    ResolveError::Retry(detail) => (detail, Severity::Retryable),
                    ResolveError::Fatal(detail) => (detail, Severity::Fatal),
                };
                Failure::Connect(ConnectFailure::Resolve { detail: secrets.hidden_in(&detail), severity })
            })?;
            request.check().map(|()| request).map_err(RequestError::into_failure)
        })
    })
}
