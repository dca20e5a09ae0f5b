//! Values in Erlang's notation, as its `io_lib:format` writes them for `~w` and `~p`.
//!
//! A value becomes a [`Node`], which knows the length of its text on one line. [`pretty`] breaks what is longer than a line.
//! Texts here have one character for each byte, as Erlang's Latin-1.

use crate::value::Value;

/// Columns that the values of objects are indented by, below their name.
const VALUE_INDENT: usize = 4;

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

/// Breaks values into lines.
struct Printer {
    line_length: usize,
    /// Length of the whole value on one line.
    total: usize,
}

/// Where a value is written.
#[derive(Clone, Copy)]
struct Place {
    column: usize,
    /// Blanks at the beginning of further lines.
    indent: usize,
    /// Brackets that follow on the same line.
    closing: usize,
    /// Characters in front of the value since the last line break.
    width: usize,
}

impl Place {
    /// The place `by` characters further, where further lines are indented as much.
    fn inside(self, by: usize, width: usize) -> Place {
        Place {
            column: self.column + by,
            indent: self.indent + by,
            width: self.width + width,
            ..self
        }
    }
}

impl Printer {
    /// Whether a length is less than what is left of the line.
    fn fits(&self, length: usize, place: Place) -> bool {
        length + place.column + place.closing < self.line_length && length + place.width + place.closing <= self.total
    }

    fn node(&self, node: &Node, place: Place) -> String {
        let mut out = String::new();
        if self.fits(node.length, place) {
            node.push(&mut out);
            return out;
        }
        match &node.kind {
            Kind::Plain(text) => out.push_str(text),
            Kind::List(nodes) => {
                out.push('[');
                self.sequence(&mut out, nodes, place.inside(1, 1), &ListItems);
                out.push(']');
            }
            Kind::Map(pairs) => {
                out.push_str("#{");
                self.sequence(&mut out, pairs, place.inside(2, 1), &MapItems);
                out.push('}');
            }
            Kind::Bytes(bytes) => self.bytes(&mut out, bytes, place.inside(2, 0)),
        }
        out
    }

    /// Items with commas between them, as many on a line as fit. An item that is not plain begins and ends a line.
    fn sequence<I>(&self, out: &mut String, items: &[I], begin: Place, kind: &dyn Items<I>) {
        let mut place = begin;
        for (at, item) in items.iter().enumerate() {
            place.closing = if at + 1 == items.len() { begin.closing + 1 } else { 0 };
            let length = kind.length(item);
            if at > 0 {
                let comma = Place {
                    column: place.column + 1,
                    closing: place.closing.max(1),
                    ..place
                };
                let comma = Place {
                    width: place.width + 1,
                    ..comma
                };
                if kind.is_plain(item) && self.fits(length, comma) {
                    out.push(',');
                    kind.push(out, item);
                    place.column += length + 1;
                    place.width += length + 1;
                    continue;
                }
                out.push_str(",\n");
                out.extend(std::iter::repeat_n(' ', begin.indent));
                place = Place {
                    column: begin.column,
                    width: 0,
                    ..place
                };
            }
            let written = kind.write(self, out, item, place);
            place.column = begin.column + written;
            place.width = kind.width(at, place.width, written);
        }
    }

    fn bytes(&self, out: &mut String, bytes: &[u8], place: Place) {
        let room = self
            .line_length
            .saturating_sub(place.column)
            .min(self.total.saturating_sub(4 + place.width));
        let room = room.saturating_sub(place.closing).max(8);
        let mut left = room;
        out.push_str("<<");
        for (at, byte) in bytes.iter().enumerate() {
            let comma = if at + 1 < bytes.len() { "," } else { "" };
            let text = format!("{byte}{comma}");
            if text.len() > left {
                out.push('\n');
                out.extend(std::iter::repeat_n(' ', place.indent));
                left = room;
            }
            left = left.saturating_sub(text.len());
            out.push_str(&text);
        }
        out.push_str(">>");
    }
}

/// The items of a list or an object.
trait Items<I> {
    fn length(&self, item: &I) -> usize;
    fn is_plain(&self, item: &I) -> bool;
    fn push(&self, out: &mut String, item: &I);
    /// Writes an item, if needed on several lines; returns how far it fills its line.
    fn write(&self, printer: &Printer, out: &mut String, item: &I, place: Place) -> usize;
    /// The characters on the line behind an item.
    fn width(&self, at: usize, before: usize, written: usize) -> usize;
}

struct ListItems;

impl Items<Node> for ListItems {
    fn length(&self, node: &Node) -> usize {
        node.length
    }

    fn is_plain(&self, node: &Node) -> bool {
        node.is_plain()
    }

    fn push(&self, out: &mut String, node: &Node) {
        node.push(out);
    }

    fn write(&self, printer: &Printer, out: &mut String, node: &Node, place: Place) -> usize {
        out.push_str(&printer.node(node, place));
        // Nothing follows an item that is not plain on its last line.
        if node.is_plain() && printer.fits(node.length, place) {
            node.length
        } else {
            printer.line_length
        }
    }

    fn width(&self, at: usize, before: usize, written: usize) -> usize {
        if at == 0 { before + written } else { written }
    }
}

struct MapItems;

impl Items<(Node, Node)> for MapItems {
    fn length(&self, pair: &(Node, Node)) -> usize {
        pair_length(pair)
    }

    fn is_plain(&self, (name, value): &(Node, Node)) -> bool {
        name.is_plain() && value.is_plain()
    }

    fn push(&self, out: &mut String, pair: &(Node, Node)) {
        push_pair(out, pair);
    }

    fn write(&self, printer: &Printer, out: &mut String, pair: &(Node, Node), place: Place) -> usize {
        if printer.fits(pair_length(pair), place) {
            push_pair(out, pair);
            return if self.is_plain(pair) {
                pair_length(pair)
            } else {
                printer.line_length
            };
        }
        let (name, value) = pair;
        let below = Place {
            width: 0,
            ..place.inside(VALUE_INDENT, 0)
        };
        out.push_str(&printer.node(name, place));
        out.push_str(" =>\n");
        out.extend(std::iter::repeat_n(' ', below.indent));
        out.push_str(&printer.node(value, below));
        printer.line_length
    }

    fn width(&self, _at: usize, _before: usize, written: usize) -> usize {
        written
    }
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
