//! The library `files`: what lies beside the scripts.

use mlua::Value;

use super::{reach, text};
use crate::policy::FailureKind;
use crate::policy::description::{Function, Namespace, Phases, Type, parameter};

/// The library `files`.
pub(super) const NAMESPACE: Namespace = Namespace {
    name: "files",
    about: "Files that lie in the policies' folder and below, or beside the policy where it is a single file. A link may \
            lead to another place of the folder, and never out of it.",
    constants: &[],
    functions: &[Function {
        name: "read",
        about: "The whole of a file, of at most 1 MiB, as it is now. One in the folder of overlays comes before one of \
                the same name in the folder of policies. A file that is not there is an error.",
        parameters: &[parameter(
            "name",
            Type::String,
            "the file's path from the folder on, such as \"drained.txt\" or \"data/networks.json\"",
        )],
        returns: Type::String,
        phases: Phases::BACKGROUND,
        blame: FailureKind::Error,
        call: |lua, arguments| {
            let name = text(arguments.at(0));
            let content = reach(lua, "files.read", |reach| reach.outside.read(&name))?;
            lua.create_string(content).map(Value::String)
        },
    }],
    inner: &[],
};
