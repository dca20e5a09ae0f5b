//! Parses clauses by recursive descent.
//!
//! The grammar is the one of EMQX's rule SQL: what EMQX refuses is refused here, and what it accepts and can never evaluate
//! is accepted with a warning. Comparisons, AND and OR belong to conditions and to fields, not to parentheses in
//! expressions; CASE is a field or an argument.

mod clause;
mod condition;
mod expression;

use crate::error::SqlError;
use crate::syntax::{Condition, Select, Warnings};
use crate::token::{Kind, Token, joined, tokens};

/// Maximum nesting of parentheses, lists, calls, CASE and NOT.
const MAX_DEPTH: usize = 64;

impl Select {
    /// Parses a clause: what follows SELECT, or FOREACH with DO and INCASE.
    ///
    /// ```
    /// use hookhost_sql::Select;
    ///
    /// assert!(Select::parse("payload.temp as t, upper(clientid) as c").is_ok());
    /// assert!(Select::parse("FOREACH payload.sensors as s DO s.id as id INCASE s.temp > 30").is_ok());
    /// ```
    ///
    /// # Errors
    ///
    /// The first syntax error.
    pub fn parse(text: &str) -> Result<Select, SqlError> {
        let text = joined(text);
        let mut parser = Parser::new(&text)?;
        let select = match parser.take_keyword("FOREACH") {
            true => parser.foreach()?,
            false => parser.select()?,
        };
        parser.end("`,` or the end of the clause")?;
        Ok(select)
    }
}

impl Condition {
    /// Parses the clause without the word WHERE.
    ///
    /// # Errors
    ///
    /// The first syntax error.
    pub fn parse(text: &str) -> Result<Condition, SqlError> {
        let text = joined(text);
        let mut parser = Parser::new(&text)?;
        let condition = parser.condition()?;
        parser.end("`and`, `or` or the end of the clause")?;
        Ok(condition)
    }
}

/// Parses the tokens of a text.
pub(crate) struct Parser<'t> {
    text: &'t str,
    tokens: Vec<Token>,
    at: usize,
    /// The nesting that is left.
    depth: usize,
    /// Whether there is a call of one of [`functions::LARGE`](crate::functions::LARGE).
    calls_large: bool,
    warnings: Warnings,
}

impl<'t> Parser<'t> {
    /// A parser of a text that [`joined`] returned.
    pub(crate) fn new(text: &'t str) -> Result<Parser<'t>, SqlError> {
        Ok(Parser {
            text,
            tokens: tokens(text)?,
            at: 0,
            depth: MAX_DEPTH,
            calls_large: false,
            warnings: Warnings::default(),
        })
    }

    pub(crate) fn peek(&self) -> &Token {
        static END: Token = Token {
            kind: Kind::End,
            place: usize::MAX..usize::MAX,
        };
        self.tokens.get(self.at).or(self.tokens.last()).unwrap_or(&END)
    }

    pub(crate) fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at += 1;
        token
    }

    pub(crate) fn take_keyword(&mut self, keyword: &str) -> bool {
        let is = self.peek().is_keyword(keyword);
        self.at += usize::from(is);
        is
    }

    pub(crate) fn take_sign(&mut self, sign: &str) -> bool {
        let is = self.peek().is_sign(sign);
        self.at += usize::from(is);
        is
    }

    /// Takes a sign or a keyword that must be next.
    fn expect(&mut self, sign: &str, expected: &str) -> Result<(), SqlError> {
        match self.take_sign(sign) || self.take_keyword(sign) {
            true => Ok(()),
            false => Err(self.unexpected(expected)),
        }
    }

    /// Parses something that is nested one level deeper.
    fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T, SqlError>) -> Result<T, SqlError> {
        let Some(depth) = self.depth.checked_sub(1) else {
            let what = format!("more than {MAX_DEPTH} parentheses, lists, calls, CASE and `not` inside each other");
            return Err(self.error(self.peek(), what));
        };
        self.depth = depth;
        let parsed = parse(self)?;
        self.depth += 1;
        Ok(parsed)
    }

    /// The text from the start of a token to the end of the token before the current one.
    pub(crate) fn slice(&self, from: &Token) -> &'t str {
        let before = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        let end = before.map_or(0, |token| token.place.end);
        self.text.get(from.place.start..end).unwrap_or_default()
    }

    pub(crate) fn error(&self, token: &Token, what: impl Into<String>) -> SqlError {
        SqlError::new(self.text, token.place.clone(), what)
    }

    /// The error for the current token.
    pub(crate) fn unexpected(&self, expected: &str) -> SqlError {
        let token = self.peek();
        let before = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        let is_operand = before.is_some_and(|before| {
            matches!(
                before.kind,
                Kind::Word(_) | Kind::Quoted(_) | Kind::Text(_) | Kind::Number(_) | Kind::Sign(")" | "]")
            )
        });
        let is_negative = self
            .text
            .get(token.place.start..)
            .is_some_and(|rest| rest.starts_with('-'));
        let what = match &token.kind {
            Kind::Number(_) if is_operand && is_negative => {
                "this is a negative number: write a blank after the minus sign for a difference".to_owned()
            }
            Kind::Keyword(keyword) if expected.contains("a name") || expected.contains("a column") => {
                format!("{expected} was expected; {keyword} is a keyword, and a name like it is written in quotes")
            }
            _ => format!("{expected} was expected"),
        };
        self.error(token, what)
    }

    /// Checks that no token is left.
    pub(crate) fn end(&self, expected: &str) -> Result<(), SqlError> {
        match self.peek().kind {
            Kind::End => Ok(()),
            _ => Err(self.unexpected(expected)),
        }
    }

    /// Warns about the text from a token to the current one.
    fn warn(&mut self, from: &Token, what: impl Into<String>) {
        let warning = self.warning(from, what);
        self.warnings.general.push(warning);
    }

    fn warning(&self, from: &Token, what: impl Into<String>) -> SqlError {
        let end = from.place.start + self.slice(from).len();
        SqlError::new(self.text, from.place.start..end, what)
    }
}
