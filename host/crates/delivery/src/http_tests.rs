//! Tests of answers.

use super::*;

#[test]
fn retry_after_is_seconds_or_a_date() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
    for (text, want) in [
        ("120", Some(120)),
        (" 0 ", Some(0)),
        ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
        ("Sun, 06 Nov 1994 08:49:00 GMT", Some(0)),
        ("-5", None),
        ("soon", None),
        ("99999999999999999999999", None),
    ] {
        let value = HeaderValue::from_static(text);
        assert_eq!(retry_after(&value, now), want.map(Duration::from_secs), "{text}");
    }
}
