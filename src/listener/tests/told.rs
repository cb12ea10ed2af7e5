//! What the log says of connections that were not taken.

use std::fs::File;

use tracing::subscriber::DefaultGuard;

use super::*;

/// What is logged in this thread.
struct Log {
    file: tempfile::NamedTempFile,
    _guard: DefaultGuard,
}

impl Log {
    fn start() -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        let writer: Arc<File> = Arc::new(file.reopen().unwrap());
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(writer).finish();
        Self { _guard: tracing::subscriber::set_default(subscriber), file }
    }

    fn lines_with(&self, word: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.file.path()).unwrap();
        text.lines().filter(|line| line.contains(word)).map(str::to_owned).collect()
    }
}

async fn until(happened: impl Fn() -> bool) {
    let happening = async {
        while !happened() {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, happening).await.unwrap();
}

#[tokio::test]
async fn closing_a_listener_is_no_failed_accept() {
    let log = Log::start();
    let (mut relay, address) = Relay::with(loopback());
    let _viewer = connect(address).await.unwrap();
    relay.accepted().await;
    relay.listeners.close();
    assert!(relay.listeners.tasks.ended_within(SOON).await);
    // Once more as a reload does it.
    relay.apply(vec![loopback()]).unwrap();
    relay.apply(Vec::new()).unwrap();
    assert!(relay.listeners.tasks.ended_within(SOON).await);
    assert_eq!(log.lines_with("no longer listening").len(), 2);
    assert_eq!(log.lines_with("ERROR"), [""; 0]);
    assert_eq!(relay.turned_away("accept_error"), 0);
}

#[tokio::test]
async fn an_accept_loop_ends_with_its_socket_even_before_it_is_cancelled() {
    let log = Log::start();
    let (mut relay, _) = Relay::with(loopback());
    let socket = Arc::clone(&relay.listeners.sockets[0]);
    relay.listeners.close();
    timeout(SOON, accept::run(socket, drop)).await.unwrap();
    assert_eq!(log.lines_with("ERROR"), [""; 0]);
    assert_eq!(relay.turned_away("accept_error"), 0);
}

#[tokio::test]
async fn a_full_listener_says_once_which_limit_it_reached() {
    let log = Log::start();
    let (mut relay, address) = Relay::with(settings::Listener { max_connections: 1, ..loopback() });
    let _first = connect(address).await.unwrap();
    let _kept = relay.accepted().await;
    for _ in 0..3 {
        assert!(is_closed(&mut connect(address).await.unwrap()).await);
    }
    let [line] = &log.lines_with("WARN")[..] else { panic!("{:?}", log.lines_with("WARN")) };
    assert!(line.contains("listener=\"finger\" max_connections=1"), "{line}");
    assert_eq!(relay.turned_away("listener_full"), 3);
}

#[tokio::test]
async fn an_address_with_too_many_connections_is_told_of_once_with_its_limit() {
    let log = Log::start();
    let (mut relay, address) = Relay::with(settings::Listener { max_connections_per_address: 1, ..loopback() });
    let _first = connect(address).await.unwrap();
    let _kept = relay.accepted().await;
    for _ in 0..3 {
        assert!(is_closed(&mut connect(address).await.unwrap()).await);
    }
    let [line] = &log.lines_with("WARN")[..] else { panic!("{:?}", log.lines_with("WARN")) };
    assert!(line.contains("listener=\"finger\" max_connections_per_address=1 client=127.0.0.1"), "{line}");
    assert_eq!(relay.turned_away("address_full"), 3);
}

#[tokio::test]
async fn an_accept_loop_that_breaks_off_says_so() {
    let log = Log::start();
    let mut relay = Relay::idle();
    let config = Arc::new(Config { settings: loopback(), tls: None, stream: settings::Stream::default() });
    let plan = relay.listeners.plan(vec![config]).unwrap();
    relay.listeners.apply(plan, |_arrival| panic!("a fault of the handler's, made by the test"));
    let _viewer = connect(relay.address()).await.unwrap();
    until(|| relay.turned_away("accept_panic") == 1).await;
    let errors = log.lines_with("ERROR");
    assert!(errors.len() == 1 && errors[0].contains("listener=\"finger\""), "{errors:?}");
}
