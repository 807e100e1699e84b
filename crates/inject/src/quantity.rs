//! Quantities of Kubernetes, such as `100m` and `128Mi`, and the form in which the API server writes them
//! (k8s.io/apimachinery: pkg/api/resource/quantity.go).

const DECIMAL: [&str; 10] = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

/// Sign, digits and suffix.
fn split(text: &str) -> (&str, &str, &str) {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let sign = if text.starts_with('-') { "-" } else { "" };
    let end = unsigned.find(|each: char| !each.is_ascii_digit() && each != '.').unwrap_or(unsigned.len());
    let (digits, suffix) = unsigned.split_at(end);
    (sign, digits, suffix)
}

/// Whether a text is a quantity.
pub(crate) fn check(text: &str) -> Result<(), String> {
    let (_, digits, suffix) = split(text);
    let number = digits.bytes().any(|byte| byte.is_ascii_digit()) && digits.matches('.').count() <= 1;
    let named = DECIMAL.contains(&suffix) || BINARY.contains(&suffix);
    let exponent = suffix.strip_prefix(['e', 'E']).is_some_and(|exponent| exponent.parse::<i32>().is_ok());
    let good = number && (named || exponent);
    if good { Ok(()) } else { Err(format!("{text:?} is not a quantity such as 100m or 128Mi")) }
}

/// The form in which the API server would write it: whole, with the largest suffix. What is not exact in billionths stays as it is.
pub(crate) fn canonical(text: &str) -> String {
    written(text).unwrap_or_else(|| text.to_owned())
}

fn written(text: &str) -> Option<String> {
    check(text).ok()?;
    let (sign, digits, suffix) = split(text);
    let binary = BINARY.iter().skip(1).position(|each| *each == suffix).map(|at| at + 1);
    let power = match binary {
        Some(_) => 9,
        None => 3 * DECIMAL.iter().position(|each| *each == suffix)?,
    };
    let billionths =
        scaled(digits, power)?.checked_mul(1024i128.checked_pow(u32::try_from(binary.unwrap_or(0)).ok()?)?)?;
    if billionths == 0 {
        return Some("0".to_owned());
    }
    if binary.is_some() && billionths % 1_000_000_000 == 0 && billionths >= 1024 * 1_000_000_000 {
        let (number, at) = reduced(billionths / 1_000_000_000, 1024, BINARY.len() - 1);
        return Some(format!("{sign}{number}{}", BINARY[at]));
    }
    let (number, at) = reduced(billionths, 1000, DECIMAL.len() - 1);
    Some(format!("{sign}{number}{}", DECIMAL[at]))
}

/// Digits with a point, times a power of ten; nothing when that is not whole.
fn scaled(digits: &str, power: usize) -> Option<i128> {
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction = fraction.trim_end_matches('0');
    let zeros = power.checked_sub(fraction.len())?;
    format!("{whole}{fraction}{}", "0".repeat(zeros)).parse().ok()
}

/// Divides as often as nothing is left over; how often, too.
fn reduced(mut number: i128, by: i128, most: usize) -> (i128, usize) {
    let mut times = 0;
    while times < most && number % by == 0 {
        number /= by;
        times += 1;
    }
    (number, times)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_written_as_the_api_server_writes_them() {
        let known = [
            ("2000m", "2"),
            ("1024Mi", "1Gi"),
            ("100m", "100m"),
            ("0.5", "500m"),
            ("1.5Gi", "1536Mi"),
            ("128Mi", "128Mi"),
            ("1000", "1k"),
            ("0", "0"),
            ("0Mi", "0"),
            ("1024", "1024"),
            ("1Ki", "1Ki"),
            ("0.5Ki", "512"),
            ("-1000m", "-1"),
            ("+1", "1"),
            ("1e3", "1e3"),
            ("1.23456", "1234560u"),
            ("0.0000000001", "0.0000000001"),
            ("01", "1"),
        ];
        for (text, want) in known {
            assert_eq!(canonical(text), want, "{text}");
        }
    }
}
