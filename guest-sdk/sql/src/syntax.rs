//! Parsed clauses.

use crate::error::SqlError;
use crate::functions::Function;
use crate::value::Value;
use crate::value::arithmetic::Operator;

/// A parsed SELECT clause, or FOREACH with DO and INCASE: the columns of one body or of several.
#[derive(Debug, Clone, PartialEq)]
pub struct Select {
    pub(crate) fields: Vec<Field>,
    pub(crate) foreach: Option<Foreach>,
    pub(crate) calls_large: bool,
    pub(crate) warnings: Warnings,
}

/// What FOREACH makes of each item.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Foreach {
    /// DO; empty for all columns with the item.
    pub(crate) each: Vec<Field>,
    /// INCASE.
    pub(crate) condition: Option<Test>,
}

/// A parsed WHERE clause: a condition on events.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    pub(crate) test: Test,
    pub(crate) calls_large: bool,
    pub(crate) warnings: Warnings,
}

/// What a clause does that its author hardly means.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Warnings {
    pub(crate) general: Vec<SqlError>,
    /// Names in double quotes where a text may be meant.
    pub(crate) quoted: Vec<(String, SqlError)>,
}

impl Warnings {
    fn shown<'w>(&'w self, is_column: impl Fn(&str) -> bool + 'w) -> impl Iterator<Item = &'w SqlError> {
        let quoted = self.quoted.iter().filter(move |(name, _)| !is_column(name));
        self.general.iter().chain(quoted.map(|(_, warning)| warning))
    }
}

impl Select {
    /// Whether the clause is only `*`.
    pub fn is_everything(&self) -> bool {
        self.foreach.is_none() && self.fields == [Field::All]
    }

    /// Whether the clause calls a function that only a build with the feature `all-functions` has.
    pub fn needs_all_functions(&self) -> bool {
        self.calls_large
    }

    /// Warnings about parts that are valid and hardly meant, such as functions that do not exist. `is_column` tells whether
    /// events have a column of a name.
    pub fn warnings<'w>(&'w self, is_column: impl Fn(&str) -> bool + 'w) -> impl Iterator<Item = &'w SqlError> {
        self.warnings.shown(is_column)
    }
}

impl Condition {
    /// As [`Select::needs_all_functions`].
    pub fn needs_all_functions(&self) -> bool {
        self.calls_large
    }

    /// Warnings about parts that are valid and hardly meant, such as a text in double quotes. `is_column` tells whether
    /// events have a column of a name.
    pub fn warnings<'w>(&'w self, is_column: impl Fn(&str) -> bool + 'w) -> impl Iterator<Item = &'w SqlError> {
        self.warnings.shown(is_column)
    }
}

/// One entry of SELECT, FOREACH or DO.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Field {
    /// `*`
    All,
    /// A value, and its name in the body.
    As(Expression, Name),
}

/// The name of a value in the body.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Name {
    /// The name after AS.
    Given(Path),
    /// The path of the value itself.
    Own(Path),
    /// This text and the nanoseconds since 1970.
    Timed(String),
}

/// A column and a path into its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) name: String,
    pub(crate) steps: Vec<Step>,
}

/// One step of a path into a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Key(String),
    /// An index, counted from 1, or from the end with -1; not 0.
    Index(i64),
    /// `[0]`: the place before the first item.
    Front,
    /// `[-0]`: the place behind the last item.
    Back,
    /// `[path]`: an index that the path leads to, beginning where the whole path begins.
    At(Box<Path>),
}

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Expression {
    Constant(Value<'static>),
    Path(Path),
    /// `[1..3]`
    Range(i64, i64),
    /// `path[1..3]`
    Part(Path, i64, i64),
    List(Vec<Expression>),
    Negative(Box<Expression>),
    /// Operators of the same rank, from the left.
    Arithmetic(Box<Expression>, Vec<(Operator, Expression)>),
    Compare(Comparison, Box<[Expression; 2]>),
    Case(Box<Case>),
    Call(Call),
}

/// `CASE … END`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Case {
    /// The value that is compared with each WHEN; without it each WHEN is a condition.
    pub(crate) on: Option<Expression>,
    pub(crate) branches: Vec<(Test, Expression)>,
    pub(crate) otherwise: Option<Expression>,
}

/// The call of a function.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    /// The name as it is written.
    pub(crate) name: Path,
    /// `None` if there is no function of this name with this number of arguments.
    pub(crate) function: Option<&'static Function>,
    pub(crate) arguments: Vec<Expression>,
}

/// A condition.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Test {
    All(Vec<Test>),
    Any(Vec<Test>),
    Not(Box<Test>),
    In(Expression, Vec<Expression>),
    Value(Expression),
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    /// A topic and a topic filter.
    Matches,
    /// `~=`, which EMQX reads and cannot evaluate.
    Undefined,
}

impl Comparison {
    /// The comparison as EMQX names it.
    pub(crate) fn sign(self) -> &'static str {
        match self {
            Comparison::Equal => "=",
            Comparison::Unequal => "!=",
            Comparison::Less => "<",
            Comparison::LessOrEqual => "<=",
            Comparison::Greater => ">",
            Comparison::GreaterOrEqual => ">=",
            Comparison::Matches => "=~",
            Comparison::Undefined => "~=",
        }
    }
}
