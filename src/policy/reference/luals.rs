//! The reference as definitions for LuaLS.

use std::fmt::Write as _;

use super::{classes, namespaces};
use crate::policy::description::{Namespace, Type};

const HEAD: &str = "\
---@meta
-- What a policy of Fingerpost may use, for LuaLS: add this file's folder to workspace.library.
-- Made by `fingerpost policy reference --format luals`.
";

/// The whole file.
pub(super) fn definitions() -> String {
    let mut file = HEAD.to_owned();
    for class in classes() {
        let _infallible = write!(file, "\n---{}\n---@class (exact) {}\n", class.about, class.name);
        for field in class.fields {
            let _infallible = writeln!(file, "---@field {} {} {}", field.name, field.of.luals(), field.about);
        }
    }
    namespaces().for_each(|of| namespace(&mut file, of));
    file
}

fn namespace(file: &mut String, of: &Namespace) {
    let name = of.name;
    let _infallible = write!(file, "\n---{}\n---@class {name}lib\n", of.about);
    for constant in of.constants {
        let constant = constant.name;
        let _infallible = writeln!(file, "---@field {} {} {}", constant.name, constant.of.luals(), constant.about);
    }
    let _infallible = writeln!(file, "{name} = {{}}");
    for function in of.functions {
        let _infallible = write!(file, "\n---{}\n", function.about);
        for parameter in function.parameters {
            let _infallible =
                writeln!(file, "---@param {} {} {}", parameter.name, parameter.of.luals(), parameter.expects);
        }
        let names: Vec<_> = function.parameters.iter().map(|parameter| parameter.name).collect();
        if !matches!(function.returns, Type::Nothing) {
            let _infallible = writeln!(file, "---@return {}", function.returns.luals());
        }
        let _infallible = writeln!(file, "function {name}.{}({}) end", function.name, names.join(", "));
    }
    of.inner.iter().for_each(|inner| namespace(file, inner));
}
