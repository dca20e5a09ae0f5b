//! The URLs and destinations that modules may and may not name.

use super::*;
use proptest::prelude::*;
use serde_json::json;

fn egress(config: Value, allow: &[&str]) -> Egress {
    Egress::new(
        &config,
        &allow.iter().map(|text| text.parse().unwrap()).collect::<Vec<_>>(),
    )
}

#[test]
fn a_module_may_name_what_its_configuration_names_and_below() {
    let egress = egress(
        json!({
            "urls": ["http://h:5656/hook", "https://user:pw@s/a/?token=t", "not a url", "mailto:x@y"],
            "deep": [{"log": "file:///tmp/x.log"}],
            "http://key.example": 1,
        }),
        &["https://allowed.example/v1"],
    );
    for (url, granted) in [
        ("http://h:5656/hook", true),
        ("http://H:5656/hook", true),
        ("http://u:p@h:5656/hook", true),
        ("http://h:5656/hook/", true),
        ("http://h:5656/hook/a?b#c", true),
        ("http://h:5656/hook/a%2Fb", true),
        ("http://h:5656/hooks", false),
        ("http://h:5656/", false),
        ("http://h:5656/hook/../other", false),
        ("http://h:5656/hook/%2e%2e/other", false),
        ("http://h:5656/hook/..%2fother", false),
        ("http://h:5656/hook/..%5Cother", false),
        ("http://h:5656/hook/%2E%2e%2Fother", false),
        ("http://h/hook", false),
        ("http://h:80/hook", false),
        ("https://h:5656/hook", false),
        ("http://h:5656@evil/hook", false),
        ("http://h.evil:5656/hook", false),
        ("https://s/a/b", true),
        ("https://s:443/a/b", true),
        ("https://s/a", false),
        ("http://key.example/anything", true),
        ("https://allowed.example/v1/x", true),
        ("https://allowed.example/v2", false),
        ("file:///tmp/x.log", true),
        ("file:///tmp/./x.log", true),
        ("file:///tmp/y.log", false),
        ("file:///tmp/x.log/../y.log", false),
        ("stdout:", false),
        ("mailto:x@y", false),
        ("", false),
        ("/hook", false),
    ] {
        assert_eq!(egress.check(url.to_owned()).is_ok(), granted, "{url}");
    }
}

#[test]
fn placeholders_grant_what_they_can_become() {
    let egress = egress(
        json!([
            "http://a/x/y-${clientid}/z",
            "http://b/x?t=${topic}",
            "http://${host}/",
            "http://c${x}/",
            "${x}"
        ]),
        &[],
    );
    for (url, granted) in [
        ("http://a/x/y-1/z", true),
        ("http://a/x/other", true),
        ("http://a/y", false),
        ("http://b/x?t=a%2Fb", true),
        ("http://b/x/y", true),
        ("http://b/y", false),
        ("http://evil/", false),
        ("http://c/", false),
        ("http://cx/", false),
    ] {
        assert_eq!(egress.check(url.to_owned()).is_ok(), granted, "{url}");
    }
    assert_eq!(egress.grants().len(), 2);
}

#[test]
fn nothing_is_granted_by_itself() {
    let none = egress(json!({}), &[]);
    for url in ["http://127.0.0.1/", "file:///etc/passwd", "stdout:"] {
        assert!(none.check(url.to_owned()).is_err(), "{url}");
    }
    for both in [egress(json!("stdout:"), &[]), egress(json!(null), &["stdout:"])] {
        assert_eq!(both.check("stdout:".to_owned()).unwrap().url, "stdout:");
    }
}

#[test]
fn a_host_is_recognised_however_it_is_written() {
    let local = egress(json!("http://127.0.0.1:80/"), &[]);
    assert_eq!(
        local.check("http://0x7f.1/x".to_owned()).unwrap().url,
        "http://127.0.0.1/x"
    );
    let idn = egress(json!("http://bücher.example"), &[]);
    assert!(idn.check("http://xn--bcher-kva.example/x".to_owned()).is_ok());
}

#[test]
fn what_was_compared_is_what_is_sent() {
    let egress = egress(json!("http://h/a"), &[]);
    assert_eq!(
        egress.check("http://h/x/../a/b c".to_owned()).unwrap().url,
        "http://h/a/b%20c"
    );
}

#[test]
fn refusals_keep_secrets() {
    let none = egress(json!({}), &[]);
    let refusal = none
        .check("https://user:hidden@h:1/hidden?hidden".to_owned())
        .unwrap_err();
    assert_eq!(refusal, Refusal::NotGranted("https://h:1".into()));
    let refusal = none.check("https://user:hidden@h:port/hidden".to_owned()).unwrap_err();
    assert!(!refusal.to_string().contains("hidden"));
    let granted = egress(json!("https://user:hidden@h/a?hidden"), &[]);
    assert_eq!(granted.grants()[0].to_string(), "https://h:443/a");
    assert!(!format!("{:?}", granted.grants()).contains("hidden"));
}

#[test]
fn grants_that_grant_nothing_say_why() {
    assert!(
        "example.com"
            .parse::<Grant>()
            .unwrap_err()
            .to_string()
            .contains("is not a URL")
    );
    assert_eq!("ftp://h/".parse::<Grant>().unwrap_err(), GrantError::Scheme);
}

#[test]
fn an_open_host_is_the_modules_choice_and_may_be_public_only() {
    let egress = egress(
        json!([
            "https://named.example.com/in",
            "https://*.config.example/",
            "https://10.0.0.1/"
        ]),
        &["https://*.example.com/in", "http://*:8080", "https://*.10.example/"],
    );
    for (url, reach) in [
        ("https://a.example.com/in", Some(Reach::Public)),
        ("https://a.b.EXAMPLE.com/in/x?y", Some(Reach::Public)),
        // Named by the configuration as well.
        ("https://named.example.com/in/x", Some(Reach::Anywhere)),
        ("https://10.0.0.1/x", Some(Reach::Anywhere)),
        ("https://example.com/in", None),
        ("https://.example.com/in", None),
        ("https://aexample.com/in", None),
        ("https://a.example.com.evil/in", None),
        ("https://a.example.com./in", None),
        ("https://a.example.com/other", None),
        ("https://a.example.com:444/in", None),
        ("http://a.example.com/in", None),
        ("https://evil/in@a.example.com/in", None),
        ("https://a.example.com@evil/in", None),
        // The host checks whether an address is public when it connects.
        ("http://anything:8080/", Some(Reach::Public)),
        ("http://127.0.0.1:8080/", Some(Reach::Public)),
        ("http://[::1]:8080/x", Some(Reach::Public)),
        ("http://anything/", None),
        ("http://*:8080/", None),
        // A configuration opens no hosts.
        ("https://a.config.example/", None),
        ("file:///etc/passwd", None),
    ] {
        let got = egress.check(url.to_owned()).ok().map(|granted| granted.reach);
        assert_eq!(got, reach, "{url}");
    }
    let shown: Vec<_> = egress.grants()[..2].iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["https://*.example.com:443/in", "http://*:8080/"]);
}

#[test]
fn a_star_stands_for_whole_labels_at_the_beginning() {
    for text in [
        "https://a*.example.com/",
        "https://*a.example.com/",
        "https://a.*.com/",
        "https://*.*/",
        "https://*./",
        "https://**/",
        "https://example.*/",
        "file://*/x",
    ] {
        assert_eq!(text.parse::<Grant>(), Err(GrantError::Star), "{text}");
    }
    // In other places it is an ordinary character.
    assert!(
        egress(json!(null), &["http://h/*"])
            .check("http://h/a".to_owned())
            .is_err()
    );
}

proptest! {
    /// An accepted URL, when parsed again, is at the granted host and below the granted path.
    #[test]
    fn nothing_gets_out(text in "(http|HTTP|https|file)?:?[/\\\\]{0,3}[h@:./\\\\%a2efF?#-]{0,24}") {
        let egress = egress(json!("http://h/a"), &[]);
        if let Ok(Granted { url: sent, reach }) = egress.check(text) {
            prop_assert_eq!(reach, Reach::Anywhere);
            let url = Url::parse(&sent).unwrap();
            prop_assert_eq!(url.as_str(), sent.as_str());
            prop_assert_eq!((url.scheme(), url.host_str(), url.port()), ("http", Some("h"), None));
            prop_assert!(url.path() == "/a" || url.path().starts_with("/a/"));
        }
    }
}
