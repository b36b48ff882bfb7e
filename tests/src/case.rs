//! How cases are declared: each is written once, and instantiated for every adapter.

use crate::adapter::{Adapter, World};
use crate::needs::Need;
use crate::wait::{WAIT, timeout};

/// Declares the cases of a group, which is a module: makes a function `cases` that adds them for one adapter.
///
/// ```
/// mod closing {
///     use tidegate_tests::needs::IPV6;
///     use tidegate_tests::prelude::*;
///
///     cases! {
///         both: [in_any_mode, over_ipv6 needs [IPV6]],
///         spawned: [only_in_a_task],
///         single: [without_a_feed],
///         worlds: [of_a_whole_runtime],
///     }
///
///     async fn in_any_mode<M: Mode>() {}
///     async fn over_ipv6<M: Mode>() {}
///     async fn only_in_a_task<M: Mode>() {}
///     async fn without_a_feed<A: Adapter>() {}
///     fn of_a_whole_runtime<A: Adapter>() {}
/// }
/// # fn main() {}
/// ```
///
/// - `both`: once with a task, once without.
/// - `spawned`: means something only where the feed runs while its consumer does not.
/// - `single`: once for each adapter, for what has no mode, such as a connection without a feed.
/// - `plain`: as `single`, but makes its runtime itself, and has no bound.
/// - `worlds`: makes and drops its runtimes itself; for adapters whose runtime can be dropped.
///
/// A case fails by a panic. Where what it `needs` is not to be had it is skipped, and the report says why.
#[macro_export]
macro_rules! cases {
    ($($kind:ident: [$($case:ident $(needs [$($need:expr),+ $(,)?])?),* $(,)?]),* $(,)?) => {
        /// Adds this group for one adapter.
        pub(super) fn cases<A: $crate::adapter::Adapter>(cases: &mut $crate::case::Cases) {
            $($($crate::cases!(@$kind cases A $case [$($(&$need),+)?]);)*)*
        }
    };
    (@both $cases:ident $adapter:ident $case:ident $needs:tt) => {
        $crate::cases!(@spawned $cases $adapter $case $needs);
        $crate::cases!(@add $cases $adapter Inline $case $needs
            || $crate::case::run::<$adapter>($case::<$crate::mode::NoTask<$adapter>>()));
    };
    (@spawned $cases:ident $adapter:ident $case:ident $needs:tt) => {
        $crate::cases!(@add $cases $adapter Spawned $case $needs
            || $crate::case::run::<$adapter>($case::<$crate::mode::Task<$adapter>>()));
    };
    (@single $cases:ident $adapter:ident $case:ident $needs:tt) => {
        $crate::cases!(@add $cases $adapter Single $case $needs
            || $crate::case::run::<$adapter>($case::<$adapter>()));
    };
    (@plain $cases:ident $adapter:ident $case:ident $needs:tt) => {
        $crate::cases!(@add $cases $adapter Single $case $needs $case::<$adapter>);
    };
    (@worlds $cases:ident $adapter:ident $case:ident $needs:tt) => {
        if <<$adapter as $crate::adapter::Adapter>::World as $crate::adapter::World>::ENDS {
            $crate::cases!(@add $cases $adapter Single $case $needs $case::<$adapter>);
        }
    };
    (@add $cases:ident $adapter:ident $way:ident $case:ident $needs:tt $body:expr) => {
        $cases.add($crate::case::Case {
            adapter: <$adapter as $crate::adapter::Adapter>::NAME,
            way: $crate::case::Way::$way,
            group: $crate::case::group(module_path!()),
            name: stringify!($case),
            needs: const { &$needs },
            body: $body,
        })
    };
}

/// Groups of cases.
pub trait Suite {
    /// Adds all of them for one adapter.
    fn cases<A: Adapter>(cases: &mut Cases);
}

/// What is to run, in the order in which it was added.
#[derive(Default)]
pub struct Cases(Vec<Case>);

impl Cases {
    /// Adds one.
    pub fn add(&mut self, case: Case) {
        self.0.push(case);
    }

    pub(crate) fn into_vec(self) -> Vec<Case> {
        self.0
    }
}

/// A case, for one adapter and in one way.
#[derive(Clone)]
pub struct Case {
    /// The adapter's name.
    pub adapter: &'static str,
    /// How it is run.
    pub way: Way,
    /// The module that it is from.
    pub group: &'static str,
    /// Its function.
    pub name: &'static str,
    /// What it does not run without.
    pub needs: &'static [&'static Need],
    /// Panics if it fails.
    pub body: fn(),
}

/// How a case is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The feed in a task.
    Spawned,
    /// The feed in its stream.
    Inline,
    /// The one way there is.
    Single,
}

impl Case {
    /// Its name in full, as filters see it.
    #[must_use]
    pub fn path(&self) -> String {
        let Self { adapter, group, name, .. } = self;
        match self.way {
            Way::Spawned => format!("{adapter}::spawned::{group}::{name}"),
            Way::Inline => format!("{adapter}::inline::{group}::{name}"),
            Way::Single => format!("{adapter}::{group}::{name}"),
        }
    }
}

/// Runs one case in a world of its own.
pub fn run<A: Adapter>(case: impl Future<Output = ()>) {
    // Boxed: async-std moves it some twenty times on its way to the first poll, which is too much for a thread's stack.
    let case = Box::pin(case);
    A::world().run(async { timeout(6 * WAIT, case).await.expect("the case hangs") });
}

/// The last part of a module's path.
#[must_use]
pub fn group(module_path: &'static str) -> &'static str {
    module_path.rsplit("::").next().unwrap_or(module_path)
}
