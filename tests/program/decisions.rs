//! The decision log of a real relay, and what `fingerpost policy replay` makes of it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use tokio::process::Command;

use crate::site::{BUILD, Relay, Site, output};
use crate::support::executor::Executor;
use crate::support::gateway::fingerpost;

const LOG: &str = "decisions: {file: decisions.jsonl}\n";
const DEFAULT: &str = include_str!("../../scripts/default.lua");

#[tokio::test]
async fn the_same_policy_decides_the_traffic_of_the_past_alike() {
    let site = recorded().await;
    site.write("same.lua", DEFAULT);
    let same = "3 decisions compared: no difference\n".to_owned();
    assert_eq!(replay(&site, &["--policy", "same.lua"]).await, (0, same.clone(), String::new()));
    assert_eq!(replay(&site, &["--config", "fingerpost.yaml"]).await, (0, same, String::new()));
    let mode = fs::metadata(site.path("decisions.jsonl")).expect("a log").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "viewers are nobody else's business");
}

#[tokio::test]
async fn another_policys_differences_are_shown_and_fail_a_check() {
    let site = recorded().await;
    site.write(
        "new.lua",
        "return { api = 1, route = function(request)
if not request.build then return relay.refuse('Build not found') end
return relay.connect({ host = 'edge.example', port = 79 }) end }",
    );
    let expected = "rerouted    -: 2 decisions, such as decisions.jsonl:4
    was   direct
    then  connect edge.example:79
3 decisions compared: 2 rerouted
";
    assert_eq!(replay(&site, &["--policy", "new.lua"]).await, (1, expected.to_owned(), String::new()));
    let (code, out, _) = replay(&site, &["--policy", "new.lua", "--allow-differences"]).await;
    assert_eq!((code, out.as_str()), (0, expected));
}

#[tokio::test]
async fn what_a_policy_read_of_the_relay_is_replayed_and_what_it_did_not_is_not_judged() {
    let site = site("policy: {file: mine.lua, params: {limit: 1}}\n").await.0;
    let mine = "local policy = { api = 1 }
function policy.accept() relay.shared.add('seen', 1) return relay.allow() end
function policy.route(request)
  local seen = relay.shared.get('seen')
  if seen > relay.params.limit then return relay.refuse('too many: ' .. seen) end
  return relay.refuse('welcome') end
return policy\n";
    site.write("mine.lua", mine);
    let relay = site.start().await;
    for answer in ["welcome", "too many: 2"] {
        assert_eq!(site.watch(BUILD).await.rest().await, answer.as_bytes());
    }
    relay.stop().await;
    assert_eq!(replay(&site, &["--policy", "mine.lua"]).await.1, "2 decisions compared: no difference\n");
    site.write("other.lua", &mine.replace("'seen'", "'guests'"));
    let (code, out, _) = replay(&site, &["--policy", "other.lua"]).await;
    assert_eq!(code, 2, "nothing was found out");
    assert!(out.contains("2 decisions could not be judged") && out.contains("relay.shared.get(\"guests\")"), "{out}");
}

#[tokio::test]
async fn a_candidate_that_decided_beside_the_policy_can_be_replayed_too() {
    let looking = |key: &str| {
        format!(
            "return {{ api = 1, route = function()
return relay.refuse('{key} ' .. tostring(relay.shared.get('{key}'))) end }}"
        )
    };
    let site = site("policy: {file: now.lua, dry_run: 'off', candidate: {file: next.lua, percent: 0}}\n").await.0;
    site.write("now.lua", &looking("now"));
    site.write("next.lua", &looking("next"));
    let relay = site.start().await;
    assert_eq!(site.watch(BUILD).await.rest().await, b"now nil");
    relay.stop().await;
    assert_eq!(replay(&site, &["--policy", "now.lua"]).await.1, "1 decision compared: no difference\n");
    let (code, out, _) = replay(&site, &["--policy", "next.lua"]).await;
    assert_eq!(code, 1);
    assert!(out.contains("was   refused \"now nil\"\n    then  refused \"next nil\"\n"), "{out}");
    let log = fs::read_to_string(site.path("decisions.jsonl")).expect("a log");
    assert!(log.contains("/now.lua\"") && !log.contains("\"candidate\":true"), "{log}");
}

#[tokio::test]
async fn a_log_that_says_nothing_is_no_success() {
    let site = Site::new();
    site.write("same.lua", DEFAULT);
    let (code, _, err) = replay(&site, &["--policy", "same.lua"]).await;
    assert_eq!(code, 2);
    assert!(err.contains("cannot read the decision log decisions.jsonl: No such file"), "{err}");
    site.write("decisions.jsonl", "{\n");
    let (code, out, _) = replay(&site, &["--policy", "same.lua"]).await;
    assert_eq!(code, 2);
    assert!(out.contains("1 line could not be read: decisions.jsonl:1 is no line of a decision log"), "{out}");
    let (code, _, err) = replay(&site, &[]).await;
    assert_eq!(code, 2);
    assert!(err.contains("--policy <FILE>"), "{err}");
}

#[tokio::test]
async fn a_reload_switches_the_log_on_and_off() {
    let executor = Executor::new().await;
    let mut site = Site::with_executor(executor.port());
    let relay = site.start().await;
    site.carries(&executor).await;
    site.more = LOG.to_owned();
    site.configure();
    relay.until_metric("fingerpost_generation", 2).await;
    site.carries(&executor).await;
    logged(&relay, 1).await;
    site.more = String::new();
    site.configure();
    relay.until_metric("fingerpost_generation", 3).await;
    site.carries(&executor).await;
    relay.stop().await;
    let lines = fs::read_to_string(site.path("decisions.jsonl")).expect("a log");
    assert_eq!(lines.matches("{\"decision\":").count(), 1, "{lines}");
}

#[tokio::test]
async fn the_files_are_bounded_and_can_be_read_together() {
    const STREAMS: usize = 120;
    let site = Site::new().and("decisions: {file: decisions.jsonl, max_size: 64KiB, keep: 1}\n");
    let relay = site.start().await;
    let long = "x".repeat(900);
    for _ in 0..STREAMS {
        assert_eq!(site.watch(&long).await.rest().await, b"Build not found");
    }
    logged(&relay, STREAMS as i64).await;
    relay.stop().await;
    let size = |name: &str| fs::metadata(site.path(name)).map(|file| file.len());
    for name in ["decisions.jsonl", "decisions.jsonl.1"] {
        let size = size(name).expect("a file");
        assert!(0 < size && size <= 64 << 10, "{name}: {size}");
    }
    size("decisions.jsonl.2").expect_err("no more than one is kept");
    site.write("same.lua", DEFAULT);
    let (code, out, _) = replay(&site, &["decisions.jsonl.1", "--policy", "same.lua"]).await;
    let compared: usize = out.split_once(' ').expect("a count").0.parse().expect("a number");
    assert!((40..STREAMS).contains(&compared) && out.ends_with(" compared: no difference\n"), "{out}");
    assert_eq!(code, 0);
}

#[tokio::test]
async fn a_log_that_cannot_be_written_harms_no_stream_and_is_told_once() {
    let executor = Executor::new().await;
    let site = Site::with_executor(executor.port()).and("decisions: {file: missing/decisions.jsonl}\n");
    let relay = site.start().await;
    relay.until_logged("the decision log cannot be written").await;
    for lost in 1..=3 {
        site.carries(&executor).await;
        relay.until_metric("fingerpost_decisions_lost_total{reason=\"unwritable\"}", lost).await;
    }
    fs::create_dir(site.path("missing")).expect("a folder");
    site.carries(&executor).await;
    logged(&relay, 1).await;
    let log = relay.stop().await.text();
    assert_eq!(log.matches("the decision log cannot be written").count(), 1, "{log}");
    assert_eq!(log.matches("the decision log is written again").count(), 1, "{log}");
}

/// The kernel's limit on the size of a file stands for the end of a disk: both cut a line in the middle.
#[tokio::test]
async fn a_full_disk_harms_no_stream() {
    let executor = Executor::new().await;
    let site = Site::with_executor(executor.port()).and(LOG).and("log: {records: false}\n");
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; ulimit -f 8; exec \"$0\" \"$@\""]).arg(fingerpost());
    let relay = site.spawn(command.arg("run").arg("--config").arg(site.configure()));
    relay.until_ready().await;
    for _ in 0..12 {
        site.carries(&executor).await;
    }
    let logged = async || relay.metric("fingerpost_decisions_logged_total").await;
    let lost = "fingerpost_decisions_lost_total{reason=\"unwritable\"}";
    crate::site::until("all are written or lost", async || {
        (relay.metrics().await.contains(lost) && logged().await + relay.metric(lost).await == 12).then_some(())
    })
    .await;
    let logged = logged().await;
    assert!(0 < logged, "{logged}");
    relay.stop().await;
    site.write("same.lua", DEFAULT);
    let (code, out, _) = replay(&site, &["--policy", "same.lua"]).await;
    assert_eq!(code, 0);
    assert!(out.starts_with(&format!("{logged} decisions compared: no difference\n")), "{out}");
    assert!(out.contains("1 line could not be read: "), "{out}");
}

/// A site whose relay carried a log twice, and did not know another build.
async fn recorded() -> Site {
    let (site, executor) = site("").await;
    let relay = site.start().await;
    site.carries(&executor).await;
    site.carries(&executor).await;
    assert_eq!(site.watch("ffff").await.rest().await, b"Build not found");
    relay.stop().await;
    site
}

async fn site(more: &str) -> (Site, Executor) {
    let executor = Executor::new().await;
    (Site::with_executor(executor.port()).and(LOG).and(more), executor)
}

async fn logged(relay: &Relay, decisions: i64) {
    relay.until_metric("fingerpost_decisions_logged_total", decisions).await;
}

/// Replays the site's log, with its folder's names gone from what was written.
async fn replay(site: &Site, more: &[&str]) -> (i32, String, String) {
    let name = |arg: &&str| if arg.starts_with("--") { (*arg).into() } else { site.path(arg) };
    let log = site.path("decisions.jsonl");
    let more: Vec<_> = more.iter().map(name).collect();
    let mut args: Vec<&dyn AsRef<std::path::Path>> = vec![&"policy", &"replay", &"--log", &log];
    more.iter().for_each(|arg| args.push(arg));
    let (code, out, err) = output(&args).await;
    let folder = format!("{}/", site.path("").display().to_string().trim_end_matches('/'));
    (code, out.replace(&folder, ""), err.replace(&folder, ""))
}
