//! Keys and values of which only their table knows the types.

use std::any::Any;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

/// A key or value whose type only its table knows.
pub(crate) type Erased = Arc<dyn Any + Send + Sync>;

/// What identifies a row.
pub trait Key: Clone + Eq + Ord + Hash + Debug + Send + Sync + 'static {}
impl<T: Clone + Eq + Ord + Hash + Debug + Send + Sync + 'static> Key for T {}

/// What a row holds. Equality is the early cutoff: an equal value stops the wave.
pub trait Value: PartialEq + Debug + Send + Sync + 'static {}
impl<T: PartialEq + Debug + Send + Sync + 'static> Value for T {}

pub(crate) fn typed<T: 'static>(erased: &Erased) -> &T {
    erased.downcast_ref().expect("a table holds one type")
}
