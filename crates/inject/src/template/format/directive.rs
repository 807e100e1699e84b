//! `Printf`: what stands between `%` and a verb, and which value it is for.

use std::fmt::Write;

use super::{Fault, Flags, Printer, Value};

/// Go takes larger widths and precisions for mistakes.
const LARGEST: usize = 1_000_000;

pub(super) fn printf(printer: &mut Printer<'_>, format: &str, values: &[Value]) -> Result<(), Fault> {
    let mut directives =
        Directives { format, at: 0, values, next: 0, reordered: false, good: true, after_index: false };
    while let Some(percent) = format[directives.at..].find('%') {
        printer.out.push_str(&format[directives.at..directives.at + percent]);
        directives.at += percent + 1;
        printer.flags = Flags::default();
        directives.one(printer)?;
        printer.runtime.meter.steps(1)?;
    }
    printer.out.push_str(&format[directives.at..]);
    printer.flags = Flags::default();
    directives.extra(printer)
}

struct Directives<'a> {
    format: &'a str,
    at: usize,
    values: &'a [Value],
    /// The value that is next.
    next: usize,
    /// Some directive has named a value by its number.
    reordered: bool,
    good: bool,
    after_index: bool,
}

impl Directives<'_> {
    fn peek(&self) -> Option<u8> {
        self.format.as_bytes().get(self.at).copied()
    }

    fn one(&mut self, printer: &mut Printer<'_>) -> Result<(), Fault> {
        self.good = true;
        self.after_index = false;
        self.flags(&mut printer.flags);
        self.index();
        self.width(printer);
        self.precision(printer);
        if !self.after_index {
            self.index();
        }
        let Some(verb) = self.format[self.at..].chars().next() else {
            printer.out.push_str("%!(NOVERB)");
            return Ok(());
        };
        self.at += verb.len_utf8();
        match (verb, self.values.get(self.next)) {
            ('%', _) => printer.out.push('%'),
            _ if !self.good => {
                let _ = write!(printer.out, "%!{verb}(BADINDEX)");
            }
            (_, None) => {
                let _ = write!(printer.out, "%!{verb}(MISSING)");
            }
            (_, Some(value)) => {
                self.next += 1;
                if verb == 'v' {
                    let flags = &mut printer.flags;
                    flags.sharp_v = std::mem::take(&mut flags.sharp);
                    flags.plus_v = std::mem::take(&mut flags.plus);
                }
                if verb == 'w' || verb == 'p' {
                    printer.bad_verb(value, verb)?;
                } else {
                    printer.value(value, verb, 0)?;
                }
            }
        }
        Ok(())
    }

    fn flags(&mut self, flags: &mut Flags) {
        loop {
            match self.peek() {
                Some(b'#') => flags.sharp = true,
                Some(b'0') => flags.zero = true,
                Some(b'+') => flags.plus = true,
                Some(b'-') => flags.minus = true,
                Some(b' ') => flags.space = true,
                _ => return,
            }
            self.at += 1;
        }
    }

    /// `[3]`: the value's number.
    fn index(&mut self) {
        self.after_index = false;
        if self.peek() != Some(b'[') {
            return;
        }
        self.reordered = true;
        let rest = &self.format[self.at..];
        let Some(end) = rest.find(']') else {
            self.at += 1;
            self.good = false;
            return;
        };
        let number = rest[1..end].parse::<usize>().ok().filter(|number| (1..=self.values.len()).contains(number));
        self.at += end + 1;
        match number {
            Some(number) => {
                self.next = number - 1;
                self.after_index = true;
            }
            None => {
                self.good = false;
                self.after_index = rest[1..end].parse::<usize>().is_ok();
            }
        }
    }

    fn width(&mut self, printer: &mut Printer<'_>) {
        if self.peek() == Some(b'*') {
            self.at += 1;
            match self.starred() {
                Some(width) => {
                    printer.flags.width = Some(width.unsigned_abs());
                    if width < 0 {
                        printer.flags.minus = true;
                        printer.flags.zero = false;
                    }
                }
                None => printer.out.push_str("%!(BADWIDTH)"),
            }
            self.after_index = false;
            return;
        }
        printer.flags.width = self.number();
        if self.after_index && printer.flags.width.is_some() {
            self.good = false;
        }
    }

    fn precision(&mut self, printer: &mut Printer<'_>) {
        if self.peek() != Some(b'.') || self.at + 1 >= self.format.len() {
            return;
        }
        self.at += 1;
        if self.after_index {
            self.good = false;
        }
        self.index();
        if self.peek() == Some(b'*') {
            self.at += 1;
            match self.starred().map(usize::try_from) {
                Some(Ok(precision)) => printer.flags.precision = Some(precision),
                _ => printer.out.push_str("%!(BADPREC)"),
            }
            self.after_index = false;
            return;
        }
        printer.flags.precision = Some(self.number().unwrap_or(0));
    }

    fn number(&mut self) -> Option<usize> {
        let rest = &self.format[self.at..];
        let end = rest.find(|next: char| !next.is_ascii_digit()).unwrap_or(rest.len());
        self.at += end;
        let number = rest[..end].parse::<usize>().ok().filter(|number| *number <= 10 * LARGEST + 9);
        if end > 0 && number.is_none() {
            // nothing of the format is read any more
            self.at = self.format.len();
        }
        number
    }

    /// `*`: the next value is the number.
    fn starred(&mut self) -> Option<isize> {
        let value = self.values.get(self.next)?;
        self.next += 1;
        match value {
            Value::Whole(number, _) => isize::try_from(*number).ok().filter(|number| number.unsigned_abs() <= LARGEST),
            _ => None,
        }
    }

    /// Values that no directive has printed.
    fn extra(&self, printer: &mut Printer<'_>) -> Result<(), Fault> {
        if self.reordered || self.next >= self.values.len() {
            return Ok(());
        }
        printer.out.push_str("%!(EXTRA ");
        for (index, value) in self.values[self.next..].iter().enumerate() {
            if index > 0 {
                printer.out.push_str(", ");
            }
            if value.is_nothing() {
                printer.out.push_str("<nil>");
            } else {
                printer.out.push_str(&value.type_name());
                printer.out.push('=');
                printer.value(value, 'v', 0)?;
            }
        }
        printer.out.push(')');
        Ok(())
    }
}
