//! `fingerpost explain`: what an operator reads of a decision, of what would be different with another script or for
//! somebody else, and of a registry that cannot be read.

use std::path::Path;

use serde_json::{Value, json};

use crate::site::{BUILD, Site, output};
use crate::support::authority::Authority;

const REGISTRY: &str = "builds:
  - uuid: 4a1c9be27f0e4c06b9d2c8f3a1e5d700
    zone: west
    tenant: acme
    pipeline: gate
    state: running
    worker: {hostname: executor.example, log_port: 7900, zone: west}
  - {uuid: aaaa, worker: {hostname: 192.0.2.7, log_port: 7900}}
  - {uuid: bbbb}
gateways:
  - {hostname: second.example, public_port: 79, zone: west, state: paused}
  - {hostname: first.example, public_port: 7979, zone: west, use_ssl: true}
";

#[tokio::test]
async fn a_route_through_gateways_is_explained() {
    let (code, out, err) = explain(&site(""), BUILD).await;
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(
        out,
        "registry 3 builds, 2 gateways; live
build    4a1c9be27f0e4c06b9d2c8f3a1e5d700
         tenant acme, pipeline gate, state running
         asked for in zone west
worker   executor.example:7900, runs in zone west
gateways first.example:7979, TLS, running (first.example:7979)
         second.example:79, paused (second.example:79)
relay    in no zone
policy   built-in default
decided  in line 23
route    1. gateway first.example:7979 over TLS
         2. gateway second.example:79
"
    );
}

#[tokio::test]
async fn a_direct_route_is_explained() {
    let (code, out, err) = explain(&site("zone: west\n"), BUILD).await;
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.ends_with("decided  in line 26\nroute    1. direct executor.example:7900\n"), "{out}");
    let (code, out, _) = explain(&site(""), "aaaa").await;
    assert!(code == 0 && out.ends_with("route    1. direct 192.0.2.7:7900\n"), "{out}");
}

#[tokio::test]
async fn refusals_are_explained_and_are_no_success() {
    let site = site("");
    let (code, out, err) = explain(&site, "ffff").await;
    assert_eq!((code, err.as_str()), (1, ""));
    assert!(out.contains("build    ffff: not in the registry\n"), "{out}");
    assert!(out.ends_with("refused  the viewer gets \"Build not found\"\n"), "{out}");
    let (code, out, _) = explain(&site, "bbbb").await;
    assert_eq!(code, 1);
    assert!(out.contains("worker   none yet: no executor has taken it\n"), "{out}");
    assert!(out.ends_with("refused  the viewer gets \"Build did not start yet\"\n"), "{out}");
}

#[tokio::test]
async fn a_policy_that_fails_is_named_with_file_and_line() {
    let site = site("policy: {file: mine.lua}\n");
    site.write(
        "mine.lua",
        "local policy = { api = 1 }\nfunction policy.route(request)\n  return request.oops.x\nend\nreturn policy\n",
    );
    let (code, out, err) = explain(&site, BUILD).await;
    assert_eq!((code, err.as_str()), (1, ""));
    assert!(out.contains(&format!("failed   {}:3: ", site.path("mine.lua").display())), "{out}");
    assert!(out.ends_with("the viewer gets \"Internal streaming error\"\n"), "{out}");
}

#[tokio::test]
async fn a_registry_file_that_cannot_be_used_is_said_at_once() {
    let site = site("");
    site.write("registry.yaml", "builds:\n  - {uuid: ../x}\n");
    let (code, out, err) = explain(&site, BUILD).await;
    assert_eq!((code, out.as_str()), (2, ""), "as check says it");
    assert!(err.contains("registry.yaml:2: builds[0].uuid: invalid value: string \"../x\", expected a uuid"), "{err}");
}

#[tokio::test]
async fn a_zookeeper_that_does_not_answer_is_named_with_what_was_tried() {
    let mut site = site("");
    site.registry = format!("{{zookeeper: {{hosts: \"{}:1\", chroot: /ci}}}}", site.ip);
    let (code, out, err) = explain(&site, BUILD).await;
    assert_eq!((code, out.as_str()), (1, ""));
    let address = format!("{}:1", site.ip);
    assert!(err.contains(&format!("no connection to ZooKeeper reason={address}: Connection refused")), "{err}");
    assert!(err.contains(&format!("fingerpost: no answer from ZooKeeper at {address}/ci; ")), "{err}");
    assert!(err.contains(BUILD), "{err}");
    let (code, out, err) = explain_with(&site, &[&"--query", &"zones@"]).await;
    assert!(code == 1 && out.is_empty() && err.contains("no answer from ZooKeeper at "), "{out}{err}");
}

#[tokio::test]
async fn another_policy_is_shown_with_what_it_changes() {
    let site = site("");
    site.write("new.lua", &policy("\n  return relay.direct(request.build.worker)"));
    let (code, out, err) = explain_with(&site, &[&BUILD, &"--policy", &site.path("new.lua")]).await;
    assert_eq!((code, err.as_str()), (1, ""), "a difference is no success");
    let new = site.path("new.lua").display().to_string();
    let expected = format!(
        "
with     the policy {new}
policy   {new}
decided  in line 3
route    1. direct executor.example:7900

differs  without gateway first.example:7979 over TLS, which was 1.
         without gateway second.example:79, which was 2.
         with direct executor.example:7900 as 1.
         decided by {new}:3 instead of built-in default:23
"
    );
    assert!(out.starts_with("registry 3 builds") && out.ends_with(&expected), "{out}");
}

#[tokio::test]
async fn a_policy_that_decides_alike_differs_in_nothing() {
    let site = site("");
    site.write("new.lua", include_str!("../../scripts/default.lua"));
    let (code, out, err) = explain_with(&site, &[&BUILD, &"--policy", &site.path("new.lua")]).await;
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.ends_with("\ndiffers  in nothing: the viewer gets the same from the same place\n"), "{out}");
}

#[tokio::test]
async fn a_relay_of_another_zone_is_explained() {
    let (code, out, err) = explain_with(&site(""), &[&BUILD, &"--zone", &"west"]).await;
    assert_eq!((code, err.as_str()), (1, ""));
    assert!(
        out.contains("\nwith     the relay in zone west\npolicy   built-in default\ndecided  in line 26\n"),
        "{out}"
    );
    let (code, out, _) = explain_with(&site("zone: west\n"), &[&BUILD, &"--no-zone"]).await;
    assert!(code == 1 && out.contains("\nwith     the relay in no zone\n"), "{out}");
    assert!(out.contains("         with gateway second.example:79 as 2.\n"), "{out}");
}

#[tokio::test]
async fn another_asker_is_what_the_policy_sees() {
    let mut site = site("policy: {file: mine.lua}\n");
    site.listeners += &format!("  - {{name: other, address: \"{}:7980\"}}\n", site.ip);
    let seen = "return relay.reply(table.concat({request.listener, request.peer, request.server_name or '-',
        request.identity and request.identity.subject or '-', time.format(relay.now())}, '\\n'))";
    site.write("mine.lua", &policy(seen));
    let authority = Authority::new();
    let leaf = authority.issue("alice");
    let (viewer, name) = ("2001:db8::7", "LOGS.example");
    let asker: [&dyn AsRef<Path>; 11] = [
        &BUILD,
        &"--viewer",
        &viewer,
        &"--listener",
        &"other",
        &"--server-name",
        &name,
        &"--certificate",
        &leaf.cert,
        &"--at",
        &"2040-01-02T03:04:05Z",
    ];
    let (code, out, err) = explain_with(&site, &asker).await;
    assert_eq!((code, err.as_str()), (1, ""), "{out}");
    assert!(out.contains("with     the viewer at 2001:db8::7\n         the listener other\n"), "{out}");
    let reply = "         other\n         2001:db8::7\n         logs.example\n         CN=alice,O=Zuul\n         2040-01-02T03:04:05Z\n";
    assert!(out.contains(reply), "{out}");
    assert!(
        out.contains("differs  without the line \"finger\"\n") && out.contains("with the line \"other\"\n"),
        "{out}"
    );
}

#[tokio::test]
async fn a_viewer_that_is_turned_away_never_asks() {
    let site = site("policy: {file: mine.lua}\n");
    let accept =
        "if connection.peer == '192.0.2.7' then return relay.refuse('go away', {tags = {why = 'address'}}) end";
    site.write("mine.lua", &with_hook(&format!("function policy.accept(connection) {accept} end")));
    let (code, out, err) = explain_with(&site, &[&BUILD, &"--viewer", &"192.0.2.7"]).await;
    assert_eq!((code, err.as_str()), (1, ""));
    let mine = site.path("mine.lua").display().to_string();
    let expected = format!(
        "
with     the viewer at 192.0.2.7
policy   {mine}
refused  before it could ask; the viewer gets \"go away\"
tags     why=address

differs  the viewer gets \"go away\" before it could ask instead of a log
         with the tag why=address
         decided by {mine} instead of {mine}:2
"
    );
    assert!(out.ends_with(&expected), "{out}");
}

#[tokio::test]
async fn what_one_asker_leaves_behind_is_nothing_to_the_other() {
    let site = site("policy: {file: mine.lua}\n");
    let accept = "if relay.shared.add('asked', 1) > 1 then return relay.refuse('once is enough') end";
    site.write("mine.lua", &with_hook(&format!("function policy.accept(connection) {accept} end")));
    let (code, out, err) = explain_with(&site, &[&BUILD, &"--viewer", &"192.0.2.7"]).await;
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
}

#[tokio::test]
async fn an_invariant_is_held_against_the_route() {
    let site = site("policy: {file: mine.lua}\n");
    site.write("mine.lua", &with_hook("function policy.invariant(build, route) return true end"));
    let (code, out, err) = explain(&site, BUILD).await;
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.ends_with("route    1. direct executor.example:7900\nchecked  the invariant holds\n"), "{out}");
    site.write(
        "new.lua",
        &with_hook("function policy.invariant(build, route) return 'no ' .. route.targets[1].kind end"),
    );
    let (code, out, _) = explain_with(&site, &[&BUILD, &"--policy", &site.path("new.lua")]).await;
    assert_eq!(code, 1);
    assert!(
        out.contains("\nbroken   the invariant: no direct\n\ndiffers  the invariant is broken: no direct\n"),
        "{out}"
    );
}

#[tokio::test]
async fn a_listener_that_would_keep_the_viewer_out_is_named() {
    let mut site = site("");
    let authority = Authority::new();
    let (own, viewer) = (authority.issue("relay"), authority.issue("alice"));
    let (ca, cert, key) = (authority.ca(), own.cert.display(), own.key.display());
    site.listeners += &format!(
        "  - name: tls\n    address: \"{}:7980\"\n    tls: {{certificates: [{{cert: {cert}, key: {key}}}], client_certificates: required, client_ca: {}}}\n",
        site.ip,
        ca.display()
    );
    let note = "note     listener tls lets nobody in without a client certificate; see --certificate\npolicy";
    let (code, out, err) = explain_with(&site, &[&BUILD, &"--listener", &"tls"]).await;
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(out.matches(note).count(), 1, "{out}");
    let asker: [&dyn AsRef<Path>; 5] = [&BUILD, &"--listener", &"tls", &"--certificate", &viewer.cert];
    let (_, out, _) = explain_with(&site, &asker).await;
    assert!(!out.contains("note "), "{out}");
}

#[tokio::test]
async fn everything_is_told_to_programs_too() {
    let site = site("policy: {folder: policies, default: zuul, rules: [{tenant: acme, policy: first}]}\n");
    std::fs::create_dir(site.path("policies")).expect("a folder");
    site.write("policies/first.lua", &policy("return relay.hand_over('zuul')"));
    let body = "return relay.connect{host = 'edge.example', port = 443, tls = true, connect_timeout = 2, tags = {to = 'edge'}}";
    let hook = "end function policy.invariant(build, route) return 'no edge'";
    site.write("new.lua", &policy(&format!("{body} {hook}")));
    let new = site.path("new.lua").display().to_string();
    let (code, out, err) = explain_with(&site, &[&BUILD, &"--json", &"--policy", &new, &"--no-zone"]).await;
    assert_eq!((code, err.as_str()), (1, ""));
    assert_eq!(out.lines().count(), 1);
    let said: Value = serde_json::from_str(&out).expect("JSON");
    let first = site.path("policies/first.lua").display().to_string();
    assert_eq!(said["registry"], json!({"builds": 3, "gateways": 2, "age_seconds": 0.0}));
    assert_eq!((&said["query"], &said["build"]["uuid"], &said["zone"]), (&json!(BUILD), &json!(BUILD), &Value::Null));
    assert_eq!(said["gateways"][0]["hostname"], json!("first.example"));
    let plain = json!({"server_name": null, "connect_timeout": null, "handshake_timeout": null});
    let target = |more: Value| {
        let fields = [&plain, &more].map(|part| part.as_object().expect("an object").clone());
        Value::Object(fields.into_iter().flatten().collect())
    };
    let gateways = [
        target(json!({"kind": "gateway", "host": "first.example", "port": 7979, "tls": true})),
        target(json!({"kind": "gateway", "host": "second.example", "port": 79, "tls": false})),
    ];
    assert_eq!(
        said["decision"],
        json!({"policy": first, "rule": "the rule for tenant acme", "file": "built-in default", "line": 23,
               "handed_over": [{"file": first, "line": 2, "to": "zuul"}], "outcome": "targets", "targets": gateways,
               "text": null, "failure": null, "tags": {}, "invariant": null})
    );
    let edge = json!({"kind": "connect", "host": "edge.example", "port": 443, "tls": true, "connect_timeout": 2.0});
    assert_eq!(said["supposed"], json!({"policy": new, "zone": null}));
    assert_eq!(
        said["other"],
        json!({"policy": new, "rule": null, "file": new, "line": 2, "handed_over": [], "outcome": "targets",
               "targets": [target(edge)], "text": null, "failure": null, "tags": {"to": "edge"},
               "invariant": {"broken": "no edge"}})
    );
    assert_eq!(said["differences"][2], "with connect edge.example:443 over TLS as 1.");
    let (code, out, _) = explain_with(&site, &[&"ffff", &"--json"]).await;
    let said: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((code, &said["decision"]["outcome"], &said["build"]), (1, &json!("refuse"), &Value::Null));
    assert_eq!((&said["decision"]["text"], said.get("other")), (&json!("Build not found"), None));
}

#[tokio::test]
async fn an_asker_that_cannot_be_is_bad_usage() {
    let site = site("");
    let (code, out, err) = explain_with(&site, &[&BUILD, &"--listener", &"fingre"]).await;
    assert_eq!((code, out.as_str()), (2, ""));
    assert_eq!(err, "there is no listener \"fingre\"; configured are: finger\n");
    let (code, out, err) = explain_with(&site, &[&BUILD, &"--certificate", &site.path("none.pem")]).await;
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.contains("none.pem: cannot be read: "), "{err}");
    site.write("none.lua", "return {");
    let (code, out, err) = explain_with(&site, &[&BUILD, &"--policy", &site.path("none.lua")]).await;
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.starts_with(&format!("{}:1: ", site.path("none.lua").display())), "{err}");
}

#[tokio::test]
async fn any_line_that_a_viewer_may_send_is_explained() {
    let site = site("policy: {file: mine.lua}\n");
    site.write("mine.lua", &policy("return relay.reply(request.query)"));
    let (code, out, err) = explain_with(&site, &[&"--query", &"zones@"]).await;
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains("\nquery    \"zones@\", which names no build\nrelay    in no zone\n"), "{out}");
    assert!(out.ends_with("replied  the viewer gets 6 bytes:\n         zones@\n"), "{out}");
    let (code, _, err) = explain_with(&site, &[&"--query", &"../x"]).await;
    assert!(code == 2 && err.contains("relative path"), "{err}");
}

#[tokio::test]
async fn the_way_through_several_policies_is_shown() {
    let site = site("policy: {folder: policies, default: zuul, rules: [{tenant: acme, policy: first}]}\n");
    std::fs::create_dir(site.path("policies")).expect("a folder");
    site.write("policies/first.lua", &policy("\n  return relay.hand_over('second')"));
    site.write("policies/second.lua", &policy("return relay.refuse('closed')"));
    let (code, out, err) = explain(&site, BUILD).await;
    assert_eq!((code, err.as_str()), (1, ""));
    let path = |name: &str| site.path(name).display().to_string();
    let (first, second) = (path("policies/first.lua"), path("policies/second.lua"));
    let expected = format!(
        "policy   {first}, by the rule for tenant acme
handed   over to second in line 3
decided  in {second}:2
refused  the viewer gets \"closed\"
"
    );
    assert!(out.ends_with(&expected), "{out}");
}

fn policy(body: &str) -> String {
    format!("local policy = {{ api = 1 }}\nfunction policy.route(request) {body}\nend\nreturn policy\n")
}

/// A policy that goes straight to every executor, with one function more.
fn with_hook(function: &str) -> String {
    policy(&format!("return relay.direct(request.build.worker)\nend {function}\ndo"))
}

fn site(more: &str) -> Site {
    let site = Site::new().and(more);
    site.write("registry.yaml", REGISTRY);
    site
}

async fn explain(site: &Site, uuid: &str) -> (i32, String, String) {
    explain_with(site, &[&uuid]).await
}

async fn explain_with(site: &Site, args: &[&dyn AsRef<Path>]) -> (i32, String, String) {
    let config = site.configure();
    let command: [&dyn AsRef<Path>; 3] = [&"explain", &"--config", &config];
    output(&[command.as_slice(), args].concat()).await
}
