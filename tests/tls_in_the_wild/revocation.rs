//! Revocation lists, as `openssl ca` writes them.

use fingerpost::config::settings::{ClientCertificates, Trust};
use fingerpost::tls::{Client, Server};

use crate::peers::{meet, visit};
use crate::pki::{Authority, Shape, client, path, server};

#[tokio::test]
async fn a_revoked_viewer_is_refused_and_others_are_not() {
    let ca = Authority::new("ca");
    let (good, revoked) = (ca.leaf("good", Shape::Zuul), ca.leaf("revoked", Shape::Zuul));
    ca.revoke(&revoked);
    let trust = Trust { crl: Some(ca.crl()), ..ca.trust() };
    let server = Server::load(&server(&ca.leaf("relay", Shape::Zuul), ClientCertificates::Required(trust))).unwrap();
    let visited = visit(&server, &["-cert", path(&good.cert), "-key", path(&good.key)]).await;
    assert_eq!(visited.accepted.unwrap().identity.unwrap().subject, "CN=good");
    let visited = visit(&server, &["-cert", path(&revoked.cert), "-key", path(&revoked.key)]).await;
    assert_eq!(visited.accepted.unwrap_err().label(), "certificate_revoked");
    assert!(visited.output.contains("alert certificate revoked"), "{}", visited.output);
}

#[tokio::test]
async fn a_ca_without_a_list_revokes_nothing() {
    let (ca, other) = (Authority::new("ca"), Authority::new("other"));
    let both = [&ca, &other].map(|one| std::fs::read_to_string(&one.ca).unwrap()).concat();
    let bundle = ca.write("both.pem", both);
    let trust = Trust { ca: bundle, crl: Some(ca.crl()), version1_certificates: false };
    let viewer = other.leaf("viewer", Shape::Zuul);
    let relay = ca.leaf("relay", Shape::Zuul);
    let server = Server::load(&server(&relay, ClientCertificates::Required(trust))).unwrap();
    let client = Client::load(&client(ca.trust(), Some(&viewer))).unwrap();
    let (ours, theirs) = meet(&client, "relay", &server).await;
    ours.unwrap();
    assert_eq!(theirs.unwrap().identity.unwrap().subject, "CN=viewer");
}
