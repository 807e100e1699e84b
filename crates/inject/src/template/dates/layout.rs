//! The parts of a layout, and a moment written by them.

use std::fmt::Write;

use super::{Fault, LONG_DAYS, LONG_MONTHS, Time};

/// A part of a layout that stands for a part of a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    LongMonth,
    Month,
    NumMonth,
    ZeroMonth,
    LongWeekday,
    Weekday,
    Day,
    UnderDay,
    ZeroDay,
    UnderYearDay,
    ZeroYearDay,
    Hour,
    Hour12,
    ZeroHour12,
    Minute,
    ZeroMinute,
    Second,
    ZeroSecond,
    LongYear,
    Year,
    UpperHalf,
    LowerHalf,
    Zone,
    /// Whether `Z` stands for none, whether there are colons, and whether minutes and seconds are written.
    Offset {
        z: bool,
        colons: bool,
        minutes: bool,
        seconds: bool,
    },
    /// Digits of a second, and whether trailing zeros are dropped.
    Fraction {
        digits: usize,
        trims: bool,
        comma: bool,
    },
}

const fn offset(z: bool, colons: bool, minutes: bool, seconds: bool) -> Part {
    Part::Offset { z, colons, minutes, seconds }
}

/// Longer ones first where one begins like another.
const PARTS: &[(&str, Part)] = &[
    ("January", Part::LongMonth),
    ("Jan", Part::Month),
    ("Monday", Part::LongWeekday),
    ("Mon", Part::Weekday),
    ("MST", Part::Zone),
    ("01", Part::ZeroMonth),
    ("02", Part::ZeroDay),
    ("03", Part::ZeroHour12),
    ("04", Part::ZeroMinute),
    ("05", Part::ZeroSecond),
    ("06", Part::Year),
    ("002", Part::ZeroYearDay),
    ("15", Part::Hour),
    ("1", Part::NumMonth),
    ("2006", Part::LongYear),
    ("2", Part::Day),
    ("__2", Part::UnderYearDay),
    ("_2", Part::UnderDay),
    ("3", Part::Hour12),
    ("4", Part::Minute),
    ("5", Part::Second),
    ("PM", Part::UpperHalf),
    ("pm", Part::LowerHalf),
    ("-070000", offset(false, false, true, true)),
    ("-07:00:00", offset(false, true, true, true)),
    ("-0700", offset(false, false, true, false)),
    ("-07:00", offset(false, true, true, false)),
    ("-07", offset(false, false, false, false)),
    ("Z070000", offset(true, false, true, true)),
    ("Z07:00:00", offset(true, true, true, true)),
    ("Z0700", offset(true, false, true, false)),
    ("Z07:00", offset(true, true, true, false)),
    ("Z07", offset(true, false, false, false)),
];

/// What comes before the next part, the part, and what comes after it.
pub(super) fn next(layout: &str) -> (&str, Option<Part>, &str) {
    for (at, _) in layout.char_indices() {
        let rest = &layout[at..];
        // `_2006` is an underscore and a year
        if let Some(after) = rest.strip_prefix("_2006") {
            return (&layout[..=at], Some(Part::LongYear), after);
        }
        if let Some((length, part)) = fraction(rest) {
            return (&layout[..at], Some(part), &rest[length..]);
        }
        let found = PARTS.iter().find(|(text, part)| {
            let short = matches!(part, Part::Month | Part::Weekday);
            rest.starts_with(text) && !(short && rest[3..].starts_with(|next: char| next.is_ascii_lowercase()))
        });
        if let Some((text, part)) = found {
            return (&layout[..at], Some(*part), &rest[text.len()..]);
        }
    }
    (layout, None, "")
}

fn fraction(rest: &str) -> Option<(usize, Part)> {
    let mut characters = rest.chars();
    let separator = characters.next().filter(|first| matches!(first, '.' | ','))?;
    let digit = characters.next().filter(|next| matches!(next, '0' | '9'))?;
    let digits = rest[1..].chars().take_while(|next| *next == digit).count();
    if rest[1 + digits..].starts_with(|next: char| next.is_ascii_digit()) {
        return None;
    }
    Some((1 + digits, Part::Fraction { digits, trims: digit == '9', comma: separator == ',' }))
}

pub(super) fn format(time: &Time, layout: &str) -> Result<String, Fault> {
    let shown = time.civil()?;
    let mut out = String::new();
    let mut rest = layout;
    while !rest.is_empty() {
        let (before, part, after) = next(rest);
        out.push_str(before);
        let Some(part) = part else { break };
        rest = after;
        let hour12 = match shown.hour() % 12 {
            0 => 12,
            hour => hour,
        };
        let weekday = LONG_DAYS[usize::from(shown.weekday().to_sunday_zero_offset().unsigned_abs()) % 7];
        let month = LONG_MONTHS[usize::from(shown.month().unsigned_abs() - 1) % 12];
        let _ = match part {
            Part::LongMonth => write!(out, "{month}"),
            Part::Month => write!(out, "{}", &month[..3]),
            Part::NumMonth => write!(out, "{}", shown.month()),
            Part::ZeroMonth => write!(out, "{:02}", shown.month()),
            Part::LongWeekday => write!(out, "{weekday}"),
            Part::Weekday => write!(out, "{}", &weekday[..3]),
            Part::Day => write!(out, "{}", shown.day()),
            Part::UnderDay => write!(out, "{:2}", shown.day()),
            Part::ZeroDay => write!(out, "{:02}", shown.day()),
            Part::UnderYearDay => write!(out, "{:3}", shown.day_of_year()),
            Part::ZeroYearDay => write!(out, "{:03}", shown.day_of_year()),
            Part::Hour => write!(out, "{:02}", shown.hour()),
            Part::Hour12 => write!(out, "{hour12}"),
            Part::ZeroHour12 => write!(out, "{hour12:02}"),
            Part::Minute => write!(out, "{}", shown.minute()),
            Part::ZeroMinute => write!(out, "{:02}", shown.minute()),
            Part::Second => write!(out, "{}", shown.second()),
            Part::ZeroSecond => write!(out, "{:02}", shown.second()),
            Part::LongYear => {
                write!(out, "{}{:04}", if shown.year() < 0 { "-" } else { "" }, shown.year().unsigned_abs())
            }
            Part::Year => write!(out, "{:02}", shown.year().unsigned_abs() % 100),
            Part::UpperHalf => write!(out, "{}", if shown.hour() >= 12 { "PM" } else { "AM" }),
            Part::LowerHalf => write!(out, "{}", if shown.hour() >= 12 { "pm" } else { "am" }),
            Part::Zone if time.zone.is_empty() => {
                write!(out, "{}", offset_text(time.offset, offset(false, false, true, false)))
            }
            Part::Zone => write!(out, "{}", time.zone),
            Part::Offset { .. } => write!(out, "{}", offset_text(time.offset, part)),
            Part::Fraction { digits, trims, comma } => {
                write!(out, "{}", fraction_text(time.nanos, digits, trims, comma))
            }
        };
    }
    Ok(out)
}

fn offset_text(seconds: i32, part: Part) -> String {
    let Part::Offset { z, colons, minutes, seconds: with_seconds } = part else { return String::new() };
    if z && seconds == 0 {
        return "Z".to_owned();
    }
    let size = seconds.unsigned_abs();
    let colon = if colons { ":" } else { "" };
    let mut text = format!("{}{:02}", if seconds / 60 < 0 { '-' } else { '+' }, size / 3600);
    if minutes {
        text.push_str(&format!("{colon}{:02}", size / 60 % 60));
    }
    if with_seconds {
        text.push_str(&format!("{colon}{:02}", size % 60));
    }
    text
}

fn fraction_text(nanos: i32, digits: usize, trims: bool, comma: bool) -> String {
    let all = format!("{:09}", nanos.unsigned_abs());
    let mut text = all[..digits.min(9)].to_owned();
    if trims {
        text.truncate(text.trim_end_matches('0').len());
        if text.is_empty() {
            return text;
        }
    } else {
        text.push_str(&"0".repeat(digits.min(100) - text.len()));
    }
    text.insert(0, if comma { ',' } else { '.' });
    text
}
