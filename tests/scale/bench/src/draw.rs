//! Choices that look random and depend on the seed alone: each is a hash of what it is for, so that one more choice changes no other.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seed(pub(crate) u64);

/// Steps through any number of things that it does not divide, so that each comes once.
const STRIDE: u64 = 7919;

impl Seed {
    /// A number below `among`, for one thing of a kind.
    pub(crate) fn draw(self, what: &str, number: u32, among: u32) -> u32 {
        let mut text = what.as_bytes().to_vec();
        text.extend(number.to_le_bytes());
        let drawn = xxh3_64_with_seed(&text, self.0) % u64::from(among.max(1));
        u32::try_from(drawn).expect("it is below a number of 32 bits")
    }

    /// The `at`-th of `among` in an order of its own for each `what`; after `among` it begins again.
    pub(crate) fn pick(self, what: &str, at: u32, among: u32) -> u32 {
        let first = u64::from(self.draw(what, 0, among));
        let picked = (first + u64::from(at) * STRIDE) % u64::from(among.max(1));
        u32::try_from(picked).expect("it is below a number of 32 bits")
    }
}
