use super::*;
use crate::net::connect::proxy::ProxyError;

#[test]
fn urls_and_what_is_shown_of_them() {
    let cases = [
        ("http://proxy.example:3128", "http://proxy.example:3128"),
        ("http://proxy.example", "http://proxy.example:1080"),
        ("http://proxy.example:3128/", "http://proxy.example:3128"),
        ("HTTP://proxy.example:1", "http://proxy.example:1"),
        ("proxy.example:3128", "http://proxy.example:3128"),
        ("proxy.example", "http://proxy.example:1080"),
        ("user:hunter2@proxy.example:3128", "http://proxy.example:3128"),
        ("http://user:hunter2@10.0.0.1:65535", "http://10.0.0.1:65535"),
        ("http://user:p@ss:hunter2@10.0.0.1:65535", "http://10.0.0.1:65535"),
        ("http://@proxy", "http://proxy:1080"),
        ("socks5://[2001:db8::1]", "socks5://[2001:db8::1]:1080"),
        ("socks5h://user:hunter2@[::1]:9050", "socks5h://[::1]:9050"),
    ];
    for (url, shown) in cases {
        let proxy = proxy(url);
        assert_eq!(proxy.to_string(), shown, "{url}");
        assert_eq!(format!("{proxy:?}"), format!("Proxy({shown})"), "{url}");
        assert_eq!(url.parse::<Proxy>().unwrap(), proxy);
    }
}

#[test]
fn where_it_is_and_who_looks_names_up() {
    let here = proxy("socks5://[2001:db8::1]:9050");
    assert_eq!((here.host(), here.port(), here.wants_address()), ("2001:db8::1", 9050, true));
    assert!(!proxy("socks5h://[2001:db8::1]:9050").wants_address());
    assert!(!proxy("http://proxy").wants_address());
}

#[test]
fn credentials_make_a_difference_though_they_are_not_shown() {
    assert_ne!(proxy("http://u:p@proxy"), proxy("http://u:q@proxy"));
    assert_ne!(proxy("socks5://u:p@proxy"), proxy("socks5://proxy"));
    assert_eq!(proxy("socks5://u:%70@proxy"), proxy("socks5://proxy").with_credentials("u", "p").unwrap());
}

#[test]
fn what_is_wrong_is_said_without_repeating_it() {
    let too_long = format!("socks5://u:{}@proxy", "x".repeat(256));
    let cases = [
        ("https://u:hunter2@proxy", ProxyError::Https),
        ("socks4://u:hunter2@proxy", ProxyError::Scheme),
        ("hunter2://proxy", ProxyError::Scheme),
        ("", ProxyError::Host),
        ("http://", ProxyError::Host),
        ("http://:3128", ProxyError::Host),
        ("http://u:hunter2@", ProxyError::Host),
        ("http://two words", ProxyError::Host),
        ("http://pröxy", ProxyError::Host),
        ("http://proxy\r\nX: hunter2", ProxyError::Host),
        ("http://::1", ProxyError::Host),
        ("http://[::1", ProxyError::Host),
        ("http://[::1]3128", ProxyError::Host),
        ("http://[proxy]:3128", ProxyError::Host),
        ("http://proxy:", ProxyError::Port),
        ("http://proxy:0", ProxyError::Port),
        ("http://proxy:65536", ProxyError::Port),
        ("http://proxy:+80", ProxyError::Port),
        ("http://proxy:hunter2", ProxyError::Port),
        ("http://u:hunter2/x@proxy", ProxyError::Path),
        ("http://proxy/path", ProxyError::Path),
        ("http://proxy?hunter2", ProxyError::Path),
        ("http://u:%ff@proxy", ProxyError::Encoding),
        ("http://u:hünter2@proxy", ProxyError::Encoding),
        ("http://us%3Aer:hunter2@proxy", ProxyError::BasicCredentials),
        ("http://user:hunter2%0d%0a@proxy", ProxyError::BasicCredentials),
        ("socks5://user@proxy", ProxyError::SocksCredentials),
        ("socks5://:hunter2@proxy", ProxyError::SocksCredentials),
        (too_long.as_str(), ProxyError::SocksCredentials),
    ];
    for (url, expected) in cases {
        let error = Proxy::new(url).unwrap_err();
        assert_eq!(error, expected, "{url}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{url}");
    }
}
