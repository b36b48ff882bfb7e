//! Redirects: the answers 301, 302, 307 and 308 (RFC 9110 §15.4).

use http::header::{ACCEPT_LANGUAGE, ORIGIN, SEC_WEBSOCKET_PROTOCOL, USER_AGENT};
use http::{HeaderName, HeaderValue};
use iri_string::types::{IriAbsoluteStr, IriReferenceStr};
use tidegate_core::escape::Escaped;
use tidegate_core::{ConnectFailure, Failure};

use crate::request::ConnectRequest;
use crate::url::{Scheme, UrlError};

/// Maximum number of redirects in one attempt.
pub(crate) const MAX_REDIRECTS: usize = 5;

/// Headers that may be sent to another origin. All others may be credentials, since exchanges name their keys in many
/// ways.
const SAFE_HEADERS: [HeaderName; 4] = [ACCEPT_LANGUAGE, ORIGIN, SEC_WEBSOCKET_PROTOCOL, USER_AGENT];

/// Returns the request for `location`, the target of a redirect.
pub(crate) fn follow(request: &ConnectRequest, location: &HeaderValue) -> Result<ConnectRequest, Failure> {
    let url = resolve(request, location)
        .ok_or_else(|| failure("the Location of the redirect is not a valid URL"))?;
    let target = ConnectRequest::new(url).map_err(|error| unusable(&error))?;
    if request.scheme() == Scheme::Wss && target.scheme() == Scheme::Ws {
        return Err(failure("the server redirected from wss to ws, which would give up TLS"));
    }
    if same_origin(request, &target) {
        return Ok(target.with_headers_of(request));
    }
    let kept =
        request.headers().iter().filter(|(name, value)| SAFE_HEADERS.contains(name) && !value.is_sensitive());
    Ok(kept.fold(target, |target, (name, value)| target.with_header(name.clone(), value.clone())))
}

/// Returns whether two requests have the same origin (RFC 6454 §5).
pub(crate) fn same_origin(one: &ConnectRequest, other: &ConnectRequest) -> bool {
    let origin =
        |request: &ConnectRequest| (request.scheme(), request.host().to_ascii_lowercase(), request.port());
    origin(one) == origin(other)
}

/// Adds the new URL to a failure that occurred after a redirect.
pub(crate) fn met_at(mut failure: Failure, url: &str) -> Failure {
    if let Failure::Connect(ConnectFailure::Rejected { refusal, .. }) = &mut failure {
        **refusal = std::mem::take(&mut **refusal).with_redirect(url);
    } else if let Some(detail) = failure.detail_mut() {
        *detail += &format!(" (redirected to {})", Escaped::new(url).at_most(200));
    }
    failure
}

/// Returns the new URL. Relative references are resolved against that of the request (RFC 3986 §5).
fn resolve(request: &ConnectRequest, location: &HeaderValue) -> Option<String> {
    // The reference may have characters beyond ASCII, which the request encodes.
    let reference = IriReferenceStr::new(str::from_utf8(location.as_bytes()).ok()?).ok()?;
    let base = request.uri().to_string();
    let base = IriAbsoluteStr::new(&base).ok()?;
    let url = reference.resolve_against(base).to_string();
    let (scheme, rest) = url.split_once(':')?;
    // A fragment is not part of the request (RFC 9110 §7.1).
    let rest = rest.split_once('#').map_or(rest, |(rest, _)| rest);
    // The server speaks HTTP, and may write `http`.
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "http" => "ws",
        "https" => "wss",
        _ => scheme,
    };
    Some(format!("{scheme}:{rest}"))
}

fn failure(why: &str) -> Failure {
    Failure::Connect(ConnectFailure::Upgrade { detail: why.to_owned() })
}

/// Returns why the new URL cannot be used, without text of the peer (T3).
fn unusable(error: &UrlError) -> Failure {
    if let UrlError::Scheme { .. } = error {
        return failure("the Location of the redirect is neither http, https, ws nor wss");
    }
    failure(&format!("the Location of the redirect cannot be connected to: {error}"))
}

/// Returns the failure for more than [`MAX_REDIRECTS`] redirects.
pub(crate) fn too_many() -> Failure {
    failure(&format!("the server redirected more than {MAX_REDIRECTS} times"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(url: &str) -> ConnectRequest {
        ConnectRequest::new(url).unwrap()
    }

    fn followed(from: &str, location: &str) -> Result<String, Failure> {
        follow(&request(from), &HeaderValue::from_str(location).unwrap()).map(|to| to.uri().to_string())
    }

    #[test]
    fn locations() {
        let table = [
            ("ws://a.test/x/y?q=1", "/z?p", "ws://a.test/z?p"),
            ("ws://a.test/x/y", "z", "ws://a.test/x/z"),
            ("ws://a.test/x/y", "../z", "ws://a.test/z"),
            ("ws://a.test/x", "//b.test:81/z", "ws://b.test:81/z"),
            ("ws://a.test/x", "http://b.test/", "ws://b.test/"),
            ("ws://a.test/x", "https://b.test/", "wss://b.test/"),
            ("ws://a.test/x", "HTTPS://b.test/", "wss://b.test/"),
            ("wss://a.test/x", "wss://b.test/z#part", "wss://b.test/z"),
            ("wss://[::1]:9/x", "/z", "wss://[::1]:9/z"),
            ("ws://a.test/x", "//bücher.test/é?ü=%C3%BC", "ws://xn--bcher-kva.test/%C3%A9?%C3%BC=%C3%BC"),
        ];
        for (from, location, to) in table {
            assert_eq!(followed(from, location), Ok(to.to_owned()), "{from} {location}");
        }
    }

    #[test]
    fn locations_that_are_not_followed() {
        let table = [
            ("wss://a.test/", "ws://a.test/", "would give up TLS"),
            ("wss://a.test/", "http://a.test/", "would give up TLS"),
            ("ws://a.test/", "ftp://hunter2.test/", "neither http"),
            ("ws://a.test/", "hunter2://a.test/", "neither http"),
            ("ws://a.test/", "http://user:hunter2@a.test/", "user name or password"),
            ("ws://a.test/", "http://a.test/hunter2 x", "not a valid URL"),
            ("ws://a.test/", "http://", "cannot be connected to"),
            ("ws://a.test/", "ws://a.test:99999/", ""),
            ("ws://a.test/", "mailto:hunter2", "cannot be connected to"),
            ("ws://a.test/", "http://[::hunter2]/", ""),
        ];
        for (from, location, why) in table {
            let failure = followed(from, location).unwrap_err();
            assert_eq!(failure.kind(), "upgrade");
            assert!(failure.to_string().contains(why), "{location}: {failure}");
            assert!(!failure.to_string().contains("hunter2"), "{failure}");
        }
    }

    #[test]
    fn credentials_stay_with_their_origin() {
        let mut secret = HeaderValue::from_static("v1.hunter2");
        secret.set_sensitive(true);
        let from = ["authorization", "cookie", "x-api-key", "origin", "user-agent"]
            .into_iter()
            .fold(request("wss://a.test/x"), |request, name| {
                request.with_header(HeaderName::from_static(name), HeaderValue::from_static("v"))
            })
            .with_header(SEC_WEBSOCKET_PROTOCOL, secret);
        let names = |location: &str| {
            let to = follow(&from, &HeaderValue::from_str(location).unwrap()).unwrap();
            let mut names: Vec<_> = to.headers().keys().map(|name| name.as_str().to_owned()).collect();
            names.sort();
            names
        };
        for same in ["/y", "wss://A.test:443/y", "https://a.test"] {
            assert_eq!(names(same).len(), 6, "{same}");
        }
        for other in ["wss://b.test/", "wss://a.test:444/", "wss://sub.a.test/"] {
            assert_eq!(names(other), ["origin", "user-agent"], "{other}");
        }
    }
}
