//! What is written down about the policy language, held against the program that runs it.

use fingerpost::policy::reference::{Form, whole};

fn holds(written: &str, form: Form, hint: &str) {
    assert!(written == whole(form), "it is stale; make it: fingerpost policy reference --format {hint}");
}

#[test]
fn the_page_says_what_the_program_does() {
    holds(include_str!("../docs/reference.md"), Form::Markdown, "markdown > docs/reference.md");
}

#[test]
fn the_definitions_for_luau_lsp_say_what_the_program_does() {
    holds(include_str!("../scripts/types/fingerpost.d.luau"), Form::Luau, "luau > scripts/types/fingerpost.d.luau");
}

#[test]
fn the_definitions_for_luals_say_what_the_program_does() {
    holds(include_str!("../scripts/types/fingerpost.lua"), Form::LuaLs, "luals > scripts/types/fingerpost.lua");
}
