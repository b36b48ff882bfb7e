//! TLS through rustls: options, the configuration made of them, and why TLS failed.

pub(crate) mod config;
pub(crate) mod failure;
pub(crate) mod options;
