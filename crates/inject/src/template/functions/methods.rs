//! Methods of values that are no plain data: versions, dates, enumerations, lengths of time, ports. The receiver is the first argument of
//! the function, and not among its parameters.

use std::rc::Rc;

use super::conversions::sign;
use super::{Args, Call, Fault, Function, Outcome, Param, Runtime, Value};
use crate::template::shape::{self, Whole};
use crate::template::value::{Record, Span, Time, Version};
use crate::template::{dates, duration, format, versions};

type Plain = fn(&Runtime<'_>, &Args<'_>) -> Outcome;

const fn m(name: &'static str, params: &'static [Param], call: Plain) -> Function {
    Function { name, params, variadic: false, call: Call::Plain(call) }
}

const VERSION: &[Function] = &[
    m("Major", &[], |_, args| Ok(version_number(version(args, 0)?, 0))),
    m("Minor", &[], |_, args| Ok(version_number(version(args, 0)?, 1))),
    m("Patch", &[], |_, args| Ok(version_number(version(args, 0)?, 2))),
    m("Prerelease", &[], |runtime, args| runtime.text(version(args, 0)?.pre.as_str())),
    m("Metadata", &[], |runtime, args| runtime.text(version(args, 0)?.metadata.as_str())),
    m("Original", &[], |runtime, args| runtime.text(version(args, 0)?.original.as_str())),
    m("String", &[], |runtime, args| runtime.text(versions::written(version(args, 0)?))),
    m("Compare", &[Param::Version], |_, args| Ok(sign(compared(args)?))),
    m("Equal", &[Param::Version], |_, args| Ok(Value::Bool(compared(args)?.is_eq()))),
    m("LessThan", &[Param::Version], |_, args| Ok(Value::Bool(compared(args)?.is_lt()))),
    m("GreaterThan", &[Param::Version], |_, args| Ok(Value::Bool(compared(args)?.is_gt()))),
    m("LessThanEqual", &[Param::Version], |_, args| Ok(Value::Bool(compared(args)?.is_le()))),
    m("GreaterThanEqual", &[Param::Version], |_, args| Ok(Value::Bool(compared(args)?.is_ge()))),
];

const TIME: &[Function] = &[
    m("Format", &[Param::Text], |runtime, args| runtime.text(dates::format(time(args)?, args.text(1)?)?)),
    m("String", &[], |runtime, args| runtime.text(dates::written(time(args)?))),
    m("Unix", &[], |_, args| Ok(Value::int64(time(args)?.seconds))),
    m("UTC", &[], |_, args| {
        Ok(Value::Time(Rc::new(Time { offset: 0, zone: "UTC".to_owned(), ..time(args)?.clone() })))
    }),
    m("IsZero", &[], |_, args| Ok(Value::Bool(time(args)?.seconds == -62_135_596_800 && time(args)?.nanos == 0))),
    m("Year", &[], |_, args| Ok(Value::int(i64::from(time(args)?.civil()?.year())))),
    m("Month", &[], |runtime, args| runtime.text(dates::format(time(args)?, "January")?)),
    m("Weekday", &[], |runtime, args| runtime.text(dates::format(time(args)?, "Monday")?)),
    m("Day", &[], |_, args| Ok(Value::int(i64::from(time(args)?.civil()?.day())))),
    m("YearDay", &[], |_, args| Ok(Value::int(i64::from(time(args)?.civil()?.day_of_year())))),
    m("Hour", &[], |_, args| Ok(Value::int(i64::from(time(args)?.civil()?.hour())))),
    m("Minute", &[], |_, args| Ok(Value::int(i64::from(time(args)?.civil()?.minute())))),
    m("Second", &[], |_, args| Ok(Value::int(i64::from(time(args)?.civil()?.second())))),
    m("Nanosecond", &[], |_, args| Ok(Value::int(i64::from(time(args)?.nanos)))),
];

const ENUM: &[Function] = &[
    m("String", &[], |runtime, args| runtime.text(format::plain(runtime, args.any(0))?)),
    m("Number", &[], |_, args| match args.any(0) {
        Value::Enum(number, _) => Ok(Value::Whole(i128::from(*number), Whole::Int32)),
        value => Fault::said(format!("{} has no number", value.type_name())),
    }),
];

const SPAN: &[Function] = &[
    m("GetSeconds", &[], |_, args| Ok(Value::int64(span(args).seconds))),
    m("GetNanos", &[], |_, args| Ok(Value::Whole(i128::from(span(args).nanos), Whole::Int32))),
    m("Seconds", &[], |_, args| Ok(Value::int64(span(args).seconds))),
    m("Nanos", &[], |_, args| Ok(Value::Whole(i128::from(span(args).nanos), Whole::Int32))),
    m("AsDuration", &[], |_, args| Ok(Value::Named(Rc::from(duration::written(span(args).go())), "time.Duration"))),
    m("String", &[], |runtime, args| runtime.text(format::plain(runtime, args.any(0))?)),
];

const PORT: &[Function] = &[
    m("String", &[], |runtime, args| runtime.text(format::int_or_string(port(args)?))),
    m("IntValue", &[], |_, args| {
        let text = format::int_or_string(port(args)?);
        Ok(Value::int(text.parse().unwrap_or(0)))
    }),
];

const TEXT: &[Function] = &[m("String", &[], |runtime, args| runtime.text(args.text(0)?))];

/// The method with this name.
pub(crate) fn find(receiver: &Value, name: &str) -> Option<&'static Function> {
    let methods = match receiver.indirect() {
        Value::Version(_) => VERSION,
        Value::Time(_) => TIME,
        Value::Enum(..) => ENUM,
        Value::Duration(_) | Value::Nil(shape::Type::Duration) => SPAN,
        Value::Record(record) if record.shape.name == "intstr.IntOrString" => PORT,
        Value::Named(..) => TEXT,
        _ => return None,
    };
    methods.iter().find(|method| method.name == name)
}

fn version<'v>(args: &'v Args<'_>, index: usize) -> Result<&'v Version, Fault> {
    match args.any(index).indirect() {
        Value::Version(version) => Ok(version),
        _ => Fault::said("runtime error: invalid memory address or nil pointer dereference"),
    }
}

fn version_number(version: &Version, index: usize) -> Value {
    Value::Whole(i128::from(version.numbers[index]), Whole::Uint64)
}

fn compared(args: &Args<'_>) -> Result<std::cmp::Ordering, Fault> {
    Ok(versions::compare(version(args, 0)?, version(args, 1)?))
}

fn time<'v>(args: &'v Args<'_>) -> Result<&'v Time, Fault> {
    match args.any(0).indirect() {
        Value::Time(time) => Ok(time),
        value => Fault::said(format!("a {} is no date", value.type_name())),
    }
}

/// Nil is no time at all.
fn span(args: &Args<'_>) -> Span {
    match args.any(0).indirect() {
        Value::Duration(span) => *span,
        _ => Span { seconds: 0, nanos: 0 },
    }
}

fn port<'v>(args: &'v Args<'_>) -> Result<&'v Record, Fault> {
    match args.any(0).indirect() {
        Value::Record(record) => Ok(record),
        value => Fault::said(format!("a {} is no port", value.type_name())),
    }
}
