//! Numbers as Go reads them from text: literals of templates, and strings given to functions.

use super::quote;
use super::tree::Number;

/// A literal's value in all the forms it may be used in.
pub(crate) fn literal(text: &str) -> Result<Number, String> {
    let mut number = Number { text: text.to_owned(), int: None, uint: None, float: None };
    if text.starts_with('\'') {
        let value = quote::unquote_char(text).ok_or_else(|| format!("malformed character constant: {text}"))?;
        number.int = Some(i64::from(value));
        number.uint = Some(u64::from(value));
        number.float = Some(f64::from(value));
        return Ok(number);
    }
    if text.ends_with('i') {
        return Err(format!("complex numbers are not supported: {}", quote::quote(text)));
    }
    number.uint = parse_uint(text, 0);
    number.int = parse_int(text, 0);
    if number.int == Some(0) {
        number.uint = Some(0);
    }
    if let Some(int) = number.int {
        number.float = Some(int as f64);
    } else if let Some(uint) = number.uint {
        number.float = Some(uint as f64);
    } else {
        number.float = parse_float(text);
        if let Some(float) = number.float {
            if !text.contains(['.', 'e', 'E', 'p', 'P']) {
                return Err(format!("integer overflow: {}", quote::quote(text)));
            }
            number.int = Some(float as i64).filter(|int| *int as f64 == float);
            number.uint = Some(float as u64).filter(|uint| *uint as f64 == float);
        }
    }
    if number.float.is_none() {
        return Err(format!("illegal number syntax: {}", quote::quote(text)));
    }
    Ok(number)
}

/// `strconv.ParseInt` for 64 bits; base 0 reads the base from the prefix and allows underscores.
pub(crate) fn parse_int(text: &str, base: u32) -> Option<i64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let value = i128::from(parse_uint(digits, base)?);
    i64::try_from(if negative { -value } else { value }).ok()
}

/// Decimal digits; what does not fit into 64 bits gives the nearest number that does, what is no number 0.
pub(crate) fn parse_int_or_nearest(text: &str) -> i64 {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let nearest = if text.starts_with('-') { i64::MIN } else { i64::MAX };
    parse_int(text, 10).unwrap_or(if is_number { nearest } else { 0 })
}

/// `strconv.ParseUint` for 64 bits.
pub(crate) fn parse_uint(text: &str, base: u32) -> Option<u64> {
    let (radix, digits, prefixed) = match base {
        0 => match text.get(..2).map(str::to_ascii_lowercase).as_deref() {
            Some("0x") => (16, &text[2..], true),
            Some("0o") => (8, &text[2..], true),
            Some("0b") => (2, &text[2..], true),
            _ if text.starts_with('0') && text.len() > 1 => (8, &text[1..], true),
            _ => (10, text, false),
        },
        _ => (base, text, false),
    };
    let clean = if base == 0 { without_underscores(digits, prefixed)? } else { digits.to_owned() };
    if clean.is_empty() || !clean.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    u64::from_str_radix(&clean, radix).ok()
}

/// Takes out underscores that stand between digits, or between a prefix and a digit.
fn without_underscores(digits: &str, prefixed: bool) -> Option<String> {
    let mut before = if prefixed { 'd' } else { ' ' };
    for next in digits.chars() {
        if next == '_' && before != 'd' {
            return None;
        }
        before = if next == '_' { '_' } else { 'd' };
    }
    (before != '_').then(|| digits.replace('_', ""))
}

/// `strconv.ParseFloat` for 64 bits, without hexadecimal mantissas; none where the value is too large.
pub(crate) fn parse_float(text: &str) -> Option<f64> {
    if text.contains('_') && !text.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let clean = without_underscores(text, false)?;
    let value: f64 = clean.parse().ok()?;
    let named = clean.trim_start_matches(['+', '-']).starts_with(|first: char| first.is_ascii_alphabetic());
    (named || value.is_finite()).then_some(value)
}
