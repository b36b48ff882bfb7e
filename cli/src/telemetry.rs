//! Notices as JSON lines.

use serde_json::{Value, json};
use tidegate::{ConnectFailure, Failure, Notice, Timestamp};

/// One notice as one JSON object: `event`, `t_ms`, and its fields.
pub(crate) fn json(notice: &Notice, at: Timestamp) -> Value {
    let mut object = fields(notice);
    object["event"] = notice.name().into();
    object["t_ms"] = at.as_millis().into();
    object
}

fn fields(notice: &Notice) -> Value {
    let mut object = json!({});
    if let Some(connection) = notice.connection() {
        object["connection"] = connection.get().into();
    }
    if let Some(reason) = notice.reason() {
        object["reason"] = reason.into();
        object["detail"] = notice.failure().map(ToString::to_string).into();
    }
    if let Some(Failure::Connect(ConnectFailure::Rejected { status, refusal, .. })) = notice.failure() {
        object["status"] = (*status).into();
        object["body"] = refusal.body().to_string().into();
    }
    #[expect(clippy::wildcard_enum_match_arm, reason = "most have no field of their own")]
    match notice {
        Notice::Status { live } => object["value"] = u8::from(*live).into(),
        Notice::Pong { round_trip, .. } => object["round_trip_ms"] = millis(*round_trip).into(),
        Notice::Dropped { count } => object["count"] = (*count).into(),
        Notice::Resumed { paused_for, .. } => object["paused_for_ms"] = millis(*paused_for).into(),
        Notice::Retry { attempt, delay } => {
            object["attempt"] = (*attempt).into();
            object["delay_ms"] = millis(*delay).into();
        }
        Notice::Stopped { reason } => object["detail"] = reason.to_string().into(),
        _ => {}
    }
    object
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
        let failure = Failure::Connect(ConnectFailure::Rejected { status: 403, retry_after: None, refusal });
        let object = json(&Notice::Failure { id: ConnectionId::new(1), failure }, Timestamp::ZERO);
        assert_eq!(object["status"], 403);
        assert_eq!(object["body"], format!("{}no\\u{{1b}}", "no\\u{1b}\\n".repeat(299)));
    }
}
