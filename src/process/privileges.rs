//! From root to the configured user, for good.
//!
//! Only after everything is bound and read that needs root: there is no way back, and that is checked.

use std::ffi::CString;

use nix::errno::Errno;
use nix::unistd::{Uid, User, geteuid, initgroups, setgid, setuid};
use tracing::{info, warn};

/// Why the process is not the configured user's.
#[derive(Debug, thiserror::Error)]
pub enum PrivilegeError {
    /// No such user, or its name cannot be looked up.
    #[error("there is no user {user:?} on this machine{reason}: create it, or name another")]
    Unknown {
        /// The configured name.
        user: String,
        /// What the lookup answered, after a separator; empty if it found nothing.
        reason: String,
    },
    /// The system refused a step.
    #[error("cannot become {user:?}: {call}: {source}; root needs CAP_SETUID and CAP_SETGID for it")]
    Refused {
        /// The configured name.
        user: String,
        /// The refused call.
        call: &'static str,
        /// Its error.
        source: Errno,
    },
    /// Root's privileges could be taken back, so they were not given up.
    #[error("became {user:?}, but could become root again: remove CAP_SETUID from the process")]
    Regainable {
        /// The configured name.
        user: String,
    },
}

/// Makes every thread of the process `user`'s, with that user's groups.
///
/// A process that is not root's cannot become another's: that is a warning, unless it is `user`'s already.
///
/// # Errors
/// [`PrivilegeError`] if the user is unknown or root cannot be left for good. The relay must not serve then.
pub fn drop_to(user: &str) -> Result<(), PrivilegeError> {
    let entry = find(user)?;
    let current = geteuid();
    if current == entry.uid && !current.is_root() {
        return Ok(());
    }
    if !current.is_root() {
        warn!(user, uid = current.as_raw(), "not started as root: process.user is ignored");
        return Ok(());
    }
    become_user(&entry)?;
    info!(user, uid = entry.uid.as_raw(), "dropped root's privileges");
    Ok(())
}

/// Says whether there is such a user.
///
/// # Errors
/// [`PrivilegeError::Unknown`] if there is none.
pub fn check_user(user: &str) -> Result<(), PrivilegeError> {
    find(user).map(drop)
}

fn find(user: &str) -> Result<User, PrivilegeError> {
    let unknown = |reason| PrivilegeError::Unknown { user: user.to_owned(), reason };
    let found = User::from_name(user).map_err(|errno| unknown(format!(" ({errno})")))?;
    found.ok_or_else(|| unknown(String::new()))
}

/// Groups go first: without root they cannot be changed any more.
fn become_user(entry: &User) -> Result<(), PrivilegeError> {
    let refused = |call| move |source| PrivilegeError::Refused { user: entry.name.clone(), call, source };
    let name = CString::new(entry.name.as_str()).map_err(|_| Errno::EINVAL).map_err(refused("user name"))?;
    initgroups(&name, entry.gid).map_err(refused("initgroups"))?;
    setgid(entry.gid).map_err(refused("setgid"))?;
    setuid(entry.uid).map_err(refused("setuid"))?;
    if !entry.uid.is_root() && setuid(Uid::from_raw(0)).is_ok() {
        return Err(PrivilegeError::Regainable { user: entry.name.clone() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use nix::unistd::{getgid, getgroups, getuid};

    use super::*;

    #[test]
    fn an_unknown_user_is_named() {
        let error = drop_to("no-such-user").unwrap_err();
        assert!(error.to_string().contains("there is no user \"no-such-user\" on this machine"), "{error}");
    }

    #[test]
    fn root_becomes_the_user_with_its_groups_on_every_thread_for_good() {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "process::privileges::tests::become_nobody", "--ignored", "--nocapture"])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
    }

    #[test]
    #[ignore = "its process loses root's privileges; runs in one of its own"]
    fn become_nobody() {
        let nobody = User::from_name("nobody").unwrap().unwrap();
        let was_root = getuid().is_root();
        let before = getuid();
        drop_to("nobody").unwrap();
        let expected = if was_root { nobody.uid } else { before };
        assert_eq!(getuid(), expected);
        assert_eq!(std::thread::spawn(getuid).join().unwrap(), expected);
        if was_root {
            assert_eq!((getgid(), getgroups().unwrap()), (nobody.gid, vec![nobody.gid]));
            assert!(setuid(Uid::from_raw(0)).is_err());
        }
        // Once more is no change, and no error.
        drop_to("nobody").unwrap();
    }
}
