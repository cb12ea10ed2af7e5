//! The command socket over real sockets, with clients that behave and clients that do not.

use super::*;

const SOON: Duration = Duration::from_secs(20);

struct Relay {
    folder: tempfile::TempDir,
    tasks: Tasks,
    orders: mpsc::Receiver<Order>,
}

impl Relay {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tasks = Tasks::new();
        let orders = CommandSocket::bind(&folder.path().join("socket")).await.unwrap().serve(&tasks);
        Self { folder, tasks, orders }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    async fn client(&self, line: &[u8]) -> UnixStream {
        let mut client = UnixStream::connect(self.path()).await.unwrap();
        client.write_all(line).await.unwrap();
        client
    }

    async fn order(&mut self) -> Order {
        timeout(SOON, self.orders.recv()).await.unwrap().unwrap()
    }
}

async fn reply(client: &mut UnixStream) -> String {
    let mut reply = String::new();
    timeout(SOON, client.read_to_string(&mut reply)).await.unwrap().unwrap();
    reply
}

#[tokio::test]
async fn every_command_is_delivered_and_answered() {
    let mut relay = Relay::start().await;
    for command in Command::ALL {
        let mut client = relay.client(format!("{}\n", command.as_str()).as_bytes()).await;
        let order = relay.order().await;
        assert_eq!(order.command, command);
        order.answer.send(Ok(String::new())).unwrap();
        assert_eq!(reply(&mut client).await, "ok\n");
    }
}

#[tokio::test]
async fn every_problem_of_a_reload_is_told() {
    let mut relay = Relay::start().await;
    let mut client = relay.client(b"reload\n").await;
    relay.order().await.answer.send(Err(vec!["a.yaml:1: zone: empty".to_owned(), "b.lua:2: oops".to_owned()])).unwrap();
    assert_eq!(reply(&mut client).await, "error: a.yaml:1: zone: empty\nerror: b.lua:2: oops\n");
}

#[tokio::test]
async fn what_was_asked_for_is_the_answer_and_our_own_client_reads_it() {
    let mut relay = Relay::start().await;
    let path = relay.path();
    let outcomes = [Ok(r#"{"candidate": "new.lua"}"#.to_owned()), Err(vec!["a".to_owned(), "b".to_owned()])];
    for outcome in outcomes.into_iter().chain([Ok(String::new())]) {
        let (asked, ()) = tokio::join!(ask(&path, Command::Shadow), async {
            relay.order().await.answer.send(outcome.clone()).unwrap();
        });
        assert_eq!(asked.unwrap(), outcome);
    }
    let nobody = ask(&path.with_extension("gone"), Command::Shadow).await;
    assert_eq!(nobody.unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[tokio::test]
async fn zuuls_own_client_which_leaves_at_once_is_obeyed() {
    let mut relay = Relay::start().await;
    drop(relay.client(b"stop\n").await);
    let order = relay.order().await;
    assert_eq!(order.command, Command::Stop);
    order.answer.send(Ok(String::new())).unwrap();
}

#[tokio::test]
async fn an_unknown_command_is_refused_with_the_known_ones() {
    let mut relay = Relay::start().await;
    let mut client = relay.client(b"_stop\n").await;
    assert_eq!(
        reply(&mut client).await,
        "error: unknown command \"_stop\": this socket takes stop, pause, unpause, reload, shadow\n"
    );
    let mut endless = relay.client(&[b'x'; 1024]).await;
    assert!(reply(&mut endless).await.starts_with("error: unknown command"));
    assert!(relay.orders.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn silent_clients_are_sent_off_so_that_a_full_crowd_of_them_only_delays() {
    let mut relay = Relay::start().await;
    let mut silent = Vec::new();
    for _ in 0..CROWD {
        silent.push(relay.client(b"sto").await);
    }
    let _client = relay.client(b"stop\n").await;
    assert_eq!(relay.orders.recv().await.unwrap().command, Command::Stop);
    for client in &mut silent {
        assert_eq!(reply(client).await, "");
    }
}

#[tokio::test]
async fn a_relay_that_leads_no_more_answers_that_it_stops() {
    let mut relay = Relay::start().await;
    let mut client = relay.client(b"reload\n").await;
    drop(relay.order().await);
    assert_eq!(reply(&mut client).await, "error: reload: the relay is stopping\n");
}

#[tokio::test]
async fn the_file_is_for_its_owner_only_and_goes_with_the_relay() {
    let relay = Relay::start().await;
    let mode = fs::metadata(relay.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    relay.tasks.stop();
    assert!(relay.tasks.ended_within(SOON).await);
    assert!(!relay.path().exists());
}

#[tokio::test]
async fn the_command_that_stopped_the_relay_is_still_answered_and_silent_clients_do_not_delay_the_end() {
    let mut relay = Relay::start().await;
    let _silent = relay.client(b"").await;
    let mut client = relay.client(b"stop\n").await;
    let order = relay.order().await;
    relay.tasks.stop();
    order.answer.send(Ok(String::new())).unwrap();
    assert_eq!(reply(&mut client).await, "ok\n");
    assert!(relay.tasks.ended_within(SOON / 4).await);
}

#[tokio::test]
async fn a_stale_socket_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    CommandSocket::bind(&path).await.unwrap();
}

#[tokio::test]
async fn a_path_that_somebody_else_uses_is_left_alone() {
    let relay = Relay::start().await;
    let error = CommandSocket::bind(&relay.path()).await.unwrap_err();
    assert!(matches!(error, CommandSocketError::InUse(_)), "{error}");
    let file = relay.folder.path().join("notes.txt");
    fs::write(&file, "keep me").unwrap();
    let error = CommandSocket::bind(&file).await.unwrap_err();
    assert!(matches!(error, CommandSocketError::NotASocket(_)), "{error}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "keep me");
    let error = CommandSocket::bind(Path::new("/nonexistent/socket")).await.unwrap_err();
    assert!(error.to_string().contains("/nonexistent/socket: No such file"), "{error}");
}
