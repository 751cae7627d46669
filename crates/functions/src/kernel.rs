//! What kernels are written with: typed views of arguments that may be constants, and ways to collect a column.
//!
//! A kernel says what happens to one row; reading a constant or a column, NULL results and row errors are the same
//! everywhere and stand here.

use std::{
    any::Any,
    collections::HashMap,
    fmt::{self, Display},
    sync::Arc,
};

use arrow::array::{Array, ArrayAccessor, ArrayRef, Decimal128Array};
use std::sync::{Mutex, PoisonError};
use types::{Error, Result, SqlType};

use crate::{Arg, RowErrors, ScalarKernel};

/// A kernel made of a closure.
pub struct Closure<F>(pub F);

impl<F> ScalarKernel for Closure<F>
where
    F: Fn(&[Arg], usize, &mut RowErrors) -> Result<ArrayRef> + Send + Sync,
{
    fn evaluate(&self, args: &[Arg], rows: usize, errors: &mut RowErrors) -> Result<ArrayRef> {
        (self.0)(args, rows, errors)
    }
}

/// A kernel made of a closure, shared.
pub fn closure<F>(f: F) -> Arc<dyn ScalarKernel>
where
    F: Fn(&[Arg], usize, &mut RowErrors) -> Result<ArrayRef> + Send + Sync + 'static,
{
    Arc::new(Closure(f))
}

impl fmt::Debug for Arg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Arg::Column(array) => f.debug_tuple("Column").field(array).finish(),
            Arg::Constant(array) => f.debug_tuple("Constant").field(array).finish(),
            Arg::Lambda(_) => f.write_str("Lambda"),
            Arg::TimeUnit(unit) => f.debug_tuple("TimeUnit").field(unit).finish(),
        }
    }
}

impl Arg {
    /// The array of a column or constant.
    pub fn array(&self) -> Result<&ArrayRef> {
        match self {
            Arg::Column(array) | Arg::Constant(array) => Ok(array),
            Arg::Lambda(_) => Err(Error::internal("a lambda stands where a value is wanted")),
            Arg::TimeUnit(_) => Err(Error::internal("a unit of time stands where a value is wanted")),
        }
    }

    /// Whether it is one value for all rows.
    pub fn is_constant(&self) -> bool {
        !matches!(self, Arg::Column(_))
    }

    /// The values as arrays of type `A`.
    pub fn view<A: Array + 'static>(&self) -> Result<View<'_, A>> {
        let array = self.array()?;
        let typed = array.as_any().downcast_ref::<A>().ok_or_else(|| {
            let want = std::any::type_name::<A>();
            Error::internal(format!("a kernel got an array of {} for a {want}", array.data_type()))
        })?;
        Ok(View { array: typed, constant: self.is_constant() })
    }
}

/// Values of an argument by row, whether it is a column or a constant.
pub struct View<'a, A> {
    /// The array itself; of length 1 if it is a constant.
    pub array: &'a A,
    constant: bool,
}

impl<A> Clone for View<'_, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for View<'_, A> {}

impl<'a, A> View<'a, A> {
    /// Whether all rows have the same value.
    pub fn is_constant(&self) -> bool {
        self.constant
    }

    /// Where in the array row `row` is.
    pub fn at(&self, row: usize) -> usize {
        if self.constant { 0 } else { row }
    }
}

impl<'a, A> View<'a, A>
where
    A: Array,
    &'a A: ArrayAccessor,
{
    /// The value of row `row`, `None` if it is NULL.
    pub fn get(&self, row: usize) -> Option<<&'a A as ArrayAccessor>::Item> {
        let at = self.at(row);
        (at < self.array.len() && !self.array.is_null(at)).then(|| self.array.value(at))
    }
}

/// How many rows a kernel has to compute: one where all arguments (and there are some) are constants.
pub fn row_count(args: &[Arg], rows: usize) -> usize {
    let constant = !args.is_empty() && args.iter().all(Arg::is_constant);
    if constant { rows.min(1) } else { rows }
}

/// A column of what `row` says for each of `rows` rows; a failure makes the row NULL and an entry in `errors`.
pub fn collect<A, T, E>(
    rows: usize,
    errors: &mut RowErrors,
    mut row: impl FnMut(usize) -> Result<Option<T>, E>,
) -> ArrayRef
where
    A: Array + FromIterator<Option<T>> + 'static,
    E: Display,
{
    let values = (0..rows).map(|i| match row(i) {
        Ok(value) => value,
        Err(reason) => {
            errors.push(i, reason.to_string());
            None
        }
    });
    Arc::new(values.collect::<A>())
}

/// As [`collect`], for DECIMALs given as unscaled integers of that precision and scale.
pub fn collect_decimals<E: Display>(
    rows: usize,
    precision: u8,
    scale: u8,
    errors: &mut RowErrors,
    mut row: impl FnMut(usize) -> Result<Option<i128>, E>,
) -> Result<ArrayRef> {
    let values = (0..rows).map(|i| match row(i) {
        Ok(value) => value,
        Err(reason) => {
            errors.push(i, reason.to_string());
            None
        }
    });
    let array: Decimal128Array = values.collect();
    decimal_array(array, precision, scale)
}

/// `array` as a column of that DECIMAL.
pub fn decimal_array(array: Decimal128Array, precision: u8, scale: u8) -> Result<ArrayRef> {
    let array = array.with_precision_and_scale(precision, scale.cast_signed());
    Ok(Arc::new(array.map_err(|e| Error::internal(format!("a DECIMAL({precision}, {scale}) column: {e}")))?))
}

/// `rows` NULLs of type `ty`.
pub fn nulls(ty: &SqlType, rows: usize) -> ArrayRef {
    arrow::array::new_null_array(&ty.to_arrow(), rows)
}

/// A column that takes each row from the argument that `choose` names, or is NULL there. The arguments are of one type.
pub fn pick(args: &[Arg], rows: usize, mut choose: impl FnMut(usize) -> Option<usize>) -> Result<ArrayRef> {
    let mut parts: Vec<&dyn Array> = Vec::with_capacity(args.len() + 1);
    for arg in args {
        parts.push(arg.array()?.as_ref());
    }
    let Some(first) = parts.first() else { return Err(Error::internal("nothing to pick from")) };
    let null = arrow::array::new_null_array(first.data_type(), 1);
    let nowhere = (args.len(), 0);
    parts.push(null.as_ref());
    let place = |(arg, row): (usize, usize)| {
        let at = if args.get(arg).is_some_and(Arg::is_constant) { 0 } else { row };
        if parts.get(arg).is_some_and(|part| at < part.len()) { (arg, at) } else { nowhere }
    };
    let places: Vec<(usize, usize)> =
        (0..rows).map(|row| choose(row).map_or(nowhere, |arg| place((arg, row)))).collect();
    arrow::compute::interleave(&parts, &places).map_err(|e| Error::internal(format!("picking values: {e}")))
}

/// Entries that a kernel's [`Cache`] holds before it starts anew.
const CACHE_ENTRIES_MAX: usize = 64;

/// What a kernel has compiled from its arguments (patterns, formats, zones), kept from batch to batch.
#[derive(Default)]
pub struct Cache {
    entries: Mutex<HashMap<String, Arc<dyn Any + Send + Sync>>>,
}

impl Cache {
    /// What `make` gives for `key`; made once while it stays in the cache. Failures are not kept. All values of one
    /// cache under one key are of one type.
    pub fn get<T: Send + Sync + 'static, E>(
        &self,
        key: &str,
        make: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Arc<T>, E> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = entries.get(key).and_then(|e| Arc::clone(e).downcast::<T>().ok()) {
            return Ok(known);
        }
        let made = Arc::new(make(key)?);
        if entries.len() >= CACHE_ENTRIES_MAX {
            entries.clear();
        }
        entries.insert(key.to_owned(), Arc::<T>::clone(&made));
        Ok(made)
    }

    /// Look up entries made by `make` for row after row.
    pub fn by_row<'a, T, F>(&'a self, make: F) -> ByRow<'a, T, F> {
        ByRow { cache: self, make, last: None }
    }
}

/// A [`Cache`] as rows use it: what the row before asked for is at hand, without the lock that all threads share.
pub struct ByRow<'a, T, F> {
    cache: &'a Cache,
    make: F,
    last: Option<(&'a str, Arc<T>)>,
}

impl<'a, T, F> ByRow<'a, T, F>
where
    T: Send + Sync + 'static,
{
    /// See [`Cache::get`].
    pub fn get<E>(&mut self, key: &'a str) -> Result<&T, E>
    where
        F: Fn(&str) -> Result<T, E>,
    {
        let (_, found) = match self.last.take() {
            Some(last) if last.0 == key => self.last.insert(last),
            _ => self.last.insert((key, self.cache.get(key, &self.make)?)),
        };
        Ok(found)
    }
}
