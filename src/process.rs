//! The process as its surroundings see it: whose it is, and where its id can be read.

mod pid_file;
mod privileges;

pub use pid_file::{PidFile, PidFileError};
pub use privileges::{PrivilegeError, check_user, drop_to};
