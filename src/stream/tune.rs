//! Socket options of viewers and upstreams. They are what finds a peer that vanished without a word, and must not
//! find one that only reads slowly.
//!
//! Two kernel timers share the work. Keepalive probes a connection on which nothing is under way;
//! `TCP_USER_TIMEOUT` ends one on which something is, and stays unacknowledged. The second also counts the time that
//! a peer's receive window is too small for what is next, though it answers every probe (measured on Linux 6.18:
//! viewers reading 6 KiB/s were cut at a limit of 3 s), and overrules the count of keepalive probes. So a viewer never
//! has one: what is under way to it is watched by [`patience`](super::patience), and by a deadline of its own before
//! and after that.
//!
//! Viewers come with their options: Linux hands those of a listening socket down to every connection that it completes
//! (`sk_clone`), so that they are set once for all viewers and not once for each.
//!
//! A peer at a loopback address is probed rarely. It is taken not to vanish: our kernel says when it is gone, unless it
//! had said before that it sends no more. And probes could harm it: the loopback device drops what is more than
//! `net.core.netdev_max_backlog` (1000) packets at a time, so that thousands of streams that fell silent together would
//! lose their probes together, and then be cut (measured on Linux 6.18: 1998 of 4000 connections, after three probes).
//!
//! Nor is there a network to be fair to on the way to such a peer. A congestion control that paces, as BBR does, sends
//! by timers there what could be sent at once; so viewers of a listener at a loopback address have one that does not.
//! It has to be chosen before they come: once a connection was paced, the kernel goes on with that, whoever controls
//! its congestion (`sk_pacing_status`). Other addresses of this machine don't count: behind them may be NAT, and
//! another machine.

use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::net::sockopt::{set_tcp_congestion, set_tcp_keepcnt, set_tcp_keepidle, set_tcp_keepintvl};
use socket2::SockRef;
use tokio::net::TcpStream;
use tracing::{debug, warn};

use crate::config::settings;

/// Most bytes that the kernel queues for a peer beyond what is on its way to it. Without it Linux keeps up to 4 MiB of
/// its own memory for every viewer that does not read.
const MOST_UNSENT: u32 = 128 << 10;

/// Shortest silence after which a peer at a loopback address is probed; the longest is twice that.
const RARELY: Duration = Duration::from_secs(300);

/// The same for one that will not say anything more by itself.
const LESS_RARELY: Duration = Duration::from_secs(60);

/// What the kernel takes for a time.
const LONGEST_IDLE: Duration = Duration::from_secs(32_767);

/// A congestion control that does not pace. Every kernel has it, and lets everybody choose it unless told otherwise.
const UNPACED: &str = "reno";

/// Sets the options of every upstream: keepalive, and a limit for bytes that stay unacknowledged, of `keepalive_idle`
/// and all `keepalive_probes` together, which is all that the kernel asks then: it does not count probes. One at a
/// loopback address is probed rarely, without such a limit and as often as the kernel does by itself.
///
/// Each is set by itself, and a connection whose options cannot be set is still good; that is only logged.
pub fn tune_upstream(tcp: &TcpStream, peer: IpAddr, settings: &settings::Stream) {
    if peer.to_canonical().is_loopback() {
        note("SO_KEEPALIVE", SockRef::from(tcp).set_keepalive(true));
        let port = tcp.local_addr().map_or(0, |own| own.port());
        probe_after(tcp, staggered(settings.keepalive_idle.max(RARELY), RARELY, port));
    } else {
        probe(tcp, settings);
        note("TCP_USER_TIMEOUT", SockRef::from(tcp).set_tcp_user_timeout(Some(silence(settings))));
    }
}

/// Sets the options of every viewer, on a listening socket for all viewers to come or on a viewer's own: no delay for
/// small writes, keepalive, and how much the kernel queues for it.
///
/// Each is set by itself, and a socket whose options cannot be set is still good; that is only logged.
pub fn tune_viewers(socket: &impl AsFd, settings: &settings::Stream) {
    note("TCP_NODELAY", SockRef::from(socket).set_tcp_nodelay(true));
    note("TCP_NOTSENT_LOWAT", SockRef::from(socket).set_tcp_notsent_lowat(MOST_UNSENT));
    probe(socket, settings);
    obey("keepalive_probes", set_tcp_keepcnt(socket, settings.keepalive_probes));
}

/// Sets the options of a viewer whose listening socket may not have had them yet when it connected.
pub fn tune_early_viewer(tcp: &TcpStream, settings: &settings::Stream) {
    if !SockRef::from(tcp).keepalive().unwrap_or(false) {
        tune_viewers(tcp, settings);
    }
}

/// Sets what a viewer does not have in common with all others of its listening socket. The kernel is asked who it is,
/// because that may be a proxy before it.
pub fn tune_viewer(tcp: &TcpStream, settings: &settings::Stream) {
    if let Some(port) = loopback_port(tcp) {
        probe_after(tcp, staggered(settings.keepalive_idle.max(RARELY), RARELY, port));
    }
}

/// Has logs sent without pacing to all viewers to come of a listening socket that is bound to `address`, if only
/// viewers on this machine can be among them.
pub fn unpace_viewers(socket: &impl AsFd, address: IpAddr) {
    if address.is_loopback() {
        note("TCP_CONGESTION", set_tcp_congestion(socket, UNPACED).map_err(io::Error::from));
    }
}

fn probe(socket: &impl AsFd, settings: &settings::Stream) {
    note("SO_KEEPALIVE", SockRef::from(socket).set_keepalive(true));
    obey("keepalive_idle", set_tcp_keepidle(socket, whole_seconds(settings.keepalive_idle)));
    obey("keepalive_interval", set_tcp_keepintvl(socket, whole_seconds(settings.keepalive_interval)));
}

/// Probes a peer more often, because it will not say anything more by itself.
pub(super) fn probe_often(tcp: &TcpStream, settings: &settings::Stream) {
    probe_after(tcp, often(settings, loopback_port(tcp)));
}

/// `loopback_port` is that of a peer at a loopback address.
fn often(settings: &settings::Stream, loopback_port: Option<u16>) -> Duration {
    let idle = settings.keepalive_idle.min(settings.keepalive_interval);
    match loopback_port {
        Some(port) => staggered(idle.max(LESS_RARELY), LESS_RARELY, port),
        None => whole_seconds(idle),
    }
}

fn probe_after(tcp: &TcpStream, idle: Duration) {
    note("TCP_KEEPIDLE", set_tcp_keepidle(tcp, idle).map_err(io::Error::from));
}

/// `least` and up to `spread` more, by the one port in which connections differ, so that few share a moment.
fn staggered(least: Duration, spread: Duration, port: u16) -> Duration {
    (least + Duration::from_secs(u64::from(port) % spread.as_secs())).min(LONGEST_IDLE)
}

/// The port of a peer at a loopback address. Of the peer nothing is known but its connection.
fn loopback_port(tcp: &TcpStream) -> Option<u16> {
    let peer = tcp.peer_addr().ok()?;
    peer.ip().to_canonical().is_loopback().then_some(peer.port())
}

/// The kernel counts in whole seconds and refuses 0.
fn whole_seconds(time: Duration) -> Duration {
    time.max(Duration::from_secs(1))
}

fn silence(settings: &settings::Stream) -> Duration {
    /// The kernel counts milliseconds in an `int`.
    const LONGEST: Duration = Duration::from_millis(i32::MAX as u64);

    let probes = settings.keepalive_interval.saturating_mul(settings.keepalive_probes);
    settings.keepalive_idle.saturating_add(probes).min(LONGEST)
}

/// An operator asked for this one, by a key of `stream`.
fn obey(key: &'static str, set: rustix::io::Result<()>) {
    if let Err(error) = set {
        warn!(key, %error, "the kernel refuses a setting of stream; its own default holds instead");
    }
}

fn note(option: &'static str, set: io::Result<()>) {
    if let Err(error) = set {
        debug!(option, %error, "a socket option could not be set");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::net::Ipv4Addr;

    use tokio::net::TcpListener;

    use super::*;
    use crate::stream::tests::loopback;

    /// Stands for a peer that is elsewhere (RFC 5737).
    const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

    fn is_probed(socket: &SockRef<'_>) {
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(10));
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(5));
    }

    fn is_tuned_for_viewers(socket: &SockRef<'_>) {
        assert!(socket.tcp_nodelay().unwrap());
        is_probed(socket);
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), 3);
        assert_eq!(socket.tcp_notsent_lowat().unwrap(), MOST_UNSENT);
        assert_eq!(socket.tcp_user_timeout().unwrap(), None);
    }

    #[tokio::test]
    async fn an_upstream_is_probed_and_may_not_leave_bytes_unacknowledged() {
        let (tcp, _peer) = loopback().await;
        tune_upstream(&tcp, ELSEWHERE, &settings::Stream::default());
        let socket = SockRef::from(&tcp);
        is_probed(&socket);
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(Duration::from_secs(25)));
    }

    #[tokio::test]
    async fn a_viewer_may_leave_bytes_unacknowledged_and_is_probed_all_the_same() {
        let (tcp, _peer) = loopback().await;
        tune_viewers(&tcp, &settings::Stream::default());
        is_tuned_for_viewers(&SockRef::from(&tcp));
    }

    #[tokio::test]
    async fn viewers_have_the_options_of_their_listening_socket() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        tune_viewers(&listener, &settings::Stream::default());
        let _viewer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (tcp, _) = listener.accept().await.unwrap();
        is_tuned_for_viewers(&SockRef::from(&tcp));
    }

    #[tokio::test]
    async fn a_viewer_that_came_before_its_listening_socket_had_options_gets_them() {
        let (tcp, _peer) = loopback().await;
        tune_early_viewer(&tcp, &settings::Stream::default());
        is_tuned_for_viewers(&SockRef::from(&tcp));
    }

    /// After how long a viewer and an upstream on this machine are probed.
    async fn probed_after(settings: &settings::Stream) -> [Duration; 2] {
        let (viewer, upstream) = loopback().await;
        tune_viewers(&viewer, settings);
        tune_viewer(&viewer, settings);
        tune_upstream(&upstream, Ipv4Addr::LOCALHOST.into(), settings);
        [viewer, upstream].map(|tcp| {
            let socket = SockRef::from(&tcp);
            assert!(socket.keepalive().unwrap());
            socket.tcp_keepalive_time().unwrap()
        })
    }

    /// All of them dial one port, as viewers dial a relay and relays an executor.
    #[tokio::test]
    async fn peers_on_this_machine_are_probed_rarely_and_never_all_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut connections = Vec::new();
        for _ in 0..50 {
            let dialled = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            dialled.set_nonblocking(true).unwrap();
            connections.push((listener.accept().await.unwrap().0, TcpStream::from_std(dialled).unwrap()));
        }
        let settings = settings::Stream::default();
        let (mut viewers, mut upstreams) = (HashSet::new(), HashSet::new());
        for (viewer, upstream) in &connections {
            tune_viewer(viewer, &settings);
            tune_upstream(upstream, Ipv4Addr::LOCALHOST.into(), &settings);
            viewers.insert(SockRef::from(viewer).tcp_keepalive_time().unwrap());
            upstreams.insert(SockRef::from(upstream).tcp_keepalive_time().unwrap());
        }
        for times in [viewers, upstreams] {
            assert!(times.iter().all(|time| (RARELY..RARELY * 2).contains(time)), "{times:?}");
            assert!(times.len() > 25, "{times:?}");
        }
    }

    #[test]
    fn who_says_no_more_is_probed_after_an_interval_and_on_this_machine_within_two_minutes() {
        let mut settings = settings::Stream::default();
        assert_eq!(often(&settings, None), Duration::from_secs(5));
        assert_eq!(often(&settings, Some(59)), Duration::from_secs(119));
        assert_eq!(often(&settings, Some(60)), Duration::from_secs(60));
        settings.keepalive_idle = Duration::from_secs(2);
        assert_eq!(often(&settings, None), Duration::from_secs(2));
    }

    #[tokio::test]
    async fn who_wants_probes_to_be_rarer_still_gets_that_on_this_machine_too() {
        let hours = Duration::from_secs(2 * 3600);
        let settings = settings::Stream { keepalive_idle: hours, ..settings::Stream::default() };
        for time in probed_after(&settings).await {
            assert!((hours..hours + RARELY).contains(&time), "{time:?}");
        }
        assert_eq!(staggered(LONGEST_IDLE, RARELY, 7), LONGEST_IDLE);
    }

    #[tokio::test]
    async fn times_below_a_second_are_rounded_up() {
        let (tcp, _peer) = loopback().await;
        let settings = settings::Stream {
            keepalive_idle: Duration::from_millis(20),
            keepalive_interval: Duration::from_millis(10),
            ..settings::Stream::default()
        };
        tune_upstream(&tcp, ELSEWHERE, &settings);
        assert_eq!(SockRef::from(&tcp).tcp_keepalive_time().unwrap(), Duration::from_secs(1));
        assert_eq!(SockRef::from(&tcp).tcp_keepalive_interval().unwrap(), Duration::from_secs(1));
    }

    #[tokio::test]
    async fn one_setting_that_the_kernel_refuses_costs_no_other() {
        let (tcp, _peer) = loopback().await;
        let settings =
            settings::Stream { keepalive_idle: Duration::from_secs(10 * 3600), ..settings::Stream::default() };
        tune_upstream(&tcp, ELSEWHERE, &settings);
        let socket = SockRef::from(&tcp);
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(5));
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(Duration::from_secs(10 * 3600 + 15)));
    }

    #[tokio::test]
    async fn the_longest_silence_is_one_that_the_kernel_takes() {
        let (tcp, _peer) = loopback().await;
        let longest = Duration::from_secs(32_767);
        let settings = settings::Stream {
            keepalive_idle: longest,
            keepalive_interval: longest,
            keepalive_probes: 127,
            ..settings::Stream::default()
        };
        tune_upstream(&tcp, ELSEWHERE, &settings);
        let timeout = SockRef::from(&tcp).tcp_user_timeout().unwrap();
        assert_eq!(timeout, Some(Duration::from_millis(i32::MAX as u64)));
    }
}
