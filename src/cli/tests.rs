//! The command line as a person meets it.

use std::fs;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser as _, ValueEnum as _};
use clap_complete::Shell;

use super::*;
use crate::config::Environment;

const BUILD: &str = "4a1c9be27f0e4c06b9d2c8f3a1e5d700";

fn parse(line: &str) -> Result<Command, clap::Error> {
    Args::try_parse_from(["fingerpost"].into_iter().chain(line.split_whitespace())).map(|args| args.command)
}

fn refused(line: &str) -> ErrorKind {
    parse(line).unwrap_err().kind()
}

#[test]
fn every_command_explains_itself() {
    Args::command().debug_assert();
    let mut names = Vec::new();
    for command in Args::command().get_subcommands().filter(|command| command.get_name() != "help") {
        let name = command.get_name().to_owned();
        let help = parse(&format!("{name} --help")).unwrap_err();
        assert_eq!(help.kind(), ErrorKind::DisplayHelp);
        assert_eq!(help.exit_code(), 0);
        let text = help.to_string();
        assert!(text.contains("Examples:\n  fingerpost "), "{name}");
        let about = command.get_long_about().unwrap().to_string();
        assert!(about.len() > 150 && text.starts_with(about.split_once(' ').unwrap().0), "{name}: {about}");
        for argument in command.get_arguments() {
            assert!(argument.get_help().is_some(), "{name}: {argument}");
        }
        names.push(name);
    }
    assert_eq!(names, ["run", "check", "explain", "policy", "stream", "demo", "completions", "man"]);
    let whole = Args::command().render_long_help().to_string();
    assert!(whole.contains("Exit status:\n  0  done"));
    for name in names {
        assert!(whole.contains(&format!("\n  {name} ")), "{name}");
    }
}

#[test]
fn every_command_has_a_manual_page() {
    let dir = tempfile::tempdir().unwrap();
    let below = dir.path().join("man/man1");
    manual::man(&manual::Man { dir: Some(below.clone()) }, &mut Vec::new()).unwrap();
    let mut pages: Vec<_> = fs::read_dir(below).unwrap().map(|page| page.unwrap().path()).collect();
    pages.sort();
    let names: Vec<_> = pages.iter().map(|page| page.file_name().unwrap().to_str().unwrap()).collect();
    let expected = [
        "-check",
        "-completions",
        "-demo",
        "-explain",
        "-man",
        "-policy-diff",
        "-policy-reference",
        "-policy-repl",
        "-policy-replay",
        "-policy-shadow",
        "-policy-test",
        "-policy",
        "-run",
        "-stream",
        "",
    ];
    assert_eq!(names, expected.map(|command| format!("fingerpost{command}.1")));
    let stream = fs::read_to_string(pages[0].with_file_name("fingerpost-stream.1")).unwrap();
    assert!(stream.contains("server\\-name"));
}

#[test]
fn the_main_page_goes_to_the_output() {
    let mut page = Vec::new();
    manual::man(&manual::Man { dir: None }, &mut page).unwrap();
    let page = String::from_utf8(page).unwrap();
    assert!(page.contains(".TH fingerpost 1"));
    assert!(page.contains("Exit status"));
}

#[test]
fn every_shell_has_its_completions() {
    for shell in Shell::value_variants() {
        let mut script = Vec::new();
        manual::completions(&manual::Completions { shell: *shell }, &mut script).unwrap();
        let script = String::from_utf8(script).unwrap();
        assert!(script.contains("explain") && script.contains("zuul-conf"), "{shell}");
    }
    assert_eq!(Shell::value_variants().len(), 5);
}

#[test]
fn a_configuration_is_one_file() {
    let source = |line: &str| match parse(line).unwrap() {
        Command::Run(Run { source }) => source.chosen(&Environment::new()),
        other => panic!("{other:?}"),
    };
    assert_eq!(source("run").file().to_str(), Some("/etc/fingerpost/fingerpost.yaml"));
    assert_eq!(source("run --config a.yaml").file().to_str(), Some("a.yaml"));
    assert_eq!(source("run --zuul-conf zuul.conf").file().to_str(), Some("zuul.conf"));
    assert_eq!(refused("run --config a.yaml --zuul-conf zuul.conf"), ErrorKind::ArgumentConflict);
}

#[test]
fn what_is_supposed_is_read_from_the_command_line() {
    let inquiry = |line: &str| match parse(line).unwrap() {
        Command::Explain(asked) => asked.inquiry().unwrap(),
        other => panic!("{other:?}"),
    };
    let plain = inquiry(&format!("explain {BUILD}"));
    assert!(plain.supposed.is_nothing() && plain.query.build.is_some_and(|uuid| uuid.as_str() == BUILD));
    let asked = inquiry("explain --query zones@ --no-zone --subject CN=alice --at 2030-12-31");
    assert_eq!((asked.query.line.as_str(), asked.query.build), ("zones@", None));
    assert_eq!(asked.supposed.zone, Some(None));
    assert_eq!(
        asked.supposed.to_string(),
        "with     the relay in no zone\n         the certificate of \"CN=alice\"\n         the time 2030-12-31T00:00:00Z\n"
    );
}

#[test]
fn what_makes_no_sense_is_refused_with_status_2() {
    for (line, kind) in [
        ("", ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand),
        ("strem", ErrorKind::InvalidSubcommand),
        ("explain", ErrorKind::MissingRequiredArgument),
        ("explain ../x", ErrorKind::ValueValidation),
        (&format!("explain {BUILD} --query zones@"), ErrorKind::ArgumentConflict),
        ("explain --query ../x", ErrorKind::ValueValidation),
        (&format!("explain {BUILD} --zone a --no-zone"), ErrorKind::ArgumentConflict),
        (&format!("explain {BUILD} --zone a/b"), ErrorKind::ValueValidation),
        (&format!("explain {BUILD} --viewer host"), ErrorKind::ValueValidation),
        (&format!("explain {BUILD} --subject CN=a --certificate a.pem"), ErrorKind::ArgumentConflict),
        (&format!("explain {BUILD} --at noon"), ErrorKind::ValueValidation),
        (&format!("stream {BUILD} host:0"), ErrorKind::ValueValidation),
        (&format!("stream {BUILD} host --timeout soon"), ErrorKind::ValueValidation),
        (&format!("stream {BUILD} host --tls"), ErrorKind::MissingRequiredArgument),
        (&format!("stream {BUILD} host --ca ca.pem"), ErrorKind::MissingRequiredArgument),
        (&format!("stream {BUILD} host --tls --ca ca.pem --cert c.pem"), ErrorKind::MissingRequiredArgument),
    ] {
        let error = parse(line).unwrap_err();
        assert_eq!((error.kind(), error.exit_code()), (kind, 2), "{line}");
    }
    assert_eq!(ExitCode::from(Exit::Unusable), ExitCode::from(2));
}

#[test]
fn the_environment_is_that_of_the_process() {
    assert!(environment().contains_key("PATH"));
}
