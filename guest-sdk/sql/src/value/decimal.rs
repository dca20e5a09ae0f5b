//! Floats as text, in the two ways of Erlang: with a number of decimals, and as short as possible.

/// Largest number of decimals that Erlang accepts.
const MAX_DECIMALS: usize = 253;
/// Size of Erlang's buffer for a number with decimals, in bytes. A longer text is an error.
const BUFFER_BYTES: usize = 256;

/// Formats a float with a number of decimals, as Erlang's `float_to_binary` does. `compact` removes zeros at the end, but
/// one after the point. Returns `None` if the text would be too long, or for more than 253 decimals.
///
/// Up to 18 decimals and 2⁵³ Erlang multiplies and rounds instead of using the exact value, so 0.15 with one decimal is 0.2.
pub(crate) fn with_decimals(number: f64, decimals: usize, compact: bool) -> Option<String> {
    /// From here on a float has no fraction.
    const MAX_FAST: f64 = (1_u64 << 53) as f64;
    if decimals > MAX_DECIMALS {
        return None;
    }
    let absolute = number.abs();
    if absolute > MAX_FAST || decimals > 18 {
        let text = format!("{number:.decimals$}");
        return (text.len() < BUFFER_BYTES).then(|| if compact { without_zeros(text) } else { text });
    }
    let sign = if number.is_sign_negative() { "-" } else { "" };
    if decimals == 0 {
        return Some(format!("{sign}{}", absolute.round() as u64));
    }
    let scale = 10_u64.pow(decimals as u32);
    let mut whole = absolute.floor() as u64;
    let mut fraction = ((absolute - absolute.floor()) * scale as f64).round() as u64;
    if fraction >= scale {
        whole += 1;
        fraction = 0;
    }
    let text = format!("{sign}{whole}.{fraction:0decimals$}");
    Some(if compact { without_zeros(text) } else { text })
}

/// Removes zeros at the end, but one after the point.
fn without_zeros(mut text: String) -> String {
    text.truncate(text.trim_end_matches('0').len());
    if text.ends_with('.') {
        text.push('0');
    }
    text
}
