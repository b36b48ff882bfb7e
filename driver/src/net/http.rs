//! The HTTP upgrade: the request, the head of the answer, the body of a refusal.

pub(crate) mod answer;
pub(crate) mod body;
pub(crate) mod handshake;
pub(crate) mod head;
mod retry_after;
