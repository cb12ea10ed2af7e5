//! Hashes of bytes, in lower-case hexadecimal, by the cryptography that TLS uses. Never holds a key longer than a call.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, SHA512, digest};
use aws_lc_rs::hmac::{self, HMAC_SHA256};

/// SHA-256 (FIPS 180-4).
pub fn sha256(bytes: &[u8]) -> String {
    hexadecimal(digest(&SHA256, bytes).as_ref())
}

/// SHA-512 (FIPS 180-4).
pub fn sha512(bytes: &[u8]) -> String {
    hexadecimal(digest(&SHA512, bytes).as_ref())
}

/// The authentication code of `bytes` under `key`, by SHA-256 (RFC 2104).
pub fn hmac_sha256(key: &[u8], bytes: &[u8]) -> String {
    hexadecimal(hmac::sign(&hmac::Key::new(HMAC_SHA256, key), bytes).as_ref())
}

fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a string cannot fail.
        let _written = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_their_standards() {
        // The examples of FIPS 180-4 for "abc", and test case 2 of RFC 4231.
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert!(sha512(b"abc").starts_with("ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"));
        assert_eq!(
            hmac_sha256(b"Jefe", b"what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
