//! What needs a process of its own: one without descriptors, and one that systemd passed a socket to.

use std::process::{Command, Stdio};

use socket2::SockRef;
use tokio::time::timeout;

use super::{Relay, SOON, connect, loopback};
use crate::config::settings;
use crate::config::settings::ListenAddress;
use crate::listener::Passed;

/// Runs the ignored test `name` of this module in a process of its own, which a shell prepares by `preparation`.
fn in_own_process(name: &str, preparation: &str, stdin: Stdio) {
    let output = Command::new("sh")
        .args(["-c", &format!("{preparation} exec \"$0\" \"$@\"")])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &format!("listener::tests::own_process::{name}"), "--ignored", "--nocapture"])
        .stdin(stdin)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_process_out_of_descriptors_goes_on_accepting_once_it_has_some() {
    in_own_process("out_of_descriptors", "ulimit -n 64;", Stdio::null());
}

#[tokio::test]
#[ignore = "uses up the descriptors of its process; runs in one of its own"]
async fn out_of_descriptors() {
    let (mut relay, address) = Relay::with(loopback());
    let mut hoard: Vec<_> = std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect();
    assert!(hoard.len() < 64);
    drop(hoard.pop());
    let viewer = connect(address).await.unwrap();
    let refused = async {
        while relay.turned_away("accept_error") == 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, refused).await.unwrap();
    assert!(relay.incoming.try_recv().is_err());
    drop(hoard);
    assert_eq!(relay.accepted().await.peer, viewer.local_addr().unwrap());
}

#[test]
fn a_socket_of_systemd_is_found_by_name_and_by_index_and_outlives_its_listener() {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let as_systemd = "LISTEN_PID=$$; LISTEN_FDS=1; export LISTEN_PID LISTEN_FDS; exec 3<&0 0</dev/null;";
    in_own_process("passed_by_systemd", as_systemd, std::os::fd::OwnedFd::from(socket).into());
}

#[tokio::test]
#[ignore = "needs a socket passed to its process; runs in one of its own"]
async fn passed_by_systemd() {
    let by = |name: &str| settings::Listener { address: ListenAddress::Systemd(name.to_owned()), ..loopback() };
    let mut relay = Relay::idle();
    relay.listeners = relay.listeners.with_passed(Passed::from_systemd(Some("viewers")));
    relay.apply(vec![by("viewers")]).unwrap();
    let address = relay.address();
    let errors = relay.apply(vec![by("others")]).unwrap_err();
    assert_eq!(
        errors[0].to_string(),
        "listener finger: cannot listen on systemd's socket \"others\": it passed 0=\"viewers\": set \
         FileDescriptorName= in the .socket unit, or use one of these names or an index"
    );
    relay.apply(Vec::new()).unwrap();
    let viewer = connect(address).await.unwrap();
    relay.apply(vec![by("0")]).unwrap();
    assert_eq!(relay.accepted().await.peer, viewer.local_addr().unwrap());
}

#[test]
fn a_viewer_that_only_systemd_listened_for_has_its_socket_options_once_it_is_greeted() {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let as_systemd = "LISTEN_PID=$$; LISTEN_FDS=1; export LISTEN_PID LISTEN_FDS; exec 3<&0 0</dev/null;";
    in_own_process("earlier_than_the_relay", as_systemd, std::os::fd::OwnedFd::from(socket).into());
}

#[tokio::test]
#[ignore = "needs a socket passed to its process; runs in one of its own"]
async fn earlier_than_the_relay() {
    let passed = Passed::from_systemd(None);
    let bound = passed.socket("0", &settings::Stream::default()).unwrap();
    SockRef::from(&bound.tcp).set_keepalive(false).unwrap();
    let _viewer = connect(bound.address).await.unwrap();
    drop(bound);
    let mut relay = Relay::idle();
    relay.listeners = relay.listeners.with_passed(passed);
    let by_index = settings::Listener { address: ListenAddress::Systemd("0".to_owned()), ..loopback() };
    relay.apply(vec![by_index]).unwrap();
    let incoming = relay.accepted().await;
    assert!(!SockRef::from(&incoming.tcp).keepalive().unwrap());
    let viewer = incoming.greet().await.unwrap();
    assert!(SockRef::from(viewer.transport.tcp()).keepalive().unwrap());
}

#[tokio::test]
async fn a_socket_that_systemd_did_not_pass_is_missed_by_name() {
    let wanted = settings::Listener { address: ListenAddress::Systemd("viewers".to_owned()), ..loopback() };
    let errors = Relay::idle().apply(vec![wanted]).unwrap_err();
    assert!(errors[0].to_string().contains("passed no sockets at all"), "{}", errors[0]);
}
