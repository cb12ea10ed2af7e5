//! Why a handshake came to nothing, sorted by what happened, in words for an operator.
//!
//! It must never lose the cause: every reason keeps its source.

use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error as Tls, InvalidMessage};

/// Why a handshake came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// There is no server name to send or to check.
    #[error("{host:?} is neither a DNS name nor an address")]
    BadHost {
        /// What was given as the host.
        host: String,
    },
    /// The peer sent something that is no TLS.
    #[error("plain text instead of TLS")]
    PlainText(#[source] io::Error),
    /// The peer closed before the handshake was over.
    #[error("the peer closed the connection in the middle of the handshake")]
    Closed(#[source] io::Error),
    /// A viewer asked for a server that is not here.
    #[error("no certificate is configured for the server name {name:?}")]
    UnknownServerName {
        /// What the viewer asked for.
        name: String,
    },
    /// A viewer showed no certificate where one is required.
    #[error("the peer showed no certificate, and one is required")]
    NoCertificate(#[source] io::Error),
    /// The peer's certificate was refused.
    #[error("the peer's certificate {fault}")]
    Certificate {
        /// What is wrong with it.
        fault: CertificateFault,
        /// The error that carried the refusal.
        #[source]
        source: io::Error,
    },
    /// The peer sent an alert.
    #[error("the peer refused: {alert}")]
    Refused {
        /// The alert's name, with what it means where that is known.
        alert: String,
        /// The error that carried the alert.
        #[source]
        source: io::Error,
    },
    /// The two sides do not speak the same TLS.
    #[error("no agreement on TLS: {0}")]
    Protocol(#[source] io::Error),
    /// The connection broke.
    #[error("the connection broke in the handshake: {0}")]
    Io(#[source] io::Error),
}

/// What is wrong with a peer's certificate. Reads on after "the peer's certificate".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateFault {
    /// No configured CA has its issuer's name.
    #[error("comes from a CA that is not configured here")]
    UnknownIssuer,
    /// The CA's own time is over.
    #[error("comes from a CA that expired on {}", humantime::format_rfc3339_seconds(*.on))]
    ExpiredCa {
        /// The end of the CA's validity.
        on: SystemTime,
    },
    /// The CA's signature in it, or the peer's signature with its key, does not verify.
    #[error("comes with a bad signature: its CA is a namesake of the configured one, or its key is not the peer's")]
    BadSignature,
    /// Its time is over.
    #[error("expired on {}", humantime::format_rfc3339_seconds(*.on))]
    Expired {
        /// The end of its validity.
        on: SystemTime,
    },
    /// Its time has not come.
    #[error("is valid only from {} on; compare the clocks", humantime::format_rfc3339_seconds(*.from))]
    NotYetValid {
        /// The start of its validity.
        from: SystemTime,
    },
    /// It is for another host.
    #[error("is valid for {}, not for {host}", listed(names))]
    WrongName {
        /// The host that was dialled.
        host: String,
        /// The hosts that it is for.
        names: Vec<String>,
    },
    /// Its CA revoked it.
    #[error("was revoked by its CA")]
    Revoked,
    /// Whether it was revoked cannot be said any more.
    #[error("cannot be checked: its CA's revocation list expired on {}", humantime::format_rfc3339_seconds(*.on))]
    RevocationListExpired {
        /// When the list should have been replaced.
        on: SystemTime,
    },
    /// It is of X.509 version 1, and nobody allowed that.
    #[error("({subject}) is of X.509 version 1; make it anew as version 3, or allow version 1 certificates")]
    Version1 {
        /// The certificate's subject.
        subject: String,
    },
    /// Its key can be broken.
    #[error("has a key of {bits} bits only; it takes RSA of 2048 or an elliptic curve of 256")]
    WeakKey {
        /// The key's size in bits.
        bits: usize,
    },
    /// It is made for something else.
    #[error("is not for this use: its extended key usage is another one")]
    WrongUse,
    /// Something else.
    #[error("was refused: {0}")]
    Other(String),
}

impl HandshakeError {
    /// The metric label, from a closed set.
    pub fn label(&self) -> &'static str {
        match self {
            Self::BadHost { .. } => "bad_host",
            Self::PlainText(_) => "plain_text",
            Self::Closed(_) => "closed",
            Self::UnknownServerName { .. } => "unknown_server_name",
            Self::NoCertificate(_) => "no_certificate",
            Self::Certificate { fault, .. } => fault.label(),
            Self::Refused { .. } => "refused_by_peer",
            Self::Protocol(_) => "protocol",
            Self::Io(_) => "broken",
        }
    }
}

impl CertificateFault {
    /// A CA's validity ended at `until`.
    pub(super) fn expired_ca(until: UnixTime) -> Self {
        Self::ExpiredCa { on: at(until) }
    }

    fn label(&self) -> &'static str {
        match self {
            Self::UnknownIssuer => "certificate_unknown_issuer",
            Self::ExpiredCa { .. } => "certificate_expired_ca",
            Self::BadSignature => "certificate_bad_signature",
            Self::Expired { .. } | Self::NotYetValid { .. } => "certificate_expired",
            Self::WrongName { .. } => "certificate_wrong_name",
            Self::Revoked => "certificate_revoked",
            Self::RevocationListExpired { .. } => "revocation_list_expired",
            Self::Version1 { .. } => "certificate_version1",
            Self::WeakKey { .. } | Self::WrongUse | Self::Other(_) => "certificate_unfit",
        }
    }
}

impl From<io::Error> for HandshakeError {
    /// Sorts an error of tokio-rustls, which carries rustls's own inside where there is one.
    fn from(error: io::Error) -> Self {
        let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<Tls>()) else {
            return match error.kind() {
                io::ErrorKind::UnexpectedEof => Self::Closed(error),
                _ => Self::Io(error),
            };
        };
        match tls {
            Tls::InvalidMessage(InvalidMessage::InvalidContentType) => Self::PlainText(error),
            Tls::NoCertificatesPresented => Self::NoCertificate(error),
            Tls::AlertReceived(alert) => Self::Refused { alert: meaning(*alert), source: error },
            Tls::InvalidCertificate(reason) => {
                Self::Certificate { fault: CertificateFault::from(reason), source: error }
            }
            _ => Self::Protocol(error),
        }
    }
}

impl From<&CertificateError> for CertificateFault {
    fn from(error: &CertificateError) -> Self {
        match error {
            CertificateError::UnknownIssuer => Self::UnknownIssuer,
            CertificateError::BadSignature => Self::BadSignature,
            CertificateError::ExpiredContext { not_after, .. } => Self::Expired { on: at(*not_after) },
            CertificateError::NotValidYetContext { not_before, .. } => Self::NotYetValid { from: at(*not_before) },
            CertificateError::NotValidForNameContext { expected, presented } => {
                Self::WrongName { host: expected.to_str().into_owned(), names: presented.clone() }
            }
            CertificateError::Revoked => Self::Revoked,
            CertificateError::ExpiredRevocationListContext { next_update, .. } => {
                Self::RevocationListExpired { on: at(*next_update) }
            }
            CertificateError::InvalidPurpose => Self::WrongUse,
            CertificateError::Other(other) => {
                other.0.downcast_ref::<Self>().cloned().unwrap_or_else(|| Self::Other(error.to_string()))
            }
            _ => Self::Other(error.to_string()),
        }
    }
}

/// An alert's name (RFC 8446, section 6), with what the operator of this side can do about it.
fn meaning(alert: AlertDescription) -> String {
    let text = match alert {
        AlertDescription::CertificateRequired => "certificate_required; it wants a client certificate",
        AlertDescription::UnknownCA => "unknown_ca; it does not trust the CA of this relay's certificate",
        AlertDescription::BadCertificate => "bad_certificate; it does not accept this relay's certificate",
        AlertDescription::CertificateExpired => "certificate_expired; this relay's certificate expired, by its clock",
        AlertDescription::CertificateRevoked => "certificate_revoked; this relay's certificate was revoked",
        AlertDescription::CertificateUnknown => "certificate_unknown; it does not accept this relay's certificate",
        AlertDescription::DecryptError => "decrypt_error; a signature failed: often two CAs of the same name",
        AlertDescription::UnrecognisedName => "unrecognized_name; it has no certificate for the name it was asked for",
        AlertDescription::ProtocolVersion => "protocol_version; it speaks neither TLS 1.2 nor 1.3",
        AlertDescription::HandshakeFailure => "handshake_failure; no common cipher, or it wants a client certificate",
        other => return format!("{other:?}"),
    };
    text.to_owned()
}

fn at(time: UnixTime) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(time.as_secs())
}

fn listed(names: &[String]) -> String {
    match names {
        [] => "no host at all".to_owned(),
        names => names.join(", "),
    }
}
