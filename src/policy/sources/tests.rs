//! Folders in, scripts by name out, or why not.

use std::fs;
use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;
use crate::config::settings::{Policy, Rule};

/// A folder in which each file holds its own name.
fn folder(files: &[&str]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for file in files {
        let path = dir.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, file).unwrap();
    }
    dir
}

fn in_folder(dir: &TempDir) -> Policy {
    Policy { folder: Some(dir.path().to_owned()), ..Policy::default() }
}

fn of_file(dir: &TempDir, name: &str) -> Policy {
    Policy { file: Some(dir.path().join(name)), ..Policy::default() }
}

/// Why the scripts cannot be used, with paths from `dir` on.
fn problem(settings: &Policy, dir: &TempDir) -> String {
    let error = Sources::read(settings).unwrap_err().to_string();
    error.replace(&format!("{}/", dir.path().display()), "").replace(&dir.path().display().to_string(), "DIR")
}

/// The names of the policies with their texts.
fn policies(sources: &Sources) -> Vec<(&str, &str)> {
    let files = sources.policies.values().filter(|source| source.path.is_some());
    files.map(|source| (source.name.as_str(), source.text.as_str())).collect()
}

fn modules(sources: &Sources) -> Vec<(&str, &str)> {
    let usable = sources.modules.values().filter_map(|module| module.as_ref().ok());
    usable.map(|source| (source.name.as_str(), source.text.as_str())).collect()
}

#[test]
fn without_any_file_there_is_the_built_in_policy() {
    let sources = Sources::read(&Policy::default()).unwrap();
    assert_eq!(sources, Sources::of("zuul", [], []));
    assert_eq!(sources.policies["zuul"].text, BUILT_IN_TEXT);
    assert_eq!(sources.policies["zuul"].title(), "built-in default");
}

#[test]
fn the_top_of_a_folder_holds_policies_and_the_rest_modules() {
    let dir =
        folder(&["a.lua", "b-2.lua", "a_test.lua", "lib/m.lua", "lib/m_test.lua", "lib/net/n.lua", "x.txt", ".c.lua"]);
    let sources = Sources::read(&in_folder(&dir)).unwrap();
    assert_eq!(policies(&sources), [("a", "a.lua"), ("b-2", "b-2.lua")]);
    assert_eq!(modules(&sources), [("lib/m", "lib/m.lua"), ("lib/net/n", "lib/net/n.lua")]);
    let tests = ["a_test", "lib/m_test"].map(|name| (name.to_owned(), dir.path().join(format!("{name}.lua"))));
    assert_eq!(sources.tests, BTreeMap::from(tests));
    assert_eq!((sources.default.as_str(), sources.policies.len()), ("zuul", 3));
}

#[test]
fn overlays_add_scripts_and_replace_those_of_the_same_name() {
    let (dir, overlays) =
        (folder(&["a.lua", "b.lua", "lib/m.lua", "lib/n.lua"]), folder(&["b.lua", "zuul.lua", "lib/n.lua"]));
    fs::write(overlays.path().join("b.lua"), "mine").unwrap();
    fs::write(overlays.path().join("lib/n.lua"), "mine").unwrap();
    let settings = Policy { overlays: Some(overlays.path().to_owned()), ..in_folder(&dir) };
    let sources = Sources::read(&settings).unwrap();
    assert_eq!(policies(&sources), [("a", "a.lua"), ("b", "mine"), ("zuul", "zuul.lua")]);
    assert_eq!(modules(&sources), [("lib/m", "lib/m.lua"), ("lib/n", "mine")]);
    assert_eq!(sources.policies["b"].path.as_deref(), Some(overlays.path().join("b.lua").as_path()));
}

#[test]
fn a_script_that_takes_anothers_place_leaves_its_test_behind() {
    let dir =
        folder(&["a.lua", "a_test.lua", "b.lua", "b_test.lua", "c.lua", "c_test.lua", "lib/m.lua", "lib/m_test.lua"]);
    let overlays = folder(&["b.lua", "c.lua", "c_test.lua", "lib/m.lua"]);
    let settings = Policy { overlays: Some(overlays.path().to_owned()), ..in_folder(&dir) };
    let tests = Sources::read(&settings).unwrap().tests;
    let expected = [("a_test", dir.path().join("a_test.lua")), ("c_test", overlays.path().join("c_test.lua"))];
    assert_eq!(tests, BTreeMap::from(expected.map(|(name, path)| (name.to_owned(), path))));
}

#[test]
fn a_single_script_is_the_default_and_has_its_neighbours_for_modules() {
    let dir = folder(&[
        "my policy.lua",
        "other.lua",
        "lib/my policy.lua",
        "other_test.lua",
        "my policy_test.lua",
        "lib/my policy_test.lua",
    ]);
    fs::write(dir.path().join("binary.lua"), b"\xff").unwrap();
    symlink("nowhere", dir.path().join("lost.lua")).unwrap();
    let sources = Sources::read(&of_file(&dir, "my policy.lua")).unwrap();
    assert_eq!(policies(&sources), [("my_policy", "my policy.lua")]);
    assert_eq!(sources.default, "my_policy");
    assert_eq!(sources.tests.keys().collect::<Vec<_>>(), ["my policy_test"], "the others are of others");
    assert_eq!(modules(&sources), [("lib/my policy", "lib/my policy.lua"), ("other", "other.lua")]);
    let broken = |name: &str| sources.modules[name].as_ref().unwrap_err().message.clone();
    assert_eq!(broken("binary"), "the module is not UTF-8 from byte 0 on, in line 1; is this the right file?");
    assert!(broken("lost").starts_with("it cannot be read: No such file"), "{}", broken("lost"));
    let settings = Policy { default: Some("zuul".to_owned()), ..of_file(&dir, "my policy.lua") };
    assert_eq!(Sources::read(&settings).unwrap().default, "zuul");
}

#[test]
fn a_script_that_is_a_link_is_read_wherever_it_lies() {
    let (dir, other) = (folder(&[]), folder(&["p.lua"]));
    symlink(other.path().join("p.lua"), dir.path().join("p.lua")).unwrap();
    assert_eq!(policies(&Sources::read(&of_file(&dir, "p.lua")).unwrap()), [("p", "p.lua")]);
    let settings = in_folder(&dir);
    assert!(problem(&settings, &dir).starts_with("p.lua: it leads out of its folder, to /"), "a folder holds its own");
}

#[test]
fn a_mounted_volume_of_kubernetes_is_a_folder_like_any_other() {
    let dir = folder(&["..2026_01/a.lua", "..2026_01/lib/m.lua"]);
    symlink("..2026_01", dir.path().join("..data")).unwrap();
    symlink("..data/a.lua", dir.path().join("a.lua")).unwrap();
    symlink("..data/lib", dir.path().join("lib")).unwrap();
    let sources = Sources::read(&in_folder(&dir)).unwrap();
    assert_eq!((policies(&sources).len(), modules(&sources).len()), (1, 1));
}

#[test]
fn a_policy_that_nobody_has_is_told_with_who_named_it() {
    let dir = folder(&["europe.lua"]);
    let rule = Rule { listener: vec!["tls".to_owned()], zone: vec![], tenant: vec![], policy: "asia".to_owned() };
    let settings = Policy { default: Some("europ".to_owned()), rules: vec![rule], ..in_folder(&dir) };
    let default = "no policy is called \"europ\", as default says; did you mean \"europe\"?";
    assert_eq!(problem(&settings, &dir), format!("DIR: {default}"));
    let settings = Policy { default: None, ..settings };
    let by_rule = "no policy is called \"asia\", as the rule for listener tls says; there are: europe, zuul";
    assert_eq!(problem(&settings, &dir), format!("DIR: {by_rule}"));
}

#[test]
fn what_cannot_be_a_policy_is_told_with_its_file() {
    let dir = folder(&["my policy.lua"]);
    assert!(problem(&in_folder(&dir), &dir).starts_with("my policy.lua: a policy's name has letters, digits"));
    let dir = folder(&["lib/m.lua"]);
    fs::write(dir.path().join("lib/m.lua"), " ".repeat((1 << 20) + 1)).unwrap();
    assert!(problem(&in_folder(&dir), &dir).starts_with("lib/m.lua: the module is longer than 1048576 bytes"));
    let missing = Policy { folder: Some(dir.path().join("none")), ..Policy::default() };
    assert!(problem(&missing, &dir).starts_with("none: the folder of policies cannot be read: No such file"));
}

#[test]
fn all_scripts_together_are_bounded() {
    let dir = folder(&[]);
    (0..17).for_each(|n| fs::write(dir.path().join(format!("p{n:02}.lua")), " ".repeat(1 << 20)).unwrap());
    let problem = problem(&in_folder(&dir), &dir);
    assert_eq!(problem, "p16.lua: with the policy, all scripts together are longer than 16777216 bytes");
}

#[test]
fn sources_can_be_made_of_texts() {
    let sources = Sources::of("mine", [("mine", "1"), ("zuul", "2")], [("lib/m", "3")]);
    assert_eq!((sources.policies["mine"].title().as_str(), sources.policies["zuul"].text.as_str()), ("mine", "2"));
    assert_eq!((modules(&sources), sources.default.as_str()), (vec![("lib/m", "3")], "mine"));
}
