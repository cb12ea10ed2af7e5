//! The reference as a page.

use std::fmt::Write as _;

use super::{Entry, HOOKS, classes, library, namespaces};
use crate::policy::description::Namespace;

const HEAD: &str = "\
# Reference of the policy language

A policy is a Luau script that returns a table: `api = 1`, and the functions under *Functions of a policy*. Made by
`fingerpost policy reference --format markdown`; `fingerpost policy reference NAME` shows one entry in the terminal.

Types are written as Luau writes them: `string?` may be nil, `{ Gateway }` is a list. Values of the relay's own types
are read-only, and to read a field that does not exist is an error that says which one was meant.
";

/// The whole page.
pub(super) fn page() -> String {
    let mut page = HEAD.to_owned();
    page.push_str("\n## Functions of a policy\n");
    HOOKS.iter().map(Entry::of_hook).for_each(|entry| item(&mut page, &entry));
    namespaces().for_each(|of| namespace(&mut page, of));
    for class in classes() {
        heading(&mut page, class.name, class.about);
        if !class.fields.is_empty() {
            page.push('\n');
        }
        for field in class.fields {
            let _infallible = writeln!(page, "- `{}: {}`: {}", field.name, field.of.luau(), field.about);
        }
    }
    library(&mut page);
    page
}

/// A namespace under a heading of its own, and those in it after it.
fn namespace(page: &mut String, of: &Namespace) {
    heading(page, of.name, of.about);
    of.constants.iter().for_each(|constant| item(page, &Entry::of_name(of.name, &constant.name)));
    of.functions.iter().for_each(|function| item(page, &Entry::of_function(of, function)));
    of.inner.iter().for_each(|inner| namespace(page, inner));
}

fn heading(page: &mut String, name: &str, about: &str) {
    let _infallible = write!(page, "\n## {name}\n\n{about}\n");
}

fn item(page: &mut String, entry: &Entry) {
    let _infallible = write!(page, "\n### `{}`\n\n{}\n", entry.usage, entry.about);
    let (arguments, rest): (Vec<_>, Vec<_>) = entry.details.lines().partition(|line| line.starts_with(' '));
    if !arguments.is_empty() {
        page.push('\n');
    }
    arguments
        .into_iter()
        .for_each(|line| page.extend([line.strip_prefix("    ").map_or("- ", |_| "  - "), line.trim_start(), "\n"]));
    rest.into_iter().for_each(|line| page.extend(["\n", line, "\n"]));
}

fn library(page: &mut String) {
    let names: Vec<_> = library::names().map(|name| format!("`{name}`")).collect();
    let about = "What is there of Luau's own library; `print` writes to the log.";
    heading(page, "Luau's library", about);
    page.push('\n');
    page.push_str(&names.join(", "));
    page.push_str(".\n");
}
