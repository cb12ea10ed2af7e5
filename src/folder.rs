//! The files below a folder, found and read within bounds: scripts, overlays, and whatever else an operator puts there.
//! It knows what no file means, and never leaves the folder by a symbolic link.
//!
//! Links inside of the folder are followed, because Kubernetes lays volumes out with them: each name leads through
//! `..data` to a folder of the day.

use std::collections::BTreeSet;
use std::fs::{self, DirEntry, File};
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};

/// Most files of one folder.
pub const MAX_FILES: usize = 512;

/// Longest text of one file, in bytes. Luau compiles without a limit of its own.
pub const MAX_TEXT: u64 = 1 << 20;

/// Folders in folders, the first included.
const MAX_DEPTH: usize = 8;

/// Names that are looked at, of whatever kind: a script may lie in a home directory.
const MAX_NAMES: usize = 4096;

/// What a search came to. Hidden names are not in it.
#[derive(Debug, Default)]
pub struct Found {
    /// Those below the top after those in it, each level in the order of its names.
    pub files: Vec<Entry>,
    /// What may not or cannot be looked at.
    pub gaps: Vec<Gap>,
    /// All folders that were looked into.
    pub folders: BTreeSet<PathBuf>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its path from the folder on, with `/` between the parts.
    pub name: String,
    /// Where it is, as the folder was named.
    pub path: PathBuf,
}

/// A file or folder that stays unseen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// Its path from the folder on; empty for the folder as a whole.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// Why, to be read after its path.
    pub why: String,
}

/// Why a name leads to no file, to be read after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// Nothing has that name; another folder may.
    Absent(String),
    /// It may not or cannot be read.
    Refused(String),
}

/// Looks for the files below `root` that end in one of `suffixes`, such as `lua`. Blocks on the file system.
///
/// # Errors
/// If `root` itself cannot be listed. What is wrong below it is a [`Gap`].
pub fn search(root: &Path, suffixes: &[&str]) -> io::Result<Found> {
    let home = fs::canonicalize(root)?;
    let mut search = Search { root, home, suffixes, names_left: MAX_NAMES, found: Found::default() };
    let mut level = search.list(root, "")?;
    for _ in 1..MAX_DEPTH {
        level = level.iter().flat_map(|folder| search.below(folder)).collect();
    }
    if let Some(deepest) = level.first() {
        search.gap(deepest, format!("lies deeper than {MAX_DEPTH} folders"));
    }
    Ok(search.found)
}

/// Reads a file that should hold no more than [`MAX_TEXT`] bytes of text. Blocks on the file system.
///
/// # Errors
/// Why not, to be read after the file's name.
pub fn text(path: &Path) -> Result<String, String> {
    String::from_utf8(bytes(path)?).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let line = 1 + error.as_bytes().iter().take(good).filter(|byte| **byte == b'\n').count();
        format!("is not UTF-8 from byte {good} on, in line {line}; is this the right file?")
    })
}

/// Reads a file that should hold no more than [`MAX_TEXT`] bytes. Blocks on the file system.
///
/// # Errors
/// Why not, to be read after the file's name.
pub fn bytes(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_TEXT + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("cannot be read: {error}"))?;
    match bytes.len() as u64 {
        0..=MAX_TEXT => Ok(bytes),
        _ => Err(format!("is longer than {MAX_TEXT} bytes; is this the right file?")),
    }
}

/// Where the file is that `name` leads to from `root` on, after all links. Blocks on the file system.
///
/// # Errors
/// Why there is none that may be read, to be read after the name.
pub fn inside(root: &Path, name: &str) -> Result<PathBuf, Missing> {
    let plain = !name.is_empty() && Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
    if !plain {
        return Err(Missing::Refused("is no path inside of the folder, such as data/list.txt".to_owned()));
    }
    let unread = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => Missing::Absent(format!("is not in {}", root.display())),
        _ => Missing::Refused(format!("cannot be read: {error}")),
    };
    let lies = fs::canonicalize(root.join(name)).map_err(unread)?;
    if !lies.starts_with(fs::canonicalize(root).map_err(unread)?) {
        return Err(Missing::Refused(leads_out(&lies)));
    }
    // To open a pipe would be to wait for its other end.
    match fs::metadata(&lies).map_err(unread)?.is_file() {
        true => Ok(lies),
        false => Err(Missing::Refused("is no regular file".to_owned())),
    }
}

fn leads_out(to: &Path) -> String {
    format!("leads out of its folder, to {}; copy it into the folder", to.display())
}

struct Search<'a> {
    root: &'a Path,
    /// `root` after all symbolic links.
    home: PathBuf,
    suffixes: &'a [&'a str],
    names_left: usize,
    found: Found,
}

impl Search<'_> {
    fn below(&mut self, folder: &Entry) -> Vec<Entry> {
        self.list(&folder.path, &format!("{}/", folder.name)).unwrap_or_else(|error| {
            self.gap(folder, format!("cannot be listed: {error}"));
            Vec::new()
        })
    }

    /// Takes the files of one folder, and returns the folders in it.
    fn list(&mut self, folder: &Path, prefix: &str) -> io::Result<Vec<Entry>> {
        // One more than may be looked at, so that it shows.
        let names = fs::read_dir(folder)?.take(self.names_left + 1).collect::<io::Result<Vec<_>>>()?;
        self.found.folders.insert(folder.to_owned());
        let mut entries: Vec<_> = names.iter().map(|name| entry(name, prefix)).filter(|entry| !hidden(entry)).collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        if names.len() > self.names_left {
            self.stop(format!("holds more than {MAX_NAMES} names"));
            entries.clear();
        }
        self.names_left = self.names_left.saturating_sub(names.len());
        Ok(entries.into_iter().filter_map(|entry| self.take(entry)).collect())
    }

    /// Takes a file that is looked for, and returns a folder that is to be looked into.
    fn take(&mut self, entry: Entry) -> Option<Entry> {
        let wanted = entry.path.extension().is_some_and(|suffix| self.suffixes.iter().any(|known| suffix == *known));
        match fs::metadata(&entry.path) {
            Ok(kind) if kind.is_dir() || (kind.is_file() && wanted) => {
                if let Err(why) = self.inside(&entry) {
                    self.gap(&entry, why);
                } else if kind.is_dir() {
                    return Some(entry);
                } else {
                    self.keep(entry);
                }
            }
            Err(error) if wanted => self.gap(&entry, format!("cannot be read: {error}")),
            Ok(_) | Err(_) => {}
        }
        None
    }

    /// That a name is text, and that it stays in the folder whatever it links to.
    fn inside(&self, entry: &Entry) -> Result<(), String> {
        if entry.path.to_str().is_none() {
            return Err("has a name that is not UTF-8; rename it".to_owned());
        }
        let lies = fs::canonicalize(&entry.path).map_err(|error| format!("cannot be read: {error}"))?;
        match lies.starts_with(&self.home) {
            true => Ok(()),
            false => Err(leads_out(&lies)),
        }
    }

    fn keep(&mut self, entry: Entry) {
        if self.found.files.len() < MAX_FILES {
            self.found.files.push(entry);
        } else {
            self.stop(format!("holds more than {MAX_FILES} files"));
        }
    }

    fn gap(&mut self, entry: &Entry, why: String) {
        self.found.gaps.push(Gap { name: entry.name.clone(), path: entry.path.clone(), why });
    }

    /// Leaves the rest of the folder unseen.
    fn stop(&mut self, why: String) {
        let gap = Gap { name: String::new(), path: self.root.to_owned(), why };
        if !self.found.gaps.contains(&gap) {
            self.found.gaps.push(gap);
        }
    }
}

fn entry(name: &DirEntry, prefix: &str) -> Entry {
    Entry { name: format!("{prefix}{}", name.file_name().to_string_lossy()), path: name.path() }
}

/// Editors keep their swap files so, and Kubernetes its folders of the day.
fn hidden(entry: &Entry) -> bool {
    entry.name.rsplit('/').next().is_some_and(|name| name.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    fn folder(files: &[&str]) -> TempDir {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        dir
    }

    fn names(dir: &Path) -> Vec<String> {
        search(dir, &["lua"]).unwrap().files.into_iter().map(|file| file.name).collect()
    }

    /// What stays unseen, and why.
    fn gaps(dir: &Path) -> Vec<(String, String)> {
        search(dir, &["lua"]).unwrap().gaps.into_iter().map(|gap| (gap.name, gap.why)).collect()
    }

    #[test]
    fn files_are_found_at_every_level_and_hidden_ones_are_not() {
        let dir = folder(&["b.lua", "a.lua", "lib/net/c.lua", "lib/b.lua", ".a.lua", ".git/x.lua", "a.txt", "lua"]);
        fs::create_dir(dir.path().join("folder.lua")).unwrap();
        assert_eq!(names(dir.path()), ["a.lua", "b.lua", "lib/b.lua", "lib/net/c.lua"]);
        assert_eq!(gaps(dir.path()), []);
    }

    #[test]
    fn a_volume_of_kubernetes_is_read_through_its_links() {
        let dir = folder(&["..2026_01/a.lua", "..2026_01/lib/b.lua"]);
        symlink("..2026_01", dir.path().join("..data")).unwrap();
        symlink("..data/a.lua", dir.path().join("a.lua")).unwrap();
        symlink("..data/lib", dir.path().join("lib")).unwrap();
        assert_eq!(names(dir.path()), ["a.lua", "lib/b.lua"]);
        let link = dir.path().join(".link");
        symlink(dir.path(), &link).unwrap();
        assert_eq!(names(&link), ["a.lua", "lib/b.lua"], "the folder's own name may be a link");
    }

    #[test]
    fn no_link_leads_out_of_the_folder() {
        let (dir, other) = (folder(&["a.lua"]), folder(&["secret.lua"]));
        symlink(other.path().join("secret.lua"), dir.path().join("file.lua")).unwrap();
        symlink(other.path(), dir.path().join("lib")).unwrap();
        symlink("nowhere", dir.path().join("lost.lua")).unwrap();
        assert_eq!(names(dir.path()), ["a.lua"]);
        let gaps = gaps(dir.path());
        assert_eq!(gaps.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["file.lua", "lib", "lost.lua"]);
        assert!(gaps[0].1.starts_with("leads out of its folder, to /"), "{gaps:?}");
        assert!(gaps[2].1.starts_with("cannot be read: No such file"), "{gaps:?}");
    }

    #[test]
    fn one_file_is_found_through_the_links_of_a_volume_and_never_outside() {
        let (dir, other) = (folder(&["..2026_01/data/a.txt", "sub/b.txt"]), folder(&["secret.txt"]));
        symlink("..2026_01", dir.path().join("..data")).unwrap();
        symlink("..data/data", dir.path().join("data")).unwrap();
        symlink(other.path().join("secret.txt"), dir.path().join("out.txt")).unwrap();
        let lies = inside(dir.path(), "data/a.txt").unwrap();
        assert!(lies.ends_with("..2026_01/data/a.txt") && bytes(&lies).unwrap() == b"x", "{lies:?}");
        assert!(inside(dir.path(), "sub/b.txt").is_ok());
        let absolute = other.path().join("secret.txt");
        for (name, why) in [
            ("", "is no path inside"),
            ("../secret.txt", "is no path inside"),
            ("sub/../sub/b.txt", "is no path inside"),
            ("./sub/b.txt", "is no path inside"),
            (absolute.to_str().unwrap(), "is no path inside"),
            ("out.txt", "leads out of its folder, to /"),
            ("sub", "is no regular file"),
            ("sub/b.txt/c", "cannot be read: Not a directory"),
            ("a\0b", "cannot be read: "),
        ] {
            let Missing::Refused(said) = inside(dir.path(), name).unwrap_err() else { panic!("{name}") };
            assert!(said.starts_with(why), "{name}: {said}");
        }
        let absent = Missing::Absent(format!("is not in {}", dir.path().display()));
        assert_eq!(inside(dir.path(), "c.txt"), Err(absent));
    }

    #[test]
    fn a_circle_of_links_ends_at_the_deepest_folder() {
        let dir = folder(&["a.lua"]);
        symlink(".", dir.path().join("again")).unwrap();
        assert_eq!(names(dir.path()).len(), MAX_DEPTH);
        assert_eq!(gaps(dir.path()), [(["again"; 8].join("/"), "lies deeper than 8 folders".to_owned())]);
    }

    #[test]
    fn a_crowded_folder_is_cut_short_and_says_so() {
        let dir = folder(&[]);
        (0..=MAX_FILES).for_each(|number| fs::write(dir.path().join(format!("{number}.lua")), "").unwrap());
        assert_eq!(names(dir.path()).len(), MAX_FILES);
        assert_eq!(gaps(dir.path()), [(String::new(), "holds more than 512 files".to_owned())]);
        (0..MAX_NAMES).for_each(|number| fs::write(dir.path().join(format!("{number}")), "").unwrap());
        assert_eq!(gaps(dir.path()), [(String::new(), "holds more than 4096 names".to_owned())]);
    }

    #[test]
    fn what_is_no_text_is_told_with_its_line() {
        let dir = folder(&[]);
        let path = dir.path().join("a.lua");
        fs::write(&path, b"one\ntwo\n-- \xff").unwrap();
        assert_eq!(text(&path).unwrap_err(), "is not UTF-8 from byte 11 on, in line 3; is this the right file?");
    }

    #[test]
    fn what_is_no_folder_is_an_error() {
        let dir = folder(&["a.lua"]);
        assert_eq!(search(&dir.path().join("a.lua"), &[]).unwrap_err().kind(), io::ErrorKind::NotADirectory);
        assert_eq!(search(&dir.path().join("b"), &[]).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
