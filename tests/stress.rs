//! Feeds that last for a moment, on real threads: connects, takes a few messages, and drops or stops at a random point.
//! A watchdog ends the process with 1 if a thread gets nowhere.
//!
//! Not a test: a run that ends well proves little. The suite in `tests/loom` is what proves.
//!
//! ```sh
//! cargo run -r -p tidegate-tests --example stress -- [SECONDS] [THREADS]
//! ```
#![allow(clippy::unwrap_used, reason = "what cannot go on should stop")]

use std::hint;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use futures_util::future::join;
use tidegate::{Config, Phase, RetryPolicy};
use tidegate_tests::adapter::Adapter;
use tidegate_tests::adapter::async_std::AsyncStd;
use tidegate_tests::adapter::smol::Smol;
use tidegate_tests::adapter::tokio::Tokio;

/// What the server sends on each connection.
const MESSAGES: usize = 3;

/// A cycle takes milliseconds. This is for a busy machine.
const HANGS_AFTER: Duration = Duration::from_secs(30);

fn main() {
    let mut arguments = std::env::args().skip(1).map(|number| number.parse().expect("a number"));
    let span = Duration::from_secs(arguments.next().unwrap_or(60));
    let threads = arguments.next().unwrap_or(8);
    let url = serve();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let cycles: Arc<[AtomicU64]> = (0..threads).map(|_| AtomicU64::new(0)).collect();
    for index in 0..cycles.len() {
        let (cycles, url, runtime) = (cycles.clone(), url.clone(), runtime.handle().clone());
        thread::spawn(move || {
            let _context = runtime.enter();
            let mut rng = Rng::new();
            loop {
                match rng.u8(..3) {
                    0 => smol::block_on(cycle::<Tokio>(&url, &mut rng)),
                    1 => smol::block_on(cycle::<Smol>(&url, &mut rng)),
                    _ => smol::block_on(cycle::<AsyncStd>(&url, &mut rng)),
                }
                cycles[index].fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    watch(&cycles, span);
}

/// Looks every second whether each thread gets on, until the time is over.
fn watch(cycles: &[AtomicU64], span: Duration) {
    let begun = Instant::now();
    let mut last: Vec<_> = cycles.iter().map(|_| (0, begun)).collect();
    while begun.elapsed() < span {
        thread::sleep(Duration::from_secs(1));
        for (now, (before, since)) in cycles.iter().zip(&mut last) {
            let now = now.load(Ordering::Relaxed);
            if now != *before {
                (*before, *since) = (now, Instant::now());
            } else if since.elapsed() > HANGS_AFTER {
                eprintln!("error: a thread hangs in its cycle {}", now + 1);
                std::process::exit(1);
            }
        }
    }
    println!("{} cycles, none of which hung", last.iter().map(|(count, _)| count).sum::<u64>());
}

/// One feed. Ends once its task has.
async fn cycle<A: Adapter>(url: &str, rng: &mut Rng) {
    let config = Config::builder().retry(RetryPolicy::default().max_retries(0)).max_demand(rng.u32(1..4));
    let mut feed = A::feed(url).config(config).spawn().unwrap();
    let handle = feed.handle();
    let (sends, shuts_down, takes) = (rng.bool(), rng.u8(..4) == 0, rng.usize(..=1 + MESSAGES));
    let (before_handle, before_drop) = (rng.u32(..20_000), rng.u32(..20_000));
    let steering = async {
        handle.wait_for(|phase| phase == Phase::Live).await;
        (0..before_handle).for_each(|_| hint::spin_loop());
        if sends {
            // Refused, if the feed has stopped meanwhile.
            let _ = handle.send("hello").await;
        }
        if shuts_down {
            handle.shutdown();
        }
    };
    let consuming = async move {
        for _ in 0..takes {
            if feed.recv().await.is_none() {
                break;
            }
        }
        (0..before_drop).for_each(|_| hint::spin_loop());
    };
    join(steering, consuming).await;
    handle.wait_for(|_| false).await;
}

/// A server that sends a few messages on each connection and reads until its end; its URL.
fn serve() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            // Whatever ends a connection ends its thread.
            thread::spawn(move || {
                let Ok(mut socket) = tungstenite::accept(stream.unwrap()) else { return };
                for number in 0..MESSAGES {
                    if socket.send(number.to_string().into()).is_err() {
                        return;
                    }
                }
                while socket.read().is_ok() {}
            });
        }
    });
    url
}
