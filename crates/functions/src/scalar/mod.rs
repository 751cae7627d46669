//! Scalar functions: one file each, in folders by what they are about; the list of them all.

pub mod array;
pub mod bytes;
pub mod definition;
pub mod json;
pub mod lambda;
pub mod map;
pub mod math;
pub mod misc;
pub mod nulls;
pub mod string;
pub mod time;
pub mod url;

#[cfg(test)]
mod fuzz;
#[cfg(test)]
pub(crate) mod testing;

use std::{collections::BTreeMap, sync::LazyLock};

use crate::ScalarFunction;

/// The folders' lists.
static FOLDERS: &[&[&dyn ScalarFunction]] = &[
    array::FUNCTIONS,
    bytes::FUNCTIONS,
    json::FUNCTIONS,
    lambda::FUNCTIONS,
    map::FUNCTIONS,
    math::FUNCTIONS,
    misc::FUNCTIONS,
    nulls::FUNCTIONS,
    string::FUNCTIONS,
    time::FUNCTIONS,
    url::FUNCTIONS,
];

/// All scalar functions, sorted by name.
pub static SCALARS: LazyLock<Vec<&'static dyn ScalarFunction>> = LazyLock::new(|| {
    let mut all: Vec<&'static dyn ScalarFunction> = FOLDERS.iter().flat_map(|folder| folder.iter().copied()).collect();
    all.sort_by_key(|f| f.doc().name);
    all
});

static BY_NAME: LazyLock<BTreeMap<&'static str, &'static dyn ScalarFunction>> = LazyLock::new(|| {
    let names = |f: &'static dyn ScalarFunction| std::iter::once(f.doc().name).chain(f.doc().aliases.iter().copied());
    SCALARS.iter().flat_map(|f| names(*f).map(|name| (name, *f))).collect()
});

/// The function of that name or alias, in whatever case.
pub fn lookup(name: &str) -> Option<&'static dyn ScalarFunction> {
    BY_NAME.get(name.to_ascii_uppercase().as_str()).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_in_order() {
        for folder in FOLDERS {
            let names: Vec<&str> = folder.iter().map(|f| f.doc().name).collect();
            assert!(names.is_sorted(), "{names:?}");
        }
        let mut names = Vec::new();
        for function in SCALARS.iter() {
            let doc = function.doc();
            names.push(doc.name);
            names.extend(doc.aliases);
            assert_eq!(doc.name, doc.name.to_ascii_uppercase());
            assert!(!doc.category.is_empty() && !doc.description.is_empty(), "{} has no words", doc.name);
            assert!(doc.description.ends_with('.'), "{} is not described in sentences", doc.name);
            assert!(!doc.signatures.is_empty(), "{} has no signature", doc.name);
            assert!(!doc.examples.is_empty(), "{} has no example", doc.name);
            assert!(doc.signatures.iter().all(|s| s.starts_with(doc.name)), "{} has another's signature", doc.name);
            assert!(lookup(&doc.name.to_lowercase()).is_some_and(|f| f.doc().name == doc.name));
        }
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "a name stands for two functions");
    }
}
