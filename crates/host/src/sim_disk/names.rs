//! A simulated disk's directories: what is there, and what a loss of power would leave of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    ops::Bound,
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;
use rand::{Rng, rngs::StdRng};

use super::content::Content;
use crate::disk::DiskEntry;

/// What a name stands for.
#[derive(Clone)]
pub(super) enum Node {
    Dir,
    File(Arc<Mutex<Content>>),
}

/// A change to a directory.
#[derive(Clone)]
pub(super) enum Change {
    Set(PathBuf, Node),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

type Entries = BTreeMap<PathBuf, Node>;

/// All names of a disk.
#[derive(Default)]
pub(super) struct Names {
    now: Entries,
    durable: Entries,
    /// Oldest first.
    unsynced: Vec<Change>,
    locks: BTreeSet<PathBuf>,
}

impl Change {
    /// The directory whose sync makes the change durable.
    fn dir(&self) -> &Path {
        let path = match self {
            Change::Set(path, _) | Change::Rename(_, path) | Change::Remove(path) => path,
        };
        path.parent().unwrap_or(Path::new("/"))
    }

    fn make(&self, entries: &mut Entries) {
        match self {
            Change::Set(path, node) => {
                entries.insert(path.clone(), node.clone());
            }
            Change::Rename(from, to) => {
                if let Some(node) = entries.remove(from) {
                    entries.insert(to.clone(), node);
                }
            }
            Change::Remove(path) => {
                entries.remove(path);
            }
        }
    }
}

fn not_found() -> io::Error {
    io::Error::from(io::ErrorKind::NotFound)
}

impl Names {
    pub(super) fn is_dir(&self, path: &Path) -> bool {
        path == Path::new("/") || path == Path::new("") || matches!(self.now.get(path), Some(Node::Dir))
    }

    pub(super) fn file(&self, path: &Path) -> io::Result<Arc<Mutex<Content>>> {
        match self.now.get(path) {
            Some(Node::File(content)) => Ok(Arc::clone(content)),
            Some(Node::Dir) => Err(io::Error::from(io::ErrorKind::IsADirectory)),
            None => Err(not_found()),
        }
    }

    pub(super) fn files(&self) -> Vec<PathBuf> {
        let files = self.now.iter().filter(|(_, node)| matches!(node, Node::File(_)));
        files.map(|(path, _)| path.clone()).collect()
    }

    pub(super) fn contents(&self) -> impl Iterator<Item = &Arc<Mutex<Content>>> {
        self.now.values().filter_map(|node| match node {
            Node::File(content) => Some(content),
            Node::Dir => None,
        })
    }

    pub(super) fn apply(&mut self, change: Change, tracked: bool) -> io::Result<()> {
        match &change {
            Change::Set(..) if !self.is_dir(change.dir()) => return Err(not_found()),
            Change::Rename(from, _) if !self.now.contains_key(from) || !self.is_dir(change.dir()) => {
                return Err(not_found());
            }
            Change::Remove(path) if !self.now.contains_key(path) => return Err(not_found()),
            _ => {}
        }
        change.make(&mut self.now);
        if tracked {
            self.unsynced.push(change);
        }
        Ok(())
    }

    /// The directory and everything below it, deepest first.
    pub(super) fn below(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        if !self.is_dir(dir) {
            return Err(not_found());
        }
        let mut found: Vec<PathBuf> = self.from(dir).map(|(path, _)| path.clone()).collect();
        found.reverse();
        found.push(dir.to_path_buf());
        Ok(found)
    }

    /// Entries below `dir`, at any depth.
    fn from<'a>(&'a self, dir: &'a Path) -> impl Iterator<Item = (&'a PathBuf, &'a Node)> {
        let after = (Bound::Excluded(dir), Bound::Unbounded);
        // Paths order by component, so all that lies below a directory follows it directly.
        self.now.range::<Path, _>(after).take_while(move |(path, _)| path.starts_with(dir))
    }

    pub(super) fn list(&self, dir: &Path) -> io::Result<Vec<DiskEntry>> {
        if !self.is_dir(dir) {
            return Err(not_found());
        }
        let children = self.from(dir).filter(|(path, _)| path.parent() == Some(dir));
        let mut entries: Vec<DiskEntry> = children
            .filter_map(|(path, node)| {
                let name = path.file_name()?.to_str()?.to_owned();
                Some(DiskEntry { name, is_dir: matches!(node, Node::Dir) })
            })
            .collect();
        entries.sort();
        Ok(entries)
    }

    pub(super) fn sync(&mut self, dir: &Path) -> io::Result<()> {
        if !self.is_dir(dir) {
            return Err(not_found());
        }
        let durable = &mut self.durable;
        self.unsynced.retain(|change| {
            let here = change.dir() == dir;
            if here {
                change.make(durable);
            }
            !here
        });
        Ok(())
    }

    pub(super) fn take_lock(&mut self, path: &Path) -> bool {
        self.locks.insert(path.to_path_buf())
    }

    pub(super) fn release_lock(&mut self, path: &Path) {
        self.locks.remove(path);
    }

    pub(super) fn after_kill(&self) -> Names {
        let mut copies = Copies::default();
        let mut copy_all = |entries: &Entries| -> Entries {
            entries.iter().map(|(path, node)| (path.clone(), copies.kill(node))).collect()
        };
        let (now, durable) = (copy_all(&self.now), copy_all(&self.durable));
        let unsynced = self.unsynced.iter().map(|change| match change {
            Change::Set(path, node) => Change::Set(path.clone(), copies.kill(node)),
            other => other.clone(),
        });
        Names { unsynced: unsynced.collect(), now, durable, locks: BTreeSet::new() }
    }

    pub(super) fn after_power_loss(&self, rng: &mut StdRng) -> Names {
        let mut left = self.durable.clone();
        let dirs: BTreeSet<&Path> = self.unsynced.iter().map(Change::dir).collect();
        for dir in dirs {
            let changes: Vec<&Change> = self.unsynced.iter().filter(|change| change.dir() == dir).collect();
            let survive = rng.random_range(0..=changes.len());
            changes.iter().take(survive).for_each(|change| change.make(&mut left));
        }
        // What lies in a directory that is gone is gone; parents order before their children.
        let mut now = Entries::new();
        let mut copies = Copies::default();
        for (path, node) in &left {
            let parent = path.parent().unwrap_or(Path::new("/"));
            let rooted = parent == Path::new("/") || parent == Path::new("");
            if rooted || matches!(now.get(parent), Some(Node::Dir)) {
                now.insert(path.clone(), copies.power_loss(node, rng));
            }
        }
        Names { durable: now.clone(), now, ..Names::default() }
    }
}

/// Copies files once each, though two names may (after a torn rename) stand for one.
#[derive(Default)]
struct Copies {
    /// By the original's address; the originals are held throughout.
    made: BTreeMap<usize, Arc<Mutex<Content>>>,
}

impl Copies {
    fn kill(&mut self, node: &Node) -> Node {
        self.copy(node, Content::clone)
    }

    fn power_loss(&mut self, node: &Node, rng: &mut StdRng) -> Node {
        self.copy(node, |content| content.after_power_loss(rng))
    }

    fn copy(&mut self, node: &Node, make: impl FnOnce(&Content) -> Content) -> Node {
        let Node::File(content) = node else { return Node::Dir };
        let made = self.made.entry(Arc::as_ptr(content).addr());
        Node::File(Arc::clone(made.or_insert_with(|| Arc::new(Mutex::new(make(&content.lock()))))))
    }
}
