//! Reads JSON without changing the text of values.

/// The end of the JSON value at the start of a text.
fn end(text: &str) -> usize {
    let mut depth = 0;
    let mut bytes = text.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => {
                while let Some((_, byte)) = bytes.next() {
                    match byte {
                        b'\\' => drop(bytes.next()),
                        b'"' => break,
                        _ => {}
                    }
                }
                if depth == 0 {
                    return bytes.next().map_or(text.len(), |(at, _)| at);
                }
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' | b',' if depth == 0 => return at,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    text.len()
}

/// The text of a value in an object.
pub(crate) fn get<'t>(object: &'t str, name: &str) -> Option<&'t str> {
    entries(object)
        .into_iter()
        .find(|(known, _)| *known == name)
        .map(|(_, value)| value)
}

/// The names and the texts of the values of an object.
pub(crate) fn entries(object: &str) -> Vec<(&str, &str)> {
    let pairs = items(object);
    let pairs = pairs.iter().map(|pair| {
        let length = end(pair);
        let (name, rest) = pair.split_at(length);
        (name.trim_matches('"'), rest.trim_start_matches([':', ' ']))
    });
    pairs.collect()
}

/// The texts of the values of a list, or of the pairs of an object.
pub(crate) fn items(list: &str) -> Vec<&str> {
    let mut rest = list.trim();
    rest = rest.strip_prefix(['[', '{']).unwrap_or(rest);
    let mut items = Vec::new();
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if rest.starts_with([']', '}']) || rest.is_empty() {
            return items;
        }
        let mut length = end(rest);
        // The value behind a name.
        if let Some(value) = rest.get(length..).and_then(|rest| rest.strip_prefix(':')) {
            let begin = rest.len() - value.trim_start().len();
            length = begin + end(value.trim_start());
        }
        let (item, further) = rest.split_at(length);
        items.push(item);
        rest = further;
    }
}
