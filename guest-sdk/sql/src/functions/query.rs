//! `jq`: programs of jq on JSON, run by the crates `jaq-core`, `jaq-std` and `jaq-json`.
//!
//! EMQX has jq 1.6, all of whose numbers are floats: results are converted to what it prints.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Native, Vars, data};
use jaq_json::{Num, Val, read};
use num_bigint::BigInt;
use num_traits::ToPrimitive;

use super::{Function, Theme};
use crate::environment::Environment;
use crate::failure::Failure;
use crate::json;
use crate::value::Value;

/// Most compiled programs that are kept for further events.
const MAX_COMPILED: usize = 16;
/// Most results of a program.
const MAX_RESULTS: usize = 10_000;
/// Time for a program, if the call says nothing else, in milliseconds. Checked between two results.
const DEFAULT_TIMEOUT: i128 = 10_000;

type Data = data::JustLut<Val>;
type Filter = jaq_core::compile::Filter<Native<Data>>;

pub(super) const THEME: Theme = Theme {
    title: "jq",
    functions: &[Function {
        name: "jq",
        arguments: 2..=3,
        signature: "jq(program, value[, timeout])",
        about: "A list of all results of a jq program for a value, or for the JSON in a text. `timeout` is in milliseconds.",
        call: |arguments, environment| {
            let (program, value, timeout) = match arguments {
                [Value::Text(program), value] => (program, value, DEFAULT_TIMEOUT),
                [Value::Text(program), value, Value::Integer(timeout)] => (program, value, *timeout),
                _ => return Err(Failure::argument("jq", arguments)),
            };
            run(program, value, timeout, environment).ok_or_else(|| Failure::argument("jq", arguments))
        },
    }],
};

thread_local! {
    static COMPILED: RefCell<HashMap<String, Option<Rc<Filter>>>> = RefCell::default();
}

/// The compiled program; `None` if it is not valid. The last ones are kept.
fn compiled(program: &str) -> Option<Rc<Filter>> {
    COMPILED.with_borrow_mut(|known| {
        if let Some(filter) = known.get(program) {
            return filter.clone();
        }
        if known.len() >= MAX_COMPILED {
            known.clear();
        }
        let filter = compile(program).map(Rc::new);
        known.insert(program.to_owned(), filter.clone());
        filter
    })
}

fn compile(program: &str) -> Option<Filter> {
    let definitions = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
    let functions = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
    let arena = Arena::default();
    let modules = Loader::new(definitions)
        .load(
            &arena,
            File {
                code: program,
                path: (),
            },
        )
        .ok()?;
    Compiler::default().with_funs(functions).compile(modules).ok()
}

/// All results; `None` if the program or the JSON is not valid, if the program fails, or if it takes too long.
fn run(program: &str, value: &Value<'_>, timeout: i128, environment: &Environment<'_>) -> Option<Value<'static>> {
    let text = match value {
        Value::Text(text) => {
            json::read(text)?;
            text.as_ref().to_owned()
        }
        Value::Bytes(_) => return None,
        value => value.to_json(),
    };
    let input = read::parse_single(text.as_bytes()).ok()?;
    let filter = compiled(program)?;
    let begin = environment.system.now_ns();
    let mut results = Vec::new();
    for result in filter.id.run((Ctx::<Data>::new(&filter.lut, Vars::new([])), input)) {
        results.push(from_jq(&result.ok()?)?);
        let is_late = environment.system.now_ns() - begin > timeout.saturating_mul(1_000_000);
        if results.len() > MAX_RESULTS || is_late {
            return None;
        }
    }
    Some(Value::List(results))
}

/// `None` for bytes and for names in objects that are not texts, which JSON does not have.
fn from_jq(value: &Val) -> Option<Value<'static>> {
    Some(match value {
        Val::Null => Value::Null,
        Val::Bool(truth) => Value::Bool(*truth),
        Val::Num(number) => from_number(match number {
            Num::Int(number) => *number as f64,
            Num::BigInt(number) => number.to_f64()?,
            Num::Float(number) => *number,
            Num::Dec(digits) => digits.parse().ok()?,
        }),
        Val::TStr(text) => Value::from(String::from_utf8_lossy(text).into_owned()),
        Val::BStr(_) => return None,
        Val::Arr(list) => Value::List(list.iter().map(from_jq).collect::<Option<_>>()?),
        Val::Obj(entries) => {
            let entries = entries.iter().map(|(name, value)| match name {
                Val::TStr(name) => Some((String::from_utf8_lossy(name).into_owned().into(), from_jq(value)?)),
                _ => None,
            });
            Value::object(entries.collect::<Option<Vec<_>>>()?)
        }
    })
}

/// A number as jq 1.6 prints it: an integer if it is one, unless jq writes an exponent, from 15 zeros on. What is not a
/// number is null, and what is infinite is the largest float.
fn from_number(number: f64) -> Value<'static> {
    if number.is_nan() {
        return Value::Null;
    }
    let number = number.clamp(f64::MIN, f64::MAX);
    if number.fract() != 0.0 {
        return Value::Float(number);
    }
    let scientific = format!("{number:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let digits = mantissa.bytes().filter(u8::is_ascii_digit).count();
    let exponent: usize = exponent.parse().unwrap_or_default();
    if exponent + 1 > digits + 15 {
        return Value::Float(number);
    }
    let zeros = (exponent + 1).saturating_sub(digits);
    let whole = mantissa.replace('.', "") + &"0".repeat(zeros);
    whole.parse::<BigInt>().map_or(Value::Float(number), Value::big)
}

#[cfg(test)]
mod tests {
    use crate::functions::testing::check;

    #[test]
    fn as_recorded() {
        check(&[
            ("jq('.a', '{\"a\":1}')", "[1]"),
            (
                "jq('.x, .y', map('{\"x\":1,\"y\":{\"z\":\"deep\"}}'))",
                r#"[1,{"z":"deep"}]"#,
            ),
            ("jq('[.[] | . * 2]', '[1,2,3]')", "[[2,4,6]]"),
            ("jq('length', ['x', 'y', 'z'])", "[3]"),
            ("jq('.a', 'nope')", "fails"),
            (
                "jq('{t: .temp, u: .u}', '{\"temp\":21.5,\"u\":\"äÖ€😀\"}', 1000)",
                r#"[{"u":"äÖ€😀","t":21.5}]"#,
            ),
            (
                "jq('.sensors[] | {id, v}', '{\"sensors\":[{\"id\":\"s1\",\"v\":20.5,\"ok\":true}]}')",
                r#"[{"v":20.5,"id":"s1"}]"#,
            ),
            (
                "jq('.temp + 1, (.s | ascii_upcase), (.nums | add)', '{\"temp\":21.5,\"s\":\"abc\",\"nums\":[5,3,9,1]}')",
                r#"[22.5,"ABC",18]"#,
            ),
        ]);
    }

    /// Compared with jq 1.6.
    #[test]
    fn as_jq() {
        check(&[
            (
                "jq('.[]', '[1.0,2.50,1e3,1e17,12345678901234567890,0.1,43.0,-0,3.0]')",
                "[1,2.5,1000,100000000000000000.0,12345678901234567000,0.1,43,0,3]",
            ),
            (
                "jq('1/3, 10/2, nan, pow(2;70)', '0')",
                "[0.3333333333333333,5,null,1180591620717411300000]",
            ),
            ("jq('.a | test(\"^b\")', '{\"a\":\"bc\"}')", "[true]"),
            (
                "jq('to_entries', '{\"b\":1,\"a\":2}')",
                r#"[[{"value":1,"key":"b"},{"value":2,"key":"a"}]]"#,
            ),
            ("jq('.[', '1')", "fails"),
            ("jq('error(\"x\")', '1')", "fails"),
            ("jq('empty', '1')", "[]"),
            ("jq('halt', '1')", "fails"),
            ("jq(5, '1')", "fails"),
            ("jq('repeat(1)', '1')", "fails"),
        ]);
    }
}
