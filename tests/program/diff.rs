//! `fingerpost policy diff`: what an operator reads of a policy that is not loaded yet.

use crate::site::{Site, output};

const REGISTRY: &str = "builds:
  - {uuid: aaaa, zone: west, worker: {hostname: ze1.example, log_port: 7900, zone: west}}
  - {uuid: bbbb, zone: west, worker: {hostname: ze2.example, log_port: 7900, zone: west}}
  - {uuid: cccc}
gateways:
  - {hostname: gw.example, public_port: 79, zone: west}
";

#[tokio::test]
async fn what_would_change_is_shown_as_a_table() {
    let site = site();
    site.write(
        "new.lua",
        "return { api = 1, route = function(request)\nreturn relay.direct(request.build.worker) end }",
    );
    let (code, out, err) = diff(&site, "new.lua").await;
    assert_eq!((code, err.as_str()), (1, ""));
    assert_eq!(
        out,
        "rerouted    no zone: 2 builds, such as aaaa
    now   gateway gw.example:79
    then  direct
4 decisions compared (2 running builds, 2 zones): 2 rerouted
"
    );
}

#[tokio::test]
async fn a_policy_that_decides_alike_differs_in_nothing() {
    let site = site();
    site.write("new.lua", include_str!("../../scripts/default.lua"));
    let (code, out, err) = diff(&site, "new.lua").await;
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(out, "4 decisions compared (2 running builds, 2 zones): no difference\n");
}

#[tokio::test]
async fn a_policy_that_fails_is_shown_with_its_line() {
    let site = site();
    site.write("new.lua", "return { api = 1, route = function(request)\nreturn relay.driect() end }");
    let (code, out, _) = diff(&site, "new.lua").await;
    assert_eq!(code, 1);
    assert!(out.contains("fails       west: 2 builds") && out.contains("new.lua:2: relay has no field"), "{out}");
}

#[tokio::test]
async fn a_policy_that_breaks_its_own_invariant_is_shown_with_its_words() {
    let site = site();
    let invariant = "function(build, route) return 'nobody dials ' .. route.targets[1].host end";
    let route = "function(request) return relay.via(relay.gateways('west')) end";
    site.write("new.lua", &format!("return {{ api = 1, route = {route}, invariant = {invariant} }}"));
    let (code, out, _) = diff(&site, "new.lua").await;
    assert_eq!(code, 1);
    assert!(out.starts_with("broken      no zone: 2 builds, such as aaaa\n    now   gateway gw.example:79\n"), "{out}");
    assert!(out.contains("then  gateway gw.example:79, against the invariant: nobody dials gw.example\n"), "{out}");
}

#[tokio::test]
async fn a_change_on_one_listener_only_is_told_with_its_name() {
    let mut site = site();
    site.listeners += &format!("  - {{name: other, address: \"{}:7980\"}}\n", site.ip);
    let default = include_str!("../../scripts/default.lua")
        .replace("local build = request.build", "local build = request.listener == 'finger' and request.build or nil");
    site.write("new.lua", &default);
    let (code, out, _) = diff(&site, "new.lua").await;
    assert_eq!(code, 1);
    assert!(out.contains("unroutable  west on other: 2 builds, such as aaaa\n    now   direct\n"), "{out}");
    assert!(out.ends_with("8 decisions compared (2 running builds, 2 zones, 2 listeners): 4 unroutable\n"), "{out}");
}

#[tokio::test]
async fn what_is_no_policy_is_said_at_once() {
    let site = site();
    site.write("new.lua", "return {");
    let (code, out, err) = diff(&site, "new.lua").await;
    assert_eq!((code, out.as_str()), (2, ""), "as check says it");
    assert!(err.starts_with(&format!("{}:1: ", site.path("new.lua").display())), "{err}");
}

fn site() -> Site {
    let site = Site::new();
    site.write("registry.yaml", REGISTRY);
    site
}

async fn diff(site: &Site, candidate: &str) -> (i32, String, String) {
    output(&[&"policy", &"diff", &"--config", &site.configure(), &site.path(candidate)]).await
}
