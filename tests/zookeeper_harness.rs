//! The ZooKeeper that other tests stand on does what they take for granted.

mod support;

use support::zookeeper::ZooKeeper;
use zookeeper_client::{Acls, Client, CreateMode, SessionState};

#[tokio::test]
async fn data_outlives_a_restart_and_not_a_wipe() {
    let mut server = ZooKeeper::plain().await;
    let client = Client::connect(&server.hosts()).await.unwrap();
    client.create("/kept", b"1", &CreateMode::Persistent.with_acls(Acls::anyone_all())).await.unwrap();
    server.stop();
    server.start().await;
    let client = Client::connect(&server.hosts()).await.unwrap();
    assert!(client.check_stat("/kept").await.unwrap().is_some());
    server.stop();
    server.wipe();
    server.start().await;
    let client = Client::connect(&server.hosts()).await.unwrap();
    assert!(client.check_stat("/kept").await.unwrap().is_none());
}

#[tokio::test]
async fn an_expired_session_loses_its_ephemerals_and_hears_of_it() {
    let server = ZooKeeper::plain().await;
    let client = Client::connect(&server.hosts()).await.unwrap();
    let mut states = client.state_watcher();
    client.create("/mine", b"", &CreateMode::Ephemeral.with_acls(Acls::anyone_all())).await.unwrap();
    let session = server.owner("/mine").await.unwrap();
    assert_eq!(server.sessions().await, [session]);
    server.expire(session).await;
    while states.changed().await != SessionState::Expired {}
    let another = Client::connect(&server.hosts()).await.unwrap();
    assert!(another.check_stat("/mine").await.unwrap().is_none());
}

#[tokio::test]
async fn tls_needs_a_client_certificate() {
    let server = ZooKeeper::with_tls().await;
    let tls = server.tls();
    let talk = |with: &str| {
        let args =
            format!("s_client -connect {} -tls1_2 -quiet -CAfile {} {with}", tls.address, tls.authority.ca().display());
        let mut child = std::process::Command::new("openssl")
            .args(args.split_whitespace())
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"ruok").unwrap();
        String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
    };
    let client = &tls.client;
    assert_eq!(talk(&format!("-cert {} -key {}", client.cert.display(), client.key.display())), "imok");
    assert_eq!(talk(""), "");
}
