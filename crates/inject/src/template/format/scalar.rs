//! Strings and numbers by their verbs.

use super::{Fault, Printer, Value, float, quote};

impl Printer<'_> {
    /// A string by one of the verbs that strings have.
    pub(super) fn text(&mut self, text: &str, verb: char) {
        match verb {
            'x' => self.hexadecimal(text.as_bytes(), false),
            'X' => self.hexadecimal(text.as_bytes(), true),
            'q' => self.quoted(text),
            'v' if self.flags.sharp_v => self.quoted(text),
            _ => {
                let cut = self.cut(text);
                self.pad(cut);
            }
        }
    }

    /// As many characters as the precision allows.
    fn cut<'t>(&self, text: &'t str) -> &'t str {
        match self.flags.precision.and_then(|count| text.char_indices().nth(count)) {
            Some((end, _)) => &text[..end],
            None => text,
        }
    }

    fn quoted(&mut self, text: &str) {
        let text = self.cut(text);
        let quoted = if self.flags.sharp && quote::fits_backquotes(text) {
            format!("`{text}`")
        } else {
            quote::with(text, '"', self.flags.plus)
        };
        self.pad(&quoted);
    }

    fn hexadecimal(&mut self, bytes: &[u8], upper: bool) {
        let bytes = &bytes[..bytes.len().min(self.flags.precision.unwrap_or(bytes.len()))];
        let prefix = match (self.flags.sharp, upper) {
            (false, _) => "",
            (true, false) => "0x",
            (true, true) => "0X",
        };
        let mut written = String::new();
        for (index, byte) in bytes.iter().enumerate() {
            if index > 0 && self.flags.space {
                written.push(' ');
            }
            if index == 0 || self.flags.space {
                written.push_str(prefix);
            }
            written.push_str(&if upper { format!("{byte:02X}") } else { format!("{byte:02x}") });
        }
        self.pad(&written);
    }

    pub(super) fn whole(&mut self, value: &Value, number: i128, unsigned: bool, verb: char) -> Result<(), Fault> {
        match verb {
            'v' if self.flags.sharp_v && unsigned => {
                let sharp = std::mem::replace(&mut self.flags.sharp, true);
                self.based(number, 16, 'v');
                self.flags.sharp = sharp;
            }
            'v' | 'd' => self.based(number, 10, verb),
            'b' => self.based(number, 2, verb),
            'o' | 'O' => self.based(number, 8, verb),
            'x' | 'X' => self.based(number, 16, verb),
            'c' => self.pad(&character(number).to_string()),
            'q' => {
                let text = quote::with(&character(number).to_string(), '\'', self.flags.plus);
                self.pad(&text);
            }
            'U' => self.code_point(number),
            _ => self.bad_verb(value, verb)?,
        }
        Ok(())
    }

    fn based(&mut self, number: i128, base: u32, verb: char) {
        let size = number.unsigned_abs();
        let mut digits = match base {
            2 => format!("{size:b}"),
            8 => format!("{size:o}"),
            16 if verb == 'X' => format!("{size:X}"),
            16 => format!("{size:x}"),
            _ => size.to_string(),
        };
        let mut least = 0;
        if let Some(precision) = self.flags.precision {
            if precision == 0 && size == 0 {
                self.blank();
                return;
            }
            least = precision;
        } else if let (true, false, Some(width)) = (self.flags.zero, self.flags.minus, self.flags.width) {
            least = width.saturating_sub(usize::from(number < 0 || self.flags.plus || self.flags.space));
        }
        if digits.len() < least {
            digits.insert_str(0, &"0".repeat(least - digits.len()));
        }
        if self.flags.sharp {
            let prefix = match base {
                2 => "0b",
                8 if !digits.starts_with('0') => "0",
                16 if verb == 'X' => "0X",
                16 => "0x",
                _ => "",
            };
            digits.insert_str(0, prefix);
        }
        if verb == 'O' {
            digits.insert_str(0, "0o");
        }
        if number < 0 {
            digits.insert(0, '-');
        } else if self.flags.plus {
            digits.insert(0, '+');
        } else if self.flags.space {
            digits.insert(0, ' ');
        }
        self.pad_with_spaces(&digits);
    }

    /// Nothing in the width that was asked for.
    fn blank(&mut self) {
        self.pad_with_spaces("");
    }

    fn pad_with_spaces(&mut self, text: &str) {
        let zero = std::mem::replace(&mut self.flags.zero, false);
        self.pad(text);
        self.flags.zero = zero;
    }

    fn code_point(&mut self, number: i128) {
        let digits = self.flags.precision.unwrap_or(4).max(4);
        let mut text = format!("U+{:0digits$X}", number as u64);
        let shown = u32::try_from(number)
            .ok()
            .and_then(char::from_u32)
            .filter(|shown| crate::template::unicode::is_printable(*shown));
        if let (true, Some(shown)) = (self.flags.sharp, shown) {
            text.push_str(&format!(" '{shown}'"));
        }
        self.pad_with_spaces(&text);
    }

    pub(super) fn float(&mut self, value: &Value, number: f64, verb: char) -> Result<(), Fault> {
        let (form, precision) = match verb {
            'v' => ('g', None),
            'g' | 'G' | 'x' | 'X' | 'b' => (verb, None),
            'e' | 'E' | 'f' => (verb, Some(6)),
            'F' => ('f', Some(6)),
            _ => return self.bad_verb(value, verb),
        };
        let precision = self.flags.precision.or(precision);
        let mut text = float::format(number, form, precision);
        if !text.starts_with(['-', '+']) {
            text.insert(0, '+');
        }
        if self.flags.space && text.starts_with('+') && !self.flags.plus {
            text.replace_range(..1, " ");
        }
        if !number.is_finite() {
            let unsigned = number.is_nan() && !self.flags.space && !self.flags.plus;
            let shown = if unsigned || text == "+Inf" && !self.flags.plus { text[1..].to_owned() } else { text };
            self.pad_with_spaces(if number.is_nan() {
                &shown
            } else if number > 0.0 {
                "+Inf"
            } else {
                "-Inf"
            });
            return Ok(());
        }
        if self.flags.sharp && verb != 'b' {
            text = with_point(&text, if matches!(form, 'g' | 'G' | 'x' | 'X') { precision.or(Some(6)) } else { None });
        }
        if !self.flags.plus && text.starts_with('+') {
            self.pad(&text[1..]);
        } else if self.flags.zero && !self.flags.minus && self.flags.width.is_some_and(|width| width > text.len()) {
            // the sign comes before the zeros
            self.out.push_str(&text[..1]);
            let width = self.flags.width.map(|width| width - 1);
            let before = std::mem::replace(&mut self.flags.width, width);
            self.pad(&text[1..]);
            self.flags.width = before;
        } else {
            self.pad(&text);
        }
        Ok(())
    }
}

/// With a decimal point and, of the forms that drop them, trailing zeros.
fn with_point(text: &str, digits: Option<usize>) -> String {
    let is_hex = text.contains(['x', 'X']);
    let end = text.find(if is_hex { ['p', 'P'] } else { ['e', 'E'] }).unwrap_or(text.len());
    let (mantissa, exponent) = text.split_at(end);
    let mut mantissa = mantissa.to_owned();
    let mut missing = digits.unwrap_or(0);
    let shown = mantissa.chars().filter(char::is_ascii_alphanumeric).skip_while(|digit| *digit == '0').count();
    missing = missing.saturating_sub(shown);
    if !mantissa.contains('.') {
        if mantissa.len() == 2 && mantissa.ends_with('0') {
            missing = missing.saturating_sub(1);
        }
        mantissa.push('.');
    }
    format!("{mantissa}{}{exponent}", "0".repeat(missing))
}

fn character(number: i128) -> char {
    u32::try_from(number).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER)
}
