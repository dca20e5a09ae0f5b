//! Breaks a value that is longer than a line, as Erlang's `io_lib_pretty` does.

use super::{Kind, Node, pair_length, push_pair};

/// Columns that the values of objects are indented by, below their name.
const VALUE_INDENT: usize = 4;

/// Breaks values into lines.
pub(super) struct Printer {
    pub(super) line_length: usize,
    /// Length of the whole value on one line.
    pub(super) total: usize,
}

/// Where a value is written.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) column: usize,
    /// Blanks at the beginning of further lines.
    pub(super) indent: usize,
    /// Brackets that follow on the same line.
    pub(super) closing: usize,
    /// Characters in front of the value since the last line break.
    pub(super) width: usize,
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

    pub(super) fn node(&self, node: &Node, place: Place) -> String {
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
