//! Values: objects, bytes, sizes of integers.

use super::*;

#[test]
fn objects_are_sorted_and_keep_the_later_value() {
    let entries = [("b", 1), ("a", 2), ("c", 3), ("a", 4), ("b", 5), ("b", 6)];
    let object = Value::object(entries.map(|(name, number)| (name.into(), Value::Integer(number))));
    let mut out = String::new();
    object.push(&mut out);
    assert_eq!(out, r#"{"c":3,"b":6,"a":4}"#);
    assert_eq!(object.get("a"), Some(&Value::Integer(4)));
}

#[test]
fn bytes_are_texts_if_they_are_utf8() {
    assert_eq!(Value::bytes(&b"\xc3\xa4"[..]), Value::text("ä"));
    assert_eq!(Value::bytes(b"\xff".to_vec()), Value::Bytes(Cow::Borrowed(b"\xff")));
    assert_eq!(Value::bytes(b"\xff".to_vec()).as_text(), None);
}

#[test]
fn integers_have_one_form() {
    assert_eq!(Value::big(BigInt::from(i128::MAX)), Value::Integer(i128::MAX));
    let large: BigInt = BigInt::from(i128::MAX) + 1;
    assert_eq!(Value::big(large.clone()), Value::Big(Box::new(large.clone())));
    assert_eq!(Value::big(large.clone()).as_integer(), Some(large));
}
