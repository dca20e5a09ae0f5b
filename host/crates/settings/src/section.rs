//! The checked reader: one table of settings, of which one key after the other is read.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::place::join;
use super::{Place, Problem, Report, Setting, Table, Value};

/// A table being read. A key is known because it is read, so there is no second list of keys: the keys that are still
/// unread when the section is dropped are reported as unknown ([`UnknownKeys`](super::UnknownKeys)).
///
/// The methods for a type take the key, its default and its bounds. A wrong value is reported, and the default is
/// returned so that reading goes on.
#[derive(Debug)]
pub struct Section<'r> {
    report: &'r Report,
    place: Place,
    /// The name of the table among all settings, such as `destinations.main.tls`.
    path: String,
    table: Table,
    known: Vec<String>,
}

impl<'r> Section<'r> {
    /// A whole configuration, given at a place.
    pub fn root(report: &'r Report, place: Place, table: Table) -> Section<'r> {
        let (path, known) = Default::default();
        Section {
            report,
            place,
            path,
            table,
            known,
        }
    }

    /// The report that this section adds to.
    pub fn report(&self) -> &'r Report {
        self.report
    }

    /// Where the table was given; for a table that was not given, where it would be.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Adds a mistake.
    pub fn problem(&self, problem: Problem) {
        self.report.add_problem(problem);
    }

    /// Adds a warning.
    pub fn warning(&self, warning: Problem) {
        self.report.add_warning(warning);
    }

    /// Adds a mistake of a value that has been read; nothing if the key was not given, because defaults are right.
    pub fn problem_of(&self, key: &str, text: &str) {
        if let Some(setting) = self.given(key) {
            self.report.problem(&setting.place, text);
        }
    }

    /// Whether a key is given and has not been taken.
    pub fn is_given(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// What is given for a key, unread and unchecked.
    pub fn given(&self, key: &str) -> Option<&Setting> {
        self.table.get(key)
    }

    fn know(&mut self, key: &str, is_table: bool) {
        self.known.push(key.to_owned());
        self.report.known_key(join(&self.path, key), is_table);
    }

    /// Takes a key as it is given.
    pub fn take(&mut self, key: &str) -> Option<Setting> {
        self.know(key, false);
        self.table.remove(key)
    }

    /// Takes a key that has two names; the first one wins.
    pub fn take_either(&mut self, key: &str, other: &str) -> Option<Setting> {
        let (first, second) = (self.take(key), self.take(other));
        first.or(second)
    }

    /// A table that is one setting and not settings by settings, as it is given. Only a file can give one; a value in a
    /// file that is not a table is returned as well.
    pub fn whole_table(&mut self, key: &str) -> Option<&Setting> {
        self.know(key, true);
        let setting = self.table.get(key)?;
        if setting.is_untyped() {
            self.report
                .problem(&setting.place, "is a table, which only a file can give");
            return None;
        }
        Some(setting)
    }

    /// Takes all unread keys, as they are given.
    pub fn rest(&mut self) -> Table {
        let is_known = |name: &String, _: &mut Setting| !self.known.contains(name);
        self.table.extract_if(.., is_known).collect()
    }

    /// The table below a key; empty if it is not given, and reported if it is not a table.
    pub fn section(&mut self, key: &str) -> Section<'r> {
        let place = self.place.below(key);
        self.section_if_given(key).unwrap_or_else(|| Section {
            report: self.report,
            place,
            path: join(&self.path, key),
            table: Table::new(),
            known: Vec::new(),
        })
    }

    /// The table below a key, if it is given and is one.
    pub fn section_if_given(&mut self, key: &str) -> Option<Section<'r>> {
        self.known.push(key.to_owned());
        let setting = self.table.remove(key)?;
        Section::at(self.report, join(&self.path, key), setting)
    }

    /// All unread tables, by name.
    pub fn sections(&mut self) -> Vec<(String, Section<'r>)> {
        let mut sections = Vec::new();
        for (name, setting) in self.rest() {
            let path = join(&self.path, &name);
            self.report.known_key(path.clone(), true);
            let section = Section::at(self.report, path, setting);
            sections.extend(section.map(|section| (name, section)));
        }
        sections
    }

    /// A setting as a section of its own, named by its key. Reports a setting that is not a table.
    pub fn of(report: &'r Report, setting: Setting) -> Option<Section<'r>> {
        let path = setting.place.key.clone();
        Section::at(report, path, setting)
    }

    fn at(report: &'r Report, path: String, setting: Setting) -> Option<Section<'r>> {
        let Value::Table(table) = setting.value else {
            report.add_problem(setting.mismatch("a table"));
            return None;
        };
        Some(Section {
            report,
            place: setting.place,
            path,
            table,
            known: Vec::new(),
        })
    }

    /// Takes keys that have no meaning here, each with the reason.
    pub fn ignore(&mut self, reasons: &[(&str, &str)]) {
        for (key, reason) in reasons {
            if let Some(setting) = self.take(key) {
                self.report.ignored(&setting.place, *reason);
            }
        }
    }

    /// A value with its place, as `read` converts it; `None` if it is not given or wrong.
    pub fn optional<T>(&mut self, key: &str, read: impl FnOnce(&Setting) -> Result<T, Problem>) -> Option<(Place, T)> {
        self.know(key, false);
        let setting = self.table.get(key)?;
        if let (Value::Table(table), true) = (&setting.value, setting.place.is_variable()) {
            // A variable with one name too many.
            let name = table.keys().next().map_or("", String::as_str);
            let path = join(&join(&self.path, key), name);
            self.report.unknown_key(&setting.place, &path, key, &self.known);
            return None;
        }
        let value = self.report.check(read(setting))?;
        Some((setting.place.clone(), value))
    }

    fn or_default<T>(&mut self, key: &str, default: T, read: impl FnOnce(&Setting) -> Result<T, Problem>) -> T {
        self.optional(key, read).map_or(default, |(_, value)| value)
    }

    /// A duration.
    pub fn duration(&mut self, key: &str, default: Duration, bounds: RangeInclusive<Duration>) -> Duration {
        self.or_default(key, default, |setting| setting.duration(bounds))
    }

    /// A duration of whole seconds, at most 65,535, as MQTT counts some.
    pub fn seconds(&mut self, key: &str, default: u16) -> u16 {
        let bounds = Duration::ZERO..=Duration::from_secs(u64::from(u16::MAX));
        let duration = self.duration(key, Duration::from_secs(u64::from(default)), bounds);
        if duration.subsec_nanos() != 0 {
            self.problem_of(key, "should be whole seconds, as MQTT counts");
        }
        // The bounds leave nothing that does not fit.
        u16::try_from(duration.as_secs()).unwrap_or(u16::MAX)
    }

    /// A number of bytes.
    pub fn size(&mut self, key: &str, default: usize, bounds: RangeInclusive<usize>) -> usize {
        self.or_default(key, default, |setting| setting.size(bounds))
    }

    /// A whole number.
    pub fn integer<T: TryFrom<i64>>(&mut self, key: &str, default: T, bounds: RangeInclusive<i64>) -> T {
        self.or_default(key, default, |setting| setting.integer(bounds))
    }

    /// A number.
    pub fn number(&mut self, key: &str, default: f64, bounds: RangeInclusive<f64>) -> f64 {
        self.or_default(key, default, |setting| setting.number(bounds))
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, key: &str, default: bool) -> bool {
        self.or_default(key, default, Setting::boolean)
    }

    /// The value that belongs to one of some names.
    pub fn choice<T: Copy>(&mut self, key: &str, default: T, choices: &[(&str, T)]) -> T {
        self.or_default(key, default, |setting| setting.choice(choices))
    }

    /// A string, turned into what `read` makes of it.
    pub fn text<T>(&mut self, key: &str, default: T, read: impl FnOnce(&str) -> Result<T, String>) -> T {
        self.or_default(key, default, |setting| setting.parse(read))
    }

    /// An address with a port.
    pub fn address(&mut self, key: &str, default: SocketAddr) -> SocketAddr {
        let expected = "should be an address with a port, such as \"127.0.0.1:1883\" or \"[::]:1883\"";
        self.text(key, default, |text| {
            text.trim().parse().map_err(|_| expected.to_owned())
        })
    }

    /// A path that is not empty.
    pub fn path(&mut self, key: &str) -> Option<PathBuf> {
        self.text(key, None, |text| match text {
            "" => Err("is empty".to_owned()),
            text => Ok(Some(PathBuf::from(text))),
        })
    }

    /// A list of strings, each checked by `read`, with the place of the list; `None` if it is not given. Each bad
    /// element is a problem of its own.
    pub fn list<T>(&mut self, key: &str, read: impl Fn(&str) -> Result<T, String>) -> Option<(Place, Vec<T>)> {
        self.elements(key, false, read)
    }

    /// As [`list`](Section::list); a file may also give one string, which is separated at blanks.
    pub fn texts<T>(&mut self, key: &str, read: impl Fn(&str) -> Result<T, String>) -> Option<(Place, Vec<T>)> {
        self.elements(key, true, read)
    }

    fn elements<T>(
        &mut self,
        key: &str,
        single: bool,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<(Place, Vec<T>)> {
        let report = self.report;
        self.optional(key, |setting| {
            let (values, problems) = setting.texts(single, read);
            problems.into_iter().for_each(|problem| report.add_problem(problem));
            Ok(values)
        })
    }
}

impl Drop for Section<'_> {
    fn drop(&mut self) {
        for (key, setting) in self.rest() {
            match setting.value {
                // A whole unknown section: its keys suggest the one that was meant.
                Value::Table(table) if self.path.is_empty() && !table.is_empty() => {
                    for (inner, setting) in table {
                        let key = join(&key, &inner);
                        self.report.unknown_key(&setting.place, &key, &key, &self.known);
                    }
                }
                _ => {
                    let path = join(&self.path, &key);
                    self.report.unknown_key(&setting.place, &path, &key, &self.known);
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "section_tests.rs"]
mod tests;
