//! Candidates: what they take over of the policy beside which they are tried, and what makes no sense.

use super::policy::overlaid;
use super::*;

const FOLDER: &str = "  folder: policies
  overlays: policies.d
  default: main
  rules: [{zone: a, policy: main-a}]
  params: {a: 1, b: 2}
";

/// The policy with `candidate`, read beside these overlays: of each file its folder, name and text.
fn candidate(policy: &str, candidate: &str, overlays: &[(&str, &str)]) -> Candidate {
    let policy = overlaid(&format!("{policy}  candidate: {{{candidate}}}\n"), overlays);
    policy.unwrap_or_else(|problems| panic!("{problems:?}")).candidate.unwrap()
}

fn refused(candidate: &str) -> Vec<String> {
    let problems = overlaid(&format!("  candidate: {{{candidate}}}\n"), &[]).unwrap_err();
    problems.into_iter().map(|problem| problem.replace("f.yaml:4: policy.candidate", "")).collect()
}

#[test]
fn what_a_candidate_does_not_say_is_as_the_policy_has_it() {
    let overlays = [("10.yaml", "default: package\nparams: {b: 3}\n")];
    let policy = overlaid(FOLDER, &overlays).unwrap();
    assert_eq!(candidate(FOLDER, "default: new", &overlays).canary, Canary::default());
    let other = *candidate(FOLDER, "default: new", &overlays).policy;
    assert_eq!(other, Policy { default: Some("new".to_owned()), ..policy.clone() });
    let other = *candidate(FOLDER, "folder: new", &overlays).policy;
    assert_eq!(other, Policy { folder: Some(file("new")), ..policy });
    let other = *candidate(FOLDER, "rules: [], params: {a: 5}", &overlays).policy;
    assert_eq!((other.rules, &other.params["a"], &other.params["b"]), (vec![], &Param::Integer(5), &Param::Integer(3)));
}

#[test]
fn a_single_script_stands_alone_but_for_the_params() {
    let overlays = [("10.yaml", "default: package\nparams: {b: 3}\n")];
    let policy = overlaid(FOLDER, &overlays).unwrap();
    let alone = Policy {
        file: Some(file("new.lua")),
        folder: None,
        overlays: None,
        default: None,
        rules: Vec::new(),
        ..policy
    };
    assert_eq!(*candidate(FOLDER, "file: new.lua", &overlays).policy, alone);
    let folder = *candidate("  file: old.lua\n", "folder: new", &[]).policy;
    assert_eq!((folder.file, folder.folder), (None, Some(file("new"))));
}

#[test]
fn overlays_of_its_own_lie_over_the_policys_file_and_not_over_its_overlays() {
    let policy = |overlays: &str| {
        let (text, files) = (format!("{FOLDER}  candidate: {{{overlays}}}\n"), |folder: &Path| {
            let text =
                if folder.ends_with("new.d") { "params: {b: 4}\n" } else { "default: package\nparams: {a: 0}\n" };
            Ok(vec![(folder.join("10.yaml"), Ok(text.to_owned()))])
        });
        let machine = || Ok(Hostname::parse("machine.example.org").unwrap());
        let around = Surroundings { machine: &machine, overlays: &files };
        let read = read(Path::new("/etc/fp/f.yaml"), &format!("{MINIMAL}policy:\n{text}"), around);
        read.usable().unwrap_or_else(|problems| panic!("{problems}")).settings.policy
    };
    let policy = policy("overlays: new.d");
    assert_eq!((policy.default.as_deref(), &policy.params["a"]), (Some("package"), &Param::Integer(0)));
    let candidate = *policy.candidate.unwrap().policy;
    assert_eq!((candidate.default.as_deref(), candidate.overlays), (Some("main"), Some(file("new.d"))));
    assert_eq!((&candidate.params["a"], &candidate.params["b"]), (&Param::Integer(1), &Param::Integer(4)));
}

#[test]
fn a_candidate_must_be_another_policy() {
    let keys = "file, folder, overlays, default, rules, params";
    assert_eq!(refused("percent: 5"), [format!(": is the policy itself; give it at least one of {keys}")]);
    assert_eq!(refused("file: a, folder: b"), [".folder: stands beside file; remove one of the two"]);
    assert_eq!(refused("file: a, dry_run: off").len(), 1, "what it may use is as the policy has it");
}

#[test]
fn a_share_grows_and_stays_within_a_hundred() {
    let order = "each must be more than the one before, and than percent";
    assert_eq!(refused("file: a, percent: 5, steps: [5, 25]"), [format!(".steps: goes from 5 to 5; {order}")]);
    assert_eq!(refused("file: a, steps: [25, 10]"), [format!(".steps: goes from 25 to 10; {order}")]);
    assert_eq!(
        refused("file: a, percent: 101, steps: [0, 101], step_every: 10"),
        [
            ".percent: expected a whole number from 0 to 100, found 101",
            ".steps[0]: expected a whole number from 1 to 100, found 0",
            ".steps[1]: expected a whole number from 1 to 100, found 101",
            ".step_every: expected a duration with its unit, such as 10s, found 10",
        ]
    );
    assert_eq!(
        refused("file: a, rollback: {errors: -1, failures: 101, min_streams: 0, min: 1}"),
        [
            ".rollback.errors: expected a whole number from 0 to 100, found -1",
            ".rollback.failures: expected a whole number from 0 to 100, found 101",
            ".rollback.min_streams: expected a whole number from 1 to 4294967295, found 0",
            ".rollback.min: unknown key \"min\"; known here: errors, failures, min_streams",
        ]
    );
}
