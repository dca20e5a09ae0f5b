//! SELECT and FOREACH: fields with their names.

use super::Parser;
use crate::error::SqlError;
use crate::syntax::{Condition, Expression, Field, Foreach, Name, Path, Select, Step};
use crate::token::Kind;
use crate::value::Value;

impl Parser<'_> {
    /// The clause behind SELECT.
    pub(crate) fn select(&mut self) -> Result<Select, SqlError> {
        let fields = self.fields()?;
        let warnings = std::mem::take(&mut self.warnings);
        Ok(Select {
            fields,
            foreach: None,
            calls_large: std::mem::take(&mut self.calls_large),
            warnings,
        })
    }

    /// The clauses behind FOREACH, up to FROM.
    pub(crate) fn foreach(&mut self) -> Result<Select, SqlError> {
        let fields = self.fields()?;
        let each = match self.take_keyword("DO") {
            true => self.fields()?,
            false => Vec::new(),
        };
        let condition = match self.take_keyword("INCASE") {
            true => Some(self.test()?),
            false => None,
        };
        let warnings = std::mem::take(&mut self.warnings);
        Ok(Select {
            fields,
            foreach: Some(Foreach { each, condition }),
            calls_large: std::mem::take(&mut self.calls_large),
            warnings,
        })
    }

    /// The clause behind WHERE.
    pub(crate) fn condition(&mut self) -> Result<Condition, SqlError> {
        let test = self.test()?;
        let warnings = std::mem::take(&mut self.warnings);
        Ok(Condition {
            test,
            calls_large: std::mem::take(&mut self.calls_large),
            warnings,
        })
    }

    fn fields(&mut self) -> Result<Vec<Field>, SqlError> {
        let mut fields = vec![self.field()?];
        while self.take_sign(",") {
            fields.push(self.field()?);
        }
        Ok(fields)
    }

    fn field(&mut self) -> Result<Field, SqlError> {
        if self.take_sign("*") {
            return Ok(Field::All);
        }
        let value = match self.case_in_parentheses()? {
            Some(case) => case,
            None => self.compared()?,
        };
        let is_named = match self.peek().kind {
            Kind::Word(_) | Kind::Quoted(_) => !matches!(value, Expression::Compare(..)),
            _ => false,
        };
        let name = match self.take_keyword("AS") || is_named {
            true => Name::Given(self.path()?),
            false => own_name(&value),
        };
        Ok(Field::As(value, name))
    }
}

/// The name of a field without AS.
fn own_name(value: &Expression) -> Name {
    let (kind, text) = match value {
        Expression::Path(path) | Expression::Part(path, ..) => return Name::Own(path.clone()),
        Expression::Constant(Value::Text(text)) => {
            return Name::Given(Path {
                name: text.to_string(),
                steps: Vec::new(),
            });
        }
        Expression::Constant(value) => ("const", value.to_json()),
        Expression::List(list) => ("list", list.len().to_string()),
        Expression::Range(begin, end) => ("range", format!("{{{begin},{end}}}")),
        Expression::Arithmetic(_, operators) => {
            let sign = operators.last().map_or("+", |(operator, _)| operator.sign());
            // A word is without quotes in Erlang, unless it is a keyword there, as `div` is.
            (
                "op",
                if sign == "mod" {
                    sign.to_owned()
                } else {
                    format!("'{sign}'")
                },
            )
        }
        Expression::Compare(comparison, _) => ("op", format!("'{}'", comparison.sign())),
        Expression::Case(case) => match &case.on {
            None => ("case", "<<>>".to_owned()),
            Some(Expression::Path(path)) => ("case", term(path)),
            Some(_) => ("case", "{}".to_owned()),
        },
        Expression::Call(call) => ("fun", term(&call.name)),
        Expression::Negative(_) => ("unknown", "unknown".to_owned()),
    };
    Name::Timed(format!("_v_{kind}_{text}_"))
}

/// A path as EMQX writes it in names, in Erlang's notation.
fn term(path: &Path) -> String {
    if path.steps.is_empty() {
        return format!("{{var,<<\"{}\">>}}", path.name);
    }
    let mut text = format!("{{path,[{{key,<<\"{}\">>}}", path.name);
    for step in &path.steps {
        text.push(',');
        match step {
            Step::Key(name) => text.push_str(&format!("{{key,<<\"{name}\">>}}")),
            Step::Index(index) => text.push_str(&format!("{{index,{{const,{index}}}}}")),
            Step::Front => text.push_str("{index,{const,head}}"),
            Step::Back => text.push_str("{index,{const,tail}}"),
            Step::At(path) => text.push_str(&format!("{{index,{}}}", term(path))),
        }
    }
    text.push_str("]}");
    text
}
