//! Requests a new token before each attempt, so that an expired token does not stop the feed.
//!
//! Start a server with `cargo run -r -p tidegate-cli -- serve --faults-every 2s`, then
//! `cargo run --example fresh_token -- ws://127.0.0.1:9001/feed`. That server asks for no token.

use std::error::Error;
use std::time::Duration;

use http::HeaderValue;
use http::header::AUTHORIZATION;

/// Stands for a request to a token service.
async fn new_token(number: u64) -> Result<HeaderValue, Box<dyn Error>> {
    tokio::time::sleep(Duration::from_millis(50)).await;
    if number % 4 == 3 {
        return Err("the token service does not answer".into());
    }
    let mut token = HeaderValue::try_from(format!("Bearer token-{number}"))?;
    token.set_sensitive(true);
    Ok(token)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).ok_or("usage: fresh_token URL")?;
    let mut feed = tidegate::rt::tokio::feed(url.as_str())
        // An error fails this attempt, and the next one calls this function again. Its text is shown, so keep secrets
        // out of it.
        .resolver(|attempt| async move {
            let token = new_token(attempt.id.get()).await?;
            Ok(attempt.request.with_header(AUTHORIZATION, token))
        })
        .on_upgrade(|_| Ok([r#"{"op":"subscribe","channel":"trades"}"#]))
        .on_notice(|notice, _| eprintln!("{notice:?}"))
        .spawn()?;
    while let Some(delivery) = feed.recv().await {
        if let Some(message) = delivery?.into_item() {
            println!("{}", message.as_text().unwrap_or("(binary)"));
        }
    }
    Ok(())
}
