//! Values in Erlang's notation, as its `io_lib:format` writes them for `~w` and `~p`.
//!
//! A value becomes a [`Node`], which knows the length of its text on one line. [`lines`] breaks what is longer than a line.
//! Texts here have one character for each byte, as Erlang's Latin-1.

mod lines;

use crate::value::Value;
use lines::{Place, Printer};

/// A value as text.
struct Node {
    kind: Kind,
    /// Number of characters on one line.
    length: usize,
}

enum Kind {
    /// Text that is never broken.
    Plain(String),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
    /// Bytes between `<<` and `>>`.
    Bytes(Vec<u8>),
}

/// Bytes as characters, one for each.
pub(in super::super) fn latin1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// The value on one line, without texts in quotes: `~w`.
pub(super) fn plain(value: &Value<'_>) -> String {
    let mut out = String::new();
    node(value, None).push(&mut out);
    out
}

/// The value with printable texts in quotes and broken into lines: `~p`, or with `in_utf8` `~tp`. `column` counts from 1.
pub(super) fn pretty(value: &Value<'_>, column: usize, line_length: usize, in_utf8: bool) -> String {
    let node = node(value, Some(Quotes { in_utf8 }));
    let printer = Printer {
        line_length,
        total: node.length,
    };
    if node.length < line_length.saturating_sub(column) {
        let mut out = String::new();
        node.push(&mut out);
        return out;
    }
    printer.node(
        &node,
        Place {
            column,
            indent: column - 1,
            closing: 0,
            width: 0,
        },
    )
}

/// How texts are put into quotes.
#[derive(Clone, Copy)]
struct Quotes {
    /// Whether a text in UTF-8 is written with its characters.
    in_utf8: bool,
}

fn node(value: &Value<'_>, quotes: Option<Quotes>) -> Node {
    match value {
        Value::Undefined => plain_node("undefined".to_owned()),
        Value::Float(number) => plain_node(shortest(*number)),
        Value::Atom(word) => plain_node(latin1(word.as_bytes())),
        Value::Text(text) => bytes_node(text.as_bytes(), quotes),
        Value::Bytes(bytes) => bytes_node(bytes, quotes),
        Value::List(list) => {
            let characters: Option<String> = list.iter().map(printable_item).collect();
            match characters {
                Some(text) if quotes.is_some() && !text.is_empty() => plain_node(quoted(&text)),
                _ if list.is_empty() => plain_node("[]".to_owned()),
                _ => {
                    let nodes: Vec<Node> = list.iter().map(|item| node(item, quotes)).collect();
                    let length = nodes.iter().map(|node| node.length + 1).sum::<usize>() + 1;
                    Node {
                        kind: Kind::List(nodes),
                        length,
                    }
                }
            }
        }
        Value::Object(entries) if entries.is_empty() => plain_node("#{}".to_owned()),
        Value::Object(entries) => {
            let pair = |(name, value): &(_, _)| {
                (
                    node(&Value::Text(std::borrow::Cow::clone(name)), quotes),
                    node(value, quotes),
                )
            };
            let pairs: Vec<(Node, Node)> = entries.iter().rev().map(pair).collect();
            let length = pairs.iter().map(|pair| pair_length(pair) + 1).sum::<usize>() + 2;
            Node {
                kind: Kind::Map(pairs),
                length,
            }
        }
        // Numbers and words are the same as in JSON.
        value => plain_node(value.to_json()),
    }
}

fn plain_node(text: String) -> Node {
    Node {
        length: text.chars().count(),
        kind: Kind::Plain(text),
    }
}

fn bytes_node(bytes: &[u8], quotes: Option<Quotes>) -> Node {
    if bytes.is_empty() {
        return plain_node("<<>>".to_owned());
    }
    if let Some(quotes) = quotes {
        let text = str::from_utf8(bytes)
            .ok()
            .filter(|text| quotes.in_utf8 && text.chars().all(is_printable));
        if let Some(text) = text {
            let kind = if text.is_ascii() { "" } else { "/utf8" };
            return plain_node(format!("<<{}{kind}>>", quoted(text)));
        }
        let text = latin1(bytes);
        if text.chars().all(is_printable) {
            return plain_node(format!("<<{}>>", quoted(&text)));
        }
    }
    let digits: usize = bytes.iter().map(|byte| byte.to_string().len() + 1).sum();
    Node {
        kind: Kind::Bytes(bytes.to_vec()),
        length: digits + 3,
    }
}

/// A character that Erlang prints by default: those of Latin-1 but most control characters.
fn is_printable(c: char) -> bool {
    matches!(u32::from(c), 8..=13 | 27 | 32..=126 | 160..=255)
}

fn printable_item(value: &Value<'_>) -> Option<char> {
    let Value::Integer(number) = value else { return None };
    char::from_u32(u32::try_from(*number).ok()?).filter(|c| is_printable(*c))
}

fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\u{1b}' => out.push_str("\\e"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn pair_length((name, value): &(Node, Node)) -> usize {
    name.length + " => ".len() + value.length
}

impl Node {
    /// Appends the text on one line.
    fn push(&self, out: &mut String) {
        match &self.kind {
            Kind::Plain(text) => out.push_str(text),
            Kind::List(nodes) => {
                out.push('[');
                for (at, node) in nodes.iter().enumerate() {
                    out.push_str(if at > 0 { "," } else { "" });
                    node.push(out);
                }
                out.push(']');
            }
            Kind::Map(pairs) => {
                out.push_str("#{");
                for (at, pair) in pairs.iter().enumerate() {
                    out.push_str(if at > 0 { "," } else { "" });
                    push_pair(out, pair);
                }
                out.push('}');
            }
            Kind::Bytes(bytes) => {
                let bytes: Vec<String> = bytes.iter().map(u8::to_string).collect();
                out.push_str(&format!("<<{}>>", bytes.join(",")));
            }
        }
    }

    fn is_plain(&self) -> bool {
        matches!(self.kind, Kind::Plain(_))
    }
}

fn push_pair(out: &mut String, (name, value): &(Node, Node)) {
    name.push(out);
    out.push_str(" => ");
    value.push(out);
}

/// Formats a float with as few digits as possible, as Erlang prints it: `1.0e3`, `100.0`, `1.0e-4`.
fn shortest(number: f64) -> String {
    let scientific = format!("{number:e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    let point = if mantissa.contains('.') { "" } else { ".0" };
    let scientific = format!("{mantissa}{point}e{exponent}");
    if number.abs() >= (1_u64 << 53) as f64 {
        return scientific;
    }
    // Display never writes an exponent.
    let decimal = format!("{number}");
    let decimal = if decimal.contains('.') { decimal } else { decimal + ".0" };
    if decimal.len() <= scientific.len() {
        decimal
    } else {
        scientific
    }
}
