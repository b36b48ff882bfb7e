//! A handler of a user's, through the simulator: it does not panic, and no rule is broken.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_fuzz::Book;

fuzz_target!(|data: &[u8]| tidegate_sim::fuzz(data, Book::new));
