//! What is logged, and that it can be changed while the relay runs.

use crate::site::{BUILD, Site};
use crate::support::executor::Executor;

#[tokio::test]
async fn a_new_level_takes_effect_while_it_runs() {
    let executor = Executor::new().await;
    let mut site = Site::with_executor(executor.port()).and("log: {level: info, records: false}\n");
    let relay = site.start().await;
    assert_eq!(site.watch(&"a".repeat(2000)).await.until_end().await, b"Internal streaming error");
    site.more = "log: {level: debug, records: false}\n".to_owned();
    site.configure();
    relay.until_logged("reloaded by=").await;
    assert!(!relay.log().text().contains("stream failed"), "at level info a viewer's fault is not worth a line");
    assert_eq!(site.watch(&"a".repeat(2000)).await.until_end().await, b"Internal streaming error");
    let line = relay.until_logged("stream failed").await;
    assert!(line.contains("DEBUG") && line.contains("blame=\"viewer\"") && line.contains("bad request line"), "{line}");
}

#[tokio::test]
async fn records_can_be_switched_on_while_it_runs() {
    let executor = Executor::new().await;
    let mut site = Site::with_executor(executor.port()).and("log: {records: false}\n");
    let relay = site.start().await;
    site.carries(&executor).await;
    site.more = String::new();
    site.configure();
    relay.until_logged("reloaded by=").await;
    site.carries(&executor).await;
    let log = relay.stop().await.text();
    assert_eq!(log.matches("stream ended").count(), 1, "{log}");
    assert!(log.contains("generation=2") && log.contains(BUILD), "{log}");
}

#[tokio::test]
async fn the_zookeeper_library_is_silent_unless_it_is_asked_for() {
    for (level, speaks) in [("trace", false), ("\"info,zookeeper_client=trace\"", true)] {
        // It takes a connection, and ends it in the middle of the library's work.
        let zookeeper = Executor::new().await;
        let mut site = Site::new().and(&format!("log: {{level: {level}}}\n"));
        site.registry = format!("{{zookeeper: {{hosts: \"127.0.0.1:{}\"}}}}", zookeeper.port());
        let relay = site.spawn(&mut site.command());
        zookeeper.slam().await;
        let line = relay.until_logged("no connection to ZooKeeper").await;
        assert!(line.contains("WARN"), "{line}");
        if speaks {
            relay.until_logged("zookeeper_client").await;
        }
        let log = relay.stop().await.text();
        assert_eq!(log.contains(" zookeeper_client"), speaks, "{log}");
    }
}
