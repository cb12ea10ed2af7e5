//! What a reload can change, what it names instead, and that a thousand of them cost nothing.

use std::fs;

use crate::site::{BUILD, Site};
use crate::support::executor::Executor;

#[tokio::test]
async fn what_needs_a_restart_is_named_and_the_rest_applies() {
    let executor = Executor::new().await;
    let mut site = Site::with_executor(executor.port());
    let relay = site.start().await;
    site.registry = "{file: other.yaml}".to_owned();
    site.more =
        "zone: elsewhere\nprocess: {workers: 7}\nlog: {format: json}\npolicy: {file: mine.lua, dry_run: errors}\n"
            .to_owned();
    site.write(
        "mine.lua",
        "return { api = 1, route = function(request) return relay.refuse(relay.zone or \"no zone\") end }\n",
    );
    site.configure();
    let line = relay.until_logged("reloaded, but for keys that only a restart can change").await;
    assert!(line.contains("WARN") && line.contains("generation=2"), "{line}");
    assert!(line.contains("needs_restart=[\"zone\", \"registry\", \"log.format\", \"process\"]"), "{line}");
    assert_eq!(site.watch(BUILD).await.rest().await, b"no zone", "the new policy, in the old zone");
}

#[tokio::test]
async fn scripts_and_overlays_that_come_and_change_are_taken_over() {
    let executor = Executor::new().await;
    let site =
        Site::with_executor(executor.port()).and("policy: {folder: policies, overlays: policies.d, dry_run: errors}\n");
    let says =
        |word: &str| format!("return {{ api = 1, route = function(request) return relay.refuse('{word}') end }}\n");
    for folder in ["policies", "policies.d"] {
        fs::create_dir(site.path(folder)).expect("a folder");
    }
    let relay = site.start().await;
    site.write("policies/mine.lua", &says("package"));
    relay.until_logged("reloaded").await;
    site.write("policies.d/50-site.yaml", "default: mine\n");
    relay.until_logged("generation=3").await;
    assert_eq!(site.watch(BUILD).await.rest().await, b"package");
    site.write("policies.d/mine.lua", &says("operator"));
    relay.until_logged("generation=4").await;
    assert_eq!(site.watch(BUILD).await.rest().await, b"operator");
    site.write("policies.d/60-broken.yaml", "default: nobodys\n");
    let line = relay.until_logged("reload refused").await;
    assert!(line.contains("no policy is called") && line.contains("nobodys"), "{line}");
    assert_eq!(site.watch(BUILD).await.rest().await, b"operator");
}

#[tokio::test]
async fn a_mended_overlay_is_seen_though_it_was_never_in_force() {
    let executor = Executor::new().await;
    let mut site = Site::with_executor(executor.port());
    let relay = site.start().await;
    fs::create_dir(site.path("policies.d")).expect("a folder");
    site.write("policies.d/50-site.yaml", "defaul: zuul\n");
    site.more = "policy: {overlays: policies.d, dry_run: errors}\n".to_owned();
    site.configure();
    let line = relay.until_logged("reload refused").await;
    assert!(line.contains("50-site.yaml:1: defaul: unknown key"), "{line}");
    site.write("policies.d/50-site.yaml", "default: zuul\n");
    relay.until_logged("generation=2").await;
}

#[tokio::test]
async fn a_thousand_reloads_of_a_policy_leave_memory_flat_and_streams_alone() {
    let executor = Executor::new().await;
    let site = Site::with_executor(executor.port())
        .and("policy: {file: mine.lua}\nprocess: {command_socket: command}\nlog: {level: warn, records: false}\n");
    let policy = include_str!("../../scripts/default.lua");
    site.write("mine.lua", policy);
    let relay = site.start().await;
    let mut live = Vec::new();
    for _ in 0..5 {
        let viewer = site.watch(BUILD).await;
        live.push((viewer, executor.next().await));
    }
    let mut early = 0;
    for round in 0..1000 {
        site.write("mine.lua", &format!("{policy}-- {round}\n"));
        assert_eq!(site.tell("reload").await, "ok\n");
        if round == 99 {
            early = relay.resident();
        }
    }
    let late = relay.resident();
    assert!(late < early + early / 5, "{early} KiB after 100 reloads, {late} KiB after 1000");
    assert!(relay.metric("fingerpost_generation").await > 1000);
    for (viewer, arrival) in &mut live {
        arrival.send(b"still here").await;
        viewer.expect(b"still here").await;
    }
}

#[tokio::test]
async fn a_policy_that_would_leave_a_running_build_without_a_way_does_not_take_over() {
    let executor = Executor::new().await;
    let site =
        Site::with_executor(executor.port()).and("policy: {file: mine.lua}\nprocess: {command_socket: command}\n");
    let policy = include_str!("../../scripts/default.lua");
    site.write("mine.lua", policy);
    let relay = site.start().await;
    let harm = "return { api = 1, route = function(request)\nreturn relay.refuse(\"closed\") end }\n";
    site.write("mine.lua", harm);
    let answer = site.tell("reload").await;
    assert!(answer.contains("the new policy was tried on 1 running builds for "), "{answer}");
    assert!(answer.contains("unroutable") && answer.contains(BUILD), "{answer}");
    assert!(answer.contains("now   direct\n") && answer.contains("then  refused \"closed\"\n"), "{answer}");
    assert!(answer.ends_with("as its FILE; if it is meant, set policy.dry_run: errors\n"), "{answer}");
    assert_eq!(relay.metric("fingerpost_generation").await, 1);
    let mut viewer = site.watch(BUILD).await;
    executor.next().await.send(b"still the old way").await;
    viewer.expect(b"still the old way").await;
}

#[tokio::test]
async fn a_policy_that_breaks_its_own_invariant_does_not_take_over() {
    let site =
        Site::with_executor(1).and("policy: {file: mine.lua, dry_run: errors}\nprocess: {command_socket: command}\n");
    let policy = include_str!("../../scripts/default.lua");
    site.write("mine.lua", policy);
    let relay = site.start().await;
    let invariant = "function policy.invariant(build, route) return 'nobody dials ' .. route.targets[1].kind end";
    site.write("mine.lua", &policy.replace("return policy", &format!("{invariant}\nreturn policy")));
    let answer = site.tell("reload").await;
    assert!(answer.contains("broken") && answer.contains("against the invariant: nobody dials direct"), "{answer}");
    assert_eq!(relay.metric("fingerpost_generation").await, 1);
}
