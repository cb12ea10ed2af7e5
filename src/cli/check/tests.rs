//! Real files in, `file:line: key: problem` and an exit status out.

use std::fs;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};

use super::*;

/// A directory with the files of a site.
struct Site {
    dir: tempfile::TempDir,
    ca: CertifiedIssuer<'static, KeyPair>,
}

/// What a check wrote, and how it ended.
struct Checked {
    exit: Exit,
    out: String,
    err: Vec<String>,
}

impl Site {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let site = Self { dir: tempfile::tempdir().unwrap(), ca };
        site.write("ca.pem", &site.ca.pem());
        site.pair("good", 4096);
        site
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.dir.path().join(name), text).unwrap();
    }

    /// A certificate that ends with `year`, and its key.
    fn pair(&self, name: &str, year: i32) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["relay.example.org".to_owned()]).unwrap();
        params.not_after = date_time_ymd(year, 12, 31);
        self.write(&format!("{name}.pem"), &params.signed_by(&key, &self.ca).unwrap().pem());
        self.write(&format!("{name}.key"), &key.serialize_pem());
    }

    fn check(&self, file: &str, text: &str) -> Checked {
        self.write(file, &text.replace("DIR", self.dir.path().to_str().unwrap()));
        let path = Some(self.dir.path().join(file));
        let (config, zuul_conf) = if file.ends_with(".conf") { (None, path) } else { (path, None) };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let asked = Check { source: Source { config, zuul_conf } };
        let exit = check(&asked, &Environment::new(), &mut out, &mut err).unwrap();
        let err = self.shortened(&err).lines().map(ToOwned::to_owned).collect();
        Checked { exit, out: self.shortened(&out), err }
    }

    fn shortened(&self, bytes: &[u8]) -> String {
        let dir = format!("{}/", self.dir.path().to_str().unwrap());
        String::from_utf8(bytes.to_vec()).unwrap().replace(&dir, "")
    }
}

/// Where a finding stands, and which file it is about.
fn places(lines: &[String]) -> Vec<String> {
    // An indented line quotes the policy's own.
    let findings = lines.iter().filter(|line| !line.starts_with(' '));
    findings.map(|line| line.splitn(4, ": ").take(3).collect::<Vec<_>>().join(": ")).collect()
}

const GOOD: &str = "\
hostname: relay.example.org
zone: eu
listeners:
  - name: gateway
    address: '[::]:7979'
    tls:
      certificates: [{cert: good.pem, key: good.key}]
      client_certificates: required
      client_ca: ca.pem
registry:
  zookeeper:
    hosts: zk01:2281,zk02:2281/ci
    tls: {cert: good.pem, key: good.key, ca: ca.pem}
upstream:
  tls: {ca: ca.pem}
";

#[test]
fn a_usable_configuration_is_summed_up() {
    let checked = Site::new().check("f.yaml", GOOD);
    assert_eq!(checked.err, [""; 0]);
    assert_eq!(checked.exit, Exit::Done);
    let expected = "\
f.yaml: ok
  relay     relay.example.org, zone eu
  listener  gateway: [::]:7979, TLS, client certificates required
  registry  ZooKeeper at zk01:2281,zk02:2281/ci, TLS, registered
  policy    built-in
  upstream  plain, or TLS with host names verified
";
    assert_eq!(checked.out, expected);
}

#[test]
fn every_file_that_cannot_be_used_is_told_at_the_setting_that_names_it() {
    let site = Site::new();
    site.pair("old", 2001);
    site.pair("other", 4096);
    site.write("empty.pem", "");
    site.write("list.pem", &site.ca.pem());
    site.write("broken.lua", "local policy = {}\npolicy = = 1\n");
    let checked = site.check(
        "f.yaml",
        "\
hostname: relay.example.org
listeners:
  - name: gateway
    address: '[::]:7979'
    tls:
      certificates:
        - {cert: good.pem, key: good.key}
        - {cert: old.pem, key: old.key}
        - cert: good.pem
          key: other.key
        - {cert: missing.pem, key: good.key}
      client_certificates: optional
      client_ca: empty.pem
registry:
  zookeeper:
    hosts: zk
    tls:
      ca: gone.pem
upstream:
  tls: {ca: ca.pem, crl: list.pem}
policy:
  file: broken.lua
",
    );
    assert_eq!((checked.exit, checked.out.as_str()), (Exit::Unusable, ""));
    assert_eq!(
        places(&checked.err),
        [
            "f.yaml:8: listeners[0].tls.certificates[1].cert: old.pem",
            "f.yaml:10: listeners[0].tls.certificates[2].key: other.key",
            "f.yaml:11: listeners[0].tls.certificates[3].cert: missing.pem",
            "f.yaml:13: listeners[0].tls.client_ca: empty.pem",
            "f.yaml:18: registry.zookeeper.tls.ca: gone.pem",
            "f.yaml:20: upstream.tls.crl: list.pem",
            "f.yaml:22: policy.file: broken.lua:2",
        ]
    );
}

#[test]
fn policies_are_summed_up_by_where_they_are_and_how_they_are_chosen() {
    let site = Site::new();
    fs::create_dir(site.dir.path().join("policies")).unwrap();
    fs::create_dir(site.dir.path().join("policies.d")).unwrap();
    let mine = "return { api = 1, route = function(request) return relay.refuse('no') end }\n";
    site.write("policies/mine.lua", mine);
    site.write("policies.d/50-site.yaml", "rules: [{tenant: a, policy: mine}]\n");
    let text = format!(
        "{GOOD}policy:\n  folder: policies\n  overlays: policies.d\n  default: mine\n  rules: [{{zone: b, policy: zuul}}]\n"
    );
    let checked = site.check("f.yaml", &text);
    assert_eq!(checked.err, [""; 0]);
    let line = checked.out.lines().find(|line| line.starts_with("  policy"));
    assert_eq!(line, Some("  policy    policies, overlays policies.d, default mine, 2 rules"));
    let beside = site.check("f.yaml", &format!("{text}  candidate: {{default: zuul, percent: 5}}\n"));
    assert!(beside.out.contains(", 2 rules, a candidate with 5 % of requests\n"), "{}", beside.out);
    let broken = site.check("f.yaml", &format!("{text}  candidate: {{default: zul}}\n"));
    assert_eq!(places(&broken.err), ["f.yaml:21: policy.candidate: policies"]);
    site.write("policies.d/50-site.yaml", "rules: [{tenant: a, policy: min}]\n");
    assert_eq!(places(&site.check("f.yaml", &text).err), ["f.yaml:17: policy.folder: policies"]);
    site.write("policies.d/50-site.yaml", "\nrules: [7]\nparam: {}\n");
    assert_eq!(
        places(&site.check("f.yaml", &format!("{text}\nlog: 7\n")).err),
        [
            "f.yaml:22: log: expected keys and values, found 7",
            "policies.d/50-site.yaml:2: rules[0]: expected keys and values, found 7",
            "policies.d/50-site.yaml:3: param: unknown key \"param\"; did you mean \"params\"?"
        ]
    );
}

#[test]
fn what_is_wrong_with_a_configuration_and_with_its_files_is_told_at_once() {
    let checked = Site::new().check("f.yaml", "zone: a/b\nregistry: {file: r.yaml}\nlisteners: []\n");
    assert_eq!(checked.exit, Exit::Unusable);
    assert_eq!(
        checked.err,
        [
            "f.yaml:1: zone: expected a zone's name, which has no slash, found \"a/b\"",
            "f.yaml:2: registry.file: r.yaml: cannot be read: No such file or directory (os error 2)",
            "f.yaml:3: listeners: is empty; a relay needs a listener",
        ]
    );
}

#[test]
fn files_are_told_at_their_own_settings_also_beside_some_that_make_no_sense() {
    let site = Site::new();
    let checked = site.check(
        "f.yaml",
        "\
hostname: relay.example.org
registry: {file: r.yaml}
listeners:
  - name: one
    address: '[::]:79'
    tls:
      certificates:
        - {cert: good.pem}
        - {cert: gone.pem, key: good.key}
  - name: two
    address: '[::]:7979'
    tls:
      certificates: [{cert: lost.pem, key: good.key}]
",
    );
    assert_eq!(
        places(&checked.err),
        [
            "f.yaml:2: registry.file: r.yaml",
            "f.yaml:8: listeners[0].tls.certificates[0].key: is missing; it has no default",
            "f.yaml:13: listeners[1].tls.certificates[0].cert: lost.pem",
        ]
    );
    let nameless = "registry: {file: r.yaml}\nlisteners:\n  - address: '[::]:79'\n  - name: b\n    address: '[::]:80'\n    tls: {certificates: [{cert: lost.pem, key: k}]}\n";
    assert_eq!(site.check("f.yaml", nameless).err, ["f.yaml:3: listeners[0].name: is missing; it has no default"]);
}

#[test]
fn a_configuration_that_is_not_there_is_told() {
    let asked = Check { source: Source { config: Some("/nowhere/f.yaml".into()), zuul_conf: None } };
    let mut err = Vec::new();
    let exit = check(&asked, &Environment::new(), &mut Vec::new(), &mut err).unwrap();
    assert_eq!(exit, Exit::Unusable);
    let err = String::from_utf8(err).unwrap();
    assert!(err.starts_with("/nowhere/f.yaml: cannot be read: No such file"), "{err}");
}

#[test]
fn a_registry_file_must_be_there() {
    let site = Site::new();
    let text = "hostname: here\nregistry:\n  file: r.yaml\n";
    assert_eq!(places(&site.check("f.yaml", text).err), ["f.yaml:3: registry.file: r.yaml"]);
    site.write("r.yaml", "{}");
    assert_eq!(site.check("f.yaml", text).exit, Exit::Done);
}

const ZUUL_CONF: &str = "\
[fingergw]
hostname = relay.example.org
tls_cert = DIR/good.pem
tls_key = DIR/good.key
tls_ca = DIR/ca.pem
log_config = logging.yaml
[zookeeper]
hosts = zk
tls_cert = DIR/good.pem
tls_key = DIR/good.key
tls_ca = DIR/ca.pem
";

#[test]
fn what_zuul_conf_cannot_have_is_a_warning() {
    let checked = Site::new().check("zuul.conf", ZUUL_CONF);
    assert_eq!(checked.exit, Exit::Done);
    assert!(checked.out.starts_with("zuul.conf: ok\n"), "{}", checked.out);
    assert_eq!(
        places(&checked.err),
        [
            "warning: zuul.conf:6: [fingergw] log_config",
            // Zuul takes certificates of X.509 version 1 from these CAs, so they are taken here, and told.
            "warning: zuul.conf:5: [fingergw] tls_ca",
            "warning: zuul.conf:11: [zookeeper] tls_ca",
        ]
    );
}

#[test]
fn files_of_zuul_conf_are_told_at_their_options() {
    let site = Site::new();
    let broken = ZUUL_CONF.replacen("good.key", "other.key", 1);
    site.pair("other", 4096);
    let checked = site.check("zuul.conf", &broken);
    assert_eq!(checked.exit, Exit::Unusable);
    let problems: Vec<_> = checked.err.iter().filter(|line| !line.starts_with("warning: ")).cloned().collect();
    // The port and the dialler use the same files: once is enough.
    assert_eq!(places(&problems), ["zuul.conf:4: [fingergw] tls_key: other.key"]);
}

#[test]
fn a_decision_log_is_summed_up_and_warned_about_if_it_has_no_folder() {
    let site = Site::new();
    site.write("registry.yaml", "{}");
    let check = |log: &str| {
        let decisions = format!("decisions: {{file: {log}, max_size: 1MiB, keep: 3}}");
        site.check("f.yaml", &format!("hostname: relay\nregistry: {{file: registry.yaml}}\n{decisions}\n"))
    };
    let good = check("log");
    assert!(good.err.is_empty() && good.out.contains("\n  decisions log, at most 4.0 MiB in all\n"), "{}", good.out);
    let checked = check("none/log");
    assert_eq!(checked.exit, Exit::Done, "it harms no stream");
    let warning = "warning: f.yaml:3: decisions.file: none is no folder; no decision will be kept until it is";
    assert_eq!(checked.err, [warning]);
}
