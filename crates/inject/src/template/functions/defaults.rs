//! Choosing between values.

use super::{Args, Outcome, Runtime, Value};

/// Empty is what `if` takes for false.
fn is_empty(value: &Value) -> bool {
    !value.truth()
}

pub(super) fn default(_: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let given = args.rest(1).first();
    Ok(given.filter(|given| !is_empty(given)).unwrap_or(args.any(0)).clone())
}

pub(super) fn empty(_: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    Ok(Value::Bool(is_empty(args.any(0))))
}

pub(super) fn coalesce(_: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    Ok(args.rest(0).iter().find(|value| !is_empty(value)).cloned().unwrap_or(Value::Null))
}

pub(super) fn all(_: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    Ok(Value::Bool(!args.rest(0).iter().any(is_empty)))
}

pub(super) fn any(_: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    Ok(Value::Bool(args.rest(0).iter().any(|value| !is_empty(value))))
}

pub(super) fn ternary(_: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    Ok(args.any(if args.any(2).truth() { 0 } else { 1 }).clone())
}
