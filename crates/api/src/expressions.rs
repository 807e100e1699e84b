//! RE2, the dialect of expressions in Istio and Envoy, told with a library that speaks a close relative: what is written otherwise
//! there is rewritten, what exists only there is refused (`https://github.com/google/re2/wiki/Syntax`, as Go's `regexp` reads it).

/// RE2 repeats at most this often.
const MOST_REPEATS: u32 = 1000;

/// Says what is wrong with an expression.
pub(crate) fn check(written: &str) -> Result<(), String> {
    let rewritten = Reader { rest: written, out: String::new(), repeated: false }.run()?;
    regex::Regex::new(&rewritten).map(|_| ()).map_err(|error| error.to_string())
}

/// Goes through an expression and writes it in the other dialect.
struct Reader<'a> {
    rest: &'a str,
    out: String,
    /// The last thing was a repetition, so another one has nothing to repeat.
    repeated: bool,
}

impl<'a> Reader<'a> {
    fn run(mut self) -> Result<String, String> {
        while let Some(next) = self.rest.chars().next() {
            match next {
                '\\' => self.escape(),
                '[' => self.class(),
                '*' | '+' | '?' => self.repetition(1)?,
                '{' => match repeats(self.rest)? {
                    Some(length) => self.repetition(length)?,
                    None => self.literal(next),
                },
                '(' if self.rest.starts_with("(?") => self.group()?,
                _ => self.take(next.len_utf8()),
            }
        }
        Ok(self.out)
    }

    /// Copies as it is.
    fn take(&mut self, length: usize) {
        let (taken, rest) = self.rest.split_at(length);
        self.out.push_str(taken);
        self.rest = rest;
        self.repeated = false;
    }

    /// Copies one character that means itself.
    fn literal(&mut self, character: char) {
        self.rest = &self.rest[character.len_utf8()..];
        self.out.push_str(&regex::escape(character.encode_utf8(&mut [0; 4])));
        self.repeated = false;
    }

    /// A repetition, and the `?` that makes it a lazy one.
    fn repetition(&mut self, length: usize) -> Result<(), String> {
        if self.repeated {
            return Err(format!("invalid nested repetition before {:?}", self.rest));
        }
        let lazy = usize::from(self.rest[length..].starts_with('?'));
        self.take(length + lazy);
        self.repeated = true;
        Ok(())
    }

    /// `\Q…\E` is literal text; other escapes are the same in both.
    fn escape(&mut self) {
        let Some(quoted) = self.rest.strip_prefix("\\Q") else {
            let escaped = self.rest[1..].chars().next().map_or(0, char::len_utf8);
            return self.take(1 + escaped);
        };
        let (text, rest) = quoted.split_once("\\E").unwrap_or((quoted, ""));
        self.out.push_str(&regex::escape(text));
        self.rest = rest;
        self.repeated = false;
    }

    /// A class: no classes in it but those between colons, and no operations on sets.
    fn class(&mut self) {
        let negated = self.rest.starts_with("[^");
        self.take(1 + usize::from(negated));
        let mut first = true;
        while let Some(next) = self.rest.chars().next() {
            match next {
                ']' if !first => return self.take(1),
                '\\' => self.escape(),
                '[' => match self.rest.find(":]").filter(|_| self.rest.starts_with("[:")) {
                    Some(end) => self.take(end + 2),
                    None => self.literal(next),
                },
                '&' | '~' => self.literal(next),
                '-' if self.rest.starts_with("--") && !self.rest.starts_with("--]") && !first => self.literal(next),
                _ => self.take(next.len_utf8()),
            }
            first = false;
        }
    }

    /// A group that says something of itself: RE2 knows the flags i, m, s and U.
    fn group(&mut self) -> Result<(), String> {
        let inside = &self.rest[2..];
        if inside.starts_with("P<") || inside.starts_with('<') {
            self.take(2);
            return Ok(());
        }
        let flags = inside.split([':', ')']).next().unwrap_or_default();
        match flags.chars().all(|flag| "imsU-".contains(flag)) {
            true => self.take(2 + flags.len()),
            false => return Err(format!("invalid group: {:?}", &self.rest[..2 + flags.len()])),
        }
        Ok(())
    }
}

/// The length of `{n}`, `{n,}` or `{n,m}`; anything else in braces is literal text.
fn repeats(text: &str) -> Result<Option<usize>, String> {
    let Some(inside) = text[1..].split_once('}').map(|(inside, _)| inside) else { return Ok(None) };
    let (least, most) = inside.split_once(',').unwrap_or((inside, inside));
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !number(least) || !(number(most) || (most.is_empty() && inside.contains(','))) {
        return Ok(None);
    }
    let (least, most) = (least.parse::<u32>(), if most.is_empty() { Ok(MOST_REPEATS) } else { most.parse::<u32>() });
    match (least, most) {
        (Ok(least), Ok(most)) if least <= most && most <= MOST_REPEATS => Ok(Some(inside.len() + 2)),
        _ => Err(format!("invalid repeat count: {{{inside}}}")),
    }
}

#[cfg(test)]
mod tests;
