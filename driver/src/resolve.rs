//! Where each attempt goes: always the same, or what the application's resolver says (C4).

use std::fmt::Display;
use std::pin::Pin;

use tidegate_core::{ConnectFailure, ConnectionId, Failure};

use crate::request::{ConnectRequest, RequestError};
use crate::secrets::Secrets;

/// One attempt, as a resolver sees it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Attempt {
    /// What the attempt is called.
    pub id: ConnectionId,
    /// What the builder was given: add a header to it, or put another in its place.
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

/// Makes any resolver of the application's into one whose errors are failures of the attempt.
pub(crate) fn boxed<F, Fut, E>(mut resolver: F) -> Resolver
where
    F: FnMut(Attempt) -> Fut + Send + 'static,
    Fut: Future<Output = Result<ConnectRequest, E>> + Send + 'static,
    E: Display,
{
    Box::new(move |attempt| {
        // The resolver's error may repeat what it was given (T3).
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
