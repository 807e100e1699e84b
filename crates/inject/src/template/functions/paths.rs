//! Paths with slashes, looked at as text.

use super::{Args, Outcome, Runtime, Value};

pub(super) fn base(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let path = args.text(0)?;
    let trimmed = path.trim_end_matches('/');
    runtime.text(match (path.is_empty(), trimmed.is_empty()) {
        (true, _) => ".",
        (false, true) => "/",
        (false, false) => trimmed.rsplit('/').next().unwrap_or_default(),
    })
}

pub(super) fn dir(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    runtime.text(cleaned(split(args.text(0)?).0))
}

/// Istio's: up to and with the last slash.
pub(super) fn directory(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    runtime.text(split(args.text(0)?).0)
}

pub(super) fn clean(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    runtime.text(cleaned(args.text(0)?))
}

pub(super) fn ext(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let file = split(args.text(0)?).1;
    runtime.text(file.rfind('.').map_or("", |dot| &file[dot..]))
}

pub(super) fn is_abs(_: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    Ok(Value::Bool(args.text(0)?.starts_with('/')))
}

fn split(path: &str) -> (&str, &str) {
    path.split_at(path.rfind('/').map_or(0, |slash| slash + 1))
}

/// The shortest path that means the same.
fn cleaned(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            _ => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}
