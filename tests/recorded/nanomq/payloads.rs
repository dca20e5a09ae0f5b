//! The payloads that the script for NanoMQ publishes, with their names in the steps.

/// Name and payload.
type NamedPayload = (&'static str, fn() -> Vec<u8>);

/// All payloads.
pub(crate) const PAYLOADS: [NamedPayload; 28] = [
    ("text", || b"hello".to_vec()),
    ("empty", Vec::new),
    ("json", || "{\"t\": 21.5, \"u\": \"°C\"}".into()),
    ("quotes", || br#"say "hi" \ back/slash"#.to_vec()),
    ("newlines and tab", || b"a\nb\r\nc\td".to_vec()),
    ("backspace and form feed", || b"a\x08b\x0cc".to_vec()),
    ("controls 1 to 31 and 127", || (1..32).chain([127]).collect()),
    ("utf-8", || "温度 21°C 🌡 \u{2028} é".into()),
    ("c1 controls and noncharacter", || "\u{85}\u{9f}\u{fffe}\u{ffff}".into()),
    ("bytes 0 to 255", || (0..=255).collect()),
    ("bytes 1 to 255", || (1..=255).collect()),
    ("bytes 128 to 255", || (128..=255).collect()),
    ("nul in the middle", || b"ab\0cd".to_vec()),
    ("nul only", || b"\0".to_vec()),
    ("nuls first", || b"\0\0\0ab".to_vec()),
    ("cut utf-8", || b"ok \xe6\xb8".to_vec()),
    ("lone continuation", || b"x\x80y".to_vec()),
    ("overlong", || b"\xc0\xaf".to_vec()),
    ("surrogate", || b"\xed\xa0\x80".to_vec()),
    ("FF FF FF", || b"\xff\xff\xff".to_vec()),
    ("one byte", || b"M".to_vec()),
    ("two bytes", || b"Ma".to_vec()),
    ("html", || b"<a href='x'>&amp;</a>".to_vec()),
    ("i + / for old base62", || b"\xfb\xff\xbe\x89\xa6\x9a".to_vec()),
    ("1 KiB", || b"0123456789abcdef".repeat(64)),
    ("16 KiB", || b"0123456789abcdef".repeat(1024)),
    ("16 KiB and 1", || {
        [&b"0123456789abcdef".repeat(1024)[..], b"x"].concat()
    }),
    ("100 KiB", || b"0123456789abcdef".repeat(6400)),
];
