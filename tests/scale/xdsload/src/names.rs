//! Names of resources as numbers: a thousand clients that have the same resources keep one text of each name.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

/// A name of a resource.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Name(u32);

impl Name {
    /// Its number.
    #[must_use]
    pub(crate) fn number(self) -> u32 {
        self.0
    }
}

/// All names that were heard of. None is forgotten: a name is some bytes, and as many are heard of as a mesh has.
#[derive(Default)]
pub(crate) struct Names(RwLock<Table>);

#[derive(Default)]
struct Table {
    numbers: HashMap<Arc<str>, Name>,
    texts: Vec<Arc<str>>,
}

impl Names {
    /// The name with this text.
    pub(crate) fn of(&self, text: &str) -> Name {
        if let Some(name) = self.0.read().expect("no holder panics").numbers.get(text) {
            return *name;
        }
        let mut table = self.0.write().expect("no holder panics");
        if let Some(name) = table.numbers.get(text) {
            return *name;
        }
        let name = Name(u32::try_from(table.texts.len()).expect("fewer names than fit into memory"));
        let text: Arc<str> = text.into();
        table.texts.push(text.clone());
        table.numbers.insert(text, name);
        name
    }

    /// The text of a name.
    #[must_use]
    pub(crate) fn text(&self, name: Name) -> Arc<str> {
        self.0.read().expect("no holder panics").texts[name.0 as usize].clone()
    }

    /// The texts of names.
    #[must_use]
    pub(crate) fn texts(&self, names: &[Name]) -> Vec<Arc<str>> {
        let table = self.0.read().expect("no holder panics");
        names.iter().map(|name| table.texts[name.0 as usize].clone()).collect()
    }
}
