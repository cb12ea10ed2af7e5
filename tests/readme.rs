//! What the README shows of the program is what the program has.

const README: &str = include_str!("../README.md");
const DEFAULT: &str = include_str!("../scripts/default.lua");

#[test]
fn the_readme_shows_the_built_in_policy() {
    let code: Vec<&str> = DEFAULT.lines().filter(|line| !line.starts_with("--")).collect();
    assert!(README.contains(code.join("\n").trim()), "copy scripts/default.lua, without its comments");
}

#[test]
fn every_file_that_the_readme_links_to_exists() {
    let links = README.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let files: Vec<&str> = links.filter(|link| !link.contains("://")).collect();
    assert!(files.len() >= 3, "{files:?}");
    for file in files {
        assert!(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file).exists(), "{file}");
    }
}
