//! Expressions.

use super::Parser;
use crate::error::SqlError;
use crate::functions;
use crate::syntax::{Call, Case, Expression, Path, Step};
use crate::token::Kind;
use crate::value::Value;
use crate::value::arithmetic::Operator;

/// The module of EMQX whose functions may be called with its name.
const MODULE: &str = "emqx_rule_funcs";

const OPERAND: &str = "a column, a number, a 'text', a list or a function";

impl Parser<'_> {
    /// A value without comparisons.
    pub(super) fn scalar(&mut self) -> Result<Expression, SqlError> {
        self.sum(None, Self::operand)
    }

    /// A value that begins with an operand that is already parsed.
    pub(super) fn scalar_from(&mut self, first: Expression) -> Result<Expression, SqlError> {
        self.sum(Some(first), Self::operand)
    }

    fn sum(&mut self, first: Option<Expression>, operand: Operand<Self>) -> Result<Expression, SqlError> {
        let signs = [("+", Operator::Add), ("-", Operator::Subtract)];
        let first = self.product(first, operand)?;
        self.chain(first, &signs, |parser| parser.product(None, operand))
    }

    fn product(&mut self, first: Option<Expression>, operand: Operand<Self>) -> Result<Expression, SqlError> {
        let signs = [
            ("*", Operator::Multiply),
            ("/", Operator::Divide),
            ("div", Operator::Div),
            ("mod", Operator::Mod),
        ];
        let first = match first {
            Some(first) => first,
            None => self.signed(operand)?,
        };
        self.chain(first, &signs, |parser| parser.signed(operand))
    }

    /// Operators of the same rank, from the left.
    fn chain(
        &mut self,
        first: Expression,
        signs: &[(&str, Operator)],
        mut next: impl FnMut(&mut Self) -> Result<Expression, SqlError>,
    ) -> Result<Expression, SqlError> {
        let mut operators = Vec::new();
        while let Some((_, operator)) = signs.iter().find(|(sign, _)| self.peek().is_sign(sign)) {
            self.at += 1;
            operators.push((*operator, next(self)?));
        }
        Ok(match operators.is_empty() {
            true => first,
            false => Expression::Arithmetic(Box::new(first), operators),
        })
    }

    fn signed(&mut self, operand: Operand<Self>) -> Result<Expression, SqlError> {
        if self.take_sign("+") {
            return self.deeper(|parser| parser.signed(operand));
        }
        if self.take_sign("-") {
            let inside = self.deeper(|parser| parser.signed(operand))?;
            return Ok(Expression::Negative(Box::new(inside)));
        }
        operand(self)
    }

    /// An operand of a field or of a condition.
    fn operand(&mut self) -> Result<Expression, SqlError> {
        if !self.take_sign("(") {
            return self.simple();
        }
        let inside = self.deeper(Self::scalar)?;
        self.expect(")", "`)` or an operator")?;
        Ok(inside)
    }

    /// An argument of a function: a value, two with a comparison, or CASE.
    fn argument(&mut self) -> Result<Expression, SqlError> {
        let first = self.at;
        let left = self.sum(None, Self::operand_of_argument)?;
        let Kind::Comparison(comparison) = self.peek().kind else {
            self.warn_of_quotes(first);
            return Ok(left);
        };
        self.at += 1;
        let right = self.sum(None, Self::operand_of_argument)?;
        Ok(Expression::Compare(comparison, Box::new([left, right])))
    }

    fn operand_of_argument(&mut self) -> Result<Expression, SqlError> {
        if let Some(case) = self.case_in_parentheses()? {
            return Ok(case);
        }
        if !self.take_sign("(") {
            return self.simple();
        }
        let inside = self.deeper(Self::argument)?;
        self.expect(")", "`)` or an operator")?;
        Ok(inside)
    }

    /// A literal, a list, a path, a part of a list, or a call.
    fn simple(&mut self) -> Result<Expression, SqlError> {
        match &self.peek().kind {
            Kind::Text(text) => {
                let value = Value::Text(text.clone().into());
                self.at += 1;
                Ok(Expression::Constant(value))
            }
            Kind::Number(number) => {
                let value = number.clone();
                self.at += 1;
                Ok(Expression::Constant(value))
            }
            Kind::Keyword(word @ ("TRUE" | "FALSE")) => {
                let value = Value::Bool(*word == "TRUE");
                self.at += 1;
                Ok(Expression::Constant(value))
            }
            Kind::Range(begin, end) => {
                let range = Expression::Range(*begin, *end);
                self.at += 1;
                Ok(range)
            }
            Kind::Sign("[") => {
                self.at += 1;
                self.deeper(Self::list)
            }
            Kind::Word(_) | Kind::Quoted(_) => self.path_or_call(),
            _ => Err(self.unexpected(OPERAND)),
        }
    }

    /// The items of a list and the bracket behind them. A comma may follow the last item.
    fn list(&mut self) -> Result<Expression, SqlError> {
        let mut items = Vec::new();
        while !self.take_sign("]") {
            items.push(self.scalar()?);
            if !self.take_sign(",") {
                self.expect("]", "`,` or `]`")?;
                break;
            }
        }
        Ok(Expression::List(items))
    }

    fn path_or_call(&mut self) -> Result<Expression, SqlError> {
        let first = self.peek().clone();
        let path = self.path()?;
        if let Kind::Range(begin, end) = self.peek().kind {
            self.at += 1;
            return Ok(Expression::Part(path, begin, end));
        }
        if !self.take_sign("(") {
            return Ok(Expression::Path(path));
        }
        let arguments = self.deeper(Self::arguments)?;
        let name = match path.steps.as_slice() {
            [] => Some(&path.name),
            [Step::Key(name)] if path.name == MODULE => Some(name),
            _ => None,
        };
        self.calls_large |= name.is_some_and(|name| functions::LARGE.contains(&name.as_str()));
        let function = name.and_then(|name| functions::find(name));
        let fitting = function.filter(|function| function.arguments.contains(&arguments.len()));
        if fitting.is_none() {
            let what = match function {
                Some(function) => format!("{} does not take {} arguments", function.signature, arguments.len()),
                None => functions::why_missing(name.map_or("", String::as_str)),
            };
            self.warn(&first, format!("{what}; the rule sends nothing"));
        }
        Ok(Expression::Call(Call {
            name: path,
            function: fitting,
            arguments,
        }))
    }

    fn arguments(&mut self) -> Result<Vec<Expression>, SqlError> {
        let mut arguments = Vec::new();
        if self.take_sign(")") {
            return Ok(arguments);
        }
        loop {
            arguments.push(self.argument()?);
            if self.take_sign(")") {
                return Ok(arguments);
            }
            self.expect(",", "`,` or `)`")?;
        }
    }

    /// A column and the path into it.
    pub(super) fn path(&mut self) -> Result<Path, SqlError> {
        let name = match &self.peek().kind {
            Kind::Word(name) | Kind::Quoted(name) => name.clone(),
            _ => return Err(self.unexpected("a name")),
        };
        self.at += 1;
        let mut steps = Vec::new();
        loop {
            if self.take_sign(".") {
                let step = match &self.peek().kind {
                    Kind::Word(name) | Kind::Text(name) | Kind::Quoted(name) => Step::Key(name.clone()),
                    _ => return Err(self.unexpected("a name after the dot")),
                };
                self.at += 1;
                steps.push(step);
            } else if self.take_sign("[") {
                steps.push(self.deeper(Self::index)?);
                // As in EMQX, where the dot may be missing behind an index.
                if let Kind::Word(name) | Kind::Quoted(name) = &self.peek().kind {
                    steps.push(Step::Key(name.clone()));
                    self.at += 1;
                }
            } else {
                return Ok(Path { name, steps });
            }
        }
    }

    /// An index and the bracket behind it.
    fn index(&mut self) -> Result<Step, SqlError> {
        let what = "only a whole number or a name is an index; the first item is 1, the last one -1";
        let token = self.peek().clone();
        let is_negative = self.take_sign("-");
        let _ = is_negative || self.take_sign("+");
        let step = match &self.peek().kind {
            Kind::Number(Value::Integer(0)) => match is_negative || self.slice_of_current() == "-0" {
                true => Step::Back,
                false => Step::Front,
            },
            Kind::Number(Value::Integer(index)) => {
                let index = if is_negative { -*index } else { *index };
                Step::Index(i64::try_from(index).map_err(|_| self.error(&token, what))?)
            }
            Kind::Word(_) | Kind::Quoted(_) if self.peek().place == token.place => {
                let path = self.path()?;
                self.expect("]", "`]`")?;
                return Ok(Step::At(Box::new(path)));
            }
            _ => return Err(self.error(&token, what)),
        };
        self.at += 1;
        self.expect("]", "`]`")?;
        Ok(step)
    }

    fn slice_of_current(&self) -> &str {
        self.text.get(self.peek().place.clone()).unwrap_or_default()
    }

    /// CASE, in any number of parentheses; `None` if there is no CASE.
    pub(super) fn case_in_parentheses(&mut self) -> Result<Option<Expression>, SqlError> {
        let rest = self.tokens.get(self.at..).unwrap_or_default();
        let parentheses = rest.iter().take_while(|token| token.is_sign("(")).count();
        if !rest.get(parentheses).is_some_and(|token| token.is_keyword("CASE")) {
            return Ok(None);
        }
        self.at += parentheses + 1;
        let case = self.deeper(Self::case)?;
        for _ in 0..parentheses {
            self.expect(")", "`)`")?;
        }
        Ok(Some(Expression::Case(Box::new(case))))
    }

    /// What follows CASE.
    fn case(&mut self) -> Result<Case, SqlError> {
        let on = match self.peek().is_keyword("WHEN") {
            true => None,
            false => Some(self.compared()?),
        };
        let mut branches = Vec::new();
        while self.take_keyword("WHEN") {
            let condition = match on {
                None => self.test()?,
                Some(_) => self.any()?,
            };
            self.expect("THEN", "THEN")?;
            branches.push((condition, self.compared()?));
        }
        if branches.is_empty() {
            return Err(self.unexpected("WHEN"));
        }
        let otherwise = match self.take_keyword("ELSE") {
            true => Some(self.compared()?),
            false => None,
        };
        self.expect("END", "WHEN, ELSE or END")?;
        Ok(Case {
            on,
            branches,
            otherwise,
        })
    }
}

/// Parses an operand.
type Operand<P> = fn(&mut P) -> Result<Expression, SqlError>;
