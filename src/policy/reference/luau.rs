//! The reference as definitions for luau-lsp.

use std::fmt::Write as _;

use super::{classes, namespaces};
use crate::policy::description::{Function, Namespace};

const HEAD: &str = "\
-- What a policy of Fingerpost may use, for luau-lsp: pass this file as --definitions.
-- Made by `fingerpost policy reference --format luau`.
";

/// The whole file.
pub(super) fn definitions() -> String {
    let mut file = HEAD.to_owned();
    for class in classes() {
        let _infallible = write!(file, "\n-- {}\ndeclare extern type {} with\n", class.about, class.name);
        for field in class.fields {
            let _infallible = writeln!(file, "  -- {}\n  {}: {}", field.about, field.name, field.of.luau());
        }
        file.push_str("end\n");
    }
    for namespace in namespaces() {
        let _infallible =
            write!(file, "\n-- {}\ndeclare {}: {}\n", namespace.about, namespace.name, table(namespace, ""));
    }
    file
}

fn table(namespace: &Namespace, indent: &str) -> String {
    let mut text = "{\n".to_owned();
    for constant in namespace.constants {
        let name = constant.name;
        let _infallible = writeln!(text, "{indent}  -- {}\n{indent}  {}: {},", name.about, name.name, name.of.luau());
    }
    for function in namespace.functions {
        let _infallible =
            writeln!(text, "{indent}  -- {}\n{indent}  {}: {},", function.about, function.name, signature(function));
    }
    for inner in namespace.inner {
        let below = table(inner, &format!("{indent}  "));
        let _infallible = writeln!(text, "{indent}  -- {}\n{indent}  {}: {below},", inner.about, inner.last_name());
    }
    text + indent + "}"
}

fn signature(function: &Function) -> String {
    let parameters: Vec<_> = function.parameters.iter().map(|of| format!("{}: {}", of.name, of.of.luau())).collect();
    format!("({}) -> {}", parameters.join(", "), function.returns.luau())
}
