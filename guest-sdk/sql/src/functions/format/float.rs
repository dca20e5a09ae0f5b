//! Floats with the directives `f`, `e` and `g`.

/// A float with `f`, `e` or `g`. Digits are rounded half up, from the 21 that Erlang uses.
pub(super) fn float(control: char, number: f64, precision: Option<usize>) -> Option<String> {
    let precision = precision.unwrap_or(6);
    let sign = if number < 0.0 { "-" } else { "" };
    let exact = format!("{:.20e}", number.abs());
    let (mantissa, exponent) = exact.split_once('e')?;
    let exponent: i64 = exponent.parse().ok()?;
    let digits: Vec<u8> = mantissa
        .bytes()
        .filter(u8::is_ascii_digit)
        .map(|digit| digit - b'0')
        .collect();
    match control {
        'f' if precision >= 1 => {
            // As many digits as are in front of the point, and the precision.
            let kept = exponent + 1 + i64::try_from(precision).ok()?;
            let (digits, exponent) = rounded(&digits, exponent, kept);
            let digit = |place: i64| {
                char::from(
                    b'0' + usize::try_from(exponent - place)
                        .ok()
                        .and_then(|at| digits.get(at))
                        .unwrap_or(&0),
                )
            };
            let whole: String = (0..=exponent.max(0)).rev().map(digit).collect();
            let fraction: String = (1..=i64::try_from(precision).ok()?)
                .map(|place| digit(-place))
                .collect();
            Some(format!("{sign}{whole}.{fraction}"))
        }
        'e' if precision >= 2 => {
            let (digits, exponent) = rounded(&digits, exponent, i64::try_from(precision).ok()?);
            let exponent = if number == 0.0 { 0 } else { exponent };
            let text: String = (0..precision)
                .map(|at| char::from(b'0' + digits.get(at).unwrap_or(&0)))
                .collect();
            let (first, rest) = text.split_at(1);
            let plus = if exponent < 0 { "" } else { "+" };
            Some(format!("{sign}{first}.{rest}e{plus}{exponent}"))
        }
        'g' => {
            let magnitude = number.abs();
            if !(0.1..10_000.0).contains(&magnitude) {
                return float('e', number, Some(precision));
            }
            // So many significant digits.
            let whole = exponent.max(-1) + 1;
            let decimals = i64::try_from(precision).ok()? - whole.max(0);
            let decimals = usize::try_from(decimals).ok().filter(|decimals| *decimals >= 1);
            match decimals {
                Some(decimals) => float('f', number, Some(decimals)),
                None => float('e', number, Some(precision)),
            }
        }
        _ => None,
    }
}

/// The first digits, rounded half up, and the exponent, which is one higher if the rounding adds a digit.
fn rounded(digits: &[u8], exponent: i64, kept: i64) -> (Vec<u8>, i64) {
    let Ok(kept) = usize::try_from(kept) else {
        return (vec![0], exponent);
    };
    let Some(next) = digits.get(kept) else {
        return (digits.to_vec(), exponent);
    };
    let mut rounded: Vec<u8> = digits.iter().copied().take(kept).collect();
    let mut carry = *next >= 5;
    for digit in rounded.iter_mut().rev() {
        if !carry {
            break;
        }
        carry = *digit == 9;
        *digit = if carry { 0 } else { *digit + 1 };
    }
    if carry {
        rounded.insert(0, 1);
        return (rounded, exponent + 1);
    }
    (rounded, exponent)
}
