//! Text read as a moment by a layout.

use jiff::civil::{Date, DateTime};

use super::layout::{self, Part};
use super::{LONG_DAYS, LONG_MONTHS, Time, seconds_of};
use crate::template::quote::quote;

/// What has been read so far.
#[derive(Default)]
struct Read {
    year: i16,
    month: Option<i8>,
    day: Option<i8>,
    year_day: Option<i16>,
    hour: i8,
    minute: i8,
    second: i8,
    nanos: i32,
    afternoon: Option<bool>,
    offset: Option<i32>,
    zone: Option<String>,
}

/// Why a part cannot be read.
enum Trouble {
    /// It does not look so.
    Bad,
    /// It is no such number.
    Range(&'static str),
}

type Rest<'a> = Result<&'a str, Trouble>;

/// A moment from text; without a zone in it, in UTC.
pub(crate) fn parse(layout: &str, text: &str) -> Result<Time, String> {
    let problem = |part: &str, rest: &str, what: &str| {
        if what.is_empty() {
            let (text, layout) = (quote(text), quote(layout));
            return format!("parsing time {text} as {layout}: cannot parse {} as {}", quote(rest), quote(part));
        }
        format!("parsing time {}: {what}", quote(text))
    };
    let mut read = Read::default();
    let (mut left, mut value) = (layout, text);
    loop {
        let (before, part, after) = layout::next(left);
        value = skip(value, before).map_err(|rest| problem(before, rest, ""))?;
        let Some(part) = part else { break };
        let written = &left[before.len()..left.len() - after.len()];
        left = after;
        value = match read.part(part, value, after) {
            Ok(rest) => rest,
            Err(Trouble::Bad) => return Err(problem(written, value, "")),
            Err(Trouble::Range(what)) => return Err(problem(written, value, &format!("{what} out of range"))),
        };
    }
    if !value.is_empty() {
        return Err(problem("", value, &format!("extra text: {}", quote(value))));
    }
    read.time().ok_or_else(|| problem("", "", "day out of range"))
}

/// What is left behind text that is the same in layout and value; a space stands for any number of them.
fn skip<'a>(mut value: &'a str, mut prefix: &str) -> Result<&'a str, &'a str> {
    while let Some(next) = prefix.chars().next() {
        if next == ' ' {
            if value.starts_with(|first| first != ' ') {
                return Err(value);
            }
            prefix = prefix.trim_start_matches(' ');
            value = value.trim_start_matches(' ');
            continue;
        }
        value = value.strip_prefix(next).ok_or(value)?;
        prefix = &prefix[next.len_utf8()..];
    }
    Ok(value)
}

fn digit(text: &str, at: usize) -> Option<i32> {
    text.as_bytes().get(at).filter(|byte| byte.is_ascii_digit()).map(|byte| i32::from(byte - b'0'))
}

/// One or two digits, or exactly two.
fn two(text: &str, fixed: bool) -> Result<(i8, &str), Trouble> {
    match (digit(text, 0), digit(text, 1)) {
        (Some(tens), Some(ones)) => Ok(((tens * 10 + ones) as i8, &text[2..])),
        (Some(ones), None) if !fixed => Ok((ones as i8, &text[1..])),
        _ => Err(Trouble::Bad),
    }
}

fn name<'a>(text: &'a str, names: &[&str], length: Option<usize>) -> Result<(usize, &'a str), Trouble> {
    for (index, name) in names.iter().enumerate() {
        let name = &name[..length.unwrap_or(name.len())];
        if text.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)) {
            return Ok((index, &text[name.len()..]));
        }
    }
    Err(Trouble::Bad)
}

impl Read {
    fn part<'a>(&mut self, part: Part, text: &'a str, after: &str) -> Rest<'a> {
        match part {
            Part::Year | Part::LongYear => self.year(text, part == Part::LongYear),
            Part::Month | Part::LongMonth | Part::NumMonth | Part::ZeroMonth => self.month(part, text),
            Part::Weekday => Ok(name(text, &LONG_DAYS, Some(3))?.1),
            Part::LongWeekday => Ok(name(text, &LONG_DAYS, None)?.1),
            Part::Day | Part::UnderDay | Part::ZeroDay => {
                let text = if part == Part::UnderDay { text.strip_prefix(' ').unwrap_or(text) } else { text };
                let (day, rest) = two(text, part == Part::ZeroDay)?;
                self.day = Some(day);
                Ok(rest)
            }
            Part::UnderYearDay | Part::ZeroYearDay => self.day_of_year(text, part == Part::ZeroYearDay),
            Part::Hour | Part::Hour12 | Part::ZeroHour12 => {
                let (hour, rest) = two(text, part == Part::ZeroHour12)?;
                self.hour = hour;
                let most = if part == Part::Hour { 23 } else { 12 };
                if hour > most { Err(Trouble::Range("hour")) } else { Ok(rest) }
            }
            Part::Minute | Part::ZeroMinute => {
                let (minute, rest) = two(text, part == Part::ZeroMinute)?;
                self.minute = minute;
                if minute > 59 { Err(Trouble::Range("minute")) } else { Ok(rest) }
            }
            Part::Second | Part::ZeroSecond => self.second(text, part == Part::ZeroSecond, after),
            Part::UpperHalf | Part::LowerHalf => {
                let (am, pm) = if part == Part::UpperHalf { ("AM", "PM") } else { ("am", "pm") };
                self.afternoon = Some(text.starts_with(pm));
                text.strip_prefix(pm).or_else(|| text.strip_prefix(am)).ok_or(Trouble::Bad)
            }
            Part::Zone => self.zone(text),
            Part::Offset { z, colons, minutes, seconds } => {
                if let (true, Some(rest)) = (z, text.strip_prefix('Z')) {
                    self.zone = Some("UTC".to_owned());
                    return Ok(rest);
                }
                self.offset(text, colons, minutes, seconds)
            }
            Part::Fraction { digits, trims, .. } => self.fraction(text, if trims { None } else { Some(digits) }),
        }
    }

    fn year<'a>(&mut self, text: &'a str, long: bool) -> Rest<'a> {
        let length = if long { 4 } else { 2 };
        let digits =
            text.get(..length).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit())).ok_or(Trouble::Bad)?;
        let year: i16 = digits.parse().map_err(|_| Trouble::Bad)?;
        self.year = match year {
            _ if long => year,
            69.. => year + 1900,
            _ => year + 2000,
        };
        Ok(&text[length..])
    }

    fn month<'a>(&mut self, part: Part, text: &'a str) -> Rest<'a> {
        let (month, rest) = match part {
            Part::Month => name(text, &LONG_MONTHS, Some(3)).map(|(index, rest)| (index as i8 + 1, rest))?,
            Part::LongMonth => name(text, &LONG_MONTHS, None).map(|(index, rest)| (index as i8 + 1, rest))?,
            _ => two(text, part == Part::ZeroMonth)?,
        };
        self.month = Some(month);
        if (1..=12).contains(&month) { Ok(rest) } else { Err(Trouble::Range("month")) }
    }

    fn day_of_year<'a>(&mut self, text: &'a str, fixed: bool) -> Rest<'a> {
        let text = if fixed { text } else { text.trim_start_matches(' ') };
        let length = text.bytes().take(3).take_while(u8::is_ascii_digit).count();
        if length == 0 || fixed && length != 3 {
            return Err(Trouble::Bad);
        }
        self.year_day = text[..length].parse().ok();
        Ok(&text[length..])
    }

    fn second<'a>(&mut self, text: &'a str, fixed: bool, after: &str) -> Rest<'a> {
        let (second, rest) = two(text, fixed)?;
        self.second = second;
        if second > 59 {
            return Err(Trouble::Range("second"));
        }
        // digits behind the second that the layout does not have
        let fraction_follows = matches!(layout::next(after), (_, Some(Part::Fraction { .. }), _));
        if rest.starts_with(['.', ',']) && digit(rest, 1).is_some() && !fraction_follows {
            return self.fraction(rest, None);
        }
        Ok(rest)
    }

    fn fraction<'a>(&mut self, text: &'a str, digits: Option<usize>) -> Rest<'a> {
        if digits.is_none() && !(text.starts_with(['.', ',']) && digit(text, 1).is_some()) {
            return Ok(text);
        }
        let length = digits.unwrap_or_else(|| text[1..].bytes().take_while(u8::is_ascii_digit).count());
        let found = text
            .get(1..=length)
            .filter(|found| text.starts_with(['.', ',']) && found.bytes().all(|byte| byte.is_ascii_digit()));
        let found = found.ok_or(Trouble::Bad)?;
        self.nanos = format!("{:0<9}", &found[..found.len().min(9)]).parse().map_err(|_| Trouble::Bad)?;
        Ok(&text[1 + length..])
    }

    fn offset<'a>(&mut self, text: &'a str, colons: bool, minutes: bool, seconds: bool) -> Rest<'a> {
        let negative = match text.as_bytes().first() {
            Some(b'+') => false,
            Some(b'-') => true,
            _ => return Err(Trouble::Bad),
        };
        let (hours, mut rest) = two(&text[1..], true)?;
        let mut total = i32::from(hours) * 3600;
        if hours > 24 {
            return Err(Trouble::Range("time zone offset hour"));
        }
        for (wanted, unit, what) in [(minutes, 60, "time zone offset minute"), (seconds, 1, "time zone offset second")]
        {
            if !wanted {
                continue;
            }
            if colons {
                rest = rest.strip_prefix(':').ok_or(Trouble::Bad)?;
            }
            let (number, left) = two(rest, true)?;
            if number > 60 {
                return Err(Trouble::Range(what));
            }
            total += i32::from(number) * unit;
            rest = left;
        }
        self.offset = Some(if negative { -total } else { total });
        Ok(rest)
    }

    /// An abbreviation. Only UTC says how far it is from it.
    fn zone<'a>(&mut self, text: &'a str) -> Rest<'a> {
        if let Some(rest) = text.strip_prefix("UTC") {
            self.zone = Some("UTC".to_owned());
            return Ok(rest);
        }
        let letters = text.bytes().take(6).take_while(u8::is_ascii_uppercase).count();
        let fits = match letters {
            3 => true,
            4 => text.as_bytes()[3] == b'T' || text.starts_with("WITA"),
            5 => text.as_bytes()[4] == b'T',
            _ => false,
        };
        if !fits {
            return Err(Trouble::Bad);
        }
        self.zone = Some(text[..letters].to_owned());
        Ok(&text[letters..])
    }

    fn time(&self) -> Option<Time> {
        let hour = match self.afternoon {
            Some(true) if self.hour < 12 => self.hour + 12,
            Some(false) if self.hour == 12 => 0,
            _ => self.hour,
        };
        let date = match self.year_day {
            Some(day) => {
                let first = Date::new(self.year, 1, 1).ok()?;
                if !(1..=first.days_in_year()).contains(&day) {
                    return None;
                }
                let date = first.checked_add(jiff::Span::new().days(i64::from(day) - 1)).ok()?;
                let differs = self.month.is_some_and(|month| month != date.month())
                    || self.day.is_some_and(|day| day != date.day());
                (!differs).then_some(date)?
            }
            None => Date::new(self.year, self.month.unwrap_or(1), self.day.unwrap_or(1)).ok()?,
        };
        let clock = jiff::civil::Time::new(hour, self.minute, self.second, 0).ok()?;
        let seconds = seconds_of(DateTime::from_parts(date, clock))?;
        let (offset, zone) = match (self.offset, &self.zone) {
            (_, Some(zone)) if zone == "UTC" => (0, "UTC".to_owned()),
            (Some(0), None) => (0, "UTC".to_owned()),
            (Some(offset), zone) => (offset, zone.clone().unwrap_or_default()),
            (None, Some(zone)) => (0, zone.clone()),
            (None, None) => (0, "UTC".to_owned()),
        };
        Some(Time { seconds: seconds - i64::from(offset), nanos: self.nanos, offset, zone })
    }
}
