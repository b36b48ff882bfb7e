//! Commands of the application, on their way to the handler (H6).
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod common;

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use common::{SECOND, World, config};
use futures_util::{FutureExt, Stream};
use tidegate_driver::core::{
    CommandError, CommandHandler, Context as Cx, Fault, Frame, FrameHandler, Message, SendError, Upgrade,
};
use tidegate_driver::{Feed, FeedBuilder, Source};

/// Sends each command, or emits it where there is no connection.
struct Forwards;

impl FrameHandler for Forwards {
    type Session = ();
    type Item = Message;

    fn on_upgrade(&mut self, _: &mut Upgrade<'_>) -> Result<(), Fault> {
        Ok(())
    }

    fn on_message(&mut self, (): &mut (), message: Message, cx: &mut Cx<'_, Message>) -> Result<(), Fault> {
        cx.emit(message);
        Ok(())
    }
}

impl CommandHandler for Forwards {
    type Command = String;

    fn on_command(
        &mut self,
        _: Option<&mut ()>,
        command: String,
        cx: &mut Cx<'_, Message>,
    ) -> Result<(), Fault> {
        assert_ne!(command, "panic");
        match cx.send(command) {
            Ok(()) => Ok(()),
            Err(SendError::NotLive(command)) => {
                cx.emit(command);
                Ok(())
            }
            Err(error) => Err(Fault::retryable(error)),
        }
    }
}

fn builder(world: &World) -> FeedBuilder<World, Forwards> {
    FeedBuilder::new(world.clone(), common::URL).config(config().buffer(2).send_buffer(2)).handler(Forwards)
}

/// Takes what there is, and lets the feed do all it can.
fn items<S: Source<Item = Message>, C>(world: &World, feed: &mut Feed<S, C>) -> Vec<String> {
    let mut items = Vec::new();
    loop {
        world.settle();
        match Pin::new(&mut *feed).poll_next(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Some(Ok(delivery))) => {
                items.extend(delivery.into_item().map(|item| item.as_text().unwrap().to_owned()));
            }
            Poll::Pending if world.settle() > 0 => {}
            Poll::Ready(Some(Err(_)) | None) | Poll::Pending => return items,
        }
    }
}

fn command(text: &str) -> String {
    text.to_owned()
}

#[test]
fn commands_reach_the_handler_with_and_without_a_connection() {
    let world = World::default();
    let mut spawned = builder(&world).spawn_with_commands().unwrap();
    let handle = spawned.handle();
    assert_eq!(handle.command(command("early")).now_or_never(), Some(Ok(())));
    world.settle();
    assert_eq!(handle.clone().try_command(command("late")), Ok(()));
    world.settle();
    assert_eq!(world.remote().unwrap().received(), [Frame::from("late")]);
    assert_eq!(items(&world, &mut spawned), ["early"]);
}

#[test]
fn an_inline_feed_passes_commands_on_and_sends_without_a_handle() {
    let world = World::default();
    let mut feed = builder(&world).inline_with_commands().unwrap();
    assert_eq!(feed.send("x"), Err(SendError::NotLive("x".into())));
    assert_eq!(items(&world, &mut feed), [""; 0]);
    assert_eq!(feed.send("one").unwrap().get(), 1);
    assert_eq!(feed.handle().try_command(command("two")), Ok(()));
    assert_eq!(items(&world, &mut feed), [""; 0]);
    assert_eq!(world.remote().unwrap().received(), [Frame::from("one"), Frame::from("two")]);
}

#[test]
fn commands_wait_while_the_queue_of_items_is_full() {
    let world = World::default();
    let mut feed = builder(&world).spawn_with_commands().unwrap();
    let handle = feed.handle();
    world.settle();
    let peer = world.remote().unwrap();
    ["a", "b", "c"].into_iter().for_each(|text| peer.send(text));
    world.settle();
    assert_eq!(handle.try_command(command("1")), Ok(()));
    assert_eq!(handle.try_command(command("2")), Ok(()));
    world.settle();
    assert_eq!(handle.try_command(command("3")), Err(CommandError::Full(command("3"))));
    let mut waiting = Box::pin(handle.command(command("4")));
    assert_eq!(waiting.as_mut().now_or_never(), None);
    assert_eq!(peer.received(), []);
    assert_eq!(items(&world, &mut feed), ["a", "b", "c"]);
    assert_eq!(waiting.now_or_never(), Some(Ok(())));
    world.settle();
    assert_eq!(peer.received(), ["1", "2", "4"].map(Frame::from));
}

/// A command before a shutdown can still say goodbye on the connection.
#[test]
fn commands_are_handled_before_what_ends_the_connection() {
    let world = World::default();
    let feed = builder(&world).spawn_with_commands().unwrap();
    let handle = feed.handle();
    world.settle();
    assert_eq!(handle.try_command(command("unsubscribe")), Ok(()));
    handle.shutdown();
    world.settle();
    assert_eq!(world.remote().unwrap().received()[0], Frame::from("unsubscribe"));
}

/// S2: items can still be taken, and the loop is still there.
#[test]
fn a_feed_that_stops_gives_back_the_commands_that_wait_for_room() {
    let world = World::default();
    let mut feed = builder(&world).spawn_with_commands().unwrap();
    let handle = feed.handle();
    world.settle();
    ["a", "b", "c"].into_iter().for_each(|text| world.remote().unwrap().send(text));
    world.settle();
    assert_eq!([(); 3].map(|()| handle.try_command(command("x")).is_ok()), [true, true, false]);
    let mut waiting = Box::pin(handle.command(command("y")));
    assert_eq!(waiting.as_mut().now_or_never(), None);
    handle.shutdown();
    world.settle();
    world.advance(SECOND);
    world.settle();
    assert_eq!(waiting.now_or_never(), Some(Err(CommandError::Stopped(command("y")))));
    assert_eq!(handle.try_command(command("z")), Err(CommandError::Stopped(command("z"))));
    assert_eq!(items(&world, &mut feed), ["a", "b"]);
}

#[test]
fn a_feed_that_has_stopped_gives_commands_back() {
    let world = World::default();
    let feed = builder(&world).spawn_with_commands().unwrap();
    let handle = feed.handle();
    world.settle();
    drop(feed);
    world.settle();
    world.advance(SECOND);
    world.settle();
    assert_eq!(handle.try_command(command("x")), Err(CommandError::Stopped(command("x"))));
    assert_eq!(handle.command(command("y")).now_or_never(), Some(Err(CommandError::Stopped(command("y")))));
}

/// H5.
#[test]
fn a_handler_that_panics_at_a_command_ends_the_feed() {
    let world = World::default();
    let feed = builder(&world).spawn_with_commands().unwrap();
    let handle = feed.handle();
    world.settle();
    assert_eq!(handle.try_command(command("panic")), Ok(()));
    world.settle();
    assert_eq!(handle.stop_reason().map(|reason| reason.kind()), Some("handler_panicked"));
}
