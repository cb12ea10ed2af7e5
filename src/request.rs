//! The request line: what a viewer sends before it only reads, understood exactly as Zuul's gateway does.
//!
//! Nothing here asks the registry, and no text that is not hexadecimal leaves as a build's uuid. The facts are those
//! of `BaseFingerRequestHandler.getCommand` in Zuul 14.3.0 and of the path rules of its ZooKeeper client, kazoo.

use std::pin::pin;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tracing::debug;

use crate::fault::Fault;
use crate::names::BuildId;

/// Zuul's `MAX_REQUEST_LEN`, in bytes: so many, wherever the newline stands, are refused.
pub const TOO_LONG: usize = 1024;

/// What a viewer asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// The line without its end and without trailing white space; leading white space is kept.
    pub line: String,
    /// The build that the line names; `None` if it can name none, which viewers are told as `Build not found`.
    pub build: Option<BuildId>,
}

/// The one line that an upstream is sent. There is no other line in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line(Asking);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Asking {
    Build(BuildId),
    Anything(String),
}

/// Reads what is missing of a request from `viewer`, whose first bytes are `received`; often nothing is. What follows
/// the line in the same bytes is ignored.
///
/// # Errors
/// [`Fault::NoRequest`] when the viewer closes or breaks off first, [`Fault::RequestTimeout`] when `patience` runs out,
/// [`Fault::BadRequest`] as soon as no further byte could make it a request.
pub async fn read<R>(received: Vec<u8>, viewer: &mut R, patience: Duration) -> Result<Query, Fault>
where
    R: AsyncRead + Unpin,
{
    // By reference: a future that is handed on by value has its room twice, and is copied.
    tokio::time::timeout(patience, pin!(gather(received, viewer))).await.unwrap_or(Err(Fault::RequestTimeout(patience)))
}

async fn gather<R>(mut received: Vec<u8>, viewer: &mut R) -> Result<Query, Fault>
where
    R: AsyncRead + Unpin,
{
    loop {
        let room = TOO_LONG.saturating_sub(received.len());
        if room == 0 {
            return Err(Fault::BadRequest("1024 bytes or more"));
        }
        if let Some(query) = parse(&received)? {
            return Ok(query);
        }
        received.reserve(room);
        match (&mut *viewer).take(room as u64).read_buf(&mut received).await {
            Ok(0) => return Err(Fault::NoRequest),
            Ok(_) => {}
            Err(error) => {
                debug!(%error, "the viewer broke off before its request");
                return Err(Fault::NoRequest);
            }
        }
    }
}

/// Makes a query of everything received so far; `None` while more may complete it.
fn parse(received: &[u8]) -> Result<Option<Query>, Fault> {
    let text = match std::str::from_utf8(received) {
        Ok(text) => text,
        // Zuul decodes whatever it has, bytes after the line included: a character cut by the read makes it wait.
        Err(error) if error.error_len().is_none() => return Ok(None),
        Err(_) => return Err(Fault::BadRequest("bytes that are not UTF-8")),
    };
    match text.split_once('\n') {
        None => Ok(None),
        // Zuul looks for a newline behind the first byte, finds this one for ever, and gives up after its 10 s.
        Some(("", _)) => Err(Fault::BadRequest("a newline before the request")),
        Some((line, _)) => Query::parse(line).map(Some),
    }
}

impl Query {
    /// Takes a line without its newline.
    ///
    /// # Errors
    /// [`Fault::BadRequest`] for a relative path, which Zuul's ZooKeeper client refuses to follow.
    pub fn parse(line: &str) -> Result<Self, Fault> {
        let line = line.trim_end_matches(python_blank);
        if line.split('/').any(|part| matches!(part, "." | "..")) {
            return Err(Fault::BadRequest("a relative path"));
        }
        // The uuid is the end of a path in Zuul, and kazoo drops empty parts of paths.
        Ok(Self { line: line.to_owned(), build: BuildId::parse(line.trim_matches('/')) })
    }

    /// What an upstream is sent for it: exactly `UUID\n` for a build, as Zuul does whatever else the viewer's line
    /// held; for anything else the viewer's line, ended as RFC 1288 says.
    ///
    /// # Errors
    /// [`Fault::BadRequest`] for a line with a carriage return in it, which the upstream may take for two lines.
    pub fn forwarded(&self) -> Result<Line, Fault> {
        match &self.build {
            Some(build) => Ok(Line(Asking::Build(build.clone()))),
            None if self.line.contains('\r') => Err(Fault::BadRequest("a carriage return inside of the line")),
            None => Ok(Line(Asking::Anything(self.line.clone()))),
        }
    }
}

impl Line {
    /// All that is sent, the line's end included.
    pub fn bytes(&self) -> Vec<u8> {
        match &self.0 {
            Asking::Build(build) => [build.as_str(), "\n"].concat(),
            Asking::Anything(line) => [line, "\r\n"].concat(),
        }
        .into_bytes()
    }
}

/// Whether Python's `str.rstrip` strips it: Unicode's white space, and four separators that Unicode leaves out.
fn python_blank(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::io;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use tokio::io::{AsyncWriteExt as _, DuplexStream, ReadBuf};
    use tokio::time::Instant;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);
    const UUID: &str = "0123456789abcdef0123456789abcdef";

    /// What a row of the table comes to.
    #[derive(Debug, PartialEq)]
    enum Answer {
        Log,
        NotFound,
        ErrorAtOnce,
        ErrorAfterPatience,
        Closed,
    }
    use Answer::{Closed, ErrorAfterPatience, ErrorAtOnce, Log, NotFound};

    /// A viewer whose every piece arrives in a read of its own.
    struct Viewer {
        pieces: VecDeque<Vec<u8>>,
        closes: bool,
    }

    impl Viewer {
        fn whole(bytes: &[u8]) -> Self {
            // A read of nothing would be the end of input.
            let pieces = [bytes.to_vec()].into_iter().filter(|piece| !piece.is_empty()).collect();
            Self { pieces, closes: false }
        }

        fn bytewise(bytes: &[u8]) -> Self {
            Self { pieces: bytes.iter().map(|&byte| vec![byte]).collect(), closes: false }
        }

        fn then_closes(self) -> Self {
            Self { closes: true, ..self }
        }

        async fn answer(mut self) -> Answer {
            match read(Vec::new(), &mut self, PATIENCE).await {
                Ok(Query { build: Some(build), .. }) if build.as_str() == UUID => Log,
                Ok(Query { build, .. }) => {
                    assert_eq!(build, None);
                    NotFound
                }
                Err(Fault::BadRequest(_)) => ErrorAtOnce,
                Err(Fault::RequestTimeout(_)) => ErrorAfterPatience,
                Err(Fault::NoRequest) => Closed,
                Err(other) => panic!("{other}"),
            }
        }
    }

    impl AsyncRead for Viewer {
        fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            match self.pieces.pop_front() {
                Some(mut piece) => {
                    let rest = piece.split_off(piece.len().min(buf.remaining()));
                    buf.put_slice(&piece);
                    self.pieces.extend(Some(rest).filter(|rest| !rest.is_empty()));
                    Poll::Ready(Ok(()))
                }
                None if self.closes => Poll::Ready(Ok(())),
                // Silence: the paused clock then runs to the deadline.
                None => Poll::Pending,
            }
        }
    }

    fn line(template: &str) -> Vec<u8> {
        template.replace("UUID", UUID).into_bytes()
    }

    #[tokio::test(start_paused = true)]
    async fn every_row_of_zuuls_table_is_answered_alike_whole_and_byte_by_byte() {
        let overlong = "a".repeat(1024);
        let rows: Vec<(Vec<u8>, Answer)> = vec![
            (line("UUID\n"), Log),
            (line("UUID\r\n"), Log),
            (line("UUID \t\u{a0}\u{2003}\u{1f}\r\n"), Log),
            (line("UUID\nmore text"), Log),
            (line("/UUID\n"), Log),
            (line("//UUID/\n"), Log),
            (line(" UUID\n"), NotFound),
            (line("\r\n"), NotFound),
            (line("/W UUID\n"), NotFound),
            (line("UUID@host\n"), NotFound),
            (line("UUID/lock\n"), NotFound),
            (line("GET / HTTP/1.1\r\n"), NotFound),
            (line("UU\0ID\n"), NotFound),
            (line("UUID\0\n"), NotFound),
            (line("\u{7}UUID\n"), NotFound),
            (line("é\n"), NotFound),
            (line(&format!("{}\n", "a".repeat(1022))), NotFound),
            (line("\nUUID\n"), ErrorAtOnce),
            (line("../x\n"), ErrorAtOnce),
            (line("./UUID\n"), ErrorAtOnce),
            (line("x/../UUID\n"), ErrorAtOnce),
            (line("..\r\n"), ErrorAtOnce),
            (b"\xff\xfe\n".to_vec(), ErrorAtOnce),
            (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x9a".to_vec(), ErrorAtOnce),
            (line(&overlong), ErrorAtOnce),
            (line(&format!("{}\n", &overlong[1..])), ErrorAtOnce),
            (line(""), ErrorAfterPatience),
            (line("UUID"), ErrorAfterPatience),
        ];
        assert!(rows.len() > 25);
        for (bytes, expected) in rows {
            let shown = String::from_utf8_lossy(&bytes).into_owned();
            assert_eq!(Viewer::whole(&bytes).answer().await, expected, "{shown:?}");
            assert_eq!(Viewer::bytewise(&bytes).answer().await, expected, "byte by byte: {shown:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_first_read_of_1024_bytes_is_refused_though_a_newline_is_in_it() {
        let bytes = line(&format!("UUID\n{}", "x".repeat(2000)));
        assert_eq!(Viewer::whole(&bytes).answer().await, ErrorAtOnce);
        assert_eq!(Viewer::bytewise(&bytes).answer().await, Log);
    }

    #[tokio::test(start_paused = true)]
    async fn however_much_of_it_has_come_already_a_request_is_the_same() {
        let bytes = line("UUID\r\nmore");
        for (at, _) in bytes.iter().enumerate() {
            let (begin, rest) = bytes.split_at(at);
            let query = read(begin.to_vec(), &mut Viewer::whole(rest), PATIENCE).await.unwrap();
            assert_eq!(query.line, UUID, "{at}");
        }
        let whole = read(line("UUID\n"), &mut Viewer::whole(b"").then_closes(), PATIENCE).await;
        assert_eq!(whole.unwrap().line, UUID, "nothing is read beyond what is needed");
        let long = read(vec![b'a'; TOO_LONG], &mut Viewer::whole(b""), PATIENCE).await;
        assert!(matches!(long, Err(Fault::BadRequest(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_half_close_after_the_line_is_no_matter_and_before_it_ends_the_stream() {
        assert_eq!(Viewer::whole(&line("UUID\n")).then_closes().answer().await, Log);
        assert_eq!(Viewer::whole(&line("UUID")).then_closes().answer().await, Closed);
        assert_eq!(Viewer::whole(b"").then_closes().answer().await, Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn a_character_cut_by_the_read_is_waited_for() {
        let cut = Viewer { pieces: VecDeque::from([b"caf\xc3".to_vec(), b"\xa9\n".to_vec()]), closes: false };
        assert_eq!(cut.answer().await, NotFound);
        let mut after_the_line = line("UUID\n");
        after_the_line.push(0xc3);
        let cut = Viewer { pieces: VecDeque::from([after_the_line, b"\xa9".to_vec()]), closes: false };
        assert_eq!(cut.answer().await, Log);
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_that_are_not_utf8_count_though_they_follow_the_line() {
        let bytes = [line("UUID\n"), vec![0xff]].concat();
        assert_eq!(Viewer::whole(&bytes).answer().await, ErrorAtOnce);
        assert_eq!(Viewer::bytewise(&bytes).answer().await, Log);
    }

    #[tokio::test(start_paused = true)]
    async fn the_line_keeps_all_but_its_end() {
        let query = read(Vec::new(), &mut Viewer::whole(b"  zones @host \r\nrest"), PATIENCE).await.unwrap();
        assert_eq!(query, Query { line: "  zones @host".to_owned(), build: None });
    }

    #[test]
    fn a_build_is_forwarded_as_zuul_does_and_any_other_line_as_it_came() {
        for (came, forwarded) in [
            (UUID.to_owned(), format!("{UUID}\n")),
            (format!("//{UUID}/ \t\r"), format!("{UUID}\n")),
            ("zones@host \r".to_owned(), "zones@host\r\n".to_owned()),
            ("  /W you\0and\tme".to_owned(), "  /W you\0and\tme\r\n".to_owned()),
            (String::new(), "\r\n".to_owned()),
        ] {
            assert_eq!(Query::parse(&came).unwrap().forwarded().unwrap().bytes(), forwarded.as_bytes(), "{came:?}");
        }
    }

    #[test]
    fn one_line_is_never_forwarded_as_two() {
        let query = Query::parse(&format!("zones\r{UUID}")).unwrap();
        assert!(matches!(query.forwarded(), Err(Fault::BadRequest(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn patience_is_for_the_whole_line_and_not_for_each_byte() {
        let (mut viewer, mut relay) = tokio::io::duplex(64);
        let started = Instant::now();
        tokio::select! {
            query = read(Vec::new(), &mut relay, PATIENCE) => assert!(matches!(query, Err(Fault::RequestTimeout(PATIENCE)))),
            () = drip(&mut viewer) => {}
        }
        assert_eq!(started.elapsed(), PATIENCE);
    }

    async fn drip(viewer: &mut DuplexStream) {
        let mut seconds = tokio::time::interval(Duration::from_secs(1));
        while viewer.write_all(b"a").await.is_ok() {
            seconds.tick().await;
        }
    }
}
