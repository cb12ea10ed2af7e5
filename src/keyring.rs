//! Reads certificates, keys, CAs and revocation lists, and remembers those that root could read and the relay's user
//! cannot: without them no reload could succeed once root is given up. Never shows what it holds.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tracing::warn;

/// What was read of each file last. It holds as much as the configuration names.
#[derive(Default)]
pub struct Keyring {
    remembered: Mutex<HashMap<PathBuf, Vec<u8>>>,
}

impl Keyring {
    /// Reads `path`. A file that may no longer be read is as it was when it was read last; another reason not to read
    /// it is an error as ever.
    pub fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let read = fs::read(path);
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        match read {
            Ok(content) => {
                remembered.insert(path.to_owned(), content.clone());
                Ok(content)
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => remembered.get(path).cloned().ok_or(error),
            Err(error) => Err(error),
        }
    }

    /// Names the files that were read and can no longer be: a change of them takes a restart.
    pub fn warn_of_unreadable(&self) {
        let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lost: Vec<&PathBuf> = remembered.keys().filter(|path| fs::File::open(path).is_err()).collect();
        lost.sort();
        for file in lost {
            let file = file.display();
            warn!(%file, "process.user may not read this file: it serves on as it is, and a new one needs a restart");
        }
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_anew_and_a_missing_one_is_not_made_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        let keyring = Keyring::default();
        fs::write(&path, "old").unwrap();
        assert_eq!(keyring.read(&path).unwrap(), b"old");
        fs::write(&path, "new").unwrap();
        assert_eq!(keyring.read(&path).unwrap(), b"new");
        fs::remove_file(&path).unwrap();
        assert_eq!(keyring.read(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(!format!("{keyring:?}").contains("new"));
    }
}
