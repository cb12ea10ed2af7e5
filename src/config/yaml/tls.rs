//! The `tls` sections of the configuration, towards viewers and towards others. The files are named, not read.

use crate::config::section::Section;
use crate::config::settings::{ClientCertificates, ClientTls, KeyPairFiles, ServerTls, TlsVersion, Trust};
use crate::config::value::{boolean, one_of};

/// What to do about a listener's `tls` that is empty.
pub(super) const EMPTY_SERVER: &str = "remove the key for plain TCP, or give certificates";

/// What to do about a client's `tls` that is empty.
pub(super) const EMPTY_CLIENT: &str = "remove the key for plain TCP, or give ca";

/// Whether a client checks host names unless the file says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HostNames {
    /// It does.
    Verified,
    /// It does not: so does Kazoo, and ZooKeeper's certificates are made accordingly.
    Ignored,
}

#[derive(Debug, Clone, Copy)]
enum Demand {
    None,
    Optional,
    Required,
}

/// Reads a listener's `tls`.
pub(super) fn server(mut section: Section<'_>) -> Option<ServerTls> {
    let given = section.has("certificates");
    let pairs = section.sections("certificates");
    if !given || pairs.as_ref().is_some_and(Vec::is_empty) {
        section.problem("certificates", "is missing; a TLS listener needs a certificate and its key");
    }
    // All or none: findings about a certificate name it by its number. Each is read, so that each is reported.
    let pairs: Vec<_> = pairs.unwrap_or_default().into_iter().map(key_pair).collect();
    let certificates = pairs.into_iter().collect::<Option<_>>();
    let versions = [("1.2", TlsVersion::V1_2), ("1.3", TlsVersion::V1_3)];
    let known = section.value("require_known_server_name", boolean);
    let version = section.value("min_version", one_of(&versions));
    let clients = client_certificates(&mut section);
    Some(ServerTls {
        certificates: certificates?,
        require_known_server_name: known.unwrap_or(false),
        client_certificates: clients?,
        min_version: version.unwrap_or(TlsVersion::V1_2),
    })
}

fn client_certificates(section: &mut Section<'_>) -> Option<ClientCertificates> {
    let words = [("none", Demand::None), ("optional", Demand::Optional), ("required", Demand::Required)];
    let demand = section.value("client_certificates", one_of(&words));
    let ca = section.path_value("client_ca");
    let crl = section.path_value("client_crl");
    let version1_certificates = section.value("client_version1_certificates", boolean).unwrap_or(false);
    let trust = ca.map(|ca| Trust { ca, crl, version1_certificates });
    let demand = if section.has("client_certificates") { demand? } else { Demand::None };
    match (demand, trust) {
        (Demand::None, None) => Some(ClientCertificates::None),
        (Demand::Optional, Some(trust)) => Some(ClientCertificates::Optional(trust)),
        (Demand::Required, Some(trust)) => Some(ClientCertificates::Required(trust)),
        (Demand::None, Some(_)) => {
            section.problem("client_ca", "has no effect while client_certificates is none; say optional or required");
            None
        }
        (Demand::Optional | Demand::Required, None) => {
            section.problem("client_ca", "is missing; client certificates are checked against it");
            None
        }
    }
}

fn key_pair(mut section: Section<'_>) -> Option<KeyPairFiles> {
    let cert = section.required_path("cert");
    let key = section.required_path("key");
    Some(KeyPairFiles { cert: cert?, key: key? })
}

/// Reads a client's `tls`.
pub(super) fn client(mut section: Section<'_>, names: HostNames) -> Option<ClientTls> {
    let identity = identity(&mut section);
    let ca = section.required_path("ca");
    let crl = section.path_value("crl");
    let version1 = section.value("version1_certificates", boolean);
    let verify = section.value("verify_hostnames", boolean);
    Some(ClientTls {
        identity,
        trust: Trust { ca: ca?, crl, version1_certificates: version1.unwrap_or(false) },
        verify_hostnames: verify.unwrap_or(names == HostNames::Verified),
    })
}

/// Reads `cert` and `key`: both or none.
fn identity(section: &mut Section<'_>) -> Option<KeyPairFiles> {
    let cert = section.path_value("cert");
    let key = section.path_value("key");
    match (section.has("cert"), section.has("key")) {
        (true, false) => section.problem("cert", "stands without its key"),
        (false, true) => section.problem("key", "stands without its certificate, cert"),
        _ => {}
    }
    Some(KeyPairFiles { cert: cert?, key: key? })
}
