//! Policies by rule, what scripts are told, and the overlays over both.

use super::*;

/// Reads `policy` beside two listeners, with these overlays.
pub(super) fn overlaid(policy: &str, overlays: &[(&str, &str)]) -> Result<Policy, Vec<String>> {
    let text = format!(
        "listeners: [{{name: inside, address: '[::]:79'}}, {{name: outside, address: '[::]:80'}}]\n{MINIMAL}policy:\n{policy}"
    );
    let files = |folder: &Path| {
        let file = |(name, text): &(&str, &str)| (folder.join(name), Ok((*text).to_owned()));
        Ok(overlays.iter().map(file).collect())
    };
    let machine = || Ok(Hostname::parse("machine.example.org").unwrap());
    let read = read(Path::new("/etc/fp/f.yaml"), &text, Surroundings { machine: &machine, overlays: &files });
    read.usable()
        .map(|loaded| loaded.settings.policy)
        .map_err(|problems| problems.to_string().lines().map(|line| line.replace("/etc/fp/", "")).collect())
}

fn names(rules: &[Rule]) -> Vec<&str> {
    rules.iter().map(|rule| rule.policy.as_str()).collect()
}

#[test]
fn the_last_overlay_has_the_last_word() {
    let main = "  overlays: policies.d
  default: main
  rules: [{zone: a, policy: main-a}, {zone: b, policy: main-b}]
  params: {kept: 1, list: [1, 2], map: {x: 1, y: {z: 1}}}
";
    let package = "default: package\nrules: [{zone: a, policy: package-a}]\nparams: {list: [3], map: {y: {w: 2}}}\n";
    let operator = "rules: [{zone: a, policy: mine-a}, {zone: c, policy: mine-c}]\nparams: {map: {x: [], y: {z: 3}}}\n";
    let overlays = [("10-package.yaml", package), ("20-empty.yaml", ""), ("30-mine.yaml", operator)];
    let policy = overlaid(main, &overlays).unwrap();
    assert_eq!(policy.default.as_deref(), Some("package"));
    assert_eq!(names(&policy.rules), ["mine-a", "mine-c", "package-a", "main-a", "main-b"]);
    let expected = "  params: {kept: 1, list: [3], map: {x: [], y: {w: 2, z: 3}}}\n";
    assert_eq!(policy.params, overlaid(expected, &[]).unwrap().params);
}

#[test]
fn what_is_wrong_with_overlays_is_told_in_their_own_files_after_this_one() {
    let problems = overlaid(
        "  overlays: d\n  rules:\n    - {listener: insid, policy: x}\n",
        &[("a.yaml", "rules:\n  - {policy: x}\n  - zone: z\nfolder: y\n"), ("b.yaml", "rules: [\n"), ("c.yaml", "7")],
    );
    let problems = problems.unwrap_err();
    assert!(problems[4].starts_with("d/b.yaml:2: is not valid YAML: "), "{problems:?}");
    assert_eq!(
        [&problems[..4], &problems[5..]].concat(),
        [
            "f.yaml:6: policy.rules[0].listener: unknown listener \"insid\"; did you mean \"inside\"?",
            "d/a.yaml:2: rules[0]: has none of listener, zone and tenant; for all requests, say default instead",
            "d/a.yaml:3: rules[1].policy: is missing; it has no default",
            "d/a.yaml:4: folder: unknown key \"folder\"; known here: rules, default, params",
            "d/c.yaml:1: expected keys and values, found 7",
        ]
    );
}

#[test]
fn overlays_that_cannot_be_read_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("f.yaml");
    let loaded = |text: &str| {
        std::fs::write(&file, format!("hostname: here\n{MINIMAL}policy: {{overlays: d, {text}}}\n")).unwrap();
        crate::config::read_yaml(&file).usable().map(|loaded| loaded.settings.policy)
    };
    let here = |problems: Problems| problems.to_string().replace(&format!("{}/", folder.path().display()), "");
    let missing = here(loaded("tests: true").unwrap_err());
    assert!(missing.starts_with("f.yaml:3: policy.overlays: d cannot be read: No such file"), "{missing}");
    std::fs::create_dir_all(folder.path().join("d/lib")).unwrap();
    std::fs::write(folder.path().join("d/lib/not.yaml"), "[]").unwrap();
    std::fs::write(folder.path().join("d/b.yaml"), "default: b\n").unwrap();
    std::fs::write(folder.path().join("d/a.yaml"), "default: a\n").unwrap();
    assert_eq!(loaded("default: c").unwrap().default.as_deref(), Some("b"));
    std::fs::write(folder.path().join("d/c.yaml"), b"default: \xff\n").unwrap();
    assert_eq!(
        here(loaded("").unwrap_err()),
        "d/c.yaml: is not UTF-8 from byte 9 on, in line 1; is this the right file?"
    );
}

#[test]
fn a_rule_says_at_least_one_thing_about_a_build_and_one_policy() {
    let problems =
        overlaid("  rules:\n    - {zone: [], policy: x}\n    - {zone: a/b, policy: a.lua}\n    - {tenant: 1}\n", &[]);
    assert_eq!(
        problems.unwrap_err(),
        [
            "f.yaml:5: policy.rules[0].zone: is empty; give at least one, or remove the key",
            "f.yaml:6: policy.rules[1].zone: expected a zone's name, which has no slash, found \"a/b\"",
            "f.yaml:6: policy.rules[1].policy: expected a policy's name: letters, digits, _ and -, found \"a.lua\"",
            "f.yaml:7: policy.rules[2].tenant: expected text, found 1; quote it",
            "f.yaml:7: policy.rules[2].policy: is missing; it has no default",
        ]
    );
}

#[test]
fn params_are_what_lua_can_hold() {
    let text = "  params:\n    a: 9007199254740993\n    b: [1, {c: .nan}]\n    d:\n      e: ~\n    f: 1\n    f: 2\n";
    let most = "Lua holds whole numbers exactly from -9007199254740992 to 9007199254740992 only";
    assert_eq!(
        overlaid(text, &[]).unwrap_err(),
        [
            format!("f.yaml:5: policy.params.a: {most}, found 9007199254740993; quote it as text"),
            "f.yaml:6: policy.params.b[1].c: expected a finite number, found NaN".to_owned(),
            "f.yaml:8: policy.params.d.e: has no value; give it one, or remove the key".to_owned(),
            "f.yaml:10: policy.params.f: is here a second time; remove one of the two".to_owned(),
        ]
    );
    for (odd, why) in [("{1: x}", "expected text as a key, found 1; quote it"), ("{a: !tag 1}", "without a tag")] {
        let problems = overlaid(&format!("  params: {odd}\n"), &[]).unwrap_err();
        assert!(problems.len() == 1 && problems[0].contains(why), "{problems:?}");
    }
}

#[test]
fn one_script_or_a_folder_of_them() {
    let problems = overlaid("  file: a.lua\n  folder: b\n", &[]).unwrap_err();
    assert_eq!(problems, ["f.yaml:5: policy.folder: stands beside file; remove one of the two"]);
}
