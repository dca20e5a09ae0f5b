//! Splits a statement into its clauses.

use super::error::SqlError;
use super::parser::{Parser, is_reserved};
use super::token::Kind;

/// A statement `SELECT … FROM … WHERE …` with valid clauses.
///
/// ```
/// use hookhost_sql::Statement;
///
/// let sql = r#"SELECT payload.t as temp, clientid FROM "t/#", "$events/client_connected" WHERE payload.t > 30"#;
/// let statement = Statement::parse(sql).unwrap();
/// assert_eq!(statement.select, "payload.t as temp, clientid");
/// assert_eq!(statement.from, ["t/#", "$events/client_connected"]);
/// assert_eq!(statement.condition.as_deref(), Some("payload.t > 30"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The text between SELECT and FROM; `select` of a rule.
    pub select: String,
    /// The entries of FROM, without quotes.
    pub from: Vec<String>,
    /// The text after WHERE, if there is a WHERE clause; `where` of a rule.
    pub condition: Option<String>,
}

impl Statement {
    /// Parses a statement. Keywords may be upper or lower case. A comment starts with `--` and ends with the line.
    ///
    /// # Errors
    ///
    /// The first syntax error, or the first thing that is not supported, with its place.
    pub fn parse(text: &str) -> Result<Statement, SqlError> {
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
        let select = parser.slice(&begin).to_owned();
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
            condition = Some(parser.slice(&begin).to_owned());
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
}

/// Parses an entry of FROM: a text in double quotes or a word.
fn entry(parser: &mut Parser<'_>) -> Result<String, SqlError> {
    let token = parser.next();
    match token.kind {
        Kind::Quoted(text) => Ok(text),
        Kind::Word(word) if !is_reserved(&word) => Ok(word),
        _ => Err(parser.error(
            &token,
            "a topic filter or an event topic in double quotes was expected, such as \"t/#\" or \"$events/client_connected\"",
        )),
    }
}
