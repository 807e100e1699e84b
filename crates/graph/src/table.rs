//! Tables as the engine sees them, without their types, collected in a [`Schema`].

use std::any::TypeId;
use std::collections::HashMap;
use std::sync::Arc;

use crate::Reader;
use crate::declare::{Derived, Index, Input};
use crate::erased::{Erased, Key, typed};
use crate::ids::{AnyIds, Ids};
use crate::index::{AnyIndex, IndexOps, Members};

/// The number of a table in its schema.
pub(crate) type TableId = u16;

/// A table as the engine sees it.
pub(crate) trait Ops: Send + Sync {
    fn same(&self, a: &Erased, b: &Erased) -> bool;
    fn build(&self, key: &Erased, read: &mut Reader<'_>) -> Option<Erased>;
    fn show(&self, key: &Erased) -> String;
}

/// How a table comes by its rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Input,
    Bucket,
    Derived,
}

pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) level: u8,
    pub(crate) ops: Box<dyn Ops>,
    /// The indexes over this table: number of the bucket table and the way its entries are made.
    pub(crate) indexes: Vec<(TableId, Box<dyn AnyIndex>)>,
}

/// The tables of a database. Declared once, shared by all its forks.
#[derive(Default)]
pub struct Schema {
    pub(crate) tables: Vec<Table>,
    pub(crate) by_type: HashMap<TypeId, TableId>,
    pub(crate) ids: Vec<Box<dyn AnyIds>>,
}

impl Schema {
    /// No tables.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an input table.
    #[must_use]
    pub fn input<T: Input>(self) -> Self {
        self.add::<T, T::Key>(T::NAME, Kind::Input, 0, Box::new(InputOps::<T>(std::marker::PhantomData)))
    }

    /// Adds an index.
    ///
    /// # Panics
    /// When the table it is over was not added before.
    #[must_use]
    pub fn index<I: Index>(mut self) -> Self {
        let over = self.table_of::<I::Of>();
        let number = TableId::try_from(self.tables.len()).expect("few tables");
        self = self.add::<I, I::Bucket>(I::NAME, Kind::Bucket, 0, Box::new(BucketOps::<I>(std::marker::PhantomData)));
        self.tables[usize::from(over)].indexes.push((number, Box::new(IndexOps::<I>::default())));
        self
    }

    /// Adds a derived table.
    ///
    /// # Panics
    /// At level 0, which is that of inputs.
    #[must_use]
    pub fn derived<T: Derived>(self) -> Self {
        assert!(T::LEVEL > 0, "table {}: level 0 is that of inputs", T::NAME);
        self.add::<T, T::Key>(T::NAME, Kind::Derived, T::LEVEL, Box::new(DerivedOps::<T>(std::marker::PhantomData)))
    }

    fn add<T: 'static, K: Key>(mut self, name: &'static str, kind: Kind, level: u8, ops: Box<dyn Ops>) -> Self {
        let number = TableId::try_from(self.tables.len()).expect("few tables");
        let twice = self.by_type.insert(TypeId::of::<T>(), number);
        assert!(twice.is_none(), "table {name} is declared twice");
        self.tables.push(Table { name, kind, level, ops, indexes: Vec::new() });
        self.ids.push(Box::new(Ids::<K>::default()));
        self
    }

    pub(crate) fn table_of<T: 'static>(&self) -> TableId {
        let number = self.by_type.get(&TypeId::of::<T>());
        *number.unwrap_or_else(|| panic!("table {} is not in the schema", std::any::type_name::<T>()))
    }

    pub(crate) fn table(&self, number: TableId) -> &Table {
        &self.tables[usize::from(number)]
    }
}

struct InputOps<T>(std::marker::PhantomData<fn() -> T>);
struct BucketOps<I>(std::marker::PhantomData<fn() -> I>);
struct DerivedOps<T>(std::marker::PhantomData<fn() -> T>);

impl<T: Input> Ops for InputOps<T> {
    fn same(&self, a: &Erased, b: &Erased) -> bool {
        typed::<T::Value>(a) == typed::<T::Value>(b)
    }

    fn build(&self, _: &Erased, _: &mut Reader<'_>) -> Option<Erased> {
        unreachable!("inputs are not built")
    }

    fn show(&self, key: &Erased) -> String {
        format!("{:?}", typed::<T::Key>(key))
    }
}

impl<I: Index> Ops for BucketOps<I> {
    fn same(&self, a: &Erased, b: &Erased) -> bool {
        typed::<Members<I>>(a) == typed::<Members<I>>(b)
    }

    fn build(&self, _: &Erased, _: &mut Reader<'_>) -> Option<Erased> {
        unreachable!("buckets are not built")
    }

    fn show(&self, key: &Erased) -> String {
        format!("{:?}", typed::<I::Bucket>(key))
    }
}

impl<T: Derived> Ops for DerivedOps<T> {
    fn same(&self, a: &Erased, b: &Erased) -> bool {
        typed::<T::Value>(a) == typed::<T::Value>(b)
    }

    fn build(&self, key: &Erased, read: &mut Reader<'_>) -> Option<Erased> {
        T::build(typed(key), read).map(|value| Arc::new(value) as Erased)
    }

    fn show(&self, key: &Erased) -> String {
        format!("{:?}", typed::<T::Key>(key))
    }
}
