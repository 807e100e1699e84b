//! Floating-point numbers as text, as Go's `strconv.FormatFloat` writes them.

/// The digits of a number without its sign, and how many of them stand before the point.
struct Digits {
    digits: String,
    point: i32,
}

/// The number in one of the forms `e`, `E`, `f`, `g`, `G`, `x`, `X`, `b`; without a precision, with as many digits as tell it from its neighbours.
pub(crate) fn format(value: f64, form: char, precision: Option<usize>) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    let sign = if value.is_sign_negative() { "-" } else { "" };
    if value.is_infinite() {
        return format!("{}Inf", if sign.is_empty() { "+" } else { sign });
    }
    let size = value.abs();
    let text = match form {
        'e' | 'E' => exponential(&significant(size, precision.map(|digits| digits + 1)), form, precision),
        'f' => match precision {
            Some(precision) => format!("{size:.precision$}"),
            None => plain(&significant(size, None)),
        },
        'x' => hexadecimal(size, precision),
        'X' => hexadecimal(size, precision).to_uppercase(),
        'b' => {
            let (mantissa, exponent) = parts(size);
            format!("{mantissa}p{exponent:+}")
        }
        _ => general(size, form, precision),
    };
    format!("{sign}{text}")
}

/// As JSON of Go: plain unless very small or large, and exponents without leading zeros.
pub(crate) fn json(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format(value, 'e', None);
        return match text.split_once("e-0") {
            Some((digits, exponent)) => format!("{digits}e-{exponent}"),
            None => text,
        };
    }
    format(value, 'f', None)
}

fn general(size: f64, form: char, precision: Option<usize>) -> String {
    let precision = precision.map(|digits| digits.max(1));
    let digits = significant(size, precision);
    let exponent = digits.point - 1;
    // without a precision, six digits decide
    let mut limit = precision.map_or(6, |digits| digits as i32);
    let shown = digits.digits.trim_end_matches('0');
    if precision.is_some() && limit > shown.len() as i32 && shown.len() as i32 >= digits.point {
        limit = shown.len() as i32;
    }
    let trimmed =
        Digits { digits: if shown.is_empty() { "0".to_owned() } else { shown.to_owned() }, point: digits.point };
    if exponent < -4 || exponent >= limit {
        let form = if form == 'G' { 'E' } else { 'e' };
        return exponential(&trimmed, form, Some(trimmed.digits.len() - 1));
    }
    plain(&trimmed)
}

/// As few digits as tell a number from its neighbours, with an exponent. Of two decimals that are equally near, Go takes the even one, and
/// the standard library the larger: so it only says how many digits there are.
pub(crate) fn shortest(size: f64) -> String {
    let text = format!("{size:e}");
    let digits = text.split('e').next().unwrap_or_default().bytes().filter(u8::is_ascii_digit).count();
    format!("{size:.*e}", digits.saturating_sub(1))
}

/// All digits that are needed, or the asked-for number of them, rounded.
fn significant(size: f64, count: Option<usize>) -> Digits {
    let text = match count {
        Some(count) => format!("{size:.*e}", count.saturating_sub(1)),
        None => shortest(size),
    };
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    Digits { digits: mantissa.replace('.', ""), point: exponent + 1 }
}

fn exponential(digits: &Digits, form: char, precision: Option<usize>) -> String {
    let (first, rest) = digits.digits.split_at(1);
    let exponent = digits.point - 1;
    let sign = if exponent < 0 { '-' } else { '+' };
    let fraction = match precision {
        Some(0) => String::new(),
        Some(precision) => format!(".{rest:0<precision$}"),
        None if rest.is_empty() => String::new(),
        None => format!(".{rest}"),
    };
    format!("{first}{fraction}{form}{sign}{:02}", exponent.abs())
}

fn plain(digits: &Digits) -> String {
    let Digits { digits, point } = digits;
    if *point <= 0 {
        let zeros = "0".repeat(point.unsigned_abs() as usize);
        return if digits == "0" { "0".to_owned() } else { format!("0.{zeros}{digits}") };
    }
    let point = *point as usize;
    if digits.len() <= point {
        return format!("{digits}{}", "0".repeat(point - digits.len()));
    }
    format!("{}.{}", &digits[..point], &digits[point..])
}

/// The number as a whole number times a power of two.
fn parts(size: f64) -> (u64, i32) {
    const FRACTION: u32 = 52;
    let bits = size.to_bits();
    let (mantissa, exponent) = (bits & ((1 << FRACTION) - 1), (bits >> FRACTION) as i32);
    // numbers near zero have no leading one
    if exponent == 0 { (mantissa, -1074) } else { (mantissa | 1 << FRACTION, exponent - 1075) }
}

/// `0x1.8p+01`: a hexadecimal number from 1 up to 2, times a power of two.
fn hexadecimal(size: f64, precision: Option<usize>) -> String {
    let (mut mantissa, mut exponent) = parts(size);
    if mantissa == 0 {
        exponent = 0;
    } else {
        // the one stands above 60 bits: fifteen digits
        let shift = mantissa.leading_zeros() as i32 - 3;
        mantissa <<= shift;
        exponent += 60 - shift;
    }
    if let Some(digits) = precision.filter(|digits| *digits < 15) {
        let dropped = 60 - 4 * digits as u32;
        let (half, rest) = (1_u64 << (dropped - 1), mantissa & ((1 << dropped) - 1));
        mantissa -= rest;
        // to the nearest, of two equally near ones to the even one
        if rest > half || rest == half && mantissa >> dropped & 1 == 1 {
            mantissa += 1 << dropped;
        }
        if mantissa >> 61 != 0 {
            mantissa >>= 1;
            exponent += 1;
        }
    }
    let digits = format!("{:015x}", mantissa & ((1 << 60) - 1));
    let fraction = match precision {
        Some(precision) => format!("{digits:0<precision$}")[..precision].to_owned(),
        None => digits.trim_end_matches('0').to_owned(),
    };
    let point = if fraction.is_empty() { "" } else { "." };
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("0x{}{point}{fraction}p{sign}{:02}", mantissa >> 60, exponent.abs())
}
