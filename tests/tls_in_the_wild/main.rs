//! TLS against OpenSSL, with certificates as sites have them, in both directions.
#![cfg(test)]

mod endings;
mod impostor;
mod loading;
mod peers;
mod pki;
mod revocation;
mod servers;
mod version1;
mod viewers;
