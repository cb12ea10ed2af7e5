//! What an operator gets to read of a policy's mistakes, in the health status, in the log and in metrics: where it is,
//! the line itself, and what is wrong with it in words.

use crate::site::{Relay, Site, output};
use crate::support::executor::Executor;

const SUCCESSFUL: &str = "fingerpost_last_reload_successful";

#[tokio::test]
async fn every_refused_policy_is_told_in_the_health_status_until_a_good_one_comes() {
    let (site, _executor, relay) = started().await;
    for (text, line, source, words) in refused() {
        site.write("policy.lua", &text);
        let answer = site.tell("reload").await;
        let told = health(&relay, "reload", 503).await;
        let (serves, refused) = told.split_once('\n').expect("two parts");
        assert!(serves.starts_with("generation 1 serves since 2") && serves.ends_with("Z, by the start"), "{serves}");
        let (when, why) = refused.split_once('\n').expect("when, and why");
        assert!(when.starts_with("refused at 2") && when.contains("Z, by "), "{when}");
        let answered: String = answer.lines().map(|line| line.replacen("error: ", "", 1) + "\n").collect();
        assert_eq!(answered, why, "the answer to the command");
        let place = format!("{}:{line}: ", site.path("policy.lua").display());
        for part in [place.as_str(), source, words] {
            assert!(why.contains(part), "{part} in\n{why}");
        }
        assert_eq!(relay.metric(SUCCESSFUL).await, 0);
        let ready = health(&relay, "ready", 200).await;
        assert_eq!(ready, "running; registry live; last reload refused, see /health/reload\n");
        assert_eq!(health(&relay, "status", 200).await, "RUNNING", "as Zuul says it");
    }
    site.write("policy.lua", &(good() + "-- mended\n"));
    assert_eq!(site.tell("reload").await, "ok\n");
    let told = health(&relay, "reload", 200).await;
    assert!(told.starts_with("generation ") && !told.contains("refused") && told.lines().count() == 1, "{told}");
    assert_eq!(health(&relay, "ready", 200).await, "running; registry live\n");
    assert_eq!(relay.metric(SUCCESSFUL).await, 1);
}

#[tokio::test]
async fn check_tells_them_as_the_relay_does() {
    let site = Site::new().and("policy: {file: policy.lua}\n");
    let config = site.configure();
    // The others are mistakes only when they decide.
    let [syntax, misspelled, .., looping, _, _] = refused();
    for (text, line, source, words) in [syntax, misspelled, looping] {
        site.write("policy.lua", &text);
        let (code, _, err) = output(&[&"check", &"--config", &config]).await;
        let place = format!("policy.file: {}:{line}: ", site.path("policy.lua").display());
        assert_eq!(code, 2, "{err}");
        for part in [place.as_str(), source, words] {
            assert!(err.contains(part), "{part} in\n{err}");
        }
    }
}

#[tokio::test]
async fn a_change_that_waits_for_a_restart_is_told_in_the_health_status() {
    let (mut site, _executor, relay) = started().await;
    site.more += "zone: elsewhere\n";
    site.configure();
    let config = site.path("fingerpost.yaml");
    relay.until_logged("reloaded, but for keys").await;
    let told = health(&relay, "reload", 200).await;
    assert!(told.contains(&format!("Z, by {}\nwaiting for a restart: zone\n", config.display())), "{told}");
}

#[tokio::test]
async fn every_kind_of_failure_is_logged_with_its_line_and_counted() {
    let (site, _executor, relay) = started().await;
    site.write(
        "policy.lua",
        &route(
            "if request.query == 'time' then while true do end end
            if request.query == 'memory' then local s = 'x' while true do s ..= s end end
            if request.query == 'recursion' then return policy.route(request) end
            if request.query == 'error' then return request.pier end
            if request.query == 'bad_route' then return relay.direct('executor') end
            return relay.direct(request.build.worker)",
        ),
    );
    relay.until_logged("reloaded").await;
    let kinds = [
        ("time", 4, "ran for 50ms and was stopped", "while true do end end"),
        ("memory", 3, "more than 16.0 MiB of memory", "function policy.route(request)"),
        ("recursion", 6, "more than 200 deep", "then return policy.route(request) end"),
        ("error", 7, "did you mean \"peer\"?", "then return request.pier end"),
        ("bad_route", 8, "\"executor\"", "then return relay.direct('executor') end"),
    ];
    for (kind, ..) in kinds {
        assert_eq!(site.watch(kind).await.rest().await, b"Internal streaming error", "{kind}");
    }
    relay.until_metric("fingerpost_streams_open{listener=\"finger\"}", 0).await;
    let failures = |kind: &str| format!("fingerpost_policy_failures_total{{reason=\"{kind}\"}}");
    for (kind, ..) in kinds {
        assert_eq!(relay.metric(&failures(kind)).await, 1, "{kind}");
    }
    let log = relay.stop().await;
    for (kind, line, words, source) in kinds {
        let place = format!("policy.lua:{line}: ");
        let logged = log.lines().into_iter().find(|logged| logged.contains("stream failed") && logged.contains(&place));
        let logged = logged.unwrap_or_else(|| panic!("no line for {kind}"));
        assert!(logged.contains(" WARN ") && logged.contains(words) && logged.contains(source), "{kind}: {logged}");
    }
}

async fn started() -> (Site, Executor, Relay) {
    let executor = Executor::new().await;
    let site =
        Site::with_executor(executor.port()).and("policy: {file: policy.lua}\nprocess: {command_socket: command}\n");
    site.write("policy.lua", &good());
    let relay = site.start().await;
    site.carries(&executor).await;
    (site, executor, relay)
}

/// Policies that are refused, with the line and its text that must be shown, and what must be said of it.
fn refused() -> [(String, usize, &'static str, &'static str); 7] {
    let endless = "local s = 'x' while true do s ..= s end";
    [
        (good() + "\nend", 8, "end", "Expected"),
        (good().replace("policy.route", "policy.rout"), 3, "function policy.rout(request)", "did you mean \"route\"?"),
        (good().replace("direct", "dirct"), 4, "return relay.dirct(request", "did you mean \"direct\"?"),
        (route("return relay.connect({ host = 'a', prot = 1 })"), 4, "prot = 1 })", "did you mean \"port\"?"),
        ("\nwhile true do end".to_owned(), 2, "while true do end", "ran for 50ms and was stopped"),
        (route(endless), 3, "function policy.route(request)", "more than 16.0 MiB of memory, its memory_limit"),
        (route("return policy.route(request)"), 4, "return policy.route(", "more than 200 deep, its recursion_limit"),
    ]
}

fn good() -> String {
    route("return relay.direct(request.build.worker)")
}

/// A policy whose `route` begins in line 3 and has `body` from line 4 on.
fn route(body: &str) -> String {
    format!("local policy = {{ api = 1 }}\n\nfunction policy.route(request)\n  {body}\nend\n\nreturn policy")
}

/// What a health path answers, which must be with `code`.
async fn health(relay: &Relay, path: &str, code: u16) -> String {
    let answer = relay.http(&format!("/health/{path}")).await.expect("the monitoring port answers");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    assert!(head.starts_with(&format!("HTTP/1.1 {code} ")), "{answer}");
    body.to_owned()
}
