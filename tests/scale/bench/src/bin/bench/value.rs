//! What was measured: a name, a number, and which floor stands beside it.

/// What the floor must do so that a measure can be held against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Beside {
    /// Send so many bytes to so many proxies: to the last ack, p99, in ms.
    Push { bytes: usize, proxies: u32 },
    /// The same: what it uses of the processor for each of them, in us.
    Used { bytes: usize, proxies: u32 },
    /// Connect so many proxies with so many bytes in the first answer of each, in s.
    First { bytes: usize, proxies: u32 },
}

/// One number.
#[derive(Clone, Debug)]
pub(crate) struct Value {
    /// What was measured, with its unit.
    pub(crate) name: String,
    /// The number.
    pub(crate) value: f64,
    /// The floor for it.
    pub(crate) beside: Option<Beside>,
    /// Whether it is only in the JSON.
    pub(crate) detail: bool,
}

impl Value {
    pub(crate) fn new(name: impl Into<String>, value: f64) -> Self {
        Self { name: name.into(), value, beside: None, detail: false }
    }

    pub(crate) fn beside(self, beside: Beside) -> Self {
        Self { beside: Some(beside), ..self }
    }

    pub(crate) fn detail(self) -> Self {
        Self { detail: true, ..self }
    }
}

/// The value below which such a share of some (in percent) is; not a number when there are none.
pub(crate) fn share(of: &[f64], percent: usize) -> f64 {
    let mut sorted = of.to_vec();
    sorted.sort_by(f64::total_cmp);
    // Rounded up: with 50 of them p99 is the largest.
    let at = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(at).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_what_is_there() {
        let hundred: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!([50, 99, 100].map(|percent| share(&hundred, percent)), [50.0, 99.0, 100.0]);
        assert_eq!(share(&hundred[..50], 99), 100.0);
        assert!(share(&[], 50).is_nan());
    }
}
