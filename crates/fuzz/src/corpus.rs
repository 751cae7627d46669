//! Inputs that once broke something, a file each.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
};

/// All inputs of a corpus, by name; none where there is no folder.
pub(crate) fn read(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let Ok(entries) = fs::read_dir(folder) else { return vec![] };
    let mut found: Vec<(String, Vec<u8>)> = entries
        .map(|entry| {
            let path = entry.expect("an entry of the corpus").path();
            let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            (name, fs::read(&path).expect("an input of the corpus"))
        })
        .collect();
    found.sort();
    found
}

/// Keep an input; where it is then.
pub(crate) fn keep(folder: &Path, what: &str, input: &[u8]) -> PathBuf {
    let mut hash = DefaultHasher::new();
    input.hash(&mut hash);
    let path = folder.join(format!("{what}-{:016x}", hash.finish()));
    let kept = fs::create_dir_all(folder).and_then(|()| fs::write(&path, input));
    if let Err(error) = kept {
        eprintln!("{}: {error}", path.display());
    }
    path
}
