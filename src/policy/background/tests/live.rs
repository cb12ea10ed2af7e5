//! The world itself: servers and files of this machine, as jobs reach them.

use std::os::unix::fs::symlink;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::spawn_blocking;

use super::*;
use crate::config::settings::{ClientCertificates, KeyPairFiles, ServerTls, TlsVersion, Trust};
use crate::policy::FailureKind;
use crate::policy::outside::live::Live;
use crate::tls;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde";

impl Site {
    /// A job with `body` in the world as it is.
    fn live(&self, body: &str) -> Hands {
        let policy = self.load(&format!("relay.every(1, function()\n{body}\nend)"));
        let stop = CancellationToken::new();
        let folders = Arc::clone(policy.folders());
        let outside = Arc::new(Live::new(Handle::current(), folders, stop.clone(), metrics::Policy::default()));
        Hands { jobs: policy.jobs(&stop).remove(0), world: Arc::clone(&self.world), outside, stop }
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn text(&self) -> String {
        match self.word("word") {
            Some(Value::Text(text)) => String::from_utf8_lossy(&text).into_owned(),
            other => panic!("{other:?}"),
        }
    }
}

impl Hands {
    /// Runs on a thread of its own, as in a relay.
    async fn off(mut self) -> Result<(), Failure> {
        spawn_blocking(move || self.run(0)).await.unwrap()
    }
}

async fn listening() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

/// Hears a request out, up to its empty line, and says `answer`.
async fn serve(mut peer: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin, answer: &[u8]) -> String {
    let mut heard = Vec::new();
    while !heard.ends_with(b"\r\n\r\n") {
        heard.push(peer.read_u8().await.unwrap());
    }
    // Who stops reading at a limit resets the connection.
    let _written = (peer.write_all(answer).await, peer.shutdown().await);
    String::from_utf8(heard).unwrap()
}

async fn accept(listener: &TcpListener, answer: &[u8]) -> String {
    serve(listener.accept().await.unwrap().0, answer).await
}

#[tokio::test]
async fn a_server_is_asked_and_its_answer_kept() {
    let (site, (listener, address)) = (Site::new(), listening().await);
    let job = site.live(&format!(
        "relay.shared.set('word', http.get('http://{address}/flag?x', {{ headers = {{ accept = 'text/plain' }} }}).body)"
    ));
    let (outcome, heard) = tokio::join!(job.off(), accept(&listener, ANSWER));
    outcome.unwrap();
    assert!(heard.starts_with("GET /flag?x HTTP/1.1\r\n") && heard.contains("accept: text/plain\r\n"), "{heard}");
    assert_eq!(site.text(), "abcde");
}

#[tokio::test]
async fn an_answer_past_its_bounds_and_no_answer_are_failures() {
    let (site, (listener, address)) = (Site::new(), listening().await);
    let large = site.live(&format!("http.get('http://{address}/', {{ max_bytes = 4 }})"));
    let (outcome, _heard) = tokio::join!(large.off(), accept(&listener, ANSWER));
    let failed = outcome.unwrap_err();
    assert!(failed.message.contains("with a body of more than 4 bytes"), "{failed}");
    assert_eq!(failed.line, Some(2));
    let silent = site.live(&format!("http.get('http://{address}/', {{ timeout = 0.05 }})"));
    let failed = silent.off().await.unwrap_err();
    assert!(failed.message.contains("http.get: connected to"), "{failed}");
    assert!(failed.message.ends_with("was not over within 50ms"), "{failed}");
    assert_eq!(failed.kind, FailureKind::Error);
}

#[tokio::test]
async fn waits_count_against_the_deadline_even_if_the_script_catches_their_end() {
    let (mut site, (_listener, address)) = (Site::new(), listening().await);
    site.limits.background.deadline = Duration::from_millis(50);
    let job = site.live(&format!("while true do pcall(http.get, 'http://{address}/') end"));
    let failed = job.off().await.unwrap_err();
    assert_eq!(failed.kind, FailureKind::Time);
    assert!(failed.message.starts_with("the job took 50ms with its waits"), "{failed}");
}

#[tokio::test]
async fn a_wait_ends_as_soon_as_the_jobs_are_told_to() {
    let (site, (listener, address)) = (Site::new(), listening().await);
    let job = site.live(&format!("http.get('http://{address}/', {{ timeout = 3600 }})"));
    let stop = job.stop.clone();
    let stopping = async {
        let (mut peer, _) = listener.accept().await.unwrap();
        let _first = peer.read_u8().await.unwrap();
        stop.cancel();
        let mut rest = Vec::new();
        // The connection is let go of as well.
        let _end = peer.read_to_end(&mut rest).await;
    };
    let (outcome, ()) = tokio::join!(job.off(), stopping);
    let failed = outcome.unwrap_err();
    assert!(failed.message.starts_with("the job was stopped"), "{failed}");
}

#[tokio::test]
async fn names_are_looked_up() {
    let site = Site::new();
    site.live("relay.shared.set('word', dns.lookup('192.0.2.7')[1])").off().await.unwrap();
    assert_eq!(site.text(), "192.0.2.7");
    let failed = site.live("dns.lookup('no..name', { timeout = 5 })").off().await.unwrap_err();
    assert!(failed.message.starts_with("dns.lookup: cannot resolve the name no..name"), "{failed}");
}

#[tokio::test]
async fn files_are_read_in_the_folder_and_nowhere_else() {
    let site = Site::new();
    site.write("..2026/flag.txt", "of the day");
    symlink("..2026", site.dir.path().join("..data")).unwrap();
    symlink("..data/flag.txt", site.dir.path().join("flag.txt")).unwrap();
    site.live("relay.shared.set('word', files.read('flag.txt'))").off().await.unwrap();
    assert_eq!(site.text(), "of the day");
    site.write("large.txt", &"x".repeat((1 << 20) + 1));
    symlink("/etc/passwd", site.dir.path().join("out.txt")).unwrap();
    for (name, why) in [
        ("../mine.lua", "\"../mine.lua\" is no path inside of the folder"),
        ("/etc/passwd", "\"/etc/passwd\" is no path inside of the folder"),
        ("out.txt", "\"out.txt\" leads out of its folder, to /etc/passwd"),
        ("none.txt", "\"none.txt\" is not in /"),
        ("large.txt", "\"large.txt\" is longer than 1048576 bytes"),
    ] {
        let failed = site.live(&format!("files.read('{name}')")).off().await.unwrap_err();
        assert!(failed.message.starts_with(&format!("files.read: {why}")), "{name}: {failed}");
    }
}

#[tokio::test]
async fn a_file_among_the_overlays_comes_first() {
    let mut site = Site::new();
    let overlays = tempfile::tempdir().unwrap();
    site.limits.overlays = Some(overlays.path().to_owned());
    site.write("a.txt", "of the package");
    site.live("relay.shared.set('word', files.read('a.txt'))").off().await.unwrap();
    assert_eq!(site.text(), "of the package");
    std::fs::write(overlays.path().join("a.txt"), "of the operator").unwrap();
    site.live("relay.shared.set('word', files.read('a.txt'))").off().await.unwrap();
    assert_eq!(site.text(), "of the operator");
}

/// A CA, and a certificate of it for 127.0.0.1, beside the policy.
fn certify(site: &Site) -> tls::Server {
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_key = KeyPair::generate().unwrap();
    let ca_cert = ca.self_signed(&ca_key).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap();
    for (name, pem) in [("ca.pem", ca_cert.pem()), ("cert.pem", leaf.pem()), ("key.pem", key.serialize_pem())] {
        site.write(name, &pem);
    }
    let file = |name: &str| site.dir.path().join(name);
    let trust = Trust { ca: file("ca.pem"), crl: None, version1_certificates: false };
    tls::Server::load(&ServerTls {
        certificates: vec![KeyPairFiles { cert: file("cert.pem"), key: file("key.pem") }],
        require_known_server_name: false,
        client_certificates: ClientCertificates::Required(trust),
        min_version: TlsVersion::V1_2,
    })
    .unwrap()
}

async fn accept_tls(server: &tls::Server, listener: &TcpListener) {
    if let Ok(accepted) = server.accept(listener.accept().await.unwrap().0).await {
        let _heard = serve(accepted.stream, ANSWER).await;
    }
}

#[tokio::test]
async fn a_certificate_from_the_folder_is_shown_to_who_wants_one() {
    let (site, (listener, address)) = (Site::new(), listening().await);
    let server = certify(&site);
    let job = site.live(&format!(
        "relay.shared.set('word', http.get('https://{address}/', \
         {{ ca = 'ca.pem', certificate = 'cert.pem', key = 'key.pem' }}).body)"
    ));
    let (outcome, ()) = tokio::join!(job.off(), accept_tls(&server, &listener));
    outcome.unwrap_or_else(|failed| panic!("{failed}"));
    assert_eq!(site.text(), "abcde");
}

#[tokio::test]
async fn a_stranger_is_not_asked_and_a_missing_file_is_named() {
    let (site, (listener, address)) = (Site::new(), listening().await);
    let server = certify(&site);
    let job = site.live(&format!("http.get('https://{address}/')"));
    let (outcome, ()) = tokio::join!(job.off(), accept_tls(&server, &listener));
    let failed = outcome.unwrap_err();
    assert!(failed.message.contains("the peer's certificate comes "), "{failed}");
    let failed = site.live(&format!("http.get('https://{address}/', {{ ca = 'no.pem' }})")).off().await.unwrap_err();
    assert!(failed.message.contains("http.get: no.pem: cannot be read: is not in /"), "{failed}");
}
