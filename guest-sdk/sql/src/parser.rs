//! Parses clauses.

use super::error::SqlError;
use super::token::{Kind, Token, tokens};
use super::value::Value;
use super::value::text::number;

/// A parsed SELECT clause: the columns of a body.
#[derive(Debug, Clone, PartialEq)]
pub struct Select {
    pub(super) fields: Vec<Field>,
}

/// A parsed WHERE clause: a condition on events.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition(pub(super) Test);

/// One entry of SELECT.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Field {
    /// `*`
    All,
    /// A value, and the path of names that it gets in the body.
    As(Operand, Vec<String>),
}

/// An operand.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Operand {
    Constant(Value<'static>),
    /// A column and a path into its value.
    Path(String, Vec<Step>),
}

/// One step of a path into a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    /// An index, counted from 1, or from the end with -1.
    Index(i64),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Test {
    All(Vec<Test>),
    Any(Vec<Test>),
    Not(Box<Test>),
    Compare(Operand, Comparison, Operand),
    /// A value that is a boolean.
    Truth(Operand),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    /// A topic and a topic filter.
    Matches,
}

const COMPARISONS: [(&str, Comparison); 8] = [
    ("=", Comparison::Equal),
    ("!=", Comparison::Unequal),
    ("<>", Comparison::Unequal),
    ("<", Comparison::Less),
    ("<=", Comparison::LessOrEqual),
    (">", Comparison::Greater),
    (">=", Comparison::GreaterOrEqual),
    ("=~", Comparison::Matches),
];

/// Maximum nesting of parentheses and `not`.
const DEPTH: usize = 64;

const IN_SELECT: &str = "supported are *, columns, fields such as payload.a.b or payload.list[1], numbers, 'texts', true \
                         and false, each with `as NAME` if wanted";
const IN_WHERE: &str = "supported are comparisons (= != <> < <= > >= =~) of columns, fields such as payload.a.b, numbers, \
                        'texts', true and false, with and, or, not and parentheses";

impl Select {
    /// Parses the clause without the word SELECT.
    ///
    /// # Errors
    ///
    /// The first syntax error, or the first thing that is not supported.
    pub fn parse(text: &str) -> Result<Select, SqlError> {
        let mut parser = Parser::new(text)?;
        let select = parser.select()?;
        parser.end("`,` or the end of the clause", IN_SELECT)?;
        Ok(select)
    }

    /// Whether the clause is only `*`.
    pub fn is_everything(&self) -> bool {
        self.fields == [Field::All]
    }
}

impl Condition {
    /// Parses the clause without the word WHERE.
    ///
    /// # Errors
    ///
    /// The first syntax error, or the first thing that is not supported.
    pub fn parse(text: &str) -> Result<Condition, SqlError> {
        let mut parser = Parser::new(text)?;
        let condition = parser.condition()?;
        parser.end("`and`, `or` or the end of the clause", IN_WHERE)?;
        Ok(condition)
    }
}

/// Parses the tokens of a text.
pub(super) struct Parser<'t> {
    text: &'t str,
    tokens: Vec<Token>,
    at: usize,
}

impl<'t> Parser<'t> {
    pub(super) fn new(text: &'t str) -> Result<Parser<'t>, SqlError> {
        Ok(Parser {
            text,
            tokens: tokens(text)?,
            at: 0,
        })
    }

    pub(super) fn peek(&self) -> &Token {
        self.ahead(0)
    }

    fn ahead(&self, by: usize) -> &Token {
        static END: Token = Token {
            kind: Kind::End,
            place: usize::MAX..usize::MAX,
        };
        self.tokens.get(self.at + by).or(self.tokens.last()).unwrap_or(&END)
    }

    pub(super) fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at += 1;
        token
    }

    pub(super) fn take_word(&mut self, keyword: &str) -> bool {
        let is = self.peek().is_word(keyword);
        self.at += usize::from(is);
        is
    }

    pub(super) fn take_sign(&mut self, sign: &str) -> bool {
        let is = self.peek().is_sign(sign);
        self.at += usize::from(is);
        is
    }

    /// The text from the start of a token to the end of the token before the current one.
    pub(super) fn slice(&self, from: &Token) -> &'t str {
        let before = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        let end = before.map_or(0, |token| token.place.end);
        self.text.get(from.place.start..end).unwrap_or_default()
    }

    pub(super) fn error(&self, token: &Token, what: impl Into<String>) -> SqlError {
        SqlError::new(self.text, token.place.clone(), what)
    }

    pub(super) fn select(&mut self) -> Result<Select, SqlError> {
        let mut fields = vec![self.field()?];
        while self.take_sign(",") {
            fields.push(self.field()?);
        }
        Ok(Select { fields })
    }

    pub(super) fn condition(&mut self) -> Result<Condition, SqlError> {
        self.any(DEPTH).map(Condition)
    }

    /// Checks that no token is left.
    pub(super) fn end(&self, expected: &str, supported: &str) -> Result<(), SqlError> {
        let token = self.peek();
        if token.kind == Kind::End {
            return Ok(());
        }
        Err(self
            .unsupported(token, supported)
            .unwrap_or_else(|| self.error(token, format!("{expected} was expected"))))
    }

    fn field(&mut self) -> Result<Field, SqlError> {
        if self.take_sign("*") {
            return Ok(Field::All);
        }
        let first = self.peek().clone();
        let operand = self.operand(IN_SELECT)?;
        let has_as = self.take_word("as");
        let named = has_as
            || match &self.peek().kind {
                Kind::Word(word) => !is_reserved(word),
                Kind::Quoted(_) => true,
                _ => false,
            };
        let after = self.peek();
        if COMPARISONS.iter().any(|(sign, _)| after.is_sign(sign)) {
            return Err(self.error(after, format!("a comparison in SELECT is not supported; {IN_SELECT}")));
        }
        if let Some(error) = self.unsupported(after, IN_SELECT).filter(|_| !named) {
            return Err(error);
        }
        if named {
            let (head, steps) = self.path()?;
            let names =
                keys(head, &steps).ok_or_else(|| self.error(&first, "a name with [ ] after `as` is not supported"))?;
            return Ok(Field::As(operand, names));
        }
        let names = match &operand {
            Operand::Path(head, steps) => keys(head.clone(), steps),
            Operand::Constant(Value::Text(text)) => Some(vec![text.to_string()]),
            Operand::Constant(_) => None,
        };
        let names = names.ok_or_else(|| self.error(&first, "needs a name: write `as NAME` after it"))?;
        Ok(Field::As(operand, names))
    }

    fn any(&mut self, depth: usize) -> Result<Test, SqlError> {
        let mut tests = vec![self.all(depth)?];
        while self.take_word("or") {
            tests.push(self.all(depth)?);
        }
        Ok(one_or(tests, Test::Any))
    }

    fn all(&mut self, depth: usize) -> Result<Test, SqlError> {
        let mut tests = vec![self.test(depth)?];
        while self.take_word("and") {
            tests.push(self.test(depth)?);
        }
        Ok(one_or(tests, Test::All))
    }

    fn test(&mut self, depth: usize) -> Result<Test, SqlError> {
        let first = self.peek().clone();
        let Some(deeper) = depth.checked_sub(1) else {
            return Err(self.error(
                &first,
                format!("more than {DEPTH} parentheses and `not` inside each other"),
            ));
        };
        if self.take_word("not") {
            return Ok(Test::Not(Box::new(self.test(deeper)?)));
        }
        if self.take_sign("(") {
            let inside = self.any(deeper)?;
            let close = self.peek().clone();
            if !self.take_sign(")") {
                let what = "`and`, `or` or `)` was expected";
                return Err(self
                    .unsupported(&close, IN_WHERE)
                    .unwrap_or_else(|| self.error(&close, what)));
            }
            return Ok(inside);
        }
        let left = self.operand(IN_WHERE)?;
        let sign = self.peek().clone();
        let comparison = COMPARISONS.iter().find(|(text, _)| sign.is_sign(text));
        let Some((_, comparison)) = comparison else {
            return match self.unsupported(&sign, IN_WHERE) {
                Some(error) => Err(error),
                None => Ok(Test::Truth(left)),
            };
        };
        self.at += 1;
        let right = self.operand(IN_WHERE)?;
        let after = self.peek();
        if COMPARISONS.iter().any(|(text, _)| after.is_sign(text)) {
            return Err(self.error(after, "comparisons do not follow each other: join them with `and`"));
        }
        if let Some(error) = self.unsupported(after, IN_WHERE) {
            return Err(error);
        }
        Ok(Test::Compare(left, *comparison, right))
    }

    fn operand(&mut self, supported: &str) -> Result<Operand, SqlError> {
        let token = self.peek().clone();
        match &token.kind {
            Kind::Text(text) => {
                self.at += 1;
                Ok(Operand::Constant(Value::Text(text.clone().into())))
            }
            Kind::Number(digits) => {
                self.at += 1;
                self.number(&token, digits)
            }
            Kind::Sign("-" | "+") => match &self.ahead(1).kind {
                Kind::Number(digits) => {
                    let minus = token.is_sign("-");
                    let digits = format!("{}{digits}", if minus { "-" } else { "" });
                    self.at += 2;
                    self.number(&token, &digits)
                }
                _ => Err(self.error(&token, format!("arithmetic is not supported; {supported}"))),
            },
            Kind::Word(word) if word.eq_ignore_ascii_case("true") => {
                self.at += 1;
                Ok(Operand::Constant(Value::Bool(true)))
            }
            Kind::Word(word) if word.eq_ignore_ascii_case("false") => {
                self.at += 1;
                Ok(Operand::Constant(Value::Bool(false)))
            }
            Kind::Word(word) if self.ahead(1).is_sign("(") && !is_reserved(word) => {
                Err(self.error(&token, format!("functions are not supported; {supported}")))
            }
            Kind::Word(word) if !is_reserved(word) => {
                let (head, steps) = self.path()?;
                Ok(Operand::Path(head, steps))
            }
            Kind::Quoted(_) => {
                let (head, steps) = self.path()?;
                Ok(Operand::Path(head, steps))
            }
            _ => Err(self
                .unsupported(&token, supported)
                .unwrap_or_else(|| self.error(&token, "a column, a number or a 'text' was expected"))),
        }
    }

    fn number(&self, token: &Token, digits: &str) -> Result<Operand, SqlError> {
        let value = number(digits).or_else(|| {
            digits
                .parse()
                .ok()
                .filter(|number: &f64| number.is_finite())
                .map(Value::Float)
        });
        let value = value.ok_or_else(|| self.error(token, "the number is too large"))?;
        Ok(Operand::Constant(value))
    }

    /// Parses a column and the path into it.
    fn path(&mut self) -> Result<(String, Vec<Step>), SqlError> {
        let first = self.next();
        let head = match first.kind {
            Kind::Word(name) | Kind::Quoted(name) => name,
            _ => return Err(self.error(&first, "a name was expected")),
        };
        let mut steps = Vec::new();
        loop {
            if self.take_sign(".") {
                let token = self.next();
                match token.kind {
                    Kind::Word(name) | Kind::Text(name) | Kind::Quoted(name) | Kind::Number(name) => {
                        steps.push(Step::Key(name));
                    }
                    _ => return Err(self.error(&token, "a name was expected after the dot")),
                }
            } else if self.take_sign("[") {
                let minus = self.take_sign("-");
                let token = self.next();
                let index = match &token.kind {
                    Kind::Number(digits) => digits.parse::<i64>().ok(),
                    _ => None,
                };
                let what = "only a whole number is supported as an index; the first one is 1, the last one -1";
                let index = index.ok_or_else(|| self.error(&token, what))?;
                let close = self.next();
                if !close.is_sign("]") {
                    return Err(self.error(&close, what));
                }
                steps.push(Step::Index(if minus { -index } else { index }));
            } else {
                return Ok((head, steps));
            }
        }
    }

    /// The error for something that EMQX supports and hookhost does not.
    fn unsupported(&self, token: &Token, supported: &str) -> Option<SqlError> {
        let what = match &token.kind {
            Kind::Sign("-") => "arithmetic is not supported (a name with a hyphen is written payload.'a-b')".to_owned(),
            Kind::Sign("+" | "*" | "/") => "arithmetic is not supported".to_owned(),
            Kind::Sign("[" | "..") => "lists and ranges are not supported".to_owned(),
            Kind::Sign("(") => "parentheses are not supported here".to_owned(),
            Kind::Word(word) if ["div", "mod"].iter().any(|known| word.eq_ignore_ascii_case(known)) => {
                "arithmetic is not supported".to_owned()
            }
            Kind::Word(word)
                if ["case", "in", "foreach", "do", "incase", "when", "then", "else", "end"]
                    .iter()
                    .any(|known| word.eq_ignore_ascii_case(known)) =>
            {
                format!("{} is not supported", word.to_ascii_uppercase())
            }
            _ => return None,
        };
        Some(self.error(token, format!("{what}; {supported}")))
    }
}

fn one_or(mut tests: Vec<Test>, many: impl FnOnce(Vec<Test>) -> Test) -> Test {
    match (tests.pop(), tests.is_empty()) {
        (Some(test), true) => test,
        (last, _) => {
            tests.extend(last);
            many(tests)
        }
    }
}

/// The names of a path; `None` if the path contains an index.
fn keys(head: String, steps: &[Step]) -> Option<Vec<String>> {
    let inside = steps.iter().map(|step| match step {
        Step::Key(name) => Some(name.clone()),
        Step::Index(_) => None,
    });
    std::iter::once(Some(head)).chain(inside).collect()
}

/// Keywords, which cannot be names of columns.
pub(super) fn is_reserved(word: &str) -> bool {
    [
        "select", "from", "where", "as", "and", "or", "not", "foreach", "do", "incase", "case", "when", "then", "else",
        "end", "in", "div", "mod",
    ]
    .iter()
    .any(|known| word.eq_ignore_ascii_case(known))
}
