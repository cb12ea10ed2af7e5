//! Which server a URL names, and what it asks of it. It never guesses: what is not `http` or `https`, and what hides
//! a password or a port that is none, is refused.

use hyper::http::Uri;
use hyper::http::uri::Authority;

use super::FetchError;

/// A URL, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Url {
    pub(super) scheme: Scheme,
    /// A name or an address, IPv6 without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// The host and port as they were written, for the `Host` header.
    pub(super) authority: String,
    /// The path and query.
    pub(super) path: String,
}

/// How a server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    Http,
    Https,
}

impl Url {
    pub(super) fn parse(text: &str) -> Result<Self, FetchError> {
        // Not quoted in any message: it may hold a password.
        if text.split(['/', '?', '#']).nth(2).is_some_and(|authority| authority.contains('@')) {
            return Err(FetchError::Credentials);
        }
        let bad = |reason: &str| FetchError::BadUrl { url: text.to_owned(), reason: reason.to_owned() };
        let uri: Uri = text.parse().map_err(|error: hyper::http::uri::InvalidUri| bad(&error.to_string()))?;
        let scheme = match uri.scheme_str() {
            Some("http") => Scheme::Http,
            Some("https") => Scheme::Https,
            _ => return Err(bad("it must begin with http:// or https://")),
        };
        let authority = uri.authority().ok_or_else(|| bad("it names no host"))?;
        let port = port(authority, scheme).ok_or_else(|| bad("its port is no number from 1 to 65535"))?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(bad("it names no host"));
        }
        let written = uri.path_and_query().map_or("", |path| path.as_str());
        // A query may follow the host at once; what is sent begins with a slash (RFC 9112, section 3.2.1).
        let path = if written.starts_with('/') { written.to_owned() } else { format!("/{written}") };
        Ok(Self { scheme, host: host.to_owned(), port, authority: authority.to_string(), path })
    }
}

/// The port that is written, or else the scheme's; `None` if what is written is no port.
fn port(authority: &Authority, scheme: Scheme) -> Option<u16> {
    match authority.as_str().strip_prefix(authority.host())? {
        "" if scheme == Scheme::Http => Some(80),
        "" => Some(443),
        written => written.strip_prefix(':')?.parse().ok().filter(|port| *port != 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_what_to_dial_and_what_to_ask() {
        for (text, scheme, dialled, asked) in [
            ("http://a.example", Scheme::Http, ("a.example", 80), ("a.example", "/")),
            ("HTTPS://a.example/x?y=z#part", Scheme::Https, ("a.example", 443), ("a.example", "/x?y=z")),
            ("https://[::1]:8443/@", Scheme::Https, ("::1", 8443), ("[::1]:8443", "/@")),
            ("http://127.0.0.1:8080?q", Scheme::Http, ("127.0.0.1", 8080), ("127.0.0.1:8080", "/?q")),
        ] {
            let url = Url::parse(text).unwrap();
            assert_eq!((url.scheme, url.host.as_str(), url.port), (scheme, dialled.0, dialled.1), "{text}");
            assert_eq!((url.authority.as_str(), url.path.as_str()), asked, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_asked_is_refused_with_its_reason() {
        for (text, reason) in [
            ("ftp://a.example/", "it must begin with http:// or https://"),
            ("a.example", "it must begin with http:// or https://"),
            ("/path", "it must begin with http:// or https://"),
            ("http://a.example:99999/", "its port is no number from 1 to 65535"),
            ("http://a.example:0/", "its port is no number from 1 to 65535"),
            ("http://a.example:/", "its port is no number from 1 to 65535"),
            ("http://a b/", "invalid uri character"),
            ("http:///path", "invalid format"),
        ] {
            let said = Url::parse(text).unwrap_err().to_string();
            assert_eq!(said, format!("cannot fetch {text:?}: {reason}"));
        }
    }

    #[test]
    fn a_password_is_refused_and_not_repeated() {
        for text in ["http://me:secret@a.example/", "https://secret@a.example?x", "http://secret@[::1]:x"] {
            let said = Url::parse(text).unwrap_err().to_string();
            assert!(said.contains("Authorization") && !said.contains("secret"), "{said}");
        }
    }
}
