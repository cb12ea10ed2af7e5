//! The way in and the way out: who the viewer is behind a proxy, both families of addresses on both sides, and a
//! registry that changes while its old word is dialled.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, lookup_host};
use tokio::time::timeout;

use crate::site::{BUILD, Relay, Site, build};
use crate::support::executor::{Executor, FullQueue};
use crate::support::viewer::{PATIENCE, Viewer};

const JSON: &str = "log: {format: json}\n";

#[tokio::test]
async fn the_route_is_asked_again_if_the_registry_changed_while_dialling() {
    let (hangs, executor) = (FullQueue::new().await, Executor::new().await);
    let site = Site::with_executor(hangs.port()).and(JSON);
    let relay = site.start().await;
    let mut viewer = site.watch(BUILD).await;
    relay.until_metric("fingerpost_policy_decisions_total{reason=\"routed\"}", 1).await;
    let second = build("ffff", executor.port());
    site.write("registry.yaml", &format!("builds:\n{}{second}", build(BUILD, executor.port())));
    relay.until_metric("fingerpost_registry_builds", 2).await;
    // What waited for its queue is refused now.
    drop(hangs);
    executor.next().await.send(b"from the second").await;
    assert_eq!(viewer.rest().await, b"from the second");
    drop(viewer);
    let record = relay.stop().await.record();
    assert_eq!((&record["ending"], &record["tried"]), (&json!("complete"), &json!(2)), "{record}");
    assert_eq!(record["target"], format!("127.0.0.1:{}", executor.port()));
}

#[tokio::test]
async fn the_route_is_asked_again_only_once() {
    let (first, second) = (FullQueue::new().await, Site::new());
    let site = Site::with_executor(first.port()).and(JSON);
    let relay = site.start().await;
    let mut viewer = site.watch(BUILD).await;
    relay.until_metric("fingerpost_policy_decisions_total{reason=\"routed\"}", 1).await;
    // Nobody listens there either.
    let worker = format!(
        "builds:\n  - {{uuid: {BUILD}, worker: {{hostname: {}, log_port: 1}}}}\n{}",
        second.ip,
        build("ffff", 1)
    );
    site.write("registry.yaml", &worker);
    relay.until_metric("fingerpost_registry_builds", 2).await;
    drop(first);
    assert_eq!(viewer.rest().await, b"Internal streaming error");
    drop(viewer);
    assert_eq!(relay.metric("fingerpost_policy_decisions_total{reason=\"routed\"}").await, 2);
    let record = relay.stop().await.record();
    assert_eq!((&record["ending"], &record["tried"]), (&json!("unreachable"), &json!(2)), "{record}");
}

#[tokio::test]
async fn a_listener_on_all_ipv6_addresses_serves_both_families() {
    let executor = Executor::new().await;
    let mut site = Site::with_executor(executor.port());
    site.listeners = "  - {name: finger, address: \"[::]:0\"}\n".to_owned();
    let relay = site.start().await;
    let port = port(&relay).await;
    for address in [(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()] {
        let mut viewer = Viewer::plain(address).await;
        viewer.ask(BUILD).await;
        executor.next().await.send(b"log").await;
        assert_eq!(viewer.rest().await, b"log", "{address}");
    }
    let log = relay.stop().await.text();
    assert!(log.contains(" viewer=127.0.0.1:") && log.contains(" viewer=[::1]:"), "IPv4 is shown as IPv4: {log}");
}

#[tokio::test]
async fn an_executor_called_localhost_is_reached_in_whichever_family_it_listens() {
    // On machines that know one of them only, that is all there is to see.
    let families: Vec<_> = lookup_host("localhost:0").await.expect("localhost").collect();
    assert!(!families.is_empty());
    for family in families {
        let executor = TcpListener::bind(family).await.expect("bound");
        let port = executor.local_addr().expect("an address").port();
        let site = Site::new();
        let worker = format!("builds:\n  - {{uuid: {BUILD}, worker: {{hostname: localhost, log_port: {port}}}}}\n");
        site.write("registry.yaml", &worker);
        let _relay = site.start().await;
        let mut viewer = site.watch(BUILD).await;
        let accepted = timeout(PATIENCE, executor.accept()).await.expect("a connection in time");
        let (mut stream, _) = accepted.expect("a connection");
        stream.write_all(b"log").await.expect("sent");
        viewer.expect(b"log").await;
    }
}

#[tokio::test]
async fn a_viewer_behind_a_proxy_is_recorded_as_itself() {
    let records = behind_a_proxy(&[
        b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 79\r\n",
        b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 79\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x08\xc6\x33\x64\x01\x12\x68\0\x4f",
    ])
    .await;
    // A viewer has its answer before its record is written, so the next one's may come first.
    let mut viewers: Vec<_> = records.iter().map(|record| record["viewer"].as_str().expect("an address")).collect();
    viewers.sort_unstable();
    assert_eq!(viewers, ["192.0.2.7:4711", "192.0.2.8:4712", "[2001:db8::7]:4711"]);
}

#[tokio::test]
async fn a_header_from_an_address_that_is_not_listed_is_no_request() {
    let mut site = Site::new().and(JSON);
    site.listeners += "    proxy_protocol_from: [192.0.2.0/24]\n";
    let relay = site.start().await;
    let mut viewer = Viewer::plain(site.address()).await;
    viewer.send(b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 79\r\n").await;
    assert_eq!(viewer.until_end().await, b"Build not found");
    drop(viewer);
    let record = relay.stop().await.record();
    assert!(record["viewer"].as_str().is_some_and(|viewer| viewer.starts_with("127.0.0.1:")), "{record}");
}

/// The records of one stream for each header.
async fn behind_a_proxy(headers: &[&[u8]]) -> Vec<Value> {
    let executor = Executor::new().await;
    let mut site = Site::with_executor(executor.port()).and(JSON);
    site.listeners += "    proxy_protocol_from: [127.0.0.1]\n";
    let relay = site.start().await;
    for header in headers {
        let mut viewer = Viewer::plain(site.address()).await;
        viewer.send(header).await;
        viewer.ask(BUILD).await;
        executor.next().await.send(b"log").await;
        assert_eq!(viewer.rest().await, b"log");
    }
    relay.stop().await.records()
}

/// The port that the system chose for its first listener.
async fn port(relay: &Relay) -> u16 {
    let line = relay.until_logged("listening listener=\"finger\"").await;
    line.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or_else(|| panic!("{line}"))
}
