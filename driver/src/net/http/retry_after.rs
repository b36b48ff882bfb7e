//! `Retry-After` (RFC 9110 §10.2.3): how long a server asks its clients to wait.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::RETRY_AFTER;

/// Maximum duration, a week. A server that asks for more is misconfigured, or means another status.
const MAX_SPAN: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Returns the duration from `now` that the server asks for, at most [`MAX_SPAN`]. Returns zero for a date that has
/// passed, and `None` without a valid header.
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    // `parse` alone would accept "+5", and reject large numbers.
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)).min(MAX_SPAN));
    }
    let at = httpdate::parse_http_date(value).ok()?;
    Some(at.duration_since(now).unwrap_or(Duration::ZERO).min(MAX_SPAN))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    /// Wed, 21 Oct 2015 07:28:00 GMT, the example of RFC 9110.
    const NOW: u64 = 1_445_412_480;

    fn parsed(value: &[u8]) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_bytes(value).unwrap());
        retry_after(&headers, SystemTime::UNIX_EPOCH + Duration::from_secs(NOW))
    }

    #[test]
    fn seconds_and_dates() {
        let table: [(&str, Option<u64>); 18] = [
            ("0", Some(0)),
            ("120", Some(120)),
            (" 7 ", Some(7)),
            ("007", Some(7)),
            ("604801", Some(604_800)),
            ("99999999999999999999999", Some(604_800)),
            ("Mon, 21 Oct 2115 07:28:00 GMT", Some(604_800)),
            ("Wed, 21 Oct 2015 07:28:30 GMT", Some(30)),
            ("Wednesday, 21-Oct-15 07:29:00 GMT", Some(60)),
            ("Wed Oct 21 07:28:05 2015", Some(5)),
            ("Wed, 21 Oct 2015 07:28:00 GMT", Some(0)),
            ("Wed, 21 Oct 2015 07:27:59 GMT", Some(0)),
            ("", None),
            ("-1", None),
            ("+5", None),
            ("1.5", None),
            ("soon", None),
            ("Wed, 32 Oct 2015 07:28:00 GMT", None),
        ];
        for (value, seconds) in table {
            assert_eq!(parsed(value.as_bytes()), seconds.map(Duration::from_secs), "{value:?}");
        }
    }

    #[test]
    fn bytes_that_are_no_text() {
        assert_eq!(parsed(b"\xff\xfe"), None);
    }

    #[test]
    fn no_such_header() {
        assert_eq!(retry_after(&HeaderMap::new(), SystemTime::UNIX_EPOCH), None);
    }
}
