//! What the fuzz targets share.
//!
//! | to change | open |
//! |---|---|
//! | the peer that says what the input says | `peer.rs` |
//! | what must hold of a feed after every step | `rules.rs` |
//! | a feed, driven by calls, with its rules | `run.rs` |
//! | a handler that does what messages tell it | `scripted.rs` |

pub mod peer;
pub mod rules;
pub mod run;
pub mod scripted;
