//! A handler by itself, in the harness.

use std::time::Duration;

use tidegate_core::{
    CommandHandler, Context, Failure, Fault, FrameHandler, Harness, Message, TimerKey, Timestamp, Upgrade,
};

const SECOND: Duration = Duration::from_secs(1);

/// Emits its commands and messages, and sends a beat every second.
#[derive(Default)]
struct Beats {
    ended: Vec<String>,
}

impl FrameHandler for Beats {
    type Session = ();
    type Item = String;

    fn on_upgrade(&mut self, upgrade: &mut Upgrade<'_>) -> Result<(), Fault> {
        upgrade.send("hello");
        upgrade.set_timer_in(TimerKey(3), SECOND);
        Ok(())
    }

    fn on_message(
        &mut self,
        (): &mut (),
        message: Message,
        cx: &mut Context<'_, String>,
    ) -> Result<(), Fault> {
        match message.as_text() {
            Some("fatal") => Err(Fault::fatal("told to")),
            text => {
                cx.emit(text.unwrap_or_default().into());
                Ok(())
            }
        }
    }

    fn on_timer(&mut self, (): &mut (), key: TimerKey, cx: &mut Context<'_, String>) -> Result<(), Fault> {
        cx.set_timer_in(key, SECOND);
        cx.send(format!("beat at {} ms", cx.now().as_millis()))?;
        Ok(())
    }

    fn on_end(&mut self, (): (), why: Option<&Failure>) {
        self.ended.extend(why.map(ToString::to_string));
    }
}

impl CommandHandler for Beats {
    type Command = &'static str;

    fn on_command(
        &mut self,
        session: Option<&mut ()>,
        command: &'static str,
        cx: &mut Context<'_, String>,
    ) -> Result<(), Fault> {
        cx.emit(format!("{command} {}", session.is_some()));
        Ok(())
    }
}

#[test]
fn it_shows_what_the_handler_does() {
    let mut feed = Harness::new(Beats::default());
    assert_eq!(feed.command("early").items(), ["early false"]);
    assert!(!feed.is_open());
    assert_eq!(feed.message("nobody hears it").items(), [""; 0]);
    assert_eq!(feed.connect().sent(), [Message::from("hello")]);
    assert!(feed.is_open() && feed.is_live());
    assert_eq!(feed.timers(), [(TimerKey(3), Timestamp::from_millis(1000))]);
    assert_eq!(feed.message("a").command("late").items(), ["a", "late true"]);
    feed.advance(Duration::from_millis(2500));
    assert_eq!(feed.now(), Timestamp::from_millis(2500));
    assert_eq!(feed.sent(), ["beat at 1000 ms", "beat at 2000 ms"].map(Message::from));
    assert_eq!(feed.failure(), None);
}

#[test]
fn it_loses_connections_and_shows_why_they_end() {
    let mut feed = Harness::new(Beats::default());
    feed.connect().connect();
    assert_eq!(feed.handler().ended.len(), 1);
    feed.disconnect().advance(100 * SECOND);
    assert!(!feed.is_open() && feed.timers().is_empty());
    assert_eq!(feed.handler().ended.len(), 2);
    feed.connect().message("fatal");
    assert!(feed.failure().is_some_and(Failure::is_fatal));
    feed.connect();
    assert!(!feed.is_open());
}
