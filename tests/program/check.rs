//! `fingerpost check`: every problem of a configuration and of what it names, at once, and exit code 2.

use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use crate::site::{Site, output};
use crate::support::authority::Authority;

#[tokio::test]
async fn a_sound_configuration_is_summed_up() {
    let (code, out, err) = check(&Site::new().and("process: {user: nobody}\n")).await;
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains("fingerpost.yaml: ok\n") && out.contains("policy    built-in\n"), "{out}");
}

#[tokio::test]
async fn every_problem_is_told_at_once_with_its_line() {
    let authority = Authority::new();
    let (leaf, other) = (authority.issue("relay"), authority.issue("other"));
    let mut site = Site::new();
    site.listeners = format!(
        "  - name: a\n    address: \"127.0.0.1:0\"\n    tls:\n      certificates:\n        \
         - {{cert: {:?}, key: {:?}}}\n        - {{cert: expired.pem, key: expired.key}}\n      \
         client_certificates: required\n      client_ca: missing.pem\n",
        leaf.cert, other.key
    );
    site.more = "policy:\n  file: broken.lua\nprocess:\n  user: no-such-user\n".to_owned();
    site.write("broken.lua", "local policy = {\n");
    site.write("registry.yaml", "gateways: [{hostname: h, prot: 79}]");
    expired(&site);
    let (code, out, err) = check(&site).await;
    assert_eq!((code, out.as_str()), (2, ""));
    let file = site.path("fingerpost.yaml");
    for (line, key, text) in [
        (7, "listeners[0].tls.certificates[0].key", "this key does not belong to the certificate in"),
        (8, "listeners[0].tls.certificates[1].cert", "expired on 2020-02-01T00:00:00Z; replace it"),
        (10, "listeners[0].tls.client_ca", "missing.pem: cannot be read: No such file or directory"),
        (11, "registry.file", "registry.yaml:1: gateways[0]: unknown field `prot`"),
        (14, "policy.file", "broken.lua:2: "),
        (16, "process.user", "there is no user \"no-such-user\" on this machine"),
    ] {
        let start = format!("{}:{line}: {key}: ", file.display());
        let found = err.lines().find(|found| found.starts_with(&start));
        assert!(found.is_some_and(|found| found.contains(text)), "{start}…{text}\n in\n{err}");
    }
    let problems = err.lines().filter(|line| line.starts_with(&format!("{}:", file.display()))).count();
    assert_eq!(problems, 6, "{err}");
}

#[tokio::test]
async fn an_unknown_key_is_told_with_the_one_that_was_probably_meant() {
    let (code, _, err) = check(&Site::new().and("polcy: {file: x.lua}\nstream: {drain_timeot: 5s}\n")).await;
    assert_eq!(code, 2);
    assert!(err.contains(":7: polcy: ") && err.contains("policy"), "{err}");
    assert!(err.contains(":8: stream.drain_timeot: ") && err.contains("drain_timeout"), "{err}");
}

#[tokio::test]
async fn run_refuses_what_check_refuses_in_the_same_way() {
    let site = Site::new().and("polcy: {file: x.lua}\n");
    let config = site.configure();
    let (code, _, told) = check(&site).await;
    let (ran, _, refused) = output(&[&"run", &"--config", &config]).await;
    assert_eq!((code, ran), (2, 2));
    assert_eq!(told, refused);
}

#[tokio::test]
async fn run_says_what_is_wrong_with_a_policy_and_exits_2() {
    let site = Site::new().and("policy: {file: broken.lua}\n");
    site.write("broken.lua", "local policy = {\n");
    let (code, _, err) = output(&[&"run", &"--config", &site.configure()]).await;
    assert!(code == 2 && err.contains("broken.lua:2: "), "{code}: {err}");
}

/// A certificate that ended with January 2020, and its key.
fn expired(site: &Site) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(["relay.example".to_owned()]).expect("a name");
    params.not_after = date_time_ymd(2020, 2, 1);
    site.write("expired.pem", &params.self_signed(&key).expect("a certificate").pem());
    site.write("expired.key", &key.serialize_pem());
}

async fn check(site: &Site) -> (i32, String, String) {
    output(&[&"check", &"--config", &site.configure()]).await
}
