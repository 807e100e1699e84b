//! Dates and lengths of time. There is no clock and no local zone here: what would need one is refused, and `Local` is UTC.

use std::rc::Rc;

use super::refused::CLOCK;
use super::{Args, Fault, Outcome, Runtime, Type, Value};
use crate::template::shape::Whole;
use crate::template::value::Time;
use crate::template::{dates, duration as durations, number};

/// The moment that a value stands for: seconds since 1970, or a date.
fn moment(value: &Value) -> Result<Time, Fault> {
    match value.indirect() {
        Value::Time(time) => Ok((**time).clone()),
        Value::Whole(seconds, Whole::Int | Whole::Int64 | Whole::Int32) => Ok(Time::utc(*seconds as i64)),
        // sprig takes the present for everything else
        value => Fault::said(format!("a {} is no date, and the present date is not known: {CLOCK}", value.type_name())),
    }
}

fn formatted(runtime: &Runtime<'_>, layout: &str, value: &Value, zone: &str) -> Outcome {
    let time = moment(value)?;
    if !matches!(zone, "" | "UTC" | "Local") {
        return Fault::said(format!("the zone {zone:?} is not known: injection has no database of zones; use UTC"));
    }
    runtime.text(dates::format(&Time { offset: 0, zone: "UTC".to_owned(), ..time }, layout)?)
}

pub(super) fn date(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    formatted(runtime, args.text(0)?, args.any(1), "Local")
}

pub(super) fn date_in_zone(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    formatted(runtime, args.text(0)?, args.any(1), args.text(2)?)
}

pub(super) fn html_date(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    formatted(runtime, "2006-01-02", args.any(0), "Local")
}

pub(super) fn html_date_in_zone(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    formatted(runtime, "2006-01-02", args.any(0), args.text(1)?)
}

fn time(value: &Value) -> Result<&Time, Fault> {
    match value {
        Value::Time(time) => Ok(time),
        value => Fault::said(format!("a {} is no date", value.type_name())),
    }
}

fn moved(args: &Args<'_>) -> Result<Result<Time, String>, Fault> {
    let time = time(args.any(1))?;
    Ok(durations::parse(args.text(0)?).map(|by| {
        let nanos = i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanos) + i128::from(by);
        let (seconds, nanos) = (nanos.div_euclid(1_000_000_000), nanos.rem_euclid(1_000_000_000));
        Time { seconds: seconds as i64, nanos: nanos as i32, ..time.clone() }
    }))
}

/// What is no duration moves nothing.
pub(super) fn date_modify(_: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    match moved(args)? {
        Ok(time) => Ok(Value::Time(Rc::new(time))),
        Err(_) => Ok(args.any(1).clone()),
    }
}

pub(super) fn must_date_modify(_: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    moved(args)?.map(|time| Value::Time(Rc::new(time))).map_err(Fault::Said)
}

pub(super) fn must_to_date(_: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    dates::parse(args.text(0)?, args.text(1)?).map(|time| Value::Time(Rc::new(time))).map_err(Fault::Said)
}

/// What is no date gives the first day of the year 1.
pub(super) fn to_date(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    super::encoding::unless_wrong(must_to_date(runtime, args), || Ok(Value::zero(&Type::Time)))
}

pub(super) fn unix_epoch(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    runtime.text(time(args.any(0))?.seconds.to_string())
}

/// Of seconds in a string or an `int64`; anything else is 0.
pub(super) fn duration(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let seconds = match args.any(0) {
        Value::Text(text) => number::parse_int_or_nearest(text),
        Value::Whole(seconds, Whole::Int64) => *seconds as i64,
        _ => 0,
    };
    runtime.text(durations::written(seconds.wrapping_mul(1_000_000_000)))
}

/// To its largest unit.
pub(super) fn duration_round(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let nanos = match args.any(0) {
        Value::Text(text) => durations::parse(text).unwrap_or(0),
        Value::Whole(nanos, Whole::Int64) => *nanos as i64,
        Value::Time(_) => return Fault::said(CLOCK),
        _ => 0,
    };
    const SECOND: u64 = 1_000_000_000;
    const UNITS: [(u64, &str); 6] = [
        (365 * 24 * 3600 * SECOND, "y"),
        (30 * 24 * 3600 * SECOND, "mo"),
        (24 * 3600 * SECOND, "d"),
        (3600 * SECOND, "h"),
        (60 * SECOND, "m"),
        (SECOND, "s"),
    ];
    let size = nanos.unsigned_abs();
    let unit = UNITS.iter().find(|(unit, _)| size > *unit);
    runtime.text(unit.map_or_else(|| "0s".to_owned(), |(unit, name)| format!("{}{name}", size / unit)))
}
