//! What is written down about the policy language, held against the program that runs it.

use std::fs;
use std::path::Path;

use fingerpost::policy::reference::{Form, whole};

fn holds(file: &str, form: Form, name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let written = fs::read_to_string(path).unwrap();
    assert!(written == whole(form), "{file} is stale; make it: fingerpost policy reference --format {name} > {file}");
}

#[test]
fn the_page_says_what_the_program_does() {
    holds("docs/reference.md", Form::Markdown, "markdown");
}

#[test]
fn the_definitions_for_luau_lsp_say_what_the_program_does() {
    holds("scripts/types/fingerpost.d.luau", Form::Luau, "luau");
}

#[test]
fn the_definitions_for_luals_say_what_the_program_does() {
    holds("scripts/types/fingerpost.lua", Form::LuaLs, "luals");
}
