//! Which lines are said to have run.

use super::*;
use crate::policy::testing::probe::Lines;

const SCRIPT: &str = "-- A comment.
local policy = { api = 1 }
local lib = require('lib/m')

function policy.route(request)
  if request.query == 'other' then
    -- Nobody asks for it.
    return relay.refuse(
      'other'
    )
  end
  return lib.refuse()
end

return policy";

const MODULE: &str = "local m = {}
function m.refuse()
  return relay.refuse('m')
end
function m.unused()
  return 1
end
return m";

const TEST: &str = "test.case('it', function() expect.refused(test.route{}, 'm') end)";

#[test]
fn every_line_with_code_is_told_and_those_that_never_ran() {
    let ran = ran(&[("p.lua", SCRIPT), ("lib/m.lua", MODULE), ("p_test.lua", TEST)]);
    let expected = [("lib/m.lua".to_owned(), 6, vec![6]), ("p.lua".to_owned(), 8, vec![8, 9])];
    assert_eq!(ran.covered(), expected, "{}", ran.outcome);
    assert_eq!(ran.outcome.coverage().percent(), 78.5);
    let shown = ran.short(&ran.outcome.coverage());
    assert_eq!(
        shown,
        "\ncoverage of lines\n   83.3%  lib/m.lua  never run: 6\n   75.0%  p.lua  never run: 8-9\n   78.5%  all\n"
    );
}

#[test]
fn all_cases_of_all_files_count_together() {
    let other = "test.policy('p')\ntest.case('other', function() test.route{ query = 'other' } end)";
    let unused = "local m = require('lib/m')\ntest.case('m', function() expect.equal(m.unused(), 1) end)";
    let files = [
        ("p.lua", SCRIPT),
        ("lib/m.lua", MODULE),
        ("p_test.lua", TEST),
        ("q_test.lua", other),
        ("lib/m_test.lua", unused),
    ];
    let ran = ran(&files);
    assert_eq!(ran.outcome.counts(), (3, 0), "{:?}", ran.flaws());
    assert_eq!(ran.outcome.coverage().percent(), 100.0, "{}", ran.outcome);
}

#[test]
fn lines_count_that_ran_before_a_limit_or_an_error_stopped_the_script() {
    for last in ["while true do end", "error('x')", "local t = {} while true do t[#t + 1] = {} end"] {
        let script = format!("return {{ api = 1, route = function()\nlocal a = 1\n{last}\nend }}");
        let ran = ran(&[("p.lua", &script), ("p_test.lua", "test.case('it', function() pcall(test.route, {}) end)")]);
        let (_, lines, missed) = &ran.covered()[0];
        assert_eq!((lines, missed.as_slice()), (&3, [].as_slice()), "{last}: {}", ran.outcome);
    }
}

#[test]
fn a_policy_that_no_test_asks_is_told_as_well() {
    let ran =
        ran(&[("p.lua", POLICY), ("q.lua", POLICY), ("p_test.lua", "test.case('it', function() test.route{} end)")]);
    let missed = ran.covered().into_iter().map(|(title, _, missed)| (title, missed)).collect::<Vec<_>>();
    assert_eq!(missed, [("p.lua".to_owned(), vec![4]), ("q.lua".to_owned(), vec![3, 4, 6, 7])]);
}

#[test]
fn scripts_that_no_test_loads_are_told_as_well() {
    let idle = "test.case('it', function() end)";
    let ran = ran(&[("p.lua", POLICY), ("lib/m.lua", MODULE), ("broken.lua", "return {"), ("p_test.lua", idle)]);
    let missed = ran.covered().into_iter().map(|(title, _, missed)| (title, missed)).collect::<Vec<_>>();
    let every_line =
        [("lib/m.lua".to_owned(), vec![1, 2, 3, 5, 6, 8]), ("p.lua".to_owned(), vec![1, 2, 3, 4, 6, 7, 9])];
    assert_eq!(missed, every_line);
    assert_eq!(ran.outcome.coverage().percent(), 0.0);
}

#[test]
fn what_lies_beside_a_single_script_counts_only_where_it_is_required() {
    let dir = folder(&[("p.lua", POLICY), ("other.lua", MODULE), ("p_test.lua", "test.case('it', function() end)")]);
    let settings = settings::Policy { file: Some(dir.path().join("p.lua")), ..settings::Policy::default() };
    let ran = Ran { outcome: run(&settings, "", &mut |_| ()).unwrap(), dir };
    assert_eq!(ran.covered().into_iter().map(|(title, ..)| title).collect::<Vec<_>>(), ["p.lua"]);
}

#[test]
fn what_is_not_whole_never_looks_so() {
    let lines = (1..=3000).map(|line| (line, u64::from(line > 1))).collect();
    let coverage = Coverage::of(&Lines::from([("p".to_owned(), lines)]));
    assert_eq!(coverage.percent(), 99.9);
    assert_eq!(coverage.files[0].ranges(), "1");
    assert_eq!(Coverage::of(&Lines::new()).percent(), 100.0);
}
