//! Splits a statement into its clauses.

use std::borrow::Cow;

use super::error::SqlError;
use super::parser::{Parser, is_reserved};
use super::source::Source;
use super::token::Kind;

/// A statement `SELECT … FROM … WHERE …` with valid clauses.
///
/// ```
/// use hookhost_webhook::RuleKey;
/// use hookhost_webhook::sql::{Source, Statement};
///
/// let sql = r#"SELECT payload.t as temp, clientid FROM "t/#", "$events/client_connected" WHERE payload.t > 30"#;
/// let statement = Statement::parse(sql).unwrap();
/// assert_eq!(statement.select, "payload.t as temp, clientid");
/// assert_eq!(statement.from, ["t/#", "$events/client_connected"]);
/// assert_eq!(statement.condition, Some("payload.t > 30"));
/// assert_eq!(statement.sources(), [Source::Topic("t/#"), Source::Event(RuleKey::ClientConnected)]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement<'t> {
    /// The text between SELECT and FROM; `select` of a rule.
    pub select: &'t str,
    /// The entries of FROM, without quotes.
    pub from: Vec<Cow<'t, str>>,
    /// The text after WHERE, if there is a WHERE clause; `where` of a rule.
    pub condition: Option<&'t str>,
}

impl<'t> Statement<'t> {
    /// Parses a statement. Keywords may be upper or lower case. A comment starts with `--` and ends with the line.
    ///
    /// # Errors
    ///
    /// The first syntax error, or the first thing that is not supported, with its place.
    pub fn parse(text: &'t str) -> Result<Statement<'t>, SqlError> {
        let mut parser = Parser::new(text)?;
        let first = parser.next();
        if first.is_word("foreach") {
            return Err(parser.error(&first, "FOREACH is not supported; SELECT … FROM … WHERE … is"));
        }
        if !first.is_word("select") {
            return Err(parser.error(&first, "SELECT was expected"));
        }
        let begin = parser.peek().clone();
        parser.select()?;
        let select = parser.slice(&begin);
        if !parser.take_word("from") {
            return Err(parser.error(parser.peek(), "`,` or FROM was expected"));
        }
        let mut from = vec![entry(&mut parser)?];
        while parser.take_sign(",") {
            from.push(entry(&mut parser)?);
        }
        let mut condition = None;
        if parser.take_word("where") {
            let begin = parser.peek().clone();
            parser.condition()?;
            condition = Some(parser.slice(&begin));
        }
        let wanted = if condition.is_some() {
            "`and`, `or` or the end of the statement"
        } else {
            "`,`, WHERE or the end of the statement"
        };
        while parser.take_sign(";") {}
        parser.end(wanted, "SELECT … FROM … WHERE … is supported")?;
        Ok(Statement {
            select,
            from,
            condition,
        })
    }

    /// The sources of all entries of FROM, without duplicates.
    pub fn sources(&self) -> Vec<Source<'_>> {
        let mut sources = Vec::new();
        for source in self.from.iter().flat_map(|entry| Source::of(entry)) {
            if !sources.contains(&source) {
                sources.push(source);
            }
        }
        sources
    }
}

/// Parses an entry of FROM: a text in double quotes or a word.
fn entry<'t>(parser: &mut Parser<'t>) -> Result<Cow<'t, str>, SqlError> {
    let token = parser.next();
    let inner = parser.slice(&token);
    match token.kind {
        Kind::Quoted(text) => {
            let plain = inner.get(1..inner.len().saturating_sub(1)).filter(|plain| *plain == text);
            Ok(plain.map_or(Cow::Owned(text), Cow::Borrowed))
        }
        Kind::Word(word) if !is_reserved(&word) => Ok(Cow::Borrowed(inner)),
        _ => Err(parser.error(
            &token,
            "a topic filter or an event topic in double quotes was expected, such as \"t/#\" or \"$events/client_connected\"",
        )),
    }
}
