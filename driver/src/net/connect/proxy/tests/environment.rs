use crate::net::connect::proxy::{Environment, ProxyError};
use crate::url::Scheme;

fn environment(variables: &[(&str, &str)]) -> Result<Environment, ProxyError> {
    let value = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
    Environment::from_lookup(|name| value(name).map(str::to_owned))
}

/// The proxies for `wss` and for `ws`.
fn chosen(variables: &[(&str, &str)]) -> [Option<String>; 2] {
    let environment = environment(variables).unwrap();
    [Scheme::Wss, Scheme::Ws]
        .map(|scheme| environment.proxy_for(scheme, "feed.example", 443).map(|proxy| proxy.host().to_owned()))
}

#[test]
fn each_scheme_has_its_variables() {
    let [a, b, c, d] = ["a", "b", "c", "d"].map(|host| Some(host.to_owned()));
    assert_eq!(chosen(&[]), [None, None]);
    let mut variables = vec![("HTTP_PROXY", "x"), ("http_proxy", "x"), ("ws_proxy", "x")];
    assert_eq!(chosen(&variables), [None, None]);
    variables.push(("ALL_PROXY", "a"));
    assert_eq!(chosen(&variables), [a.clone(), a.clone()]);
    variables.push(("all_proxy", "b"));
    assert_eq!(chosen(&variables), [b.clone(), b.clone()]);
    variables.push(("HTTPS_PROXY", "c"));
    assert_eq!(chosen(&variables), [c, b.clone()]);
    variables.push(("https_proxy", "d"));
    assert_eq!(chosen(&variables), [d, b]);
}

#[test]
fn empty_means_unset() {
    let variables = [("https_proxy", ""), ("HTTPS_PROXY", " "), ("all_proxy", ""), ("ALL_PROXY", " a\n")];
    assert_eq!(chosen(&variables), [Some("a".to_owned()), Some("a".to_owned())]);
    assert_eq!(chosen(&[("all_proxy", "a"), ("no_proxy", ""), ("NO_PROXY", "*")]), [None, None]);
}

#[test]
fn a_value_that_is_not_valid_is_an_error_that_names_the_variable_alone() {
    let variable = |name, problem| ProxyError::Variable { name, problem: Box::new(problem) };
    let cases = [
        (("https_proxy", "http://u:hunter2@proxy:x"), variable("https_proxy", ProxyError::Port)),
        (("HTTPS_PROXY", "https://u:hunter2@proxy"), variable("HTTPS_PROXY", ProxyError::Https)),
        (("ALL_PROXY", "http://u:hunter2\u{fffd}@proxy"), variable("ALL_PROXY", ProxyError::Encoding)),
        (("no_proxy", "a,hunter2:x"), variable("no_proxy", ProxyError::Exception)),
        (("NO_PROXY", "10.0.0.0/33"), variable("NO_PROXY", ProxyError::Exception)),
    ];
    for (set, expected) in cases {
        let error = environment(&[set]).unwrap_err();
        assert_eq!(error, expected);
        let shown = format!("{error} {error:?}");
        assert!(error.to_string().contains(set.0) && !shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn its_debug_output_holds_no_credentials() {
    let environment = environment(&[("all_proxy", "http://hunter1:hunter2@proxy")]).unwrap();
    assert!(!format!("{environment:?}").contains("hunter"));
}

/// Whether `NO_PROXY` keeps a connection to this host from the proxy.
fn kept_off(no_proxy: &str, host: &str, port: u16) -> bool {
    let environment = environment(&[("ALL_PROXY", "proxy"), ("NO_PROXY", no_proxy)]).unwrap();
    environment.proxy_for(Scheme::Wss, host, port).is_none()
}

#[test]
fn exceptions() {
    let cases: [(&str, &[&str], &[&str]); 16] = [
        ("*", &["feed.example", "10.0.0.1", "2001:db8::1"], &[]),
        ("a, *", &["feed.example"], &[]),
        (
            "example.com",
            &["example.com", "EXAMPLE.com", "a.b.example.com", "example.com."],
            &["notexample.com", "example.org", "com", "example.com.org"],
        ),
        (".Example.COM.", &["example.com", "a.example.com"], &["notexample.com", "com"]),
        ("*.example.com", &["example.com", "a.example.com"], &["notexample.com"]),
        (
            "a.example,b.example c.example\t,\nd.example",
            &["a.example", "b.example", "c.example", "d.example"],
            &["e.example"],
        ),
        (",, ,", &[], &["feed.example"]),
        (".", &[], &["feed.example"]),
        ("10.0.0.1", &["10.0.0.1", "::ffff:10.0.0.1"], &["10.0.0.10", "110.0.0.1", "x.10.0.0.1"]),
        ("10.1.2.3/8", &["10.0.0.0", "10.255.255.255"], &["11.0.0.0", "10.example", "2001:db8::1"]),
        ("0.0.0.0/0", &["1.2.3.4"], &["feed.example", "2001:db8::1"]),
        ("2001:db8::1", &["2001:db8::1", "2001:DB8:0::1"], &["2001:db8::2"]),
        ("[2001:db8::1]", &["2001:db8::1"], &["2001:db8::2"]),
        ("2001:db8::/32", &["2001:db8:ffff::1"], &["2001:db9::1", "10.0.0.1"]),
        ("*:443", &["feed.example"], &[]),
        (
            "example.com:443,10.0.0.1:443,[2001:db8::1]:443",
            &["a.example.com", "10.0.0.1", "2001:db8::1"],
            &["10.0.0.2"],
        ),
    ];
    for (no_proxy, off, on) in cases {
        for host in off {
            assert!(kept_off(no_proxy, host, 443), "{no_proxy} should keep {host} off");
        }
        for host in on {
            assert!(!kept_off(no_proxy, host, 443), "{no_proxy} should leave {host}");
        }
    }
}

#[test]
fn an_exception_with_a_port_is_for_that_port() {
    let no_proxy = "example.com:8443,10.0.0.1:8443,[2001:db8::1]:8443,*:9000";
    for host in ["example.com", "10.0.0.1", "2001:db8::1"] {
        assert!(kept_off(no_proxy, host, 8443), "{host}");
        assert!(kept_off(no_proxy, host, 9000), "{host}");
        assert!(!kept_off(no_proxy, host, 443), "{host}");
    }
}

#[test]
fn entries_that_are_not_valid() {
    for entry in
        ["a:b", "a:0", "a:65536", "a:", "10.0.0.0/33", "10.0.0.0/8:443", "10/8", "http://a", "::1/129"]
    {
        assert!(environment(&[("NO_PROXY", entry)]).is_err(), "{entry}");
    }
}

#[test]
fn this_machine_is_never_reached_through_a_proxy() {
    for host in
        ["localhost", "LocalHost.", "a.localhost", "127.0.0.1", "127.255.0.1", "::1", "::ffff:127.0.0.1"]
    {
        assert!(kept_off("", host, 443), "{host}");
    }
    for host in ["notlocalhost", "localhost.example", "128.0.0.1", "::2"] {
        assert!(!kept_off("", host, 443), "{host}");
    }
}
