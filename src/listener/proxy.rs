//! The PROXY protocol header, by which a load balancer says for whom it speaks.
//!
//! Takes exactly the header's bytes off the socket: what follows belongs to TLS or to the request. Whether the peer is
//! to be believed was decided before. Facts: HAProxy's `doc/proxy-protocol.txt`.

use std::io;
use std::net::SocketAddr;

use ppp::{HeaderResult, v1, v2};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::fault::Fault;

/// The longest header of version 1, in bytes, its end of line included.
const V1_MAX: usize = 107;

/// The fixed part of version 2, in bytes: signature, version, family, and the length of the rest.
const V2_FIXED: usize = 16;

/// The longest header of version 2 that is read, in bytes. Certificates' names and vendors' fields take some hundreds.
const V2_MAX: usize = 4096;

/// Reads the header. `None` where the proxy speaks for itself (`LOCAL`) or cannot say for whom (`UNKNOWN`, Unix
/// sockets): the socket's own address holds then.
///
/// # Errors
/// [`Fault::NoRequest`] when nothing was sent at all, [`Fault::Handshake`] for everything that is no such header.
pub(super) async fn client<R>(proxy: &mut R) -> Result<Option<SocketAddr>, Fault>
where
    R: AsyncRead + Unpin,
{
    let mut header = Vec::with_capacity(V1_MAX);
    while let Some(more) = missing(&header)? {
        let filled = header.len();
        header.resize(filled + more, 0);
        let (_, rest) = header.split_at_mut(filled);
        proxy.read_exact(rest).await.map_err(|error| ended(filled, &error))?;
    }
    address(&header)
}

/// How many of the bytes to come belong to the header for certain; `None` once it is whole.
fn missing(header: &[u8]) -> Result<Option<usize>, Fault> {
    match header {
        [] => Ok(Some(1)),
        [b'P', ..] => Ok((!header.ends_with(b"\n") && header.len() < V1_MAX).then_some(1)),
        [b'\r', ..] if header.len() < V2_FIXED => Ok(Some(V2_FIXED - header.len())),
        [b'\r', ..] => missing_of_v2(header),
        _ => Err(malformed("it starts like none")),
    }
}

fn missing_of_v2(header: &[u8]) -> Result<Option<usize>, Fault> {
    if !header.starts_with(v2::PROTOCOL_PREFIX) {
        return Err(malformed("it starts like none"));
    }
    let declared = header.get(V2_FIXED - 2..V2_FIXED).and_then(|length| <[u8; 2]>::try_from(length).ok());
    let whole = V2_FIXED + declared.map_or(0, |length| usize::from(u16::from_be_bytes(length)));
    if whole > V2_MAX {
        return Err(malformed("it is longer than 4096 bytes"));
    }
    Ok(Some(whole - header.len()).filter(|&more| more > 0))
}

fn address(header: &[u8]) -> Result<Option<SocketAddr>, Fault> {
    let address = match HeaderResult::parse(header) {
        HeaderResult::V1(Ok(header)) => match header.addresses {
            v1::Addresses::Tcp4(ip) => Some((ip.source_address.into(), ip.source_port)),
            v1::Addresses::Tcp6(ip) => Some((ip.source_address.into(), ip.source_port)),
            v1::Addresses::Unknown => None,
        },
        HeaderResult::V2(Ok(header)) => match (header.command, header.addresses) {
            (v2::Command::Proxy, v2::Addresses::IPv4(ip)) => Some((ip.source_address.into(), ip.source_port)),
            (v2::Command::Proxy, v2::Addresses::IPv6(ip)) => Some((ip.source_address.into(), ip.source_port)),
            (v2::Command::Local, _) | (_, v2::Addresses::Unspecified | v2::Addresses::Unix(_)) => None,
        },
        HeaderResult::V1(Err(error)) => return Err(malformed(error)),
        HeaderResult::V2(Err(error)) => return Err(malformed(error)),
    };
    Ok(address.map(|(ip, port): (std::net::IpAddr, u16)| SocketAddr::new(ip.to_canonical(), port)))
}

fn ended(received: usize, error: &io::Error) -> Fault {
    match error.kind() {
        io::ErrorKind::UnexpectedEof if received == 0 => Fault::NoRequest,
        _ => no_header(format!("its PROXY header broke off: {error}")),
    }
}

fn malformed(reason: impl std::fmt::Display) -> Fault {
    no_header(format!("it must send a PROXY header, and this is none: {reason}"))
}

fn no_header(why: String) -> Fault {
    Fault::Handshake { label: "proxy_header", why }
}
