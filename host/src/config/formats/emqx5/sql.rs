//! The SQL of a rule, in its three clauses.

/// `SELECT … FROM … WHERE …`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statement {
    /// None: everything.
    pub(super) select: Option<String>,
    pub(super) from: Vec<String>,
    pub(super) condition: Option<String>,
}

/// Splits a statement into its clauses.
pub(super) fn statement(sql: &str) -> Result<Statement, String> {
    let quoted = || sql.split_whitespace().collect::<Vec<_>>().join(" ");
    let expected = "SELECT … FROM \"topic\", … with an optional WHERE … is supported";
    let refuse = |why: &str| Err(format!("{why} in `{}`: {expected}", quoted()));
    let words = keywords(sql);
    let place = |word: &str| words.iter().find(|(_, known)| known == word).map(|(at, _)| *at);
    if place("foreach").is_some() {
        return refuse("FOREACH is not supported");
    }
    let (Some(select), Some(from)) = (place("select"), place("from")) else {
        return refuse("SELECT or FROM is missing");
    };
    if sql.get(..select).is_some_and(|before| !before.trim().is_empty()) || from < select {
        return refuse("SELECT is not the first word");
    }
    let condition = place("where").filter(|at| *at > from);
    let part = |start: usize, end: usize| {
        sql.get(start..end)
            .unwrap_or_default()
            .trim()
            .trim_end_matches(';')
            .trim()
    };
    let columns = part(select + 6, from);
    let topics = part(from + 4, condition.unwrap_or(sql.len()));
    let condition = condition.map(|at| part(at + 5, sql.len()).to_owned());
    if columns.is_empty() || topics.is_empty() || condition.as_deref() == Some("") {
        return refuse("a clause is empty");
    }
    let mut list = Vec::new();
    for topic in split(topics) {
        let topic = topic.trim();
        let inner = ['"', '\'']
            .iter()
            .find_map(|quote| topic.strip_prefix(*quote)?.strip_suffix(*quote));
        let topic = inner.unwrap_or(topic);
        if topic.is_empty() || topic.contains(['"', '\'']) || (inner.is_none() && topic.contains(char::is_whitespace)) {
            return refuse("the list after FROM is wrong");
        }
        list.push(topic.to_owned());
    }
    Ok(Statement {
        select: (columns != "*").then(|| columns.to_owned()),
        from: list,
        condition,
    })
}

/// The key words outside of quotes and parentheses, in lower case, and where they begin.
fn keywords(sql: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let (mut quote, mut depth, mut word): (Option<char>, usize, Option<usize>) = (None, 0, None);
    for (at, c) in sql.char_indices().chain([(sql.len(), ' ')]) {
        let part_of_word = quote.is_none() && (c.is_alphanumeric() || matches!(c, '_' | '.'));
        match (part_of_word, word) {
            (true, None) => word = Some(at),
            (false, Some(start)) => {
                let text = sql.get(start..at).unwrap_or_default().to_ascii_lowercase();
                if depth == 0 && ["select", "from", "where", "foreach"].contains(&text.as_str()) {
                    found.push((start, text));
                }
                word = None;
            }
            _ => {}
        }
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            (None, '(') => depth += 1,
            (None, ')') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    found
}

/// The parts between commas outside of quotes.
fn split(list: &str) -> Vec<&str> {
    let mut quote = None;
    list.split(|c: char| {
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            _ => {}
        }
        c == ',' && quote.is_none()
    })
    .collect()
}
