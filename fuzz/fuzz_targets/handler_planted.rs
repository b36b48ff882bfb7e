//! The same with a bug, which takes a connection with a snapshot and another with none: it must be found.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_fuzz::Book;

fuzz_target!(|data: &[u8]| tidegate_sim::fuzz(data, Book::planted));
