//! What is refused before it decides anything, and how its author learns why.

use super::*;

const GOOD: &str = "local policy = { api = 1 }\nfunction policy.route(request)\n  return relay.refuse('no')\nend\n";

fn problem(text: &str) -> LoadError {
    try_load(text, settings::Policy::default()).unwrap_err()
}

#[track_caller]
fn is_refused(text: &str, words: &[&str]) {
    let error = problem(text);
    assert!(error.file.ends_with("policy.lua"), "{error}");
    for word in words {
        assert!(error.message.contains(word), "{word} is not in: {error}");
    }
}

#[test]
fn a_syntax_error_shows_its_line() {
    let error = problem("local policy = { api = 1 }\n  function policy.route(request\nend\n");
    assert_eq!(error.line, Some(3));
    assert_eq!(error.excerpt.as_deref(), Some("end"));
    let text = error.to_string();
    assert!(text.contains("policy.lua:3: ") && text.ends_with("\n    end"), "{text}");
}

#[test]
fn an_error_while_loading_shows_its_line() {
    let error = problem("local x = nil\nlocal y = x.z\nreturn {}");
    assert_eq!((error.line, error.excerpt.as_deref()), (Some(2), Some("local y = x.z")), "{error}");
}

#[test]
fn a_script_must_return_its_policy() {
    is_refused(GOOD, &["returned nil", "return policy"]);
    is_refused("return 'x'", &["returned \"x\""]);
    is_refused("return function() end", &["a function"]);
}

#[test]
fn a_policy_says_its_api() {
    is_refused("return { route = function() end }", &["api = 1"]);
    is_refused("return { api = 2, route = function() end }", &["API 2", "only 1"]);
    is_refused("return { api = '1', route = function() end }", &["API \"1\""]);
}

#[test]
fn a_policy_has_a_route() {
    is_refused("return { api = 1 }", &["route must be a function", "nil"]);
    is_refused("return { api = 1, route = 'x' }", &["route must be a function", "\"x\""]);
}

#[test]
fn a_policy_has_no_other_keys() {
    let misspelled = GOOD.replace("policy.route", "policy.rout") + "return policy";
    is_refused(&misspelled, &["\"rout\"", "did you mean \"route\"?"]);
    let error = problem(&misspelled);
    assert_eq!((error.line, error.excerpt.as_deref()), (Some(2), Some("function policy.rout(request)")), "{error}");
    is_refused("return { api = 1, route = function() end, 5 }", &["no key 1"]);
}

#[test]
fn a_script_cannot_ask_the_registry_while_it_is_loaded() {
    let error = problem("local gateways = relay.gateways('there')\nreturn {}");
    assert_eq!(error.line, Some(1));
    assert!(error.message.contains("while the file is loaded"), "{error}");
}

#[test]
fn bytecode_is_not_taken_for_a_script() {
    let bytecode = mlua::chunk::Compiler::new().compile(format!("{GOOD}return policy")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.lua");
    std::fs::write(&file, bytecode).unwrap();
    let settings = settings::Policy { file: Some(file), ..settings::Policy::default() };
    assert!(Policy::load(&settings, here(), Metrics::new().policy.clone()).is_err());
}

#[test]
fn what_cannot_be_read_is_named() {
    let settings = |file| settings::Policy { file: Some(file), ..settings::Policy::default() };
    let folder = tempfile::tempdir().unwrap();
    let load = |file| Policy::load(&settings(file), here(), Metrics::new().policy.clone()).unwrap_err().to_string();
    let missing = folder.path().join("missing.lua");
    assert!(load(missing.clone()).starts_with(&format!("{}: the policy cannot be read", missing.display())));
    assert!(load(folder.path().to_owned()).contains("cannot be read"));
    let binary = folder.path().join("binary.lua");
    std::fs::write(&binary, b"return\xff").unwrap();
    assert!(load(binary).contains("not UTF-8 from byte 6"));
    let huge = folder.path().join("huge.lua");
    std::fs::write(&huge, " ".repeat((1 << 20) + 1)).unwrap();
    assert!(load(huge).contains("1048576"));
}

#[test]
fn a_memory_limit_that_no_engine_fits_into_is_refused() {
    let limits = settings::Policy { memory_limit: 1000, ..short_limits() };
    let error = try_load(&format!("{GOOD}return policy"), limits).unwrap_err();
    assert!(error.message.contains("1000 B") && error.message.contains("memory_limit"), "{error}");
}

#[test]
fn the_name_is_the_file_or_says_that_there_is_none() {
    assert_eq!(builtin(here()).name(), "built-in default");
    assert!(load(&format!("{GOOD}return policy")).name().ends_with("/policy.lua"));
}

#[test]
fn decisions_and_failures_are_counted() {
    let metrics = Metrics::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.lua");
    std::fs::write(&file, script("return request.build and relay.direct(request.build.worker) or relay.refuse('no')"))
        .unwrap();
    let settings = settings::Policy { file: Some(file), ..settings::Policy::default() };
    let policy = Policy::load(&settings, here(), metrics.policy.clone()).unwrap();
    let broken = Scene { build: Some(Arc::new(build(None))), ..Scene::without_build() };
    assert!(Scene::running_in(None).ask(&policy).is_ok());
    assert!(Scene::running_in(None).ask(&policy).is_ok());
    assert!(Scene::without_build().ask(&policy).is_ok());
    assert!(broken.ask(&policy).is_err());
    let text = metrics.text();
    for line in [
        r#"policy_decisions_total{reason="routed"} 2"#,
        r#"policy_decisions_total{reason="refused"} 1"#,
        r#"policy_decisions_total{reason="failed"} 1"#,
        r#"policy_failures_total{reason="bad_route"} 1"#,
        r#"policy_failures_total{reason="time"} 0"#,
    ] {
        assert!(text.contains(line), "{line} is not in: {text}");
    }
}
