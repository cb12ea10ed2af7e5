//! A reload is adopted whole or not at all, whatever part of it fails and whoever asked for it; and what it changes of
//! the relay's own registration, the rest of Zuul sees.

use std::net::{TcpListener, TcpStream};

use serde_json::{Value, json};

use super::*;

#[tokio::test]
async fn a_broken_authority_file_leaves_the_old_one_in_force() {
    let site = Site::tls().await;
    let authority = fs::read_to_string(site.world.authority().ca()).expect("a PEM file");
    let yaml = with_own_authority(&site, "");
    site.reloads(|dir| {
        replace(dir, "ca.pem", &authority);
        replace(dir, "fingerpost.yaml", &yaml);
    })
    .await;
    site.refuses(|dir| replace(dir, "ca.pem", "no certificate at all")).await;
    says_why(&site, "ca.pem").await;
    site.serves().await;
}

#[tokio::test]
async fn a_broken_revocation_list_changes_nothing() {
    let site = Site::tls().await;
    let authority = fs::read_to_string(site.world.authority().ca()).expect("a PEM file");
    let yaml = with_own_authority(&site, "\n      client_crl: crl.pem");
    site.refuses(|dir| {
        replace(dir, "ca.pem", &authority);
        replace(dir, "crl.pem", "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n");
        replace(dir, "fingerpost.yaml", &yaml);
    })
    .await;
    says_why(&site, "crl.pem").await;
    site.serves().await;
}

#[tokio::test]
async fn a_new_listener_whose_port_is_taken_changes_nothing_else_either() {
    let site = Site::plain().await;
    let taken = TcpListener::bind(site.second_address()).expect("bound");
    let monitoring = site.gateway.conf.monitoring;
    let elsewhere = (monitoring.ip(), monitoring.port() + 1).into();
    let listeners = format!("listeners:\n  - {{name: second, address: \"{}\"}}\n", site.second_address());
    let wanted = yaml(&site.world, &site.gateway.conf).replace("listeners:\n", &listeners) + "log:\n  level: debug\n";
    let moved = wanted.replace(&monitoring.to_string(), &format!("{elsewhere}"));
    assert_ne!(moved, wanted);
    // That the refusal is counted shows that the old monitoring port still answers.
    site.refuses(|dir| replace(dir, "fingerpost.yaml", &moved)).await;
    says_why(&site, &site.second_address().to_string()).await;
    assert!(TcpStream::connect::<std::net::SocketAddr>(elsewhere).is_err(), "no second monitoring port");
    // Lines are gathered for a moment; the one that tells of this stream comes after all others.
    site.serves().await;
    site.gateway.until_logged("stream ended").await;
    assert!(!site.gateway.log().contains(" DEBUG "), "the log level");

    drop(taken);
    site.reloads(|dir| replace(dir, "fingerpost.yaml", &wanted)).await;
    site.serves().await;
    // The log level, once nothing is in the way.
    site.gateway.until_logged(" DEBUG ").await;
}

#[tokio::test]
async fn zuul_sees_the_new_port_of_the_registered_listener() {
    let site = Site::plain().await;
    let before = component(&site, json!({"public_port": site.gateway.conf.address.port()})).await;
    let (old, new) = (site.gateway.conf.address, site.second_address());
    let yaml = yaml(&site.world, &site.gateway.conf).replace(&old.to_string(), &new.to_string());
    site.reloads(|dir| replace(dir, "fingerpost.yaml", &yaml)).await;
    let after = component(&site, json!({"public_port": new.port()})).await;
    assert_eq!(after["path"], before["path"], "the znode");
    let mut viewer = Viewer::plain(new).await;
    viewer.ask(&site.uuid).await;
    site.executor.next().await.send(b"the log").await;
    assert_eq!(viewer.rest().await, b"the log");
    assert!(TcpStream::connect(old).is_err(), "the old port is closed");
}

#[tokio::test]
async fn zuul_sees_that_the_registered_listener_speaks_tls_now() {
    let site = Site::plain().await;
    let before = component(&site, json!({"use_ssl": false})).await;
    let address = format!("address: \"{}\"\n", site.gateway.conf.address);
    let yaml = yaml(&site.world, &site.gateway.conf);
    let yaml = yaml.replace(&address, &format!("{address}{}", server_tls(&site.world)));
    site.reloads(|dir| replace(dir, "fingerpost.yaml", &yaml)).await;
    let after = component(&site, json!({"use_ssl": true})).await;
    assert_eq!(after["path"], before["path"], "the znode");
    shows_the_certificate_of(&site, site.world.authority()).await;
}

#[tokio::test]
async fn a_signal_and_a_command_reload_as_well() {
    let site = Site::plain().await;
    site.reloads(|_unchanged| site.gateway.signal("HUP")).await;
    site.reloads(|_unchanged| site.gateway.command("reload")).await;
    site.serves().await;
}

/// The configuration with the authority of viewers in a file of its own, and `more` after it.
fn with_own_authority(site: &Site, more: &str) -> String {
    let yaml = yaml(&site.world, &site.gateway.conf);
    let shared = format!("client_ca: \"{}\"", site.world.authority().ca().display());
    assert!(yaml.contains(&shared), "{yaml}");
    yaml.replace(&shared, &format!("client_ca: ca.pem{more}"))
}

/// The log names what is wrong with the generation that was refused.
async fn says_why(site: &Site, what: &str) {
    let line = site.gateway.until_logged("reload refused").await;
    assert!(line.contains(what), "{line}");
}

/// What Zuul sees of the relay, once it has the values of `shown`.
async fn component(site: &Site, shown: Value) -> Value {
    let mut what = json!({"hostname": site.gateway.conf.hostname, "state": "running"});
    for (key, value) in shown.as_object().expect("keys and values") {
        what[key] = value.clone();
    }
    site.world.gateways(what, 1).await.remove(0)
}
