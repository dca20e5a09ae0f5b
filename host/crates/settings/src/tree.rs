//! Tables as trees: settings by their paths, and the merging of sources.

use super::place::join;
use super::{Problem, Setting, Source, Table, Value};

/// The setting at a path, if every name before the last one is a table.
pub fn find<'t>(table: &'t Table, path: &[&str]) -> Option<&'t Setting> {
    let (first, rest) = path.split_first()?;
    let setting = table.get(*first)?;
    match (&setting.value, rest) {
        (_, []) => Some(setting),
        (Value::Table(inner), rest) => find(inner, rest),
        _ => None,
    }
}

/// As [`find`], to be changed.
pub fn find_mut<'t>(table: &'t mut Table, path: &[&str]) -> Option<&'t mut Setting> {
    let (first, rest) = path.split_first()?;
    let setting = table.get_mut(*first)?;
    if rest.is_empty() {
        return Some(setting);
    }
    match &mut setting.value {
        Value::Table(inner) => find_mut(inner, rest),
        _ => None,
    }
}

/// Removes and returns the setting at a path.
pub fn remove(table: &mut Table, path: &[&str]) -> Option<Setting> {
    match path {
        [] => None,
        [name] => table.remove(*name),
        [above @ .., name] => match &mut find_mut(table, above)?.value {
            Value::Table(inner) => inner.remove(*name),
            _ => None,
        },
    }
}

/// Puts a setting at a path. Tables that are missing on the way get its place. A value on the way that is not a table
/// stays; the setting is then put beside it, under the rest of the path joined by dots, where no reader looks for it.
pub fn insert(table: &mut Table, path: &[&str], setting: Setting) {
    let [name, rest @ ..] = path else { return };
    if rest.is_empty() {
        table.insert((*name).to_owned(), setting);
        return;
    }
    let below = table
        .entry((*name).to_owned())
        .or_insert_with(|| Setting::new(setting.place.clone(), Value::Table(Table::new())));
    match &mut below.value {
        Value::Table(inner) => insert(inner, rest, setting),
        _ => drop(table.insert(path.join("."), setting)),
    }
}

/// Merges stronger settings into weaker ones. Two tables of one name are merged, unless `is_whole` is true for their
/// path; anything else is replaced. A table whose keys are numbers replaces elements of a list, or extends it
/// ([`Setting::into_list`]). Names in the environment match regardless of case.
pub fn merge(weaker: &mut Table, stronger: Table, is_whole: &dyn Fn(&str) -> bool) {
    merge_below(weaker, stronger, "", is_whole);
}

fn merge_below(weaker: &mut Table, stronger: Table, path: &str, is_whole: &dyn Fn(&str) -> bool) {
    for (name, setting) in stronger {
        // Variables have names in upper case.
        let is_other_case = setting.place.source == Source::Environment && !weaker.contains_key(&name);
        let same = |known: &&String| known.eq_ignore_ascii_case(&name);
        let known = if is_other_case {
            weaker.keys().find(same).cloned()
        } else {
            None
        };
        let name = known.unwrap_or(name);
        let path = join(path, &name);
        let setting = match weaker.remove(&name) {
            Some(known) if !is_whole(&path) => merged(known, setting, &path, is_whole),
            _ => setting,
        };
        weaker.insert(name, setting);
    }
}

fn merged(weaker: Setting, stronger: Setting, path: &str, is_whole: &dyn Fn(&str) -> bool) -> Setting {
    match (weaker.value, stronger.value) {
        (Value::Table(mut known), Value::Table(more)) => {
            merge_below(&mut known, more, path, is_whole);
            Setting::new(weaker.place, Value::Table(known))
        }
        (Value::List(known), Value::Table(more)) if more.keys().all(|key| index(key).is_some()) => {
            let mut table = indexed(known);
            let number = |(key, setting): (String, Setting)| (index(&key).unwrap_or_default().to_string(), setting);
            merge_below(&mut table, more.into_iter().map(number).collect(), path, is_whole);
            Setting::new(weaker.place, Value::Table(table))
        }
        (_, value) => Setting::new(stronger.place, value),
    }
}

/// The index that a key is: a number from 1, possibly after zeros.
fn index(key: &str) -> Option<usize> {
    let is_number = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| key.parse().ok()).flatten()
}

/// The elements of a list by their indices.
fn indexed(list: Vec<Setting>) -> Table {
    let number = |(index, setting): (usize, Setting)| ((index + 1).to_string(), setting);
    list.into_iter().enumerate().map(number).collect()
}

impl Setting {
    /// Merges a stronger setting into this one, as [`merge`] does.
    pub fn overridden_by(self, stronger: Setting) -> Setting {
        merged(self, stronger, "", &|_| false)
    }

    /// The elements of a list. A table whose keys are the numbers from 1 on is a list as well: configuration files of
    /// EMQX and variables set single elements, such as `actions.1` and `…ACTIONS__1`.
    ///
    /// # Errors
    ///
    /// The value has another type, or a number is missing.
    pub fn into_list(self) -> Result<Vec<Setting>, Problem> {
        let table = match self.value {
            Value::List(list) => return Ok(list),
            Value::Table(table) if !table.is_empty() && table.keys().all(|key| index(key).is_some()) => table,
            _ => return Err(self.mismatch("a list")),
        };
        let mut elements: Vec<(usize, Setting)> = table
            .into_iter()
            .map(|(key, setting)| (index(&key).unwrap_or_default(), setting))
            .collect();
        elements.sort_by_key(|(index, _)| *index);
        let gap = elements.iter().enumerate().find(|(at, (index, _))| at + 1 != *index);
        if let Some((at, (index, setting))) = gap {
            let text = format!(
                "is element {index} of a list, which should have an element {}: counting begins at 1",
                at + 1
            );
            return Err(setting.place.problem(text));
        }
        Ok(elements.into_iter().map(|(_, setting)| setting).collect())
    }
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
