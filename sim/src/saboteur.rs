//! Wraps the functions of the application: records their panics, and makes them misbehave.

use std::convert::Infallible;
use std::mem;
use std::sync::{Arc, Mutex};

use tidegate_driver::core::{
    Class, Classification, Context, Failure, Fault, FrameHandler, InnerTimer, Message, TimerKey, Upgrade,
};

use crate::entry::Entry;
use crate::rule::{Judges, Observed};
use crate::runtime::SimRuntime;
use crate::world::{Place, Sabotage};

/// The handler under test, which sometimes misbehaves.
pub(crate) struct Sabotaged<H: FrameHandler> {
    handler: H,
    judges: Judges<H::Item>,
    runtime: SimRuntime,
}

impl<H: FrameHandler> Sabotaged<H> {
    pub(crate) const fn new(handler: H, judges: Judges<H::Item>, runtime: SimRuntime) -> Self {
        Self { handler, judges, runtime }
    }

    fn order(&self, fits: impl FnOnce(Sabotage) -> bool) -> Option<Sabotage> {
        self.runtime.world.state().take_sabotage(self.runtime.feed, fits)
    }
}

/// Wraps the classification under test.
pub(crate) fn sabotaged(classification: Classification, runtime: SimRuntime) -> Classification {
    let refused_before = Mutex::new(None);
    Classification::Custom(Arc::new(move |failure| -> Class {
        let _watch = Watch(&runtime);
        let panics = |sabotage| sabotage == Sabotage::Panic(Place::Classification);
        let panics = runtime.world.state().take_sabotage(runtime.feed, panics).is_some();
        assert!(!panics, "the classification, by the simulation");
        let before = &mut *refused_before.lock().expect("nothing panics while it is locked");
        let before = mem::replace(before, failure.status());
        classification.judge(failure, before)
    }))
}

/// Records a panic that unwinds through its scope.
struct Watch<'a>(&'a SimRuntime);

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.record(&Entry::Panicked);
        }
    }
}

impl<H: FrameHandler> FrameHandler for Sabotaged<H> {
    type Session = H::Session;
    type Item = H::Item;

    fn on_upgrade(&mut self, upgrade: &mut Upgrade<'_>) -> Result<H::Session, Fault> {
        self.judges.see(&Observed::Opened { id: upgrade.connection() });
        let order =
            self.order(|sabotage| matches!(sabotage, Sabotage::Refusal | Sabotage::Panic(Place::Upgrade)));
        let _watch = Watch(&self.runtime);
        match order {
            Some(Sabotage::Panic(_)) => panic!("the handler, by the simulation"),
            Some(_) => Err(Fault::retryable("by the simulation")),
            None => {
                let session = self.handler.on_upgrade(upgrade);
                self.runtime.world.state().feeds[self.runtime.feed].waits_for_ready =
                    upgrade.waits_for_ready();
                session
            }
        }
    }

    fn on_message(
        &mut self,
        session: &mut H::Session,
        message: Message,
        cx: &mut Context<'_, H::Item>,
    ) -> Result<(), Fault> {
        self.judges.see(&Observed::Message { id: cx.connection(), message: &message });
        let order = self.order(|sabotage| match sabotage {
            Sabotage::Fault | Sabotage::Fatal | Sabotage::Reconnect | Sabotage::Panic(Place::Message) => true,
            Sabotage::Refusal | Sabotage::Panic(_) => false,
        });
        let _watch = Watch(&self.runtime);
        assert!(order != Some(Sabotage::Panic(Place::Message)), "the handler, by the simulation");
        self.handler.on_message(session, message, cx)?;
        match order {
            Some(Sabotage::Fault) => Err(Fault::retryable("by the simulation")),
            Some(Sabotage::Fatal) => Err(Fault::fatal("by the simulation")),
            Some(Sabotage::Reconnect) => {
                cx.reconnect();
                Ok(())
            }
            Some(Sabotage::Refusal | Sabotage::Panic(_)) | None => Ok(()),
        }
    }

    fn on_timer(
        &mut self,
        session: &mut H::Session,
        key: TimerKey,
        cx: &mut Context<'_, H::Item>,
    ) -> Result<(), Fault> {
        let _watch = Watch(&self.runtime);
        self.handler.on_timer(session, key, cx)
    }

    fn on_inner_timer(
        &mut self,
        session: &mut H::Session,
        timer: InnerTimer,
        cx: &mut Context<'_, H::Item>,
    ) -> Result<(), Fault> {
        let _watch = Watch(&self.runtime);
        self.handler.on_inner_timer(session, timer, cx)
    }

    fn on_live(&mut self, session: &mut H::Session, cx: &mut Context<'_, Infallible>) -> Result<(), Fault> {
        let _watch = Watch(&self.runtime);
        self.handler.on_live(session, cx)
    }

    fn on_end(&mut self, session: H::Session, why: Option<&Failure>) {
        let _watch = Watch(&self.runtime);
        self.handler.on_end(session, why);
    }

    fn weight(item: &H::Item) -> usize {
        H::weight(item)
    }
}
