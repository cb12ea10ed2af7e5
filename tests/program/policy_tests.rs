//! `fingerpost policy test`, and the tests that `fingerpost check` runs: what an author and a CI system get of them.

use std::fs;
use std::path::Path;

use roxmltree::Document;

use crate::site::{Site, output};

const POLICY: &str = "local policy = { api = 1 }
function policy.route(request)
  if relay.shared.get('closed') then
    return relay.refuse('closed')
  end
  return relay.refuse('open')
end
return policy
";

const GOOD: &str = "test.case('it is open', function() expect.refused(test.route{}, 'open') end)\n";

const BAD: &str = "test.case('it is closed', function()
  test.shared{ closed = true }
  expect.refused(test.route{}, 'shut')
end)
";

#[tokio::test]
async fn tests_that_pass_are_told_with_what_they_left_untried() {
    let site = site(GOOD);
    let (code, out, err) = policy_test(&site, &[&site.path("policies")]).await;
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(
        out,
        "policies/mine_test.lua
  ok      it is open

1 case in 1 file: 1 passed

coverage of lines
   83.3%  policies/mine.lua  never run: 4
"
    );
}

#[tokio::test]
async fn a_test_that_fails_is_told_in_full_and_ends_the_command_with_1() {
    let site = site(&(GOOD.to_owned() + BAD));
    let (code, out, err) = policy_test(&site, &[&site.path("policies"), &"--junit", &site.path("report.xml")]).await;
    assert_eq!((code, err.as_str()), (1, "1 of 2 cases failed\n"));
    let told = "
policies/mine_test.lua: it is closed
  policies/mine_test.lua:4: another text than expected
    expect.refused(test.route{}, 'shut')
    got       \"closed\"
    expected  \"shut\"

2 cases in 1 file: 1 passed, 1 failed
";
    assert!(out.contains(told), "{out}");
    let report = fs::read_to_string(site.path("report.xml")).expect("a report");
    let report = Document::parse(&report).expect("well-formed XML");
    assert_eq!(report.descendants().filter(|node| node.has_tag_name("testcase")).count(), 2);
    assert_eq!(report.descendants().filter(|node| node.has_tag_name("failure")).count(), 1);
}

#[tokio::test]
async fn only_what_was_asked_for_is_run() {
    let site = site(&(GOOD.to_owned() + BAD));
    let (code, out, _) = policy_test(&site, &[&site.path("policies"), &"--filter", &"open"]).await;
    assert_eq!(code, 0);
    assert!(out.contains("1 case in 1 file: 1 passed\n"), "{out}");
    let (code, _, err) = policy_test(&site, &[&site.path("policies"), &"--filter", &"nothing"]).await;
    assert_eq!(code, 1);
    assert_eq!(err, "there was no case to run: none has \"nothing\" in its file or its name\n");
    fs::create_dir(site.path("empty")).expect("a folder");
    let (code, _, err) = policy_test(&site, &[&site.path("empty")]).await;
    assert_eq!(code, 1);
    assert!(err.starts_with("there was no case to run; tests are files whose names end in _test.lua"), "{err}");
}

#[tokio::test]
async fn too_few_lines_are_a_failure_where_somebody_says_how_many() {
    let site = site(GOOD);
    assert_eq!(policy_test(&site, &[&site.path("policies"), &"--fail-under", &"83.3"]).await.0, 0);
    let (code, _, err) = policy_test(&site, &[&site.path("policies"), &"--fail-under", &"83.4"]).await;
    assert_eq!((code, err.as_str()), (1, "83.3% of the lines ran, which is less than the 83.4% of --fail-under\n"));
    assert_eq!(policy_test(&site, &[&site.path("policies"), &"--fail-under", &"101"]).await.0, 2);
}

#[tokio::test]
async fn without_a_folder_the_scripts_of_the_configuration_are_tested() {
    let site = site(GOOD).and("policy: {folder: policies, default: mine}\n");
    let config = site.configure();
    let (code, out, err) = policy_test(&site, &[&"--config", &config]).await;
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains("  ok      it is open\n"), "{out}");
}

#[tokio::test]
async fn scripts_that_cannot_be_read_are_a_misuse() {
    let site = site(GOOD);
    let (code, _, err) = policy_test(&site, &[&site.path("nowhere")]).await;
    assert_eq!(code, 2);
    assert!(err.starts_with("nowhere: the folder of policies cannot be read: No such file"), "{err}");
}

#[tokio::test]
async fn a_check_runs_the_tests_beside_the_scripts() {
    let mut site = site(GOOD).and("policy: {folder: policies, default: mine}\n");
    let (code, out, err) = check(&site).await;
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains(", default mine, 1 test passed\n"), "{out}");
    site.write("policies/mine_test.lua", BAD);
    let (code, _, err) = check(&site).await;
    assert_eq!(code, 2);
    assert!(
        err.contains(": policy.folder: ") && err.contains("mine_test.lua:3: another text than expected\n"),
        "{err}"
    );
    site.more = "policy: {folder: policies, default: mine, tests: false}\n".to_owned();
    assert_eq!(check(&site).await.0, 0);
}

/// A site with one policy and its tests.
fn site(tests: &str) -> Site {
    let site = Site::new();
    fs::create_dir(site.path("policies")).expect("a folder");
    site.write("policies/mine.lua", POLICY);
    site.write("policies/mine_test.lua", tests);
    site
}

/// What the command wrote, with paths from the site's folder on.
async fn policy_test(site: &Site, args: &[&dyn AsRef<Path>]) -> (i32, String, String) {
    let command: [&dyn AsRef<Path>; 2] = [&"policy", &"test"];
    shortened(site, output(&[command.as_slice(), args].concat()).await)
}

async fn check(site: &Site) -> (i32, String, String) {
    shortened(site, output(&[&"check", &"--config", &site.configure()]).await)
}

fn shortened(site: &Site, (code, out, err): (i32, String, String)) -> (i32, String, String) {
    let folder = format!("{}/", site.path("").display().to_string().trim_end_matches('/'));
    (code, out.replace(&folder, ""), err.replace(&folder, ""))
}
