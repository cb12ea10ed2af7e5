//! What files hold, as digests to compare. The contents themselves, keys among them, are not kept.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hasher as _};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::Watched;
use crate::folder::MAX_TEXT;

/// Most bytes of one file that are read. No configuration, certificate bundle or revocation list is larger; of a
/// file that is, changes behind this count only if they change its length.
const MAX_READ: u64 = 16 << 20;

/// The state of all that is watched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Contents(BTreeMap<Watched, State>);

/// The state of one file or folder.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// It holds something with this digest, this long.
    Held { digest: u64, length: u64 },
    /// It isn't there, isn't what it should be, or cannot be read: the kind of error says which.
    Unreadable(io::ErrorKind),
    /// A folder does not show it, for this reason.
    Unseen(String),
    /// It is a folder with these files.
    Folder(BTreeMap<PathBuf, Self>),
}

/// One look at all that is watched.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) contents: Contents,
    /// The folders in which a change shows: for each file the one it is named in, and the one it lies in after all
    /// symbolic links.
    pub(super) folders: BTreeSet<PathBuf>,
}

impl Contents {
    pub(super) fn watched(&self) -> Vec<Watched> {
        self.0.keys().cloned().collect()
    }

    pub(super) fn has(&self, path: &Path) -> bool {
        self.0.keys().any(|watched| match watched {
            Watched::File(file) => file == path,
            Watched::Folder(folder, _) => path.starts_with(folder),
        })
    }

    /// Goes over to what `wanted` watches, but keeps what is known of it.
    pub(super) fn adopt(&mut self, wanted: Self) {
        let mut known = std::mem::replace(self, wanted);
        for (watched, state) in &mut self.0 {
            if let Some(before) = known.0.remove(watched) {
                *state = before;
            }
        }
    }

    /// Takes over a later look at the same files; returns those that differ.
    pub(super) fn replace(&mut self, later: Self) -> Vec<PathBuf> {
        let before = std::mem::replace(self, later);
        let mut changed = BTreeSet::new();
        for (watched, now) in &self.0 {
            match (watched, before.0.get(watched), now) {
                (_, Some(before), now) if before == now => {}
                (_, Some(State::Folder(before)), State::Folder(now)) => changed.extend(differing(before, now)),
                (Watched::File(path) | Watched::Folder(path, _), _, _) => drop(changed.insert(path.clone())),
            }
        }
        changed.into_iter().collect()
    }
}

/// The files that are in one of two looks at a folder only, or not the same in both.
fn differing<'a>(
    before: &'a BTreeMap<PathBuf, State>,
    now: &'a BTreeMap<PathBuf, State>,
) -> impl Iterator<Item = PathBuf> + 'a {
    before.keys().chain(now.keys()).filter(|path| before.get(*path) != now.get(*path)).cloned()
}

impl Reading {
    /// Looks at all that is `watched`, away from the threads that serve streams.
    pub(super) async fn of(watched: Vec<Watched>) -> Self {
        let reading = tokio::task::spawn_blocking(move || Self::now(watched)).await;
        // Reading doesn't panic, and is cancelled only when the runtime ends, which nobody lives to see.
        reading.unwrap_or_default()
    }

    fn now(all: Vec<Watched>) -> Self {
        let mut reading = Self::default();
        for watched in all {
            let state = match &watched {
                Watched::File(path) => reading.file(path, MAX_READ),
                Watched::Folder(path, suffixes) => reading.folder(path, suffixes),
            };
            reading.contents.0.insert(watched, state);
        }
        reading
    }

    fn file(&mut self, path: &Path, most: u64) -> State {
        self.named(path);
        State::of(path, most)
    }

    fn folder(&mut self, path: &Path, suffixes: &[&str]) -> State {
        self.named(path);
        let found = match crate::folder::search(path, suffixes) {
            Ok(found) => found,
            Err(error) => return State::Unreadable(error.kind()),
        };
        self.folders.extend(found.folders);
        // No longer file of a folder is used.
        let files = found.files.into_iter().map(|file| (self.file(&file.path, MAX_TEXT), file.path));
        let mut states: BTreeMap<_, _> = files.map(|(state, path)| (path, state)).collect();
        states.extend(found.gaps.into_iter().map(|gap| (gap.path, State::Unseen(gap.why))));
        State::Folder(states)
    }

    /// Notes where a change of what is called `path` shows.
    fn named(&mut self, path: &Path) {
        self.folders.extend(folder(path));
        self.folders.extend(fs::canonicalize(path).ok().as_deref().and_then(folder));
    }
}

fn folder(path: &Path) -> Option<PathBuf> {
    let parent = path.parent()?;
    Some(if parent.as_os_str().is_empty() { PathBuf::from(".") } else { parent.to_owned() })
}

impl State {
    fn of(path: &Path, most: u64) -> Self {
        match digest(path, most) {
            Ok((digest, length)) => Self::Held { digest, length },
            Err(error) => Self::Unreadable(error.kind()),
        }
    }
}

/// Of the first `most` bytes, and the length of all.
fn digest(path: &Path, most: u64) -> io::Result<(u64, u64)> {
    // Opening a FIFO would wait for its writer.
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut file = File::open(path)?.take(most);
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
        let Reading { contents, folders } = Reading::now(paths.clone().map(Watched::File).to_vec());
        let states = paths.map(|path| contents.0[&Watched::File(path)].clone());
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
        let before = State::of(&path, MAX_READ);
        file.set_len(MAX_READ + 2).unwrap();
        assert_ne!(State::of(&path, MAX_READ), before);
    }
}
