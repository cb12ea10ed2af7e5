//! The last words to a peer, and a close that does not destroy them. It never waits longer than it was told to.

use std::future::poll_fn;
use std::io;
use std::task::Poll;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tracing::debug;

use crate::fault::Fault;
use crate::scratch;
use crate::stream::delivery::{Delivery, Piece};
use crate::stream::meter::Meter;
use crate::transport::Transport;

/// Most bytes that are read from a peer after the close; more than kernels queue. Who sends on after that only sends.
const MOST_DRAINED: usize = 16 << 20;

/// Sends `text` to `viewer`, such as the reason why there is no log. It adds nothing to it: Zuul's replies end without
/// a newline.
///
/// # Errors
/// [`Fault::ViewerLeft`] if its connection broke, [`Fault::ViewerStalled`] if it took too little within `deadline`.
pub async fn say(viewer: &mut Transport, text: &str, deadline: Duration) -> Result<(), Fault> {
    let saying = async {
        viewer.write_all(text.as_bytes()).await?;
        viewer.flush().await
    };
    within(deadline, saying).await
}

/// Sends `text` to `viewer` as a log would be sent: counted by `meter`, and in records that every viewer can read.
/// Resolves once the viewer's socket has taken all of it.
///
/// # Errors
/// [`Fault::ViewerLeft`] if its connection broke, [`Fault::ViewerStalled`] if it took too little within `deadline`.
pub async fn reply(viewer: &mut Transport, text: &str, meter: &Meter, deadline: Duration) -> Result<(), Fault> {
    let mut delivery = Delivery::default();
    let replying = async {
        let piece = Piece { bytes: text.as_bytes(), records: viewer.records(), last: false };
        poll_fn(|cx| Poll::Ready(delivery.send(viewer, cx, piece, meter))).await?;
        poll_fn(|cx| delivery.poll_clear(viewer, cx, meter)).await
    };
    within(deadline, replying).await
}

/// Closes a connection such that the peer gets all that was sent to it: says TLS's `close_notify` and sends FIN, then
/// reads what the peer still sends, until it closes as well, a limit of bytes, or `deadline`. What is `held` is dropped
/// only once the peer was told, because closing it takes time, for which the last bytes would wait.
///
/// A kernel answers the close of a socket whose input was not read with RST, which destroys what is on its way to the
/// peer. Viewers do send more than they are asked for, such as text after the request line.
///
/// # Errors
/// [`Fault::ViewerLeft`] if the connection broke, [`Fault::ViewerStalled`] if the peer did not close within
/// `deadline`. Either way there is nothing more to do for it.
pub async fn finish<T>(transport: &mut Transport, deadline: Duration, held: T) -> Result<(), Fault> {
    let closing = async {
        transport.shutdown().await?;
        drop(held);
        drain(transport.tcp()).await
    };
    within(deadline, closing).await
}

/// Makes the close of `transport` a reset, which says without doubt that nobody reads on. A relay at the other end
/// would have to guess that from a FIN.
pub fn abandon(transport: &Transport) {
    if let Err(error) = SockRef::from(transport.tcp()).set_linger(Some(Duration::ZERO)) {
        debug!(%error, "a connection nobody needs is closed in order");
    }
}

async fn within(deadline: Duration, work: impl Future<Output = io::Result<()>>) -> Result<(), Fault> {
    match timeout(deadline, work).await {
        Ok(done) => done.map_err(|_| Fault::ViewerLeft),
        Err(_) => Err(Fault::ViewerStalled(deadline)),
    }
}

/// Reads below TLS: nobody wants to know what it says, and broken records do no harm any more.
async fn drain(tcp: &TcpStream) -> io::Result<()> {
    let mut drained = 0;
    while drained < MOST_DRAINED {
        tcp.readable().await?;
        match scratch::lend(|bytes| tcp.try_read(bytes)) {
            Ok(0) => break,
            Ok(bytes) => drained += bytes,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
