//! Test files in, what came of them out: the runner on real folders, through its public face.

mod coverage;
mod expectations;
mod junit;
mod limits;
mod working;
mod worlds;

use std::fs;

use tempfile::TempDir;

use super::*;

/// A policy that shows much of what it knows.
const POLICY: &str = "local policy = { api = 1 }
function policy.route(request)
  if request.query == 'fail' then
    error('what a mess')
  end
  local build = request.build
  return if build then relay.direct(build.worker) else relay.refuse('Build not found')
end
return policy";

/// What came of the tests in a folder, with paths from the folder on.
struct Ran {
    outcome: Outcome,
    dir: TempDir,
}

impl Ran {
    /// The names of the cases, each with what was wrong.
    fn flaws(&self) -> Vec<(String, String)> {
        let cases = self.outcome.files.iter().flat_map(|file| &file.cases);
        cases
            .map(|case| {
                (case.name.clone(), case.flaw.as_ref().map_or_else(|| "ok".to_owned(), |flaw| self.short(flaw)))
            })
            .collect()
    }

    fn short(&self, text: &impl ToString) -> String {
        text.to_string().replace(&format!("{}/", self.dir.path().display()), "")
    }

    fn covered(&self) -> Vec<(String, usize, Vec<usize>)> {
        let files = self.outcome.coverage().files.into_iter();
        files.map(|file| (self.short(&file.title), file.lines, file.missed)).collect()
    }
}

fn folder(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

/// Runs the tests in a folder with these files.
fn ran(files: &[(&str, &str)]) -> Ran {
    wanted(files, "")
}

/// Runs those of the cases that `filter` lets pass.
fn wanted(files: &[(&str, &str)], filter: &str) -> Ran {
    let dir = folder(files);
    let settings = settings::Policy { folder: Some(dir.path().to_owned()), ..settings::Policy::default() };
    let outcome = run(&settings, filter, &mut |_| ()).unwrap();
    Ran { outcome, dir }
}

/// What is wrong with a case whose function has this `body`, which begins in line 2; `ok` if nothing is.
fn flaw_of(policy: &str, body: &str) -> String {
    let test = format!("test.case('it', function()\n{body}\nend)");
    let ran = ran(&[("p.lua", policy), ("p_test.lua", &test)]);
    let [(_, flaw)] = ran.flaws().try_into().unwrap();
    flaw
}

/// That nothing is wrong with such a case.
fn holds(policy: &str, body: &str) {
    assert_eq!(flaw_of(policy, body), "ok", "{body}");
}

#[test]
fn the_built_in_policy_passes_its_tests_which_leave_no_line_untried() {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
    let settings = settings::Policy { folder: Some(scripts.clone()), ..settings::Policy::default() };
    let outcome = run(&settings, "default_test", &mut |_| ()).unwrap();
    assert!(outcome.counts().0 >= 6 && outcome.counts().1 == 0, "{outcome}");
    let coverage = outcome.coverage();
    let tested = coverage.files.iter().find(|file| file.title == scripts.join("default.lua").display().to_string());
    assert_eq!(tested.unwrap().missed, [0; 0], "{coverage}");
}

#[test]
fn a_case_that_fails_keeps_no_other_from_running() {
    let test = "test.case('first', function() expect.equal(1, 2) end)
test.case('second', function() error('no') end)
test.case('third', function() end)";
    let ran = ran(&[
        ("p.lua", POLICY),
        ("a_test.lua", "test.policy('p')\ntest.case('zeroth', function() end)"),
        ("p_test.lua", test),
    ]);
    let flaws = ran.flaws();
    let names: Vec<_> = flaws.iter().map(|(name, flaw)| (name.as_str(), flaw == "ok")).collect();
    assert_eq!(names, [("zeroth", true), ("first", false), ("second", false), ("third", true)]);
    assert_eq!(ran.outcome.counts(), (2, 2));
    assert_eq!(flaws[2].1, "p_test.lua:2: no\n    test.case('second', function() error('no') end)");
}

#[test]
fn what_a_run_came_to_is_shown_to_people() {
    let test = "test.case('good', function() end)\ntest.case('bad', function() print('so', 1) expect.truthy(nil) end)";
    let ran = ran(&[("p.lua", POLICY), ("p_test.lua", test)]);
    assert_eq!(ran.short(&ran.outcome.files[0]), "p_test.lua\n  ok      good\n  FAILED  bad\n          | so 1\n");
    assert_eq!(
        ran.short(&ran.outcome),
        "
p_test.lua: bad
  p_test.lua:2: it is nil
    test.case('bad', function() print('so', 1) expect.truthy(nil) end)

2 cases in 1 file: 1 passed, 1 failed
"
    );
}

#[test]
fn a_file_that_cannot_be_loaded_is_a_case_that_failed() {
    for (text, flaw) in [
        ("test.case('x'", "x_test.lua:1: Expected ')' (to close '(' at column 10), got <eof>\n    test.case('x'"),
        ("\ntest.route{}", "x_test.lua:2: test.route cannot be called while the file is loaded\n    test.route{}"),
        (
            "test.policy('q')",
            "x_test.lua:1: test.policy: there is no policy \"q\" to test; there are: p, zuul\n    test.policy('q')",
        ),
        (
            "test.case('a', print)\ntest.case('a', print)",
            "x_test.lua:2: test.case: there is a case \"a\" already\n    test.case('a', print)",
        ),
        ("local a = relay.zone", "x_test.lua:1: there is no global \"relay\""),
        ("os.exit()", "x_test.lua:1: there is no global \"os\""),
    ] {
        let flaws = ran(&[("p.lua", POLICY), ("x_test.lua", text)]).flaws();
        assert_eq!(flaws.len(), 1);
        assert_eq!(flaws[0].0, "the file can be loaded");
        assert!(flaws[0].1.starts_with(flaw), "{flaws:?}");
    }
}

#[test]
fn a_test_without_a_policy_of_its_name_says_so() {
    let flaws = ran(&[("p.lua", POLICY), ("x_test.lua", "test.case('a', function()\ntest.route{}\nend)")]).flaws();
    let expected = "x_test.lua:2: test.route: there is no policy \"x\" to test; there are: p, zuul\n    test.route{}";
    assert_eq!(flaws[0].1, expected);
}

#[test]
fn a_filter_chooses_by_the_names_of_files_and_cases() {
    let one = "test.policy('p') test.case('red', function() end) test.case('green', function() end)";
    let files = [("p.lua", POLICY), ("one_test.lua", one), ("red_test.lua", "test.case('blue', function() end)")];
    let names = |filter: &str| wanted(&files, filter).flaws().into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(names("red"), ["red", "blue"]);
    assert_eq!(names("green"), ["green"]);
    assert_eq!(names("nothing"), [""; 0]);
}

#[test]
fn without_tests_there_is_nothing_to_tell() {
    let ran = ran(&[("p.lua", POLICY)]);
    assert!(ran.outcome.files.is_empty());
    assert_eq!(ran.outcome.to_string(), "\n0 cases in 0 files: 0 passed\n");
}

#[test]
fn scripts_in_subfolders_have_tests_as_well() {
    let module = "return { twice = function(n) return 2 * n end }";
    let test = "local m = require('lib/m')\ntest.case('m', function() expect.equal(m.twice(2), 4) end)";
    let deep = "test.case('p', function() expect.refused(test.route{}, 'Build not found') end)";
    let ran = ran(&[
        ("lib/m.lua", module),
        ("lib/m_test.lua", test),
        ("examples/p.lua", POLICY),
        ("examples/p_test.lua", deep),
        ("examples/named_test.lua", &format!("test.policy('p') {deep}")),
        ("examples/far_test.lua", &format!("test.policy('examples/p') {deep}")),
    ]);
    assert_eq!(ran.outcome.counts(), (4, 0), "{:?}", ran.flaws());
}

#[test]
fn a_neighbour_that_cannot_be_loaded_fails_its_own_tests_alone() {
    let broken = "assert(relay.params.limit)\nreturn {}";
    let ran = ran(&[
        ("p.lua", POLICY),
        ("p_test.lua", "test.case('p', function() test.route{} end)"),
        ("q.lua", broken),
        ("q_test.lua", "test.case('q', function()\ntest.route{} end)"),
    ]);
    let expected = "q_test.lua:2: test.route: q.lua:1: assertion failed!\n    test.route{} end)\n    \
                    q.lua:1:  assert(relay.params.limit)";
    assert_eq!(ran.flaws()[1].1, expected);
    assert_eq!(ran.outcome.counts(), (1, 1));
}
