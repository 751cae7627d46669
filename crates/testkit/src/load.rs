//! Finding the files of cases below paths.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{case::Case, json, script};

/// Deepest folder that is looked into.
const DEPTH_MAX: usize = 8;

/// The cases of files and, recursively, of folders, in order of names.
///
/// # Errors
/// A path that cannot be read, or a file that holds no cases; the text says which.
pub fn load(paths: &[PathBuf]) -> Result<Vec<Case>, String> {
    let mut files = Vec::new();
    for path in paths {
        find(path, 0, &mut files)?;
    }
    let mut cases = Vec::new();
    for file in files {
        cases.extend(load_file(&file)?);
    }
    Ok(cases)
}

fn find(path: &Path, depth: usize, out: &mut Vec<PathBuf>) -> Result<(), String> {
    let failed = |e: std::io::Error| format!("{}: {e}", path.display());
    if !fs::metadata(path).map_err(failed)?.is_dir() {
        out.push(path.to_owned());
        return Ok(());
    }
    if depth >= DEPTH_MAX {
        return Err(format!("{}: more than {DEPTH_MAX} folders deep", path.display()));
    }
    let entries = fs::read_dir(path).map_err(failed)?;
    let mut entries: Vec<PathBuf> = entries.map(|e| e.map(|e| e.path())).collect::<Result<_, _>>().map_err(failed)?;
    entries.sort();
    for entry in entries {
        let cases = entry.extension().is_some_and(|e| e == "json" || e == "sql");
        if entry.is_dir() || cases {
            find(&entry, depth + 1, out)?;
        }
    }
    Ok(())
}

/// The cases of one file, by its extension: `.sql` is a script, anything else JSON.
///
/// # Errors
/// As [`load`].
pub fn load_file(path: &Path) -> Result<Vec<Case>, String> {
    let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let absolute = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let part = |path: Option<&Path>| path.and_then(Path::file_name).map(|n| n.to_string_lossy().into_owned());
    let file = match (part(absolute.parent()), part(Some(&absolute))) {
        (Some(folder), Some(file)) => format!("{folder}/{file}"),
        (_, file) => file.unwrap_or_default(),
    };
    if path.extension().is_some_and(|e| e == "sql") {
        return script::load(&file, &text, absolute.parent().unwrap_or(Path::new(".")));
    }
    json::load(&file, &text)
}
