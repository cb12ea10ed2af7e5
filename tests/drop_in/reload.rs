//! Reload of configuration, policy and certificates under live streams: none is lost, new ones are on the new
//! generation, and a file that is broken changes nothing. Files change as editors, deployments and Kubernetes change
//! them.

mod whole;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::support::authority::{Authority, Leaf};
use crate::support::executor::{Arrival, Executor};
use crate::support::gateway::{Conf, Gateway};
use crate::support::viewer::Viewer;
use crate::support::world::World;

const STREAMS: usize = 500;
const GENERATION: &str = "fingerpost_generation";
const REFUSED: &str = r#"fingerpost_reloads_total{result="refused"}"#;

const FIRST_POLICY: &str = include_str!("../../scripts/default.lua");
const SECOND_POLICY: &str = "--!strict
local policy = { api = 1 }
function policy.route(request)
  return relay.refuse('the second policy')
end
return policy
";

/// One relay, with the files that it watches.
struct Site {
    world: World,
    executor: Executor,
    gateway: Gateway,
    uuid: String,
}

/// Streams that are open, and have had half of their logs.
struct Live(Vec<(Viewer, Arrival)>);

#[tokio::test]
async fn a_new_policy_serves_new_streams_and_leaves_the_others() {
    let site = Site::plain().await;
    let live = site.streams().await;
    site.reloads(|dir| replace(dir, "policy.lua", SECOND_POLICY)).await;
    let mut viewer = site.gateway.watch(&site.world, &site.uuid).await;
    assert_eq!(viewer.rest().await, b"the second policy");
    live.end_whole().await;
}

#[tokio::test]
async fn a_broken_policy_changes_nothing() {
    let site = Site::plain().await;
    let live = site.streams().await;
    site.refuses(|dir| replace(dir, "policy.lua", "return {")).await;
    site.serves().await;
    live.end_whole().await;
}

#[tokio::test]
async fn a_new_configuration_opens_a_listener_and_leaves_the_streams() {
    let site = Site::plain().await;
    let live = site.streams().await;
    let address = site.second_address();
    let more = format!("listeners:\n  - {{name: second, address: \"{address}\"}}\n");
    let yaml = yaml(&site.world, &site.gateway.conf).replace("listeners:\n", &more);
    site.reloads(|dir| replace(dir, "fingerpost.yaml", &yaml)).await;
    let mut viewer = Viewer::plain(address).await;
    viewer.ask(&site.uuid).await;
    site.executor.next().await.send(b"the log").await;
    assert_eq!(viewer.rest().await, b"the log");
    site.serves().await;
    live.end_whole().await;
}

#[tokio::test]
async fn a_broken_configuration_changes_nothing() {
    let site = Site::plain().await;
    let live = site.streams().await;
    site.refuses(|dir| replace(dir, "fingerpost.yaml", "listeners: [{name: broken}]\n")).await;
    site.serves().await;
    live.end_whole().await;
}

#[tokio::test]
async fn a_new_certificate_is_shown_to_new_viewers_and_leaves_the_streams() {
    let site = Site::tls().await;
    let live = site.streams().await;
    let other = Authority::new();
    let pair = pair(&other.issue_for_address(site.gateway.conf.address.ip()));
    site.reloads(|dir| replace(dir, "pair.pem", &pair)).await;
    shows_the_certificate_of(&site, &other).await;
    live.end_whole().await;
}

#[tokio::test]
async fn a_broken_certificate_leaves_the_old_one_serving() {
    let site = Site::tls().await;
    let live = site.streams().await;
    site.refuses(|dir| replace(dir, "pair.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))
        .await;
    site.serves().await;
    live.end_whole().await;
}

#[tokio::test]
async fn a_certificate_with_another_key_leaves_the_old_one_serving() {
    let site = Site::tls().await;
    let ip = site.gateway.conf.address.ip();
    let authority = site.world.authority();
    let (one, two) = (authority.issue_for_address(ip), authority.issue_for_address(ip));
    let mixed = pair(&Leaf { cert: one.cert, key: two.key });
    site.refuses(|dir| replace(dir, "pair.pem", &mixed)).await;
    site.serves().await;
}

#[tokio::test]
async fn a_swap_of_kubernetes_data_folder_reloads_everything_in_it() {
    let site = Site::in_a_data_folder().await;
    let live = site.streams().await;
    let other = Authority::new();
    let pair = pair(&other.issue_for_address(site.gateway.conf.address.ip()));
    let yaml = yaml(&site.world, &site.gateway.conf);
    site.reloads(|dir| {
        swap_data(dir, &[("fingerpost.yaml", &yaml), ("policy.lua", SECOND_POLICY), ("pair.pem", &pair)]);
    })
    .await;
    let client = Some(site.world.client());
    let mut viewer = Viewer::tls(site.gateway.conf.address, &other, client).await.expect("the new certificate");
    viewer.ask(&site.uuid).await;
    assert_eq!(viewer.rest().await, b"the second policy");
    live.end_whole().await;
}

#[tokio::test]
async fn a_second_swap_of_kubernetes_data_folder_is_seen_as_well() {
    let site = Site::in_a_data_folder().await;
    let conf = &site.gateway.conf;
    let (yaml, pair) = (yaml(&site.world, conf), pair(&conf.leaf));
    let files = |policy| [("fingerpost.yaml", yaml.clone()), ("policy.lua", policy), ("pair.pem", pair.clone())];
    for policy in [SECOND_POLICY.to_owned(), SECOND_POLICY.replace("second", "third")] {
        let files = files(policy.clone());
        let files = files.each_ref().map(|(name, text)| (*name, text.as_str()));
        site.reloads(|dir| swap_data(dir, &files)).await;
    }
    let mut viewer = site.gateway.watch(&site.world, &site.uuid).await;
    assert_eq!(viewer.rest().await, b"the third policy");
}

#[tokio::test]
async fn a_file_written_in_place_is_seen() {
    let site = Site::plain().await;
    site.reloads(|dir| fs::write(dir.join("policy.lua"), SECOND_POLICY).expect("written")).await;
    let mut viewer = site.gateway.watch(&site.world, &site.uuid).await;
    assert_eq!(viewer.rest().await, b"the second policy");
}

impl Site {
    async fn plain() -> Self {
        let world = World::new().await;
        let conf = Conf::plain(&world, "here");
        Self::start(world, conf, |dir, files| files.iter().for_each(|(name, text)| replace(dir, name, text))).await
    }

    async fn tls() -> Self {
        let world = World::new().await;
        let conf = Conf::tls(&world, "here");
        Self::start(world, conf, |dir, files| files.iter().for_each(|(name, text)| replace(dir, name, text))).await
    }

    /// Files as Kubernetes mounts them: links into `..data`, which links to a folder that is never changed.
    async fn in_a_data_folder() -> Self {
        let world = World::new().await;
        let conf = Conf::tls(&world, "here");
        Self::start(world, conf, |dir, files| {
            swap_data(dir, files);
            for (name, _) in files {
                symlink(Path::new("..data").join(name), dir.join(name)).expect("linked");
            }
        })
        .await
    }

    async fn start(world: World, conf: Conf, write: impl FnOnce(&Path, &[(&str, &str)])) -> Self {
        let (yaml, pair) = (yaml(&world, &conf), pair(&conf.leaf));
        write(conf.dir.path(), &[("fingerpost.yaml", &yaml), ("policy.lua", FIRST_POLICY), ("pair.pem", &pair)]);
        let file = conf.dir.path().join("fingerpost.yaml");
        let executor = Executor::new().await;
        let uuid = world.build(world.worker(Some("here"), executor.port())).await;
        let gateway = Gateway::configured(&world, conf, &file).await;
        Self { world, executor, gateway, uuid }
    }

    /// Opens streams that have had half of their logs.
    async fn streams(&self) -> Live {
        let mut live = Vec::new();
        for _ in 0..STREAMS {
            let mut viewer = self.gateway.watch(&self.world, &self.uuid).await;
            let mut arrival = self.executor.next().await;
            arrival.send(b"before ").await;
            viewer.expect(b"before ").await;
            live.push((viewer, arrival));
        }
        Live(live)
    }

    /// Changes files, and waits for the generation that is made from them.
    async fn reloads(&self, change: impl FnOnce(&Path)) {
        let before = self.gateway.metric(GENERATION).await;
        change(self.gateway.conf.dir.path());
        self.gateway.until_metric_passes(GENERATION, before).await;
    }

    /// Changes files, and waits until the relay has refused them.
    async fn refuses(&self, change: impl FnOnce(&Path)) {
        let (before, generation) = (self.gateway.metric(REFUSED).await, self.gateway.metric(GENERATION).await);
        change(self.gateway.conf.dir.path());
        self.gateway.until_metric_passes(REFUSED, before).await;
        assert_eq!(self.gateway.metric(GENERATION).await, generation, "the generation");
    }

    /// A new stream goes as it did at first.
    async fn serves(&self) {
        let mut viewer = self.gateway.watch(&self.world, &self.uuid).await;
        self.executor.next().await.send(b"the log").await;
        assert_eq!(viewer.rest().await, b"the log");
    }

    fn second_address(&self) -> std::net::SocketAddr {
        let address = self.gateway.conf.address;
        (address.ip(), address.port() + 1).into()
    }
}

impl Live {
    /// Has every stream get the other half, and end.
    async fn end_whole(self) {
        let (mut viewers, arrivals): (Vec<_>, Vec<_>) = self.0.into_iter().unzip();
        for mut arrival in arrivals {
            arrival.send(b"and after").await;
        }
        for (number, viewer) in viewers.iter_mut().enumerate() {
            assert_eq!(viewer.rest().await, b"and after", "stream {number} of {STREAMS}");
        }
    }
}

async fn shows_the_certificate_of(site: &Site, authority: &Authority) {
    let (address, client) = (site.gateway.conf.address, Some(site.world.client()));
    let mut viewer = Viewer::tls(address, authority, client).await.expect("the new certificate");
    viewer.ask(&site.uuid).await;
    site.executor.next().await.send(b"the log").await;
    assert_eq!(viewer.rest().await, b"the log");
}

fn yaml(world: &World, conf: &Conf) -> String {
    let tls = if conf.tls { server_tls(world) } else { String::new() };
    format!(
        "hostname: \"{}\"\nzone: here\nlisteners:\n  - name: finger\n    address: \"{}\"\n{tls}{}\
         policy:\n  file: policy.lua\n  dry_run: errors\nmonitoring:\n  address: \"{}\"\nprocess:\n  command_socket: \"{}\"\n",
        conf.hostname,
        conf.address,
        world.registry_yaml(),
        conf.monitoring,
        conf.command_socket().display(),
    )
}

/// What makes a listener speak TLS.
fn server_tls(world: &World) -> String {
    format!(
        "    tls:\n      certificates:\n        - {{cert: pair.pem, key: pair.pem}}\n      \
         client_certificates: required\n      client_ca: \"{}\"\n",
        world.authority().ca().display()
    )
}

/// Certificate and key in one file, which changes at once.
fn pair(leaf: &Leaf) -> String {
    [&leaf.cert, &leaf.key].map(|file| fs::read_to_string(file).expect("a PEM file")).concat()
}

/// Writes a file as careful programs do: beside it first, then over it.
fn replace(dir: &Path, name: &str, text: &str) {
    let beside = dir.join(format!(".{name}.new"));
    fs::write(&beside, text).expect("written");
    fs::rename(&beside, dir.join(name)).expect("renamed");
}

/// Makes a new folder, and has `..data` point to it from one moment to the next.
fn swap_data(dir: &Path, files: &[(&str, &str)]) {
    let (data, beside) = (dir.join("..data"), dir.join("..data_tmp"));
    let old: Option<PathBuf> = fs::read_link(&data).ok();
    let folder = if old.as_deref() == Some(Path::new("..one")) { "..two" } else { "..one" };
    fs::create_dir(dir.join(folder)).expect("a folder");
    for (name, text) in files {
        fs::write(dir.join(folder).join(name), text).expect("written");
    }
    symlink(folder, &beside).expect("linked");
    fs::rename(&beside, &data).expect("renamed");
    if let Some(old) = old {
        fs::remove_dir_all(dir.join(old)).expect("removed");
    }
}
