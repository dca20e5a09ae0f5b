//! Functions for numbers.
//!
//! They use the functions of the platform, which agree with those that Erlang uses but for the last digit. The inverse
//! hyperbolic functions are those of the crate `libm`: those of Rust's standard library lose digits.

use num_bigint::BigInt;
use num_traits::FromPrimitive;

use super::{Function, Theme, function};
use crate::failure::Failure;
use crate::value::Value;
use crate::value::arithmetic::float;

/// A function from a number to a float.
macro_rules! real {
    ($name:literal, $about:literal, $call:expr) => {
        Function {
            name: $name,
            arguments: 1..=1,
            signature: concat!($name, "(number)"),
            about: $about,
            call: |arguments, _| match arguments {
                [number] if number.is_number() => {
                    let call: fn(f64) -> f64 = $call;
                    float(call(number.as_float().ok_or(Failure::Arithmetic)?))
                }
                _ => Err(Failure::argument($name, arguments)),
            },
        }
    };
}

/// A function from two numbers to a float.
macro_rules! real_pair {
    ($name:literal, $about:literal, $call:expr) => {
        Function {
            name: $name,
            arguments: 2..=2,
            signature: concat!($name, "(x, y)"),
            about: $about,
            call: |arguments, _| match arguments {
                [x, y] if x.is_number() && y.is_number() => {
                    let call: fn(f64, f64) -> f64 = $call;
                    let [x, y] = [x, y].map(|number| number.as_float().ok_or(Failure::Arithmetic));
                    float(call(x?, y?))
                }
                _ => Err(Failure::argument($name, arguments)),
            },
        }
    };
}

pub(super) const THEME: Theme = Theme {
    title: "Mathematics",
    functions: &[
        function!("abs", 1..=1, "abs(integer)", "The absolute value of an integer.", abs),
        real!("acos", "The arc cosine, in radians.", f64::acos),
        real!("acosh", "The inverse hyperbolic cosine.", libm::acosh),
        real!("asin", "The arc sine, in radians.", f64::asin),
        real!("asinh", "The inverse hyperbolic sine.", libm::asinh),
        real!("atan", "The arc tangent, in radians.", f64::atan),
        real!("atanh", "The inverse hyperbolic tangent.", libm::atanh),
        function!(
            "ceil",
            1..=1,
            "ceil(number)",
            "The smallest integer that is not below the number.",
            |arguments| { whole(arguments, f64::ceil) }
        ),
        real!("cos", "The cosine of an angle in radians.", f64::cos),
        real!("cosh", "The hyperbolic cosine.", f64::cosh),
        real!("exp", "*e* to the power of the number.", f64::exp),
        function!(
            "floor",
            1..=1,
            "floor(number)",
            "The largest integer that is not above the number.",
            |arguments| { whole(arguments, f64::floor) }
        ),
        real_pair!("fmod", "The remainder of x / y, with the sign of x.", |x, y| x % y),
        real!("log", "The natural logarithm.", f64::ln),
        real!("log10", "The logarithm to base 10.", f64::log10),
        real!("log2", "The logarithm to base 2.", f64::log2),
        real_pair!("power", "x to the power of y, as a float.", f64::powf),
        function!(
            "round",
            1..=1,
            "round(number)",
            "The nearest integer; halves are rounded away from zero.",
            |arguments| { whole(arguments, f64::round) }
        ),
        real!("sin", "The sine of an angle in radians.", f64::sin),
        real!("sinh", "The hyperbolic sine.", f64::sinh),
        real!("sqrt", "The square root.", f64::sqrt),
        real!("tan", "The tangent of an angle in radians.", f64::tan),
        real!("tanh", "The hyperbolic tangent.", f64::tanh),
    ],
};

fn abs(arguments: &[Value<'_>]) -> Option<Value<'static>> {
    let [Value::Integer(_) | Value::Big(_)] = arguments else {
        return None;
    };
    let number = arguments.first()?.as_integer()?;
    Some(Value::big(BigInt::from(number.magnitude().clone())))
}

/// An integer as it is, a float rounded.
fn whole(arguments: &[Value<'_>], round: fn(f64) -> f64) -> Option<Value<'static>> {
    match arguments {
        [Value::Float(number)] => integer(round(*number)),
        [number @ (Value::Integer(_) | Value::Big(_))] => Some(number.clone().into_owned()),
        _ => None,
    }
}

/// A float without a fraction as an integer.
pub(super) fn integer(number: f64) -> Option<Value<'static>> {
    BigInt::from_f64(number).map(Value::big)
}

#[cfg(test)]
mod tests {
    use crate::functions::testing::check;

    #[test]
    fn as_recorded() {
        check(&[
            ("abs(-5)", "5"),
            ("abs(0)", "0"),
            ("abs(-2.5)", "fails"),
            ("abs('x')", "fails"),
            ("acos(1)", "0.0"),
            ("acos(0.5)", "1.0471975511965979"),
            ("acos(-1.0)", "3.141592653589793"),
            ("acos(2)", "fails"),
            ("acosh(1)", "0.0"),
            ("acosh(2.5)", "1.566799236972411"),
            ("asin(1)", "1.5707963267948966"),
            ("asin(-0.5)", "-0.5235987755982989"),
            ("asin(1.5)", "fails"),
            ("asinh(0)", "0.0"),
            ("asinh(1)", "0.881373587019543"),
            ("asinh(-2.5)", "-1.6472311463710958"),
            ("atan(0)", "0.0"),
            ("atan(1)", "0.7853981633974483"),
            ("atan(-1000)", "-1.5697963271282298"),
            ("atanh(0)", "0.0"),
            ("atanh(0.5)", "0.5493061443340548"),
            ("ceil(1.2)", "2"),
            ("ceil(-1.2)", "-1"),
            ("ceil(3)", "3"),
            ("ceil('1.2')", "fails"),
            ("ceil(1.0e22)", "10000000000000000000000"),
            ("cos(0)", "1.0"),
            ("cos(1)", "0.5403023058681398"),
            ("cos(3.141592653589793)", "-1.0"),
            ("cosh(0)", "1.0"),
            ("cosh(1.5)", "2.352409615243247"),
            ("exp(0)", "1.0"),
            ("exp(1)", "2.718281828459045"),
            ("exp(-1.5)", "0.22313016014842982"),
            ("exp(1000)", "fails"),
            ("floor(1.8)", "1"),
            ("floor(-1.8)", "-2"),
            ("floor(3)", "3"),
            ("fmod(7.5, 2)", "1.5"),
            ("fmod(-7.5, 2)", "-1.5"),
            ("fmod(7, 3)", "1.0"),
            ("fmod(1, 0)", "fails"),
            ("log(1)", "0.0"),
            ("log(10)", "2.302585092994046"),
            ("log(2.718281828459045)", "1.0"),
            ("log(0)", "fails"),
            ("log10(1000)", "3.0"),
            ("log10(0.01)", "-2.0"),
            ("log10('10')", "fails"),
            ("log2(8)", "3.0"),
            ("log2(0.5)", "-1.0"),
            ("log2(0)", "fails"),
            ("power(2, 10)", "1024.0"),
            ("power(2.5, 2)", "6.25"),
            ("power(4, 0.5)", "2.0"),
            ("power(2, -1)", "0.5"),
            ("power(-8, 0.5)", "fails"),
            ("power('2', 2)", "fails"),
            ("round(1.5)", "2"),
            ("round(2.5)", "3"),
            ("round(-1.5)", "-2"),
            ("round(3)", "3"),
            ("round(0.49)", "0"),
            ("round(null())", "fails"),
            ("sin(0)", "0.0"),
            ("sin(1)", "0.8414709848078965"),
            ("sin(-2.5)", "-0.5984721441039565"),
            ("sinh(0)", "0.0"),
            ("sinh(1)", "1.1752011936438014"),
            ("sqrt(16)", "4.0"),
            ("sqrt(2)", "1.4142135623730951"),
            ("sqrt(0)", "0.0"),
            ("sqrt(-1)", "fails"),
            ("tan(0)", "0.0"),
            ("tan(1)", "1.5574077246549023"),
            ("tanh(0)", "0.0"),
            ("tanh(0.5)", "0.46211715726000974"),
            ("tanh(-20)", "-1.0"),
        ]);
    }
}
