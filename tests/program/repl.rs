//! `fingerpost policy repl`: lines in, answers and what is wrong out; and the same at a terminal.

use std::fs::File;
use std::process::Stdio;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::site::{BUILD, Site};
use crate::support::gateway::fingerpost;
use crate::support::viewer::PATIENCE;

const REGISTRY: &str = "builds:
  - {uuid: aaaa, tenant: acme, zone: west, worker: {hostname: ze1.example, log_port: 7900, zone: west}}
gateways:
  - {hostname: gw.example, public_port: 79, zone: west}
";

#[tokio::test]
async fn lines_are_answered_in_order_without_a_prompt() {
    let site = site();
    let lines = "x = relay.gateways(\"west\")[1]\nx.hostname\nfor i = 1, 2 do\nprint(i)\nend\nask.route \"aaaa\"\n";
    let (code, out, err) = repl(&site, &[], lines).await;
    assert_eq!((code, err.as_str()), (0, ""));
    let (shown, decided) = out.split_once("-- decided at ").unwrap();
    assert_eq!(
        shown,
        "\"gw.example\"
1
2
Route {
  kind = \"targets\",
  targets = { Target { kind = \"gateway\", host = \"gw.example\", port = 79, tls = false } },
  tags = {},
}
"
    );
    assert!(decided.starts_with("built-in default:"), "{decided}");
}

#[tokio::test]
async fn an_error_is_told_with_its_line_and_the_rest_is_done() {
    let (code, out, err) = repl(&site(), &[], "1\n\nerror(\"no\")\n2\n").await;
    assert_eq!((code, out.as_str(), err.as_str()), (1, "1\n2\n", "input:3: no\n    error(\"no\")\n"));
}

#[tokio::test]
async fn an_input_that_ends_too_early_is_an_error() {
    let (code, out, err) = repl(&site(), &[], "x = {\n").await;
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.starts_with("input:1: Expected ") && err.contains("got <eof>"), "{err}");
}

#[tokio::test]
async fn another_policy_and_another_zone_can_be_tried() {
    let site = site();
    let text = "return { api = 1, route = function(request)\nreturn relay.refuse(relay.zone or 'nowhere') end }";
    site.write("new.lua", text);
    let new = site.path("new.lua");
    let policy = ["--policy", new.to_str().unwrap()];
    let asked = "ask.route(\"aaaa\").text\nrelay.zone\n:quit\nerror(\"unread\")";
    let (code, out, _) = repl(&site, &[policy.as_slice(), &["--zone", "west"]].concat(), asked).await;
    assert_eq!((code, out), (0, format!("\"west\"\n-- decided at {}:2\n\"west\"\n", new.display())));
    let (_, out, _) = repl(&site, &[policy.as_slice(), &["--no-zone"]].concat(), asked).await;
    assert_eq!(out, format!("\"nowhere\"\n-- decided at {}:2\nnil\n", new.display()));
}

#[tokio::test]
async fn orders_explain_names_and_read_everything_again() {
    let orders = "x = 1\n:reference relay.now\n:refresh\nx\n:reload\nx\n:reference relay.nwo\n:frob\n:help\n";
    let (code, out, err) = repl(&site(), &[], orders).await;
    assert_eq!(code, 1);
    assert!(out.starts_with("relay.now(): number\n"), "{out}");
    let state = "builds: 1, gateways: 1, as they are now; in no zone; policy built-in default\n";
    assert!(out.contains(&format!("{state}1\n{state}")), "{out}");
    assert!(out.ends_with("  :quit              or Ctrl-D\n"), "{out}");
    let [unknown, _, name, order] = err.lines().collect::<Vec<_>>()[..] else { panic!("{err}") };
    assert!(unknown.starts_with("input:6: there is no global \"x\""), "{err}");
    assert_eq!(name, "there is no name \"relay.nwo\" in the reference; did you mean \"relay.now\"?");
    assert_eq!(order, "there is no order :frob; :help names those that there are");
}

#[tokio::test]
async fn a_policy_that_cannot_be_loaded_is_said_at_once() {
    let site = site();
    site.write("new.lua", "return {");
    let (code, out, err) = repl(&site, &["--policy", site.path("new.lua").to_str().unwrap()], "1\n").await;
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.contains("new.lua:1: "), "{err}");
}

#[tokio::test]
async fn the_session_that_the_documentation_shows_is_what_happens() {
    let site = Site::new();
    let builds = [BUILD, "bbbb"].map(|uuid| {
        let worker = "worker: {hostname: ze1.example, log_port: 7900, zone: west}";
        format!("  - {{uuid: {uuid}, tenant: acme, zone: west, {worker}}}\n")
    });
    let gateway = "  - {hostname: gw1.example, public_port: 7979, zone: west}\n";
    let unassigned = "  - {uuid: cccc, tenant: acme}\n";
    site.write("registry.yaml", &format!("builds:\n{}{unassigned}gateways:\n{gateway}", builds.concat()));
    site.write("new.lua", include_str!("../../scripts/default.lua"));
    let page = include_str!("../../docs/policies.md");
    let session = page.split("    $ fingerpost policy repl --policy new.lua\n").nth(1).expect("a session");
    let session: Vec<_> = session.lines().map_while(|line| line.strip_prefix("    ")).collect();
    let (typed, shown): (Vec<_>, Vec<_>) = session.into_iter().partition(|line| line.starts_with("> "));
    let typed: String = typed.iter().map(|line| format!("{}\n", &line[2..])).collect();
    let (state, shown) = shown.split_first().expect("what it begins with");
    let (code, out, err) = repl(&site, &["--policy", "new.lua"], &(typed + ":refresh\n")).await;
    assert_eq!((code, err.as_str()), (0, ""));
    let refreshed = state.strip_suffix("; :help says more").expect("the state");
    assert_eq!(out.lines().collect::<Vec<_>>(), [shown, &[refreshed]].concat());
}

#[tokio::test]
async fn a_terminal_has_a_prompt_that_completes_names_and_remembers_lines() {
    let site = site();
    let mut terminal = Terminal::of(&site);
    terminal.until("; :help says more").await;
    terminal.until("> ").await;
    terminal.enter("relay.gate\t(\"west\")[1].port\r").await;
    terminal.until("\n79\r\n").await;
    terminal.enter("x = {\r").await;
    terminal.until("… ").await;
    // Ctrl-C leaves it.
    terminal.enter("\x03").await;
    terminal.until("> ").await;
    // The arrow key brings back what was before it.
    terminal.enter("\x1b[A\x1b[A + 1\r").await;
    terminal.until("\n80\r\n").await;
    terminal.until("> ").await;
    // As terminals mark what is pasted.
    terminal.enter("\x1b[200~y = 1\n{ y,\n'pasted' }\nerror('no')\x1b[201~\r").await;
    terminal.until("{ 1, \"pasted\" }\r\ninput:7: no").await;
    terminal.until("> ").await;
    // Ctrl-D.
    terminal.enter("\x04").await;
    let ended = timeout(PATIENCE, terminal.child.wait()).await.expect("it ends in time").expect("its status");
    assert_eq!(ended.code(), Some(0), "who saw the errors needs no status for them");
}

fn site() -> Site {
    let site = Site::new();
    site.write("registry.yaml", REGISTRY);
    site
}

/// What the command makes of `lines`: its exit code, output and errors.
async fn repl(site: &Site, options: &[&str], lines: &str) -> (i32, String, String) {
    let mut command = Command::new(fingerpost());
    command.args(["policy", "repl", "--config"]).arg(site.configure()).args(options);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command.current_dir(site.path("."));
    let mut child = command.spawn().expect("our own program");
    let mut input = child.stdin.take().expect("its input");
    // A command that ends at once reads nothing.
    let _unread = input.write_all(lines.as_bytes()).await;
    drop(input);
    let output = timeout(PATIENCE, child.wait_with_output()).await.expect("it ends in time").expect("its output");
    let text = |bytes| String::from_utf8(bytes).expect("output in UTF-8");
    (output.status.code().expect("it ended by itself"), text(output.stdout), text(output.stderr))
}

/// The command at a terminal.
struct Terminal {
    child: Child,
    end: tokio::fs::File,
    /// What it showed and nobody has looked at.
    shown: String,
}

impl Terminal {
    fn of(site: &Site) -> Self {
        let end = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&end).expect("granted");
        unlockpt(&end).expect("unlocked");
        let name = ptsname(&end, Vec::new()).expect("its name").into_string().expect("a path");
        let other = || File::options().read(true).write(true).open(&name).expect("its other end");
        let mut command = Command::new(fingerpost());
        command.args(["policy", "repl", "--config"]).arg(site.configure()).env("TERM", "xterm").kill_on_drop(true);
        let child = command.stdin(other()).stdout(other()).stderr(other()).spawn().expect("our own program");
        Self { child, end: File::from(end).into(), shown: String::new() }
    }

    async fn enter(&mut self, keys: &str) {
        self.end.write_all(keys.as_bytes()).await.expect("typed");
        self.end.flush().await.expect("typed");
    }

    /// Waits until it shows `text`, and forgets all up to there.
    async fn until(&mut self, text: &str) {
        let mut bytes = [0; 4096];
        loop {
            if let Some((_, rest)) = self.shown.split_once(text) {
                self.shown = rest.to_owned();
                return;
            }
            let read = timeout(PATIENCE, self.end.read(&mut bytes)).await;
            let read = read.unwrap_or_else(|_| panic!("{text:?} is not shown: {:?}", self.shown)).expect("shown");
            self.shown.push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
    }
}
