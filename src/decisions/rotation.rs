//! The files of the log: the one that is written, and those that were full. Together they never grow beyond what was
//! configured, but by what one file begins with.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

use rustix::fs::OFlags;

use crate::config::settings::Decisions;

/// A file that is put aside when it is full, and those that were.
#[derive(Debug)]
pub(super) struct Rotation {
    pub(super) settings: Decisions,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    size: u64,
    /// Which file it is, whatever it is called by now: device and number.
    which: (u64, u64),
}

impl Rotation {
    /// Opens nothing yet.
    pub(super) fn new(settings: Decisions) -> Self {
        Self { settings, open: None }
    }

    /// Sees that there is a file to append to, and that it is the one that has its name: somebody may have moved or
    /// removed it. Says whether it was opened just now.
    ///
    /// # Errors
    /// If it cannot be opened, or is no regular file.
    pub(super) fn ready(&mut self) -> io::Result<bool> {
        let named = fs::metadata(&self.settings.file).ok();
        match (&mut self.open, named) {
            (Some(open), Some(named)) if open.which == which(&named) => {
                // While one process of a relay takes over from another, both write.
                open.size = named.len();
                Ok(false)
            }
            _ => {
                self.open = None;
                self.open = Some(self.open()?);
                Ok(true)
            }
        }
    }

    /// Whether `more` bytes are too many for the file. An empty one takes any.
    pub(super) fn is_full(&self, more: usize) -> bool {
        let more = u64::try_from(more).unwrap_or(u64::MAX);
        let full = |open: &Open| open.size > 0 && open.size.saturating_add(more) > self.settings.max_size;
        self.open.as_ref().is_some_and(full)
    }

    /// Appends `bytes`, all or, after an error, an unknown part of them; the file is then opened again.
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(open) = &mut self.open else { return Err(ErrorKind::NotConnected.into()) };
        match open.file.write_all(bytes) {
            Ok(()) => {
                open.size += bytes.len() as u64;
                Ok(())
            }
            Err(error) => {
                self.open = None;
                Err(error)
            }
        }
    }

    /// Puts the file aside, lets the oldest ones go, and begins another.
    ///
    /// # Errors
    /// If a file cannot be renamed or removed, or the next one not be opened.
    pub(super) fn rotate(&mut self) -> io::Result<()> {
        self.open = None;
        // Beyond the last there are more, if more were kept before.
        let mut last = self.settings.keep;
        while present(fs::remove_file(self.aside(last)))? {
            last += 1;
        }
        for number in (0..self.settings.keep).rev() {
            present(fs::rename(self.aside(number), self.aside(number + 1)))?;
        }
        self.ready().map(drop)
    }

    /// The name of the file that was full `number` files ago.
    fn aside(&self, number: u32) -> PathBuf {
        let mut name = self.settings.file.clone().into_os_string();
        if number > 0 {
            name.push(format!(".{number}"));
        }
        name.into()
    }

    fn open(&self) -> io::Result<Open> {
        // Not to wait, where it is a pipe, for somebody who reads it.
        let at_once = OFlags::NONBLOCK.bits().cast_signed();
        let mut options = OpenOptions::new();
        let options = options.read(true).append(true).create(true).mode(0o600).custom_flags(at_once);
        let mut file = options.open(&self.settings.file)?;
        let known = file.metadata()?;
        if !known.is_file() {
            return Err(io::Error::new(ErrorKind::InvalidInput, "it is no regular file"));
        }
        let mut open = Open { size: known.len(), which: which(&known), file: file.try_clone()? };
        if is_cut(&file, open.size)? {
            file.write_all(b"\n")?;
            open.size += 1;
        }
        Ok(open)
    }
}

fn which(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

/// Whether the last line has no end: whoever wrote it did not come to it.
fn is_cut(file: &File, size: u64) -> io::Result<bool> {
    let Some(last) = size.checked_sub(1) else { return Ok(false) };
    let mut byte = [0];
    file.read_exact_at(&mut byte, last)?;
    Ok(byte != *b"\n")
}

/// Whether there was a file to do something with.
fn present(done: io::Result<()>) -> io::Result<bool> {
    match done {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use tempfile::TempDir;

    use super::*;

    fn rotation(folder: &TempDir, keep: u32) -> Rotation {
        Rotation::new(Decisions { file: folder.path().join("log"), max_size: 10, keep })
    }

    fn texts(folder: &TempDir) -> Vec<(String, String)> {
        let entries = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let text = |path: PathBuf| {
            let text = fs::read_to_string(&path).unwrap();
            (path.file_name().unwrap().to_str().unwrap().to_owned(), text)
        };
        let mut texts: Vec<_> = entries.map(text).collect();
        texts.sort();
        texts
    }

    fn write(rotation: &mut Rotation, line: &str) {
        rotation.ready().unwrap();
        if rotation.is_full(line.len()) {
            rotation.rotate().unwrap();
        }
        rotation.append(line.as_bytes()).unwrap();
    }

    fn pair(name: &str, text: &str) -> (String, String) {
        (name.to_owned(), text.to_owned())
    }

    #[test]
    fn full_files_are_put_aside_and_the_oldest_are_let_go() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = rotation(&folder, 2);
        for number in 0..7 {
            write(&mut log, &format!("{number}234\n"));
        }
        let two = |first: &str, second: &str| format!("{first}234\n{second}234\n");
        assert_eq!(
            texts(&folder),
            [pair("log", "6234\n"), pair("log.1", &two("4", "5")), pair("log.2", &two("2", "3"))]
        );
        log.settings.keep = 0;
        write(&mut log, "longer than all\n");
        assert_eq!(texts(&folder), [pair("log", "longer than all\n")]);
    }

    #[test]
    fn nobody_else_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        write(&mut rotation(&folder, 1), "x\n");
        let mode = fs::metadata(folder.path().join("log")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn what_was_there_stays_and_a_line_that_was_cut_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("log"), "old\nc").unwrap();
        let mut log = rotation(&folder, 1);
        assert!(log.ready().unwrap());
        log.append(b"new\n").unwrap();
        assert!(!log.ready().unwrap());
        assert_eq!(texts(&folder), [pair("log", "old\nc\nnew\n")]);
        assert!(log.is_full(1) && !log.is_full(0));
    }

    #[test]
    fn a_file_that_somebody_moved_is_left_to_them() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = rotation(&folder, 1);
        write(&mut log, "a\n");
        fs::rename(folder.path().join("log"), folder.path().join("mine")).unwrap();
        assert!(log.ready().unwrap());
        write(&mut log, "b\n");
        fs::remove_file(folder.path().join("log")).unwrap();
        write(&mut log, "c\n");
        assert_eq!(texts(&folder), [pair("log", "c\n"), pair("mine", "a\n")]);
    }

    #[test]
    fn only_a_regular_file_is_written() {
        let device = Decisions { file: "/dev/null".into(), max_size: 10, keep: 1 };
        assert_eq!(Rotation::new(device).ready().unwrap_err().to_string(), "it is no regular file");
        let folder = tempfile::tempdir().unwrap();
        let missing = Decisions { file: folder.path().join("no/log"), max_size: 10, keep: 1 };
        assert_eq!(Rotation::new(missing).ready().unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn a_full_file_that_cannot_be_put_aside_is_not_written_further() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = rotation(&folder, 1);
        write(&mut log, "123456789\n");
        fs::create_dir(folder.path().join("log.1")).unwrap();
        assert!(log.is_full(2));
        log.rotate().unwrap_err();
        assert_eq!(log.append(b"x\n").unwrap_err().kind(), ErrorKind::NotConnected);
        fs::remove_dir(folder.path().join("log.1")).unwrap();
        write(&mut log, "x\n");
        assert_eq!(texts(&folder), [pair("log", "x\n"), pair("log.1", "123456789\n")]);
    }
}
