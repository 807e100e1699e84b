//! The downward API's files: one `key="value"` a line, the value quoted as Go quotes (`strconv.Quote`).

use std::collections::BTreeMap;

/// Reads such a file.
pub(super) fn parse(text: &str) -> Result<BTreeMap<String, String>, String> {
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    let unquoted = |(key, value): (&str, &str)| {
        let value = unquote(value).ok_or_else(|| format!("{value} is not quoted as it should be"))?;
        Ok((key.to_owned(), value))
    };
    pairs.map(unquoted).collect()
}

fn unquote(text: &str) -> Option<String> {
    if let Some(raw) = text.strip_prefix('`').and_then(|text| text.strip_suffix('`')) {
        return (!raw.contains('`')).then(|| raw.replace('\r', ""));
    }
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    let mut out = Vec::new();
    let mut rest = inner.chars();
    while let Some(letter) = rest.next() {
        match letter {
            '"' | '\n' => return None,
            '\\' => escape(&mut rest, &mut out)?,
            plain => out.extend_from_slice(plain.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    String::from_utf8(out).ok()
}

fn escape(rest: &mut std::str::Chars<'_>, out: &mut Vec<u8>) -> Option<()> {
    let letter = rest.next()?;
    let mut digits = |count: usize, radix: u32, first: u32| {
        (0..count).try_fold(first, |value, _| Some(value * radix + rest.next()?.to_digit(radix)?))
    };
    let byte = match letter {
        'a' => 0x07,
        'b' => 0x08,
        'f' => 0x0c,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 0x0b,
        '\\' => b'\\',
        '"' => b'"',
        'x' => u8::try_from(digits(2, 16, 0)?).ok()?,
        '0'..='7' => u8::try_from(digits(2, 8, letter.to_digit(8)?)?).ok()?,
        'u' | 'U' => {
            let code = char::from_u32(digits(if letter == 'u' { 4 } else { 8 }, 16, 0)?)?;
            out.extend_from_slice(code.encode_utf8(&mut [0; 4]).as_bytes());
            return Some(());
        }
        _ => return None,
    };
    out.push(byte);
    Some(())
}
