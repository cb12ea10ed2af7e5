//! `fingerpost stream`: a finger client, plain and by TLS.

use std::path::Path;

use crate::site::{BUILD, Site, output};
use crate::support::authority::Authority;
use crate::support::executor::Executor;

#[tokio::test]
async fn the_log_comes_to_standard_output_byte_for_byte() {
    let executor = Executor::new().await;
    let asked = async {
        let mut arrival = executor.next().await;
        assert_eq!(arrival.request, format!("{BUILD}\n"));
        arrival.send(b"caf\xc3").await;
        arrival.send(b"\xa9\nend").await;
    };
    let address = format!("127.0.0.1:{}", executor.port());
    let args: [&dyn AsRef<Path>; 3] = [&"stream", &BUILD, &address];
    let ((code, out, err), ()) = tokio::join!(output(&args), asked);
    assert_eq!((code, out.as_str(), err.as_str()), (0, "caf\u{e9}\nend", ""));
}

#[tokio::test]
async fn a_connection_that_fails_is_named_with_exit_code_1() {
    let address = format!("{}:1", Site::new().ip);
    let (code, out, err) = output(&[&"stream", &BUILD, &address]).await;
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.starts_with(&format!("fingerpost: cannot connect to {address}: ")) && err.contains("refused"), "{err}");
}

#[tokio::test]
async fn a_log_that_breaks_off_is_a_failure_after_what_came() {
    let executor = Executor::new().await;
    let asked = async { executor.next().await.reset() };
    let address = format!("127.0.0.1:{}", executor.port());
    let args: [&dyn AsRef<Path>; 3] = [&"stream", &BUILD, &address];
    let ((code, _, err), ()) = tokio::join!(output(&args), asked);
    assert_eq!(code, 1);
    assert!(err.contains(&format!("the log from {address} broke off: after 0 bytes: ")), "{err}");
}

#[tokio::test]
async fn tls_with_a_client_certificate_and_a_server_name_reaches_a_relay_that_wants_both() {
    let (authority, executor) = (Authority::new(), Executor::new().await);
    let (site, stranger) = (tls_site(&authority, executor.port()), Authority::new());
    let relay = site.start().await;
    let client = authority.issue("viewer");
    let with_name = |name: &str| {
        let tls = [
            ("--ca", authority.ca().display().to_string()),
            ("--cert", client.cert.display().to_string()),
            ("--key", client.key.display().to_string()),
            ("--server-name", name.to_owned()),
        ];
        stream(&site, tls.to_vec())
    };
    let ((code, out, err), ()) =
        tokio::join!(with_name("gateway.example"), async { executor.next().await.send(b"by TLS\n").await });
    assert_eq!((code, out.as_str(), err.as_str()), (0, "by TLS\n", ""));

    let (code, _, err) = with_name("other.example").await;
    assert!(code == 1 && err.contains("no TLS with "), "another name: {code}: {err}");
    let (code, _, err) = stream(&site, vec![("--ca", stranger.ca().display().to_string())]).await;
    assert!(code == 1 && err.contains("no TLS with "), "another CA: {code}: {err}");
    let anonymous = [("--ca", authority.ca().display().to_string()), ("--server-name", "gateway.example".to_owned())];
    let (code, _, err) = stream(&site, anonymous.to_vec()).await;
    assert!(code == 1 && err.contains("ertificate"), "no certificate: {code}: {err}");

    let records: Vec<_> = relay.stop().await.records();
    assert_eq!(records.len(), 4, "{records:#?}");
    assert_eq!((&records[0]["server_name"], &records[0]["ending"]), (&"gateway.example".into(), &"complete".into()));
    assert!(records[0]["identity"].as_str().is_some_and(|subject| subject.contains("CN=viewer")), "{}", records[0]);
    for (record, ending) in records[1..].iter().zip(["refused_by_peer", "refused_by_peer", "no_certificate"]) {
        assert_eq!((&record["ending"], &record["blame"]), (&ending.into(), &"viewer".into()), "{record}");
    }
}

/// A site whose listener speaks TLS as `gateway.example`, to those that have a certificate of `authority`.
fn tls_site(authority: &Authority, executor: u16) -> Site {
    let mut site = Site::with_executor(executor).and("log: {format: json}\n");
    let leaf = authority.issue("gateway.example");
    site.listeners += &format!(
        "    tls:\n      certificates: [{{cert: {:?}, key: {:?}}}]\n      client_certificates: required\n      \
         client_ca: {:?}\n      require_known_server_name: false\n",
        leaf.cert,
        leaf.key,
        authority.ca()
    );
    site
}

async fn stream(site: &Site, tls: Vec<(&'static str, String)>) -> (i32, String, String) {
    let address = site.address().to_string();
    let mut args: Vec<&dyn AsRef<Path>> = vec![&"stream", &BUILD, &address, &"--tls"];
    for (option, value) in &tls {
        args.push(option);
        args.push(value);
    }
    output(&args).await
}
