//! Splits a statement into its clauses.

use crate::error::SqlError;
use crate::parser::Parser;
use crate::syntax::{Condition, Select};
use crate::token::{Kind, joined};

/// A statement `SELECT … FROM … WHERE …` or `FOREACH … DO … INCASE … FROM … WHERE …` with valid clauses.
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
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// The text between SELECT and FROM, or the text from FOREACH to FROM; [`Select::parse`] reads it.
    pub select: String,
    /// The entries of FROM, without quotes.
    pub from: Vec<String>,
    /// The text after WHERE, if there is a WHERE clause; [`Condition::parse`] reads it.
    pub condition: Option<String>,
    parsed: (Select, Option<Condition>),
}

impl Statement {
    /// Parses a statement. Keywords may be upper or lower case. A comment starts with `--` and ends with the line.
    ///
    /// # Errors
    ///
    /// The first syntax error, with its place.
    pub fn parse(text: &str) -> Result<Statement, SqlError> {
        let text = joined(text);
        let mut parser = Parser::new(&text)?;
        let first = parser.peek().clone();
        let (select, begin) = if parser.take_keyword("FOREACH") {
            (parser.foreach()?, first)
        } else if parser.take_keyword("SELECT") {
            let begin = parser.peek().clone();
            (parser.select()?, begin)
        } else {
            return Err(parser.error(&first, "SELECT or FOREACH was expected"));
        };
        let select_text = parser.slice(&begin).to_owned();
        if !parser.take_keyword("FROM") {
            return Err(parser.unexpected("`,` or FROM"));
        }
        let mut from = vec![entry(&mut parser)?];
        while parser.take_sign(",") {
            from.push(entry(&mut parser)?);
        }
        let mut condition = None;
        let mut condition_text = None;
        if parser.take_keyword("WHERE") {
            let begin = parser.peek().clone();
            condition = Some(parser.condition()?);
            condition_text = Some(parser.slice(&begin).to_owned());
        }
        parser.end(match condition {
            Some(_) => "`and`, `or` or the end of the statement",
            None => "`,`, WHERE or the end of the statement",
        })?;
        Ok(Statement {
            select: select_text,
            from,
            condition: condition_text,
            parsed: (select, condition),
        })
    }

    /// Warnings about parts that are valid and hardly meant, such as a text in double quotes or a function that does not
    /// exist. `is_column` tells whether events have a column of a name.
    pub fn warnings<'s>(&'s self, is_column: &'s dyn Fn(&str) -> bool) -> impl Iterator<Item = &'s SqlError> {
        let (select, condition) = &self.parsed;
        let of_condition = condition
            .iter()
            .flat_map(move |condition| condition.warnings(is_column));
        select.warnings(is_column).chain(of_condition)
    }
}

/// Parses an entry of FROM: a text in quotes or a word.
fn entry(parser: &mut Parser<'_>) -> Result<String, SqlError> {
    let expected = "a topic filter or an event topic in quotes, such as \"t/#\" or \"$events/client_connected\",";
    let entry = match &parser.peek().kind {
        Kind::Quoted(text) | Kind::Text(text) | Kind::Word(text) => text.clone(),
        _ => return Err(parser.unexpected(expected)),
    };
    parser.next();
    Ok(entry)
}
