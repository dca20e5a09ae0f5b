//! Lists, with the settings that stand between their elements on NanoMQ's page.

use super::super::raw::{Fields, Item, Raw};
use super::Parser;
use super::cursor::Wrong;

impl Parser<'_, '_, '_> {
    pub(super) fn list(&mut self, depth: usize) -> Result<Vec<Item>, Wrong> {
        let opened = self.cursor.line;
        self.deeper(depth)?;
        self.cursor.next();
        let mut list: Vec<Item> = Vec::new();
        let mut settings = Fields::new();
        loop {
            self.cursor.blanks_and_lines();
            let at = self.at(self.cursor.line);
            match self.cursor.peek() {
                None => return Err((opened, "this [ is never closed".to_owned())),
                Some(']') => {
                    self.cursor.next();
                    break;
                }
                Some(',') => {
                    self.cursor.next();
                }
                Some('}') => return self.cursor.wrong("} closes nothing"),
                Some(_) if self.has_too_many_errors() => {
                    self.cursor.rest = "";
                }
                Some(_) => {
                    let first = settings.is_empty();
                    let read = if self.cursor.at_setting() {
                        self.field(&mut settings, depth + 1)
                    } else {
                        let item = self.value(depth + 1);
                        item.and_then(|item| {
                            list.push(item);
                            self.end_of_entry("a list")
                        })
                    };
                    if let Err(wrong) = read {
                        self.error(wrong);
                        self.cursor.take(|_| true);
                    }
                    if first && !settings.is_empty() {
                        let raw = Raw::Object(Fields::new());
                        list.push(Item { at, raw });
                    }
                }
            }
        }
        // All settings of a list are one of its elements, at the position of the first of them.
        if let Some(first) = settings.values().map(|item| item.at).min() {
            let place = list
                .iter_mut()
                .find(|item| item.at == first && item.raw == Raw::Object(Fields::new()));
            if let Some(place) = place {
                place.raw = Raw::Object(settings);
            }
        }
        Ok(list)
    }
}
