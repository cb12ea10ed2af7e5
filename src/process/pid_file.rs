//! The file that holds the process id while the relay runs.
//!
//! It is no lock: the port is what two relays cannot share, and an id left over by a container's former life says
//! nothing about this one.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tracing::warn;

/// The written file; dropping it removes it.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
}

/// The file cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("process.pid_file: cannot write {}: {source}; its folder must exist and belong to the relay's user", path.display())]
pub struct PidFileError {
    path: PathBuf,
    source: io::Error,
}

impl PidFile {
    /// Writes this process's id and a newline to `path`, over whatever was there.
    ///
    /// # Errors
    /// [`PidFileError`] when the file cannot be created or written.
    pub fn write(path: &Path) -> Result<Self, PidFileError> {
        let path = path.to_owned();
        match fs::write(&path, format!("{}\n", std::process::id())) {
            Ok(()) => Ok(Self { path }),
            Err(source) => Err(PidFileError { path, source }),
        }
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            warn!(file = %self.path.display(), %error, "cannot remove the process id file");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_holds_the_id_over_an_older_one_until_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fingerpost.pid");
        fs::write(&path, "123456789\n").unwrap();
        let file = PidFile::write(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named() {
        let error = PidFile::write(Path::new("/nonexistent/fingerpost.pid")).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/fingerpost.pid: No such file"), "{error}");
    }
}
