//! What one rendering has cost, counted in steps and bytes: there is no clock here, so the same template and data end in the same place
//! on every machine.

use std::cell::Cell;

use super::Limits;

/// Why a function gave no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Its input is wrong.
    Said(String),
    /// A limit is reached.
    Over(String),
}

impl Fault {
    pub(crate) fn said<T>(text: impl Into<String>) -> Result<T, Self> {
        Err(Self::Said(text.into()))
    }

    /// The fault of a function.
    pub(crate) fn calling(self, name: &str) -> Self {
        match self {
            Self::Said(text) => Self::Said(format!("error calling {name}: {text}")),
            over @ Self::Over(_) => over,
        }
    }
}

/// How deep values may lie in values: what is written by recursion has to end.
pub(crate) const VALUE_DEPTH: usize = 120;

/// How deep templates, blocks and parentheses may nest at most, whatever the limits say: the stack of a thread has an end.
const DEEPEST: usize = 400;

/// Counts down.
#[derive(Debug)]
pub(crate) struct Meter {
    limits: Limits,
    steps: Cell<u64>,
    bytes: Cell<usize>,
    depth: Cell<usize>,
}

impl Meter {
    pub(crate) fn new(limits: &Limits) -> Self {
        let limits = Limits { depth: limits.depth.min(DEEPEST), ..limits.clone() };
        Self { steps: Cell::new(limits.steps), bytes: Cell::new(limits.memory), depth: Cell::new(limits.depth), limits }
    }

    /// `count` nodes or elements are about to be looked at.
    pub(crate) fn steps(&self, count: usize) -> Result<(), Fault> {
        match self.steps.get().checked_sub(count as u64) {
            Some(left) => {
                self.steps.set(left);
                Ok(())
            }
            None => Err(Fault::Over(format!("takes more than {} steps", self.limits.steps))),
        }
    }

    /// `count` bytes are about to be made or read through.
    pub(crate) fn bytes(&self, count: usize) -> Result<(), Fault> {
        match self.bytes.get().checked_sub(count) {
            Some(left) => {
                self.bytes.set(left);
                Ok(())
            }
            None => Err(Fault::Over(format!("makes or reads more than {} bytes of values", self.limits.memory))),
        }
    }

    /// How many bytes may still be made: one more is too much.
    pub(crate) fn bytes_left(&self) -> usize {
        self.bytes.get()
    }

    /// Goes one level deeper, until [`Meter::leave`].
    pub(crate) fn enter(&self) -> Result<(), Fault> {
        match self.depth.get().checked_sub(1) {
            Some(left) => {
                self.depth.set(left);
                Ok(())
            }
            None => Err(Fault::Over(format!("nests templates and blocks deeper than {} levels", self.limits.depth))),
        }
    }

    pub(crate) fn leave(&self) {
        self.depth.set(self.depth.get() + 1);
    }

    /// Whether the output may have this length.
    pub(crate) fn output(&self, length: usize) -> Result<(), Fault> {
        if length > self.limits.output {
            return Err(Fault::Over(format!("writes more than {} bytes", self.limits.output)));
        }
        Ok(())
    }

    pub(crate) fn regex(&self) -> usize {
        self.limits.regex
    }

    /// Whether a value lies too deep inside others.
    pub(crate) fn nested(&self, depth: usize) -> Result<(), Fault> {
        if depth > VALUE_DEPTH {
            return Err(Fault::Over(format!("has a value that lies deeper than {VALUE_DEPTH} levels in others")));
        }
        self.steps(1)
    }
}
