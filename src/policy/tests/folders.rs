//! Several policies in a folder: which one decides, what they hand over to each other, and what they have in common.

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::config::settings::{Param, Params, Rule};

/// A folder with these scripts.
fn folder(scripts: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in scripts {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

pub(super) fn try_folder(scripts: &[(&str, &str)], settings: settings::Policy) -> Result<Policy, LoadError> {
    let folder = folder(scripts);
    let settings = settings::Policy { folder: Some(folder.path().to_owned()), ..settings };
    Policy::load(&settings, here(), Metrics::new().policy.clone())
}

fn with_default(name: &str, rules: Vec<Rule>) -> settings::Policy {
    settings::Policy { default: Some(name.to_owned()), rules, ..settings::Policy::default() }
}

fn says(text: &str) -> String {
    script(&format!("return relay.refuse('{text}')"))
}

fn rule(listener: &str, zone: &str, tenant: &str, policy: &str) -> Rule {
    let some = |name: &str| Some(name.to_owned()).filter(|name| !name.is_empty());
    Rule {
        listener: some(listener).into_iter().collect(),
        zone: Zone::parse(zone).into_iter().collect(),
        tenant: some(tenant).into_iter().collect(),
        policy: policy.to_owned(),
    }
}

fn answer(policy: &Policy, world: &Scene) -> String {
    hosts(&world.ask(policy).unwrap_or_else(|failure| panic!("{failure}"))).join(" ")
}

#[test]
fn the_first_rule_that_matches_says_which_policy_decides() {
    let (one, two, other) = (says("one"), says("two"), says("other"));
    let scripts = [("one.lua", one.as_str()), ("two.lua", &two), ("other.lua", &other)];
    let rules =
        vec![rule("elsewhere", "", "", "other"), rule("finger", "west", "", "one"), rule("", "", "example", "two")];
    let policy = try_folder(&scripts, with_default("zuul", rules)).unwrap();
    assert_eq!(answer(&policy, &Scene::running_in(Some("west"))), "refused: one");
    assert_eq!(answer(&policy, &Scene::running_in(Some("east"))), "refused: two");
    assert_eq!(answer(&policy, &Scene::without_build()), "refused: Build not found");
}

#[test]
fn a_policy_hands_over_to_another_by_name() {
    let (first, second) = (script("return relay.hand_over('second')"), script("\nreturn relay.refuse(request.uuid)"));
    let policy =
        try_folder(&[("first.lua", &first), ("second.lua", &second)], with_default("first", Vec::new())).unwrap();
    let explained = policy.explain(&Scene::without_build().request()).unwrap();
    assert_eq!(explained.route, Way::Refuse(UUID.to_owned()).into());
    assert!(explained.file.ends_with("second.lua"), "{explained:?}");
    assert_eq!(explained.line, Some(2));
    let [HandOver { file, line: Some(1), to }] = explained.handed_over.as_slice() else { panic!("{explained:?}") };
    assert!(file.ends_with("first.lua") && to == "second", "{explained:?}");
}

#[test]
fn the_policy_that_is_asked_first_is_known_with_its_rule() {
    let rules = vec![rule("", "west", "", "one")];
    let policy = try_folder(&[("one.lua", &says("one"))], with_default("zuul", rules.clone())).unwrap();
    let scene = Scene::running_in(Some("west"));
    let request = scene.request();
    let choice = policy.choice(request.listener, request.build);
    assert!(choice.file.ends_with("one.lua") && choice.rule == Some(&rules[0]), "{choice:?}");
    assert_eq!(policy.choice(request.listener, None), Choice { file: "built-in default", rule: None });
}

#[test]
fn handing_over_in_a_circle_is_a_failure_that_shows_it() {
    let (first, second) = (script("return relay.hand_over('second')"), script("return relay.hand_over('first')"));
    let policy =
        try_folder(&[("first.lua", &first), ("second.lua", &second)], with_default("first", Vec::new())).unwrap();
    let failure = Scene::without_build().ask(&policy).unwrap_err();
    assert_eq!(failure.kind, FailureKind::BadRoute);
    assert!(failure.message.contains("from first to second to first"), "{failure}");
}

#[test]
fn handing_over_to_nobody_is_an_error_that_knows_better() {
    let first = script("return relay.hand_over('zull')");
    let policy = try_folder(&[("first.lua", &first)], with_default("first", Vec::new())).unwrap();
    let failure = Scene::without_build().ask(&policy).unwrap_err();
    assert!(
        failure
            .to_string()
            .contains("first.lua:1: relay.hand_over: there is no policy \"zull\"; did you mean \"zuul\"?")
    );
    let list = script("return { relay.hand_over('zuul'), relay.refuse('x') }");
    let policy = try_folder(&[("first.lua", &list)], with_default("first", Vec::new())).unwrap();
    assert!(Scene::without_build().ask(&policy).unwrap_err().message.contains("stands alone"));
}

#[test]
fn every_script_of_a_folder_must_be_a_policy() {
    let error = try_folder(&[("broken.lua", "return {")], settings::Policy::default()).unwrap_err();
    assert!(error.file.ends_with("broken.lua") && error.line == Some(1), "{error}");
    let error = try_folder(&[("lib/broken.lua", "\nreturn {")], settings::Policy::default()).unwrap_err();
    assert!(error.file.ends_with("lib/broken.lua") && error.line == Some(2), "{error}");
    let error = try_folder(&[("mine.lua", "return 7")], settings::Policy::default()).unwrap_err();
    assert!(error.message.contains("returned 7"), "{error}");
}

#[test]
fn a_script_requires_its_neighbours_once() {
    let main = "local zones = require('lib/zones')
        local policy = { api = 1 }
        function policy.route(request)
          assert(require('./lib/zones') == zones)
          return relay.refuse(zones.nearest())
        end
        return policy";
    let zones =
        "local names = require('lib/names') local zones = {} function zones.nearest() return names[1] end return zones";
    let scripts = [("main.lua", main), ("lib/zones.lua", zones), ("lib/names.lua", "return { 'east' }")];
    let policy = try_folder(&scripts, with_default("main", Vec::new())).unwrap();
    assert_eq!(answer(&policy, &Scene::without_build()), "refused: east");
}

#[test]
fn a_mistake_in_a_module_is_told_with_the_modules_file_and_line() {
    let main = script("return require('lib/zones').nearest(request)");
    let zones = "local zones = {}\nfunction zones.nearest(request)\n  return relay.driect(request)\nend\nreturn zones";
    let policy =
        try_folder(&[("main.lua", &main), ("lib/zones.lua", zones)], with_default("main", Vec::new())).unwrap();
    let failure = Scene::without_build().ask(&policy).unwrap_err();
    assert!(failure.file.ends_with("lib/zones.lua"), "{failure}");
    assert_eq!(failure.line, Some(3), "{failure}");
}

#[test]
fn what_cannot_be_required_is_an_error_that_says_why() {
    for (body, words) in [
        ("require('lib/zone')", "there is no module \"lib/zone\"; did you mean \"lib/zones\"?"),
        ("require('../secret')", "there is no module \"../secret\""),
        ("require(7)", "must be text, not 7"),
        ("require('lib/circle')", "the module \"lib/circle\" requires itself"),
        ("require('lib/nothing')", "the module \"lib/nothing\" returned nothing"),
        ("require('lib/zones').nearest = 1", "readonly"),
    ] {
        let main = script(body);
        let scripts = [
            ("main.lua", main.as_str()),
            ("lib/zones.lua", "return {}"),
            ("lib/circle.lua", "return require('lib/circle')"),
            ("lib/nothing.lua", "local x = 1"),
        ];
        let policy = try_folder(&scripts, with_default("main", Vec::new())).unwrap();
        let failure = Scene::without_build().ask(&policy).unwrap_err();
        assert!(failure.message.contains(words), "{body}: {failure}");
    }
}

#[test]
fn a_single_script_may_require_its_neighbours_too_and_a_broken_one_harms_nobody_else() {
    let main = script("return relay.refuse(require('names')[1])");
    let folder = folder(&[("mine.lua", &main), ("names.lua", "return { 'one' }"), ("broken.lua", "return {")]);
    let settings = settings::Policy { file: Some(folder.path().join("mine.lua")), ..settings::Policy::default() };
    let policy = Policy::load(&settings, here(), Metrics::new().policy.clone()).unwrap();
    assert_eq!(answer(&policy, &Scene::without_build()), "refused: one");
    fs::write(folder.path().join("mine.lua"), script("return require('broken')")).unwrap();
    let policy = Policy::load(&settings, here(), Metrics::new().policy.clone()).unwrap();
    let failure = Scene::without_build().ask(&policy).unwrap_err();
    assert!(failure.message.contains("broken.lua:1: "), "{failure}");
}

#[test]
fn params_are_read_and_not_written() {
    let list = Param::List(vec![Param::Integer(7), Param::Number(0.5)]);
    let inner = Params::from([("list".to_owned(), list), ("on".to_owned(), Param::Bool(true))]);
    let params = Params::from([("a".to_owned(), Param::Map(inner)), ("t".to_owned(), Param::Text("x".to_owned()))]);
    let settings = settings::Policy { params, ..settings::Policy::default() };
    let look = |expression: &str| {
        let policy =
            try_load(&script(&format!("return relay.refuse(tostring({expression}))")), settings.clone()).unwrap();
        answer(&policy, &Scene::without_build())
    };
    assert_eq!(look("relay.params.a.list[1] + relay.params.a.list[2]"), "refused: 7.5");
    assert_eq!(look("relay.params.a.on"), "refused: true");
    assert_eq!(look("relay.params.t .. tostring(relay.params.absent)"), "refused: xnil");
    let write = try_load(&script("relay.params.a.on = false"), settings.clone()).unwrap();
    assert!(Scene::without_build().ask(&write).unwrap_err().message.contains("readonly"));
}

#[test]
fn the_same_scripts_under_other_rules_are_another_policy() {
    let one = says("one");
    let load = |rules| try_folder(&[("one.lua", one.as_str())], with_default("zuul", rules)).unwrap();
    let folderless = |policy: &Policy| policy.is(policy) && policy.is(&policy.placed(&here(), &Metrics::new().policy));
    let (a, b) = (load(Vec::new()), load(vec![rule("finger", "", "", "one")]));
    assert!(folderless(&a) && !a.is(&b));
}
