//! The target of each attempt: fixed, or returned by the application's resolver (C4).

use std::fmt::Display;
use std::pin::Pin;

use tidegate_core::{ConnectFailure, ConnectionId, Failure};

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
}

pub(crate) type Resolving = Pin<Box<dyn Future<Output = Result<ConnectRequest, Failure>> + Send>>;

pub(crate) struct Target {
    request: ConnectRequest,
    resolver: Option<Resolver>,
}

type Resolver = Box<dyn FnMut(Attempt) -> Resolving + Send>;

impl Target {
    pub(crate) fn new(request: ConnectRequest, resolver: Option<Resolver>) -> Self {
        Self { request, resolver }
    }

    pub(crate) fn resolve(&mut self, id: ConnectionId) -> Resolving {
        let request = self.request.clone();
        match &mut self.resolver {
            Some(resolver) => resolver(Attempt { id, request }),
            None => Box::pin(std::future::ready(Ok(request))),
        }
    }
}

/// Boxes the application's resolver. Its errors become failures of the attempt.
pub(crate) fn boxed<F, Fut, E>(mut resolver: F) -> Resolver
where
    F: FnMut(Attempt) -> Fut + Send + 'static,
    Fut: Future<Output = Result<ConnectRequest, E>> + Send + 'static,
    E: Display,
{
    Box::new(move |attempt| {
        // The resolver's error may contain secrets of the request (T3).
        let secrets = Secrets::of(&attempt.request);
        let resolving = resolver(attempt);
        Box::pin(async move {
            let request = resolving.await.map_err(|error| {
                Failure::Connect(ConnectFailure::Resolve { detail: secrets.hidden_in(&error.to_string()) })
            })?;
            request.check().map(|()| request).map_err(RequestError::into_failure)
        })
    })
}
