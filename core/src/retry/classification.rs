//! Which failures are retried (R6).

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use crate::failure::Failure;

/// Whether a failure is retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Make another attempt.
    Retry,
    /// Stop the feed.
    Fatal,
}

/// The rule for which failures are fatal.
///
/// ```
/// use tidegate_core::Classification;
///
/// // 403 is maintenance here, a 401 means that the token has expired, and a Close with 4001 that the key is wrong.
/// let classification = Classification::Standard.retry([403]).retry_once(401).fatal_close([4001]);
/// ```
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Classification {
    /// Failures for which [`Failure::is_fatal`] returns `true`. The default.
    #[default]
    Standard,
    /// Any HTTP status of 400 or above, and all other failures that are fatal by default.
    AnyHttpError,
    /// Failures for which this function returns [`Class::Fatal`]. Clones share the function.
    Custom(Arc<dyn Fn(&Failure) -> Class + Send + Sync>),
    /// Another rule, but for an exception. Of several, the one that was added last comes first.
    Except(Box<Self>, Exception),
}

/// An exception to a [`Classification`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exception {
    /// See [`Classification::retry`].
    Retry(Vec<u16>),
    /// See [`Classification::retry_once`].
    RetryOnce(u16),
    /// See [`Classification::fatal_close`].
    FatalClose(Vec<u16>),
}

impl Classification {
    /// Retries refusals of the upgrade with these HTTP statuses.
    #[must_use]
    pub fn retry(self, statuses: impl IntoIterator<Item = u16>) -> Self {
        self.except(Exception::Retry(statuses.into_iter().collect()))
    }

    /// Retries a refusal of the upgrade with this HTTP status, unless the attempt just before it was refused with the
    /// same status. Then the rule without this exception applies.
    ///
    /// So a resolver can return another token, and a server that refuses that one, too, stops the feed.
    #[must_use]
    pub fn retry_once(self, status: u16) -> Self {
        self.except(Exception::RetryOnce(status))
    }

    /// Stops the feed if the server closes the connection with one of these codes (see [`Failure::close_code`]).
    #[must_use]
    pub fn fatal_close(self, codes: impl IntoIterator<Item = u16>) -> Self {
        self.except(Exception::FatalClose(codes.into_iter().collect()))
    }

    /// Returns whether a status is retried once.
    pub(crate) fn retries_once(&self, status: u16) -> bool {
        match self {
            Self::Standard | Self::AnyHttpError | Self::Custom(_) => false,
            Self::Except(rule, exception) => {
                *exception == Exception::RetryOnce(status) || rule.retries_once(status)
            }
        }
    }

    fn except(self, exception: Exception) -> Self {
        Self::Except(Box::new(self), exception)
    }

    /// Returns whether `failure` is retried, if the attempt before it was not refused. A custom function can fall back
    /// on [`Standard`](Self::Standard) with it.
    pub fn classify(&self, failure: &Failure) -> Class {
        self.judge(failure, None)
    }

    /// Returns whether `failure` is retried. `refused_before` is the HTTP status with which the attempt before it was
    /// refused, if it was; [`retry_once`](Self::retry_once) needs it.
    pub fn judge(&self, failure: &Failure, refused_before: Option<u16>) -> Class {
        let fatal = match self {
            Self::Standard => failure.is_fatal(),
            Self::AnyHttpError => failure.is_fatal() || matches!(failure.status(), Some(400..)),
            Self::Custom(classify) => return classify(failure),
            Self::Except(rule, exception) => {
                let class = exception.class(failure, refused_before);
                return class.unwrap_or_else(|| rule.judge(failure, refused_before));
            }
        };
        if fatal { Class::Fatal } else { Class::Retry }
    }
}

impl Exception {
    /// Returns the class of a failure that is the exception.
    fn class(&self, failure: &Failure, refused_before: Option<u16>) -> Option<Class> {
        let is_one_of = |codes: &[u16], code: Option<u16>| code.is_some_and(|code| codes.contains(&code));
        let (applies, class) = match self {
            Self::Retry(statuses) => (is_one_of(statuses, failure.status()), Class::Retry),
            Self::RetryOnce(once) => {
                (failure.status() == Some(*once) && refused_before != Some(*once), Class::Retry)
            }
            Self::FatalClose(codes) => (is_one_of(codes, failure.close_code()), Class::Fatal),
        };
        applies.then_some(class)
    }
}

impl fmt::Debug for Classification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Standard => f.write_str("Standard"),
            Self::AnyHttpError => f.write_str("AnyHttpError"),
            Self::Custom(_) => f.write_str("Custom"),
            Self::Except(rule, exception) => write!(f, "{rule:?} except {exception:?}"),
        }
    }
}
