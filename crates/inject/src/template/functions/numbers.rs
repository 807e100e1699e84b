//! Whole numbers wrap around at 64 bits, as in Go; those of the functions that end in `f` are calculated in decimals.

use super::{Args, Fault, Outcome, Runtime, Type, Value};
use crate::template::{format, number};

mod decimal;

/// A value as a whole number; 0 where it is none.
pub(super) fn to_int(value: &Value) -> i64 {
    match value.indirect() {
        Value::Whole(number, _) => *number as i64,
        Value::Float(number) => whole(*number),
        Value::Text(text) => number::parse_int(without_zero_decimals(text), 0).unwrap_or(0),
        Value::Bool(on) => i64::from(*on),
        _ => 0,
    }
}

/// As the processor does it: what does not fit is the smallest number.
fn whole(number: f64) -> i64 {
    let truncated = number.trunc();
    let fits = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&truncated);
    if fits { truncated as i64 } else { i64::MIN }
}

/// `7.00` is `7`.
fn without_zero_decimals(text: &str) -> &str {
    match text.rfind('.') {
        Some(dot) if dot + 1 < text.len() && text[dot + 1..].bytes().all(|byte| byte == b'0') => &text[..dot],
        _ => text,
    }
}

/// A value as a number; 0 where it is none.
fn to_float(value: &Value) -> f64 {
    match value.indirect() {
        Value::Whole(number, _) => *number as f64,
        Value::Float(number) => *number,
        Value::Text(text) => number::parse_float(text).unwrap_or(0.0),
        Value::Bool(on) => f64::from(u8::from(*on)),
        _ => 0.0,
    }
}

pub(super) fn atoi(_: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    Ok(Value::int(number::parse_int_or_nearest(args.text(0)?)))
}

pub(super) fn int(_: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    Ok(Value::int(to_int(args.any(0))))
}

pub(super) fn int64(_: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    Ok(Value::int64(to_int(args.any(0))))
}

pub(super) fn float64(_: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    Ok(Value::Float(to_float(args.any(0))))
}

/// From octal digits.
pub(super) fn to_decimal(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let text = format::plain(runtime, args.any(0))?;
    Ok(Value::int64(number::parse_int(&text, 8).unwrap_or(0)))
}

/// The numbers from `start` up or down to `stop`, which is not among them.
fn steps(runtime: &Runtime<'_>, start: i64, stop: i64, step: i64) -> Result<Vec<i64>, Fault> {
    let (from, to, by) = (i128::from(start), i128::from(stop), i128::from(step));
    let goes = if to < from { by < 0 } else { by > 0 && to > from };
    if !goes {
        return Ok(Vec::new());
    }
    let count = usize::try_from(((to - from).abs() + by.abs() - 1) / by.abs()).unwrap_or(usize::MAX);
    runtime.meter.bytes(count.saturating_mul(8))?;
    runtime.meter.steps(count)?;
    Ok((0..count as i128).map(|index| (from + index * by) as i64).collect())
}

fn int_list(runtime: &Runtime<'_>, numbers: Vec<i64>) -> Outcome {
    let of = Type::Whole(super::super::shape::Whole::Int);
    runtime.list(of, numbers.into_iter().map(Value::int).collect())
}

pub(super) fn until(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let count = args.int(0)?;
    int_list(runtime, steps(runtime, 0, count, if count < 0 { -1 } else { 1 })?)
}

pub(super) fn until_step(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    int_list(runtime, steps(runtime, args.int(0)?, args.int(1)?, args.int(2)?)?)
}

/// `seq last`, `seq first last` or `seq first step last`, as text with spaces.
pub(super) fn seq(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let (start, step, end) = match args.len() {
        1 => (1, None, args.int(0)?),
        2 => (args.int(0)?, None, args.int(1)?),
        3 => (args.int(0)?, Some(args.int(1)?), args.int(2)?),
        _ => return runtime.text(""),
    };
    let direction = if end < start { -1 } else { 1 };
    if direction < 0 && step.is_some_and(|step| step > 0) {
        return runtime.text("");
    }
    let numbers = steps(runtime, start, end.wrapping_add(direction), step.unwrap_or(direction))?;
    let words: Vec<String> = numbers.iter().map(i64::to_string).collect();
    runtime.text(words.join(" "))
}

pub(super) fn add1(_: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    Ok(Value::int64(to_int(args.any(0)).wrapping_add(1)))
}

pub(super) fn add(_: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    Ok(Value::int64(args.rest(0).iter().map(to_int).fold(0, i64::wrapping_add)))
}

pub(super) fn sub(_: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    Ok(Value::int64(to_int(args.any(0)).wrapping_sub(to_int(args.any(1)))))
}

pub(super) fn mul(_: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    Ok(Value::int64(args.rest(0).iter().map(to_int).fold(1, i64::wrapping_mul)))
}

pub(super) fn div(_: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    match to_int(args.any(1)) {
        0 => Fault::said("runtime error: integer divide by zero"),
        by => Ok(Value::int64(to_int(args.any(0)).wrapping_div(by))),
    }
}

pub(super) fn modulo(_: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    match to_int(args.any(1)) {
        0 => Fault::said("runtime error: integer divide by zero"),
        by => Ok(Value::int64(to_int(args.any(0)).wrapping_rem(by))),
    }
}

pub(super) fn max(_: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    Ok(Value::int64(args.rest(0).iter().map(to_int).max().unwrap_or(0)))
}

pub(super) fn min(_: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    Ok(Value::int64(args.rest(0).iter().map(to_int).min().unwrap_or(0)))
}

pub(super) fn maxf(_: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    extreme(args, |a, b| if b > a { b } else { a })
}

pub(super) fn minf(_: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    extreme(args, |a, b| if b < a { b } else { a })
}

fn extreme(args: &Args<'_>, better: fn(f64, f64) -> f64) -> Outcome {
    let mut numbers = args.rest(0).iter().map(to_float);
    let first = numbers.next().unwrap_or(0.0);
    // what is no number makes the result none
    Ok(Value::Float(numbers.fold(first, |a, b| if a.is_nan() || b.is_nan() { f64::NAN } else { better(a, b) })))
}

pub(super) fn ceil(_: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    Ok(Value::Float(to_float(args.any(0)).ceil()))
}

pub(super) fn floor(_: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    Ok(Value::Float(to_float(args.any(0)).floor()))
}

/// To a number of places; from which fraction on it goes up may be given.
pub(super) fn round(_: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let from = if args.len() > 2 { args.float(2)? } else { 0.5 };
    let power = 10_f64.powf(args.int(1)? as f64);
    let digits = power * to_float(args.any(0));
    let rounded = if digits.fract() >= from { digits.ceil() } else { digits.floor() };
    Ok(Value::Float(rounded / power))
}

pub(super) fn add1f(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    decimals(runtime, to_float(args.any(0)), &[Value::int(1)], decimal::add)
}

pub(super) fn addf(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    decimals(runtime, 0.0, args.rest(0), decimal::add)
}

pub(super) fn subf(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    decimals(runtime, to_float(args.any(0)), args.rest(1), decimal::sub)
}

pub(super) fn mulf(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    decimals(runtime, to_float(args.any(0)), args.rest(1), decimal::mul)
}

pub(super) fn divf(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    decimals(runtime, to_float(args.any(0)), args.rest(1), decimal::div)
}

type Operation = fn(&decimal::Decimal, &decimal::Decimal) -> Result<decimal::Decimal, Fault>;

fn decimals(runtime: &Runtime<'_>, first: f64, others: &[Value], operation: Operation) -> Outcome {
    let mut result = decimal::Decimal::of(first)?;
    for other in others {
        result = operation(&result, &decimal::Decimal::of(to_float(other))?)?;
        runtime.meter.bytes(result.size())?;
    }
    Ok(Value::Float(result.nearest()))
}
