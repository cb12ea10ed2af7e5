//! The definitions for editors, read by Luau's own type checker as luau-lsp does, and the shipped scripts with them.

#![allow(clippy::allow_attributes, clippy::expect_used, reason = "a part that does not work ends the test")]

use std::fs;
use std::path::{Path, PathBuf};

use luau_analysis::{
    DefinitionEnvironment, FileResolver, Frontend, FrontendOptions, ModuleName, NullConfigResolver, SourceCode,
    SourceCodeType,
};
use luau_common::BString;

const DEFINITIONS: &str = include_str!("../scripts/types/fingerpost.d.luau");

/// A script that requires no other.
struct Script(String);

impl FileResolver for Script {
    fn read_source(&mut self, _name: &ModuleName) -> Option<SourceCode> {
        Some(SourceCode { source: BString::from(self.0.as_str()), kind: SourceCodeType::Module })
    }
}

/// What the checker finds wrong with `script`, each with its line.
fn complaints(script: &str) -> Vec<String> {
    let options = FrontendOptions { retain_full_type_graphs: true, ..FrontendOptions::default() };
    let mut checker = Frontend::new(Script(script.to_owned()), NullConfigResolver::default(), options);
    checker.register_builtin_globals(DefinitionEnvironment::Globals).expect("Luau's own names");
    let scope = checker.global_scope(DefinitionEnvironment::Globals);
    let defined = checker.load_definition_file(scope, DEFINITIONS, "@fingerpost", false).expect("a checker that works");
    assert!(defined.success, "{:#?}", defined.source_module.parse_errors);
    let name = BString::from("script");
    let found = checker.check(&name, None).expect("a checker that works").errors;
    let model = checker.semantic_model(&name).expect("it was kept");
    found.iter().map(|error| format!("{}: {}", error.location.begin.line + 1, model.error_message(error))).collect()
}

/// Every script that is shipped.
fn scripts() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
    let files = [folder.clone(), folder.join("examples")]
        .into_iter()
        .flat_map(|folder| fs::read_dir(folder).expect("scripts").map(|entry| entry.expect("a file").path()));
    files.filter(|file| file.extension().is_some_and(|suffix| suffix == "lua")).collect()
}

#[test]
fn every_shipped_script_uses_names_as_they_are_defined() {
    for file in scripts() {
        let found = complaints(&fs::read_to_string(&file).expect("a script"));
        assert!(found.is_empty(), "{}\n{}", file.display(), found.join("\n"));
    }
}

#[test]
fn an_editor_shows_what_is_wrong() {
    for (line, words) in [
        ("return relay.direct(request.build.worker)", "could be nil"),
        ("return relay.refuse(5)", "number"),
        ("return relay.refuse(request.tenant)", "tenant"),
        ("return relay.refues('no')", "refues"),
    ] {
        let script = format!("--!strict\nlocal function route(request: Request): Route\n{line}\nend\nreturn route");
        let found = complaints(&script);
        assert!(found.iter().any(|complaint| complaint.starts_with("3: ") && complaint.contains(words)), "{found:#?}");
    }
}
