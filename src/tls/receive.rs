//! Reads what a peer sent and decrypts it, as much at a time as there is room for. Left to itself, rustls asks the
//! socket for 4 KiB at a time: five system calls for each record of a large log.
//!
//! Nothing stays here: what was received is handed to rustls at once, which keeps less than one record.

use std::io::{self, Read as _, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustls::{ConnectionCommon, SideData};
use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::net::TcpStream;

use super::handshake::HandshakeError;
use crate::scratch;

/// Reads into `buf` what `tcp` has for `session`. Nothing is the end, with or without `close_notify`.
///
/// # Errors
/// Those of the socket, and `InvalidData` with a [`HandshakeError`] for a record that breaks the stream, once all that
/// came before it was read.
pub(super) fn poll_receive<S: SideData>(
    tcp: &mut TcpStream,
    session: &mut ConnectionCommon<S>,
    cx: &mut Context<'_>,
    buf: &mut ReadBuf<'_>,
) -> Poll<io::Result<()>> {
    let before = buf.filled().len();
    loop {
        match take_decrypted(session, buf) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Poll::Ready(Ok(())),
            other => return Poll::Ready(other),
        }
        // What broke the stream earlier is said again whenever it is asked.
        session.process_new_packets().map_err(broken)?;
        ready!(poll_decrypt(tcp, session, cx, buf))?;
        if buf.filled().len() > before {
            return Poll::Ready(Ok(()));
        }
    }
}

/// Moves to `buf` what has been decrypted already.
fn take_decrypted<S: SideData>(session: &mut ConnectionCommon<S>, buf: &mut ReadBuf<'_>) -> io::Result<()> {
    let bytes = session.reader().read(buf.initialize_unfilled())?;
    buf.advance(bytes);
    Ok(())
}

/// Receives once, no more than `buf` has room for, and decrypts that into it.
fn poll_decrypt<S: SideData>(
    tcp: &mut TcpStream,
    session: &mut ConnectionCommon<S>,
    cx: &mut Context<'_>,
    buf: &mut ReadBuf<'_>,
) -> Poll<io::Result<()>> {
    scratch::lend(|bytes| {
        let most = buf.remaining().min(bytes.len());
        let mut received = ReadBuf::new(bytes.get_mut(..most).unwrap_or_default());
        ready!(Pin::new(&mut *tcp).poll_read(cx, &mut received))?;
        Poll::Ready(decrypt(tcp, session, received.filled(), buf))
    })
}

/// Decrypts all of `received`; nothing is the end. It is to be asked for what is in `session` after a failure.
fn decrypt<S: SideData>(
    tcp: &TcpStream,
    session: &mut ConnectionCommon<S>,
    mut received: &[u8],
    buf: &mut ReadBuf<'_>,
) -> io::Result<()> {
    loop {
        let fed = session.read_tls(&mut received)?;
        if session.process_new_packets().is_err() {
            // The peer is told why, if it can be told at once.
            let _told = session.write_tls(&mut AtOnce(tcp));
            return Ok(());
        }
        // Between two steps, because rustls takes no more once it holds a record's worth that nobody has read.
        let _end_or_nothing = take_decrypted(session, buf);
        // After `close_notify` nothing more is taken.
        if fed == 0 || received.is_empty() {
            return Ok(());
        }
    }
}

fn broken(error: rustls::Error) -> io::Error {
    let error = io::Error::new(io::ErrorKind::InvalidData, error);
    io::Error::new(io::ErrorKind::InvalidData, HandshakeError::from(error))
}

/// Writes what the socket takes now.
struct AtOnce<'a>(&'a TcpStream);

impl Write for AtOnce<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
