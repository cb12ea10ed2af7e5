//! Names to addresses, by the C library: its rules, its files, its servers. It knows no deadline; who asks brings one.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// Looks names up, so many at one time. Clones share that number.
#[derive(Debug, Clone)]
pub struct Resolver {
    places: Arc<Semaphore>,
}

impl Resolver {
    /// Look-ups at one time; more wait for their turn. One that hangs holds its thread until the library gives up,
    /// long after whoever asked has gone. A reload reads its files on threads of the same pool, which has 512.
    const LOOK_UPS: usize = 64;

    /// Most addresses of one name that are told. Who publishes more means load balancing, not reachability.
    const MAX_ADDRESSES: usize = 16;

    fn new(look_ups: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(look_ups)) }
    }

    /// The addresses of `host`, the library's favourite first.
    pub(super) async fn addresses(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let host = host.to_owned();
        let look_up = move || Ok((host.as_str(), port).to_socket_addrs()?.take(Self::MAX_ADDRESSES).collect());
        self.in_its_turn(look_up).await
    }

    /// The place is given back when `look_up` has ended, not when its answer is no longer waited for.
    async fn in_its_turn(
        &self,
        look_up: impl FnOnce() -> io::Result<Vec<SocketAddr>> + Send + 'static,
    ) -> io::Result<Vec<SocketAddr>> {
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(io::Error::other)?;
        spawn_blocking(move || {
            let found = look_up();
            drop(place);
            found
        })
        .await?
    }
}

impl Default for Resolver {
    fn default() -> Self {
        Self::new(Self::LOOK_UPS)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::{Pin, pin};
    use std::sync::mpsc;
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::upstream::look_up;

    fn once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_up_is_waited_for_until_its_deadline() {
        let resolver = Resolver::new(0);
        let said = look_up(&resolver, "localhost", std::time::Duration::from_secs(3)).await.unwrap_err().to_string();
        assert_eq!(said, "the name localhost was not resolved within 3s");
    }

    #[tokio::test]
    async fn a_look_up_that_hangs_holds_its_place_when_nobody_waits_for_it_any_more() {
        let resolver = Resolver::new(1);
        let (release, held) = mpsc::channel::<()>();
        let mut hangs = Box::pin(resolver.in_its_turn(move || {
            let _released = held.recv();
            Ok(Vec::new())
        }));
        assert!(once(hangs.as_mut()).is_pending());
        drop(hangs);
        let mut next = pin!(resolver.addresses("localhost", 79));
        assert!(once(next.as_mut()).is_pending());
        assert_eq!(resolver.places.available_permits(), 0);
        // Addresses wait for nobody.
        let literal = look_up(&resolver, "::1", std::time::Duration::ZERO).await.unwrap();
        assert_eq!(literal, [std::net::Ipv6Addr::LOCALHOST]);
        drop(release);
        assert!(next.await.unwrap().iter().all(|address| address.ip().is_loopback()));
        assert_eq!(resolver.places.available_permits(), 1);
    }
}
