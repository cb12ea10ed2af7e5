//! Viewers that come all the time: one after the other asks which policy decides, and watches a whole log.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::changes::QUESTION;
use crate::logs::lines;
use crate::site::BUILD;
use crate::support::viewer::PATIENCE;

/// How many come side by side.
const DOORS: usize = 2;

/// From one to the next at the same door, unless it takes longer.
const PACE: Duration = Duration::from_millis(20);

/// Viewers that come until they are told to stay away.
pub(crate) struct Newcomers {
    doors: JoinSet<Vec<Answer>>,
    newest: watch::Receiver<u64>,
    open: watch::Sender<bool>,
}

/// Which policy decided a stream.
pub(crate) struct Answer {
    /// The number of the change that made it.
    pub(crate) number: u64,
    /// When the viewer knew.
    pub(crate) at: Instant,
}

impl Newcomers {
    pub(crate) fn start(relay: SocketAddr) -> Self {
        let (newest, seen) = watch::channel(0);
        let open = watch::Sender::new(true);
        let mut doors = JoinSet::new();
        for _ in 0..DOORS {
            doors.spawn(come(relay, open.subscribe(), newest.clone()));
        }
        Self { doors, newest: seen, open }
    }

    /// Waits for a stream that was decided by the policy of that number.
    pub(crate) async fn until_on(&mut self, number: u64) {
        let reached = self.newest.wait_for(|newest| *newest == number);
        let reached = timeout(PATIENCE, reached).await.unwrap_or_else(|_| panic!("no stream on policy {number}"));
        if reached.is_err() {
            panic!("all newcomers failed before policy {number}");
        }
    }

    /// Lets nobody in any more, and returns what everybody was told.
    pub(crate) async fn leave(mut self) -> Vec<Answer> {
        self.open.send_replace(false);
        let mut answers = Vec::new();
        while let Some(left) = self.doors.join_next().await {
            answers.extend(left.expect("every newcomer was served"));
        }
        answers
    }
}

async fn come(relay: SocketAddr, open: watch::Receiver<bool>, newest: watch::Sender<u64>) -> Vec<Answer> {
    let mut answers = Vec::new();
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while *open.borrow() {
        pace.tick().await;
        let number = ask(relay, QUESTION).await;
        let number = number.parse().unwrap_or_else(|_| panic!("no number, but {number:?}"));
        answers.push(Answer { number, at: Instant::now() });
        newest.send_replace(number);
        assert_eq!(ask(relay, BUILD).await, lines(BUILD, 0..1), "under policy {number}");
    }
    answers
}

/// Everything that comes of one request.
async fn ask(relay: SocketAddr, line: &str) -> String {
    let mut answer = String::new();
    let asking = async {
        let mut stream = TcpStream::connect(relay).await?;
        stream.write_all(format!("{line}\n").as_bytes()).await?;
        stream.read_to_string(&mut answer).await
    };
    timeout(PATIENCE, asking).await.expect("an answer in time").expect("an answer");
    answer
}
