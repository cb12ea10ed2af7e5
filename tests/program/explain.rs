//! `fingerpost explain`: what an operator reads of a decision, and of a registry that cannot be read.

use crate::site::{BUILD, Site, output};

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
decided  in line 22
route    1. gateway first.example:7979 over TLS
         2. gateway second.example:79
"
    );
}

#[tokio::test]
async fn a_direct_route_is_explained() {
    let (code, out, err) = explain(&site("zone: west\n"), BUILD).await;
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.ends_with("decided  in line 25\nroute    1. direct executor.example:7900\n"), "{out}");
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
}

fn site(more: &str) -> Site {
    let site = Site::new().and(more);
    site.write("registry.yaml", REGISTRY);
    site
}

async fn explain(site: &Site, uuid: &str) -> (i32, String, String) {
    output(&[&"explain", &"--config", &site.configure(), &uuid]).await
}
