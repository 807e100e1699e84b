//! From a value to a type, with paths of what does not fit. It knows no kinds.

mod written;

use serde::de::DeserializeOwned;
use serde_json::Value;

use written::Written;

/// Reads the type. `unknown` is told the fields that it does not have, if anybody wants to know. A mistake is a path and a message.
pub(crate) fn parse<T: DeserializeOwned>(
    body: &Value,
    unknown: Option<impl FnMut(String)>,
) -> Result<T, (String, String)> {
    // Paths cost a copy of each key on the way: the whole way is only followed when there is something to tell.
    let mut fields = Vec::new();
    let read = match unknown {
        None => T::deserialize(Written(body)),
        Some(_) => serde_ignored::deserialize(Written(body), |path| fields.push(ignored_path(&path))),
    };
    match read {
        Ok(spec) => {
            unknown.into_iter().for_each(|unknown| fields.drain(..).for_each(unknown));
            Ok(spec)
        }
        Err(_) => Err(mistake::<T>(body)),
    }
}

/// What does not fit, and where.
fn mistake<T: DeserializeOwned>(body: &Value) -> (String, String) {
    let mut track = serde_path_to_error::Track::new();
    let read = T::deserialize(serde_path_to_error::Deserializer::new(Written(body), &mut track));
    let message = read.err().map(|error| error.to_string()).unwrap_or_default();
    (error_path(&track.path()), message)
}

fn ignored_path(path: &serde_ignored::Path<'_>) -> String {
    use serde_ignored::Path;
    match path {
        Path::Root => String::new(),
        Path::Seq { parent, index } => format!("{}[{index}]", ignored_path(parent)),
        Path::Map { parent, key } => join(&ignored_path(parent), key),
        Path::Some { parent } | Path::NewtypeStruct { parent } | Path::NewtypeVariant { parent } => {
            ignored_path(parent)
        }
    }
}

fn error_path(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter().fold(String::new(), |path, segment| match segment {
        Segment::Seq { index } => format!("{path}[{index}]"),
        Segment::Map { key } => join(&path, key),
        Segment::Enum { .. } | Segment::Unknown => path,
    })
}

/// Two paths as one.
pub(crate) fn join(prefix: &str, path: &str) -> String {
    match (prefix.is_empty(), path.is_empty()) {
        (true, _) => path.to_owned(),
        (_, true) => prefix.to_owned(),
        (false, false) => format!("{prefix}.{path}"),
    }
}
