//! Lists. A list that is changed is a new one.

use super::conversions::{equal, strings, text_of};
use super::numbers::to_int;
use super::{Args, Fault, Outcome, Runtime, Type, Value};

pub(super) fn list(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    runtime.list(Type::Any, args.rest(0).to_vec())
}

/// The elements of a list that something is done with.
fn items<'v>(runtime: &Runtime<'_>, value: &'v Value, what: &str) -> Result<&'v [Value], Fault> {
    match value.items() {
        Some(items) => {
            runtime.meter.steps(items.len())?;
            Ok(items)
        }
        None if value.is_nothing() => Fault::said("runtime error: invalid memory address or nil pointer dereference"),
        None => Fault::said(format!("Cannot {what} type {}", value.kind())),
    }
}

fn any_list(runtime: &Runtime<'_>, items: Vec<Value>) -> Outcome {
    runtime.list(Type::Any, items)
}

/// What sprig gives for the rest of an empty list.
fn no_list() -> Outcome {
    Ok(Value::Nil(Type::list(Type::Any)))
}

pub(super) fn push(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let mut all = items(runtime, args.any(0), "push on")?.to_vec();
    all.push(args.any(1).clone());
    any_list(runtime, all)
}

pub(super) fn prepend(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let mut all = vec![args.any(1).clone()];
    all.extend_from_slice(items(runtime, args.any(0), "prepend on")?);
    any_list(runtime, all)
}

pub(super) fn first(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    Ok(items(runtime, args.any(0), "find first on")?.first().cloned().unwrap_or(Value::Null))
}

pub(super) fn last(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    Ok(items(runtime, args.any(0), "find last on")?.last().cloned().unwrap_or(Value::Null))
}

pub(super) fn rest(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    match items(runtime, args.any(0), "find rest on")? {
        [] => no_list(),
        [_, rest @ ..] => any_list(runtime, rest.to_vec()),
    }
}

pub(super) fn initial(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    match items(runtime, args.any(0), "find initial on")? {
        [] => no_list(),
        [initial @ .., _] => any_list(runtime, initial.to_vec()),
    }
}

pub(super) fn reverse(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let mut all = items(runtime, args.any(0), "find reverse on")?.to_vec();
    all.reverse();
    any_list(runtime, all)
}

pub(super) fn compact(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let all = items(runtime, args.any(0), "compact on")?;
    any_list(runtime, all.iter().filter(|item| item.truth()).cloned().collect())
}

fn holds(runtime: &Runtime<'_>, haystack: &[Value], needle: &Value) -> Result<bool, Fault> {
    for item in haystack {
        if equal(runtime, needle, item, 0)? {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(super) fn uniq(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let mut found: Vec<Value> = Vec::new();
    for item in items(runtime, args.any(0), "find uniq on")? {
        if !holds(runtime, &found, item)? {
            found.push(item.clone());
        }
    }
    any_list(runtime, found)
}

pub(super) fn without(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let mut kept = Vec::new();
    for item in items(runtime, args.any(0), "find without on")? {
        if !holds(runtime, args.rest(1), item)? {
            kept.push(item.clone());
        }
    }
    any_list(runtime, kept)
}

/// The needle comes first.
pub(super) fn has(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    if args.any(1).is_nothing() {
        return Ok(Value::Bool(false));
    }
    let haystack = items(runtime, args.any(1), "find has on")?;
    Ok(Value::Bool(holds(runtime, haystack, args.any(0))?))
}

pub(super) fn slice(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let value = args.any(0);
    if value.items().is_none() && !value.is_nothing() {
        return Fault::said(format!("list should be type of slice or array but {}", value.kind()));
    }
    let all = items(runtime, value, "slice")?;
    if all.is_empty() {
        return Ok(Value::Null);
    }
    let start = args.rest(1).first().map_or(0, to_int);
    let end = args.rest(1).get(1).map_or(all.len() as i64, to_int);
    let range = usize::try_from(start).ok().zip(usize::try_from(end).ok()).and_then(|(start, end)| all.get(start..end));
    let of = match value.type_of() {
        Some(Type::List(of)) => (*of).clone(),
        _ => Type::Any,
    };
    match range {
        Some(part) => runtime.list(of, part.to_vec()),
        None => Fault::said("reflect.Value.Slice: slice index out of bounds"),
    }
}

pub(super) fn concat(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let mut all = Vec::new();
    for value in args.rest(0) {
        if value.items().is_none() && !value.is_nothing() {
            return Fault::said(format!("Cannot concat type {} as list", value.kind()));
        }
        all.extend_from_slice(items(runtime, value, "concat")?);
    }
    if all.is_empty() { no_list() } else { any_list(runtime, all) }
}

pub(super) fn chunk(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let value = args.any(1);
    if value.items().is_none() && !value.is_nothing() {
        return Fault::said(format!("Cannot chunk type {}", value.kind()));
    }
    let all = items(runtime, value, "chunk")?;
    let size = args.int(0)?;
    let of = Type::list(Type::Any);
    if let Some(size) = usize::try_from(size).ok().filter(|size| *size > 0) {
        let chunks = all.chunks(size).map(|chunk| any_list(runtime, chunk.to_vec())).collect::<Result<_, _>>()?;
        return runtime.list(of, chunks);
    }
    // Go calculates how many chunks there are, which may come to none
    let count = ((all.len() as f64 - 1.0) / size as f64).floor() + 1.0;
    if count == 0.0 { runtime.list(of, Vec::new()) } else { Fault::said("runtime error: makeslice: len out of range") }
}

pub(super) fn sort_alpha(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let value = args.any(0);
    if value.items().is_none() {
        let only = if value.is_nothing() { "<nil>".to_owned() } else { text_of(runtime, value)? };
        return runtime.texts([only]);
    }
    let mut sorted = strings(runtime, value)?;
    sorted.sort();
    runtime.texts(sorted)
}
