//! `[tracing]`.

use hookhost_activity::SampleRatio;

use super::*;

#[test]
fn spans_are_exported_only_to_an_endpoint() {
    assert_eq!(config(&inputs("")).tracing, None);
    assert_eq!(config(&inputs("[tracing]\nsample_ratio = 0.0\n")).tracing, None);
    let text =
        "[tracing]\notlp_endpoint = \"http://c:4318\"\nsample_ratio = 0.5\nheaders = { Authorization = \"k\" }\n";
    let read = read(&inputs(text)).unwrap();
    assert_eq!(
        shown(&read.warnings),
        ["f:2: tracing.otlp_endpoint: sends its headers unencrypted: it does not begin with https:"]
    );
    let settings = read.config.tracing.unwrap();
    assert_eq!(settings.url, "http://c:4318/v1/traces");
    assert_eq!(settings.sample_ratio, SampleRatio::new(0.5));
    assert_eq!(settings.headers[0].0, "authorization");
}

#[test]
fn mistakes_name_their_key() {
    for (text, expected) in [
        (
            "sample_ratio = 0.5",
            "f:2: tracing.sample_ratio: has no effect without `otlp_endpoint`",
        ),
        (
            "headers = { a = \"b\" }",
            "f:2: tracing.headers: has no effect without `otlp_endpoint`",
        ),
        (
            "otlp_endpoint = \"c:4318\"",
            "f:2: tracing.otlp_endpoint: should be the URL of a collector",
        ),
        (
            "otlp_endpoint = \"http://c\"\nsample_ratio = 2.0",
            "f:3: tracing.sample_ratio: ",
        ),
        ("endpoint = \"http://c\"", "f:2: tracing.endpoint: "),
    ] {
        let problems = problems(&inputs(&format!("[tracing]\n{text}\n")));
        assert!(problems.len() == 1 && problems[0].starts_with(expected), "{problems:?}");
    }
}
