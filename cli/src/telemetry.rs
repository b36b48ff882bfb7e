//! Notices as JSON lines.

use serde_json::{Value, json};
use tidegate::{Failure, Notice, Timestamp};

/// One notice as one JSON object: `event`, `t_ms`, and its fields.
pub(crate) fn json(notice: &Notice, at: Timestamp) -> Value {
    let mut object = fields(notice);
    object["event"] = notice.name().into();
    object["t_ms"] = at.as_millis().into();
    object
}

fn fields(notice: &Notice) -> Value {
    match notice {
        Notice::Success { id } | Notice::Paused { id } | Notice::Connecting { id } => {
            json!({ "connection": id.get() })
        }
        Notice::Failure { id, failure: failure @ Failure::Rejected { status, refusal, .. } } => json!({
            "connection": id.get(),
            "reason": failure.kind(),
            "detail": failure.to_string(),
            "status": status,
            "body": refusal.body().to_string(),
        }),
        Notice::Failure { id, failure } | Notice::Timeout { id, failure } => {
            json!({ "connection": id.get(), "reason": failure.kind(), "detail": failure.to_string() })
        }
        Notice::Disconnected { id, failure } => json!({
            "connection": id.get(),
            "reason": failure.as_ref().map_or("shutdown", Failure::kind),
            "detail": failure.as_ref().map(ToString::to_string),
        }),
        Notice::Status { live } => json!({ "value": u8::from(*live) }),
        Notice::Pong { id, round_trip } => {
            json!({ "connection": id.get(), "round_trip_ms": millis(*round_trip) })
        }
        Notice::Dropped { count } => json!({ "count": count }),
        Notice::Resumed { id, paused_for } => {
            json!({ "connection": id.get(), "paused_for_ms": millis(*paused_for) })
        }
        Notice::Retry { attempt, delay } => json!({ "attempt": attempt, "delay_ms": millis(*delay) }),
        Notice::Stopped { reason } => json!({ "reason": reason.kind(), "detail": reason.to_string() }),
    }
}

/// To the microsecond: round trips on a local network are below a millisecond.
#[allow(clippy::cast_precision_loss, reason = "microseconds are exact for 285 years")]
fn millis(span: std::time::Duration) -> f64 {
    span.as_micros() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tidegate::{ConnectionId, Refusal};

    use super::*;

    #[test]
    fn a_notice_is_one_object_with_event_and_time() {
        let retry = Notice::Retry { attempt: 2, delay: Duration::from_millis(250) };
        assert_eq!(
            json(&retry, Timestamp::from_millis(1500)),
            json!({ "event": "retry", "t_ms": 1500, "attempt": 2, "delay_ms": 250.0 })
        );
    }

    #[test]
    fn a_refusal_has_its_whole_body_escaped() {
        let refusal = Box::new(Refusal::default().with_body(&"no\u{1b}\n".repeat(300)));
        let failure = Failure::Rejected { status: 403, retry_after: None, refusal };
        let object = json(&Notice::Failure { id: ConnectionId::new(1), failure }, Timestamp::ZERO);
        assert_eq!(object["status"], 403);
        assert_eq!(object["body"], format!("{}no\\u{{1b}}", "no\\u{1b}\\n".repeat(299)));
    }
}
