//! What files hold, as digests to compare. The contents themselves, keys among them, are not kept.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hasher as _};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// Most bytes of one file that are read. No configuration, certificate bundle or revocation list is larger; of a
/// file that is, changes behind this count only if they change its length.
const MAX_READ: u64 = 16 << 20;

/// The state of several files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Contents(BTreeMap<PathBuf, State>);

/// One file's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It holds something with this digest, this long.
    Held { digest: u64, length: u64 },
    /// It isn't there, isn't a file, or cannot be read: the kind of error says which.
    Unreadable(io::ErrorKind),
}

/// One look at several files.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) contents: Contents,
    /// The folders in which a change of these files shows: the one each is named in, and the one it lies in after
    /// all symbolic links.
    pub(super) folders: BTreeSet<PathBuf>,
}

impl Contents {
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        self.0.keys().cloned().collect()
    }

    pub(super) fn has(&self, path: &Path) -> bool {
        self.0.contains_key(path)
    }

    /// Goes over to the files of `wanted`, but keeps what is known of those that it knows.
    pub(super) fn adopt(&mut self, wanted: Self) {
        let known = std::mem::replace(self, wanted);
        for (path, state) in &mut self.0 {
            if let Some(before) = known.0.get(path) {
                *state = *before;
            }
        }
    }

    /// Takes over a later look at the same files; returns those that differ.
    pub(super) fn replace(&mut self, later: Self) -> Vec<PathBuf> {
        let before = std::mem::replace(self, later);
        let differs = |path: &&PathBuf| before.0.get(*path) != self.0.get(*path);
        self.0.keys().filter(differs).cloned().collect()
    }
}

impl Reading {
    /// Looks at `paths`, away from the threads that serve streams.
    pub(super) async fn of(paths: Vec<PathBuf>) -> Self {
        let reading = tokio::task::spawn_blocking(move || Self::now(paths)).await;
        // Reading doesn't panic, and is cancelled only when the runtime ends, which nobody lives to see.
        reading.unwrap_or_default()
    }

    fn now(paths: Vec<PathBuf>) -> Self {
        let mut reading = Self::default();
        for path in paths {
            reading.folders.extend(folder(&path));
            reading.folders.extend(fs::canonicalize(&path).ok().as_deref().and_then(folder));
            reading.contents.0.insert(path.clone(), State::of(&path));
        }
        reading
    }
}

fn folder(path: &Path) -> Option<PathBuf> {
    let parent = path.parent()?;
    Some(if parent.as_os_str().is_empty() { PathBuf::from(".") } else { parent.to_owned() })
}

impl State {
    fn of(path: &Path) -> Self {
        match digest(path) {
            Ok((digest, length)) => Self::Held { digest, length },
            Err(error) => Self::Unreadable(error.kind()),
        }
    }
}

fn digest(path: &Path) -> io::Result<(u64, u64)> {
    // Opening a FIFO would wait for its writer.
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut file = File::open(path)?.take(MAX_READ);
    let mut hasher = DefaultHasher::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok((hasher.finish(), metadata.len())),
            read => hasher.write(buffer.get(..read).unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_readable_file_is_a_state_too() {
        let dir = tempfile::tempdir().unwrap();
        let paths = ["missing", "folder", "file"].map(|name| dir.path().join(name));
        fs::create_dir(&paths[1]).unwrap();
        fs::write(&paths[2], "x").unwrap();
        let Reading { contents, folders } = Reading::now(paths.to_vec());
        let states = paths.each_ref().map(|path| contents.0[path]);
        assert_eq!(states[0], State::Unreadable(io::ErrorKind::NotFound));
        assert_eq!(states[1], State::Unreadable(io::ErrorKind::InvalidInput));
        assert!(matches!(states[2], State::Held { length: 1, .. }));
        assert!(folders.contains(dir.path()));
    }

    #[test]
    fn a_file_named_without_a_folder_lies_in_the_current_one() {
        assert_eq!(folder(Path::new("fingerpost.yaml")), Some(PathBuf::from(".")));
        assert_eq!(folder(Path::new("/")), None);
    }

    #[test]
    fn a_huge_file_is_read_in_part_and_its_growth_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("huge");
        let file = File::create(&path).unwrap();
        file.set_len(MAX_READ + 1).unwrap();
        let before = State::of(&path);
        file.set_len(MAX_READ + 2).unwrap();
        assert_ne!(State::of(&path), before);
    }
}
