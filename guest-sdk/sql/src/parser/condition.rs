//! Conditions: WHERE, INCASE and WHEN.

use super::Parser;
use crate::error::SqlError;
use crate::syntax::{Comparison, Expression, Test};
use crate::token::{Kind, Token};
use crate::value::Value;

impl Parser<'_> {
    /// A condition.
    pub(super) fn test(&mut self) -> Result<Test, SqlError> {
        let first = self.peek().clone();
        let test = self.any()?;
        self.warn_of_value(&first, Some(&test));
        Ok(test)
    }

    pub(super) fn any(&mut self) -> Result<Test, SqlError> {
        self.joined("OR", Self::all, Test::Any)
    }

    fn all(&mut self) -> Result<Test, SqlError> {
        self.joined("AND", Self::not, Test::All)
    }

    /// One condition, or several that are joined by a keyword.
    fn joined(
        &mut self,
        keyword: &str,
        part: fn(&mut Self) -> Result<Test, SqlError>,
        many: fn(Vec<Test>) -> Test,
    ) -> Result<Test, SqlError> {
        let first = part(self)?;
        if !self.peek().is_keyword(keyword) {
            return Ok(first);
        }
        let mut tests = vec![first];
        self.warn_of_value(&self.peek().clone(), tests.first());
        while self.take_keyword(keyword) {
            let begin = self.peek().clone();
            tests.push(part(self)?);
            self.warn_of_value(&begin, tests.last());
        }
        Ok(many(tests))
    }

    fn not(&mut self) -> Result<Test, SqlError> {
        let first = self.peek().clone();
        if !self.take_keyword("NOT") {
            return self.predicate();
        }
        let inside = self.deeper(Self::not)?;
        if !matches!(inside, Test::Value(_)) {
            self.warn(
                &first,
                "EMQX cannot evaluate `not` here, and the rule sends nothing: turn the comparisons round",
            );
        }
        Ok(Test::Not(Box::new(inside)))
    }

    /// A value with an optional comparison or IN, or a condition in parentheses.
    fn predicate(&mut self) -> Result<Test, SqlError> {
        if !self.peek().is_sign("(") {
            let left = self.scalar()?;
            return self.predicate_of(left);
        }
        self.at += 1;
        let inside = self.deeper(Self::any)?;
        self.expect(")", "`and`, `or` or `)`")?;
        match inside {
            // Parentheses around a value: it may be the beginning of a longer value.
            Test::Value(value) if !matches!(value, Expression::Compare(..)) => {
                let left = self.scalar_from(value)?;
                self.predicate_of(left)
            }
            inside => Ok(inside),
        }
    }

    fn predicate_of(&mut self, left: Expression) -> Result<Test, SqlError> {
        let is_not_in = self.peek().is_keyword("NOT");
        let first = self.peek().clone();
        if is_not_in {
            self.at += 1;
            if !self.peek().is_keyword("IN") {
                return Err(self.unexpected("IN"));
            }
        }
        if !self.take_keyword("IN") {
            return Ok(Test::Value(self.compare(left)?));
        }
        self.expect("(", "`(`")?;
        let values = self.deeper(|parser| {
            let mut values = Vec::new();
            loop {
                let first = parser.at;
                values.push(parser.compared()?);
                parser.warn_of_quotes(first);
                if !parser.take_sign(",") {
                    return Ok(values);
                }
            }
        })?;
        self.expect(")", "`,` or `)`")?;
        let test = Test::In(left, values);
        if !is_not_in {
            return Ok(test);
        }
        self.warn(
            &first,
            "EMQX cannot evaluate NOT IN, and the rule sends nothing: write the comparisons with `and`",
        );
        Ok(Test::Not(Box::new(test)))
    }

    /// A value, or two with a comparison between them.
    pub(super) fn compared(&mut self) -> Result<Expression, SqlError> {
        let left = self.scalar()?;
        self.compare(left)
    }

    /// The comparison behind a value, if there is one.
    pub(super) fn compare(&mut self, left: Expression) -> Result<Expression, SqlError> {
        let Kind::Comparison(comparison) = self.peek().kind else {
            return Ok(left);
        };
        if let Expression::Path(path) = &left
            && path.steps.is_empty()
            && let Some(before) = self.at.checked_sub(1)
        {
            self.warn_of_quotes(before);
        }
        let sign = self.next();
        if comparison == Comparison::Undefined {
            self.warn(&sign, "EMQX cannot evaluate ~=, and the rule sends nothing: write =~");
        }
        let first = self.at;
        let right = self.scalar()?;
        self.warn_of_quotes(first);
        if matches!(self.peek().kind, Kind::Comparison(_)) {
            return Err(self.error(
                self.peek(),
                "comparisons do not follow each other: join them with `and`",
            ));
        }
        Ok(Expression::Compare(comparison, Box::new([left, right])))
    }

    /// Warns if the only token since a place is a name in double quotes.
    pub(super) fn warn_of_quotes(&mut self, first: usize) {
        let Some(token) = self.tokens.get(first) else { return };
        if let Kind::Quoted(name) = &token.kind
            && self.at == first + 1
        {
            let what = format!("\"{name}\" is the name of a column: write '{name}' for the text");
            let warning = self.error(token, what);
            self.warnings.quoted.push((name.clone(), warning));
        }
    }

    /// Warns if a condition is a value that EMQX does not take as a condition.
    fn warn_of_value(&mut self, first: &Token, test: Option<&Test>) {
        let Some(Test::Value(value)) = test else { return };
        let is_condition = match value {
            Expression::Compare(..) | Expression::Call(_) => true,
            Expression::Constant(value) => matches!(value, Value::Bool(_)),
            _ => false,
        };
        if !is_condition {
            self.warn(
                first,
                "EMQX does not take a value as a condition, and the rule sends nothing: compare it, as in `… = true`",
            );
        }
    }
}
