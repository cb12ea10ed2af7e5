//! A policy on trial on the real program: what viewers get, what `fingerpost policy shadow` says, and that a candidate
//! which does badly is gone by itself.

use std::fs;

use serde_json::Value;

use crate::site::{BUILD, Site, build, output, until};
use crate::support::executor::Executor;

/// A build that a share of fifty leaves to the active policy; it takes [`BUILD`].
const OTHER: &str = "bbbb";

const REFUSES: &str = "return { api = 1, route = function(request)\nreturn relay.refuse(\"new\") end }\n";
const FAILS: &str = "return { api = 1, route = function(request)\nerror(\"oops\") end }\n";

#[tokio::test]
async fn a_shadow_is_seen_by_operators_and_not_by_viewers() {
    let (site, executor) = site("percent: 0", REFUSES).await;
    let relay = site.start().await;
    site.carries(&executor).await;
    site.carries(&executor).await;
    let (code, out, err) = shadow(&site, &[]).await;
    assert_eq!((code, err.as_str()), (1, ""));
    let lines: Vec<_> = out.lines().collect();
    assert!(lines[0].starts_with("candidate  ") && lines[0].ends_with("next/new.lua"), "{out}");
    assert_eq!(lines[1], "policy     built-in default");
    assert!(lines[2].starts_with("state      shadow: decides nothing, since 20"), "{out}");
    assert!(lines[3].starts_with(&format!("unroutable  no zone: 2 requests, the last for {BUILD} at 20")), "{out}");
    assert_eq!(lines[4..6], ["    now   direct", "    then  refused \"new\""]);
    assert_eq!(lines[6], "2 decisions compared: 2 unroutable");
    assert_eq!(relay.metric("fingerpost_candidate_compared_total{reason=\"unroutable\"}").await, 2);
    assert_eq!(relay.metric("fingerpost_policy_decisions_total{reason=\"refused\"}").await, 0);

    let (code, out, _) = shadow(&site, &["--json"]).await;
    let view: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((code, &view["compared"], &view["differences"][0]["then"]), (1, &2.into(), &"refused \"new\"".into()));
}

#[tokio::test]
async fn a_candidate_that_decides_alike_differs_in_nothing() {
    let (site, executor) = site("percent: 0", include_str!("../../scripts/default.lua")).await;
    let _relay = site.start().await;
    site.carries(&executor).await;
    let (code, out, _) = shadow(&site, &[]).await;
    assert_eq!(code, 0, "{out}");
    assert!(out.ends_with("1 decisions compared: no difference\n"), "{out}");
}

#[tokio::test]
async fn a_canary_takes_its_builds_and_no_others_and_learns_how_they_ended() {
    let candidate = "return { api = 1, route = function(request)
        return relay.reply(`after {relay.shared.get('ended') or 'nothing'}`)
    end, ended = function(record) relay.shared.set('ended', record.ending) end }";
    let (site, executor) = site("percent: 50", candidate).await;
    let site = site.and("log: {format: json}\n");
    let relay = site.start().await;
    let mut other = site.watch(OTHER).await;
    executor.next().await.send(b"log").await;
    assert_eq!(other.rest().await, b"log");
    drop(other);
    relay.until_metric("fingerpost_streams_open{listener=\"finger\"}", 0).await;
    for told in ["after nothing", "after replied"] {
        let mut viewer = site.watch(BUILD).await;
        assert_eq!(viewer.rest().await, told.as_bytes());
        drop(viewer);
        relay.until_metric("fingerpost_streams_open{listener=\"finger\"}", 0).await;
    }
    assert_eq!(relay.metric("fingerpost_candidate_percent").await, 50);
    assert_eq!(relay.metric("fingerpost_candidate_streams_total{policy=\"candidate\",result=\"fine\"}").await, 2);
    let records = relay.stop().await.records();
    let by_candidate: Vec<_> = records.iter().map(|record| (&record["build"], &record["candidate"])).collect();
    assert_eq!(by_candidate[0], (&OTHER.into(), &Value::Null), "{records:?}");
    assert_eq!(by_candidate[1..], [(&BUILD.into(), &true.into()); 2], "{records:?}");
}

#[tokio::test]
async fn a_candidate_lets_nobody_in_and_works_at_nothing_though_it_decides_all() {
    let job = |key: &str| format!("relay.every(1, function() relay.shared.set(\"{key}\", true) end)\n");
    let active = "return { api = 1, route = function() return relay.refuse(\"old\") end }\n";
    let candidate = "return { api = 1, accept = function() return relay.refuse(\"nobody\") end, route = function()
        return relay.reply(`{relay.shared.get(\"old\")} {relay.shared.get(\"new\")}`)
    end }\n";
    let (mut site, _executor) = site("", "").await;
    site.write("old.lua", &(job("old") + active));
    site.write("next/new.lua", &(job("new") + candidate));
    site.more = "policy: {file: old.lua, candidate: {file: next/new.lua, percent: 100}}\n".to_owned();
    let relay = site.start().await;
    until("the policy's job is done", async || {
        let runs = "fingerpost_policy_job_runs_total{policy=\"old\",job=\"1\",result=\"succeeded\"}";
        (relay.metric(runs).await > 0).then_some(())
    })
    .await;
    assert_eq!(site.watch(BUILD).await.rest().await, b"true nil");
    assert!(!relay.metrics().await.contains("policy=\"new\""));
}

#[tokio::test]
async fn errors_roll_back_and_only_other_scripts_begin_anew() {
    let (mut site, executor) = site("percent: 100, rollback: {min_streams: 3}", FAILS).await;
    let relay = site.start().await;
    for _ in 0..3 {
        // No viewer notices.
        site.carries(&executor).await;
    }
    let line = relay.until_logged("the candidate was rolled back").await;
    assert!(line.contains("WARN") && line.contains("3 of 3 of its decisions were errors"), "{line}");
    assert_eq!(relay.metric("fingerpost_candidate_rolled_back").await, 1);
    let failures = relay.log().lines().into_iter().filter(|line| line.contains("the candidate failed"));
    assert_eq!(failures.count(), 1, "one is enough to wake somebody");

    site.more += "stream: {half_close_grace: 7s}\n";
    site.configure();
    relay.until_logged("generation=2").await;
    let (code, out, _) = shadow(&site, &[]).await;
    assert_eq!(code, 1);
    assert!(out.contains("state      rolled back since 20") && out.contains("from 100 %: 3 of 3"), "{out}");
    assert!(out.contains("fails       no zone: 3 requests") && out.contains("next/new.lua:2: oops"), "{out}");
    site.carries(&executor).await;

    site.write("next/new.lua", REFUSES);
    relay.until_logged("generation=3").await;
    assert_eq!(site.watch(BUILD).await.rest().await, b"new");
    assert_eq!(relay.metric("fingerpost_candidate_rolled_back").await, 0);
}

#[tokio::test]
async fn streams_that_fail_roll_back_and_viewers_get_their_logs_again() {
    let nowhere = "return { api = 1, route = function() return relay.connect{ host = \"127.0.0.1\", port = 1 } end }\n";
    let (site, executor) = site("percent: 100, rollback: {min_streams: 3}", nowhere).await;
    let relay = site.start().await;
    for _ in 0..3 {
        assert_eq!(site.watch(BUILD).await.rest().await, b"Internal streaming error");
    }
    let line = relay.until_logged("the candidate was rolled back").await;
    assert!(line.contains("3 of 3 of its streams failed, of the active policy's 0 of 0"), "{line}");
    site.carries(&executor).await;
}

#[tokio::test]
async fn a_candidate_grows_by_its_steps() {
    let (site, executor) = site("steps: [100], step_every: 0s, rollback: {min_streams: 1, errors: 100}", REFUSES).await;
    let relay = site.start().await;
    site.carries(&executor).await;
    relay.until_logged("make it the policy").await;
    assert_eq!(site.watch(BUILD).await.rest().await, b"new");
    assert_eq!(relay.metric("fingerpost_candidate_percent").await, 100);
}

#[tokio::test]
async fn the_policy_itself_is_no_candidate() {
    let (mut site, _executor) = site("percent: 0", REFUSES).await;
    site.more = "policy: {file: next/new.lua, candidate: {file: next/new.lua}}\n".to_owned();
    let relay = site.start().await;
    let line = relay.until_logged("the candidate is the policy itself").await;
    assert!(line.contains("WARN") && line.contains("take policy.candidate out"), "{line}");
}

#[tokio::test]
async fn a_candidate_that_cannot_be_loaded_refuses_the_reload() {
    let (site, executor) = site("percent: 100", REFUSES).await;
    let relay = site.start().await;
    site.write("next/new.lua", "return {");
    let line = relay.until_logged("reload refused").await;
    assert!(line.contains("policy.candidate: ") && line.contains("next/new.lua:1: "), "{line}");
    assert_eq!(site.watch(BUILD).await.rest().await, b"new", "the last good one goes on");
    let (code, out, err) = output(&[&"check", &"--config", &site.path("fingerpost.yaml")]).await;
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.contains("policy.candidate: ") && err.contains("next/new.lua:1: "), "{err}");
    drop(executor);
}

#[tokio::test]
async fn whoever_asks_in_vain_is_told_what_to_do() {
    let (mut site, _executor) = site("percent: 0", REFUSES).await;
    let (code, out, err) = shadow(&site, &[]).await;
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.contains("cannot be asked on its command socket") && err.contains("does it run?"), "{err}");
    site.more = "process: {command_socket: command}\n".to_owned();
    let relay = site.start().await;
    let (code, _, err) = shadow(&site, &[]).await;
    assert!(code == 2 && err.contains("there is no candidate: give policy.candidate a file"), "{err}");
    relay.stop().await;
    site.more = String::new();
    let (code, _, err) = shadow(&site, &[]).await;
    assert!(code == 2 && err.contains("give it a process.command_socket"), "{err}");
}

/// A relay with a candidate beside the built-in policy, and two builds whose logs the executor has.
async fn site(keys: &str, candidate: &str) -> (Site, Executor) {
    let executor = Executor::new().await;
    let site = Site::new();
    let builds = build(BUILD, executor.port()) + &build(OTHER, executor.port());
    site.write("registry.yaml", &format!("builds:\n{builds}"));
    fs::create_dir(site.path("next")).expect("a folder");
    site.write("next/new.lua", candidate);
    let policy = format!("policy: {{candidate: {{file: next/new.lua, {keys}}}}}\n");
    (site.and(&policy).and("process: {command_socket: command}\n"), executor)
}

async fn shadow(site: &Site, options: &[&str]) -> (i32, String, String) {
    let config = site.configure();
    let mut args: Vec<&dyn AsRef<std::path::Path>> = vec![&"policy", &"shadow", &"--config", &config];
    args.extend(options.iter().map(|option| option as &dyn AsRef<std::path::Path>));
    output(&args).await
}
