//! What `/metrics` says of the same streams: closed labels, sound OpenMetrics, counters that outlive every reload.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use crate::site::{BUILD, Site};
use crate::support::authority::Authority;
use crate::support::executor::Executor;

#[tokio::test]
async fn streams_are_counted_by_how_they_ended() {
    let (site, executor) = site().await;
    let relay = site.start().await;
    site.carries(&executor).await;
    site.carries(&executor).await;
    assert_eq!(site.watch("ffff").await.rest().await, b"Build not found");
    let mut viewer = site.watch(BUILD).await;
    let mut arrival = executor.next().await;
    arrival.send(b"begun").await;
    viewer.expect(b"begun").await;
    arrival.reset();
    assert_eq!(viewer.rest().await, b"Internal streaming error");
    drop(viewer);
    relay.until_metric("fingerpost_streams_open{listener=\"finger\"}", 0).await;
    for (name, value) in [
        ("streams_ended_total{listener=\"finger\",ending=\"complete\",blame=\"nobody\"}", 2),
        ("streams_ended_total{listener=\"finger\",ending=\"refused\",blame=\"nobody\"}", 1),
        ("streams_ended_total{listener=\"finger\",ending=\"upstream_broke\",blame=\"upstream\"}", 1),
        ("stream_bytes_total{listener=\"finger\"}", 3 + 3 + 5),
        ("connections_accepted_total{listener=\"finger\"}", 4),
        ("targets_dialled_total{kind=\"direct\",result=\"connected\"}", 3),
        ("policy_decisions_total{reason=\"routed\"}", 3),
        ("policy_decisions_total{reason=\"refused\"}", 1),
        ("registry_builds", 1),
        ("registry_live", 1),
        ("registry_age_seconds", 0),
        ("generation", 1),
    ] {
        assert_eq!(relay.metric(&format!("fingerpost_{name}")).await, value, "{name}");
    }
}

#[tokio::test]
async fn nothing_that_a_viewer_sends_becomes_a_label() {
    let (site, _executor) = site().await;
    let relay = site.start().await;
    for sent in ["deadbeef", "zuul", "../x", "a\"}b", "evil\u{1}"] {
        let _answer = site.watch(sent).await.until_end().await;
    }
    relay.until_metric("fingerpost_streams_open{listener=\"finger\"}", 0).await;
    let metrics = relay.metrics().await;
    for sent in ["deadbeef", "zuul", "../x", "}b", "evil", "127.0.0.1"] {
        assert!(!metrics.contains(sent), "{sent} in {metrics}");
    }
}

#[tokio::test]
async fn the_text_is_sound_openmetrics() {
    let (site, executor) = site().await;
    let relay = site.start().await;
    site.carries(&executor).await;
    relay.until_metric("fingerpost_streams_open{listener=\"finger\"}", 0).await;
    let metrics = relay.metrics().await;
    assert!(metrics.ends_with("# EOF\n"), "{metrics}");
    assert_eq!(metrics.matches("# EOF").count(), 1);
    let mut families = HashSet::new();
    let mut samples = HashSet::new();
    for line in metrics.lines().filter(|line| *line != "# EOF") {
        if let Some(comment) = line.strip_prefix("# TYPE ") {
            let (name, kind) = comment.split_once(' ').expect("a name and a type");
            assert!(["counter", "gauge"].contains(&kind), "{line}");
            assert!(families.insert(name), "twice: {line}");
        } else if !line.starts_with("# HELP ") && !line.starts_with("# UNIT ") {
            let (name, value) = line.rsplit_once(' ').expect("a name and a value");
            let family = name.split('{').next().expect("a name");
            let family = family.strip_suffix("_total").unwrap_or(family);
            assert!(families.contains(family), "no type before {line}");
            assert!(value.parse::<f64>().is_ok_and(|value| value >= 0.0), "{line}");
            assert!(samples.insert(name), "twice: {line}");
        }
    }
    assert!(families.len() > 15 && samples.len() > 10, "{metrics}");
}

#[tokio::test]
async fn counters_survive_reloads() {
    const COMPLETE: &str = "fingerpost_streams_ended_total{listener=\"finger\",ending=\"complete\",blame=\"nobody\"}";
    let (site, executor) = site().await;
    let relay = site.start().await;
    site.carries(&executor).await;
    relay.until_metric(COMPLETE, 1).await;
    relay.signal("HUP").await;
    relay.until_metric("fingerpost_reloads_total{result=\"applied\"}", 1).await;
    relay.until_metric("fingerpost_generation", 2).await;
    assert_eq!(relay.metric(COMPLETE).await, 1);
    site.carries(&executor).await;
    relay.until_metric(COMPLETE, 2).await;
}

#[tokio::test]
async fn the_first_certificate_to_expire_is_shown_and_warned_about_at_start_and_at_reload() {
    let (site, authority) = (Site::new(), Authority::new());
    // Those that are soon to expire, by the standards of whoever has to replace them.
    let leaf = authority.issue("relay");
    let site = site.and(&format!(
        "upstream: {{tls: {{cert: {:?}, key: {:?}, ca: {:?}}}}}\n",
        leaf.cert,
        leaf.key,
        authority.ca()
    ));
    let relay = site.start().await;
    let metrics = relay.metrics().await;
    let shown: Vec<_> = metrics.lines().filter(|line| line.starts_with("fingerpost_first_expiry_seconds{")).collect();
    let [shown] = shown.as_slice() else { panic!("{shown:#?}") };
    let (file, seconds) = shown.rsplit_once("\"} ").expect("a label and a value");
    // Made in the same second, one is as good as the other.
    assert!([&leaf.cert, &authority.ca()].iter().any(|made| file.ends_with(made.to_str().expect("text"))), "{shown}");
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.parse().expect("a number"));
    let left = at.duration_since(SystemTime::now()).expect("it is not over");
    assert!(Duration::from_secs(29 * 86_400) < left && left <= Duration::from_secs(30 * 86_400), "{left:?}");
    relay.signal("HUP").await;
    relay.until_metric("fingerpost_generation", 2).await;
    let log = relay.stop().await.text();
    for file in [&leaf.cert, &authority.ca()] {
        let warning = format!("WARN fingerpost::service: {}: ", file.display());
        assert_eq!(log.matches(&warning).count(), 2, "{warning} in {log}");
    }
    assert!(log.contains("expires on ") && log.contains("; replace it before"), "{log}");
}

#[tokio::test]
async fn without_certificates_no_expiry_is_shown() {
    let (site, _executor) = site().await;
    let metrics = site.start().await.metrics().await;
    assert!(!metrics.contains("first_expiry_seconds{"), "{metrics}");
}

#[tokio::test]
async fn a_mirror_that_was_never_read_grows_older() {
    let (site, _executor) = site().await;
    site.write("registry.yaml", "builds: [");
    let relay = site.spawn(&mut site.command());
    relay.until_logged("the registry file cannot be used").await;
    relay.until_logged("serving").await;
    relay.until_metric("fingerpost_registry_age_seconds", 1).await;
    assert_eq!(relay.metric("fingerpost_registry_live").await, 0);
}

async fn site() -> (Site, Executor) {
    let executor = Executor::new().await;
    (Site::with_executor(executor.port()), executor)
}
