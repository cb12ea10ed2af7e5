//! The policies that are shipped: each passes its own tests, which run every line of it, and each is taught.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::panic,
    reason = "a part that does not work ends the test"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/examples");

fn passes(folder: &str) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_fingerpost"));
    let output = program.args(["policy", "test", "--fail-under", "100", folder]).output().expect("our own program");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
}

/// The policies of the folder, without `.lua`.
fn examples() -> BTreeSet<String> {
    let files = fs::read_dir(FOLDER).expect("the examples").map(|entry| entry.expect("a file").file_name());
    let names = files.filter_map(|name| name.to_str()?.strip_suffix(".lua").map(str::to_owned));
    names.filter(|name| !name.ends_with("_test")).collect()
}

#[test]
fn every_example_passes_tests_that_run_all_of_it() {
    for name in examples() {
        assert!(Path::new(FOLDER).join(format!("{name}_test.lua")).exists(), "{name} has no test");
    }
    passes(FOLDER);
}

#[test]
fn the_built_in_policy_passes_its_tests() {
    let folder = tempfile::tempdir().expect("a folder");
    for file in ["default.lua", "default_test.lua"] {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join(file);
        fs::copy(from, folder.path().join(file)).expect("a script");
    }
    passes(folder.path().to_str().expect("a path"));
}

#[test]
fn every_example_is_taught() {
    let page = include_str!("../docs/policies.md");
    for name in examples() {
        assert!(page.contains(&format!("[{name}.lua](../scripts/examples/{name}.lua)")), "{name} is not on the page");
    }
    let numbered = page.lines().filter(|line| line.starts_with("## ") && line.contains(". ")).count();
    assert_eq!(numbered, examples().len() + 1, "the built-in one is the first");
}
