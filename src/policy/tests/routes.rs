//! Every kind of route that a script can make, and what its options come to.

use super::*;
use crate::route::{Limit, Target};

fn route(body: &str) -> Route {
    let world = Scene::running_in(Some("there")).with(vec![gateway("gw", "there", State::Running)]);
    world.ask(&routing(body)).unwrap_or_else(|failure| panic!("{body}: {failure}"))
}

fn problem(body: &str) -> String {
    let world = Scene::running_in(Some("there")).with(vec![gateway("gw", "there", State::Running)]);
    let failure = world.ask(&routing(body)).unwrap_err();
    assert_eq!(failure.kind, FailureKind::BadRoute, "{failure}");
    failure.message
}

fn target(route: &Route) -> &Target {
    match &route.way {
        Way::Targets(targets) => &targets[0],
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_policy_may_answer_itself() {
    let Way::Reply(reply) = route("return relay.reply('one\\ntwo\\n')").way else { panic!() };
    assert_eq!(reply.as_str(), "one\ntwo\n");
    assert!(problem("return relay.reply('')").contains("relay.reply: the reply is empty"));
    assert!(problem("return relay.reply('\\xff')").contains("not UTF-8"));
    assert!(problem("return { relay.reply('a'), relay.reply('b') }").contains("stands alone"));
}

#[test]
fn a_policy_may_name_a_host_of_its_own() {
    let plain = route("return relay.connect{ host = 'edge.example', port = 7900 }");
    assert_eq!(target(&plain).to_string(), "connect edge.example:7900");
    let tls = "return relay.connect{ host = '2001:db8::1', port = 1, tls = true, server_name = 'x.example' }";
    assert_eq!(target(&route(tls)).to_string(), "connect 2001:db8::1:1 over TLS as x.example");
}

#[test]
fn a_wrong_host_or_port_is_quoted() {
    for (options, words) in [
        ("host = 'a b', port = 1", "host is no host name or address: \"a b\""),
        ("host = 'a', port = 0", "port must be a whole number from 1 to 65535, not 0"),
        ("host = 'a', port = 1.5", "not 1.5"),
        ("host = 'a', port = '1'", "port must be number, not \"1\""),
        ("host = 'a', prot = 1", "there is no option \"prot\"; did you mean \"port\"?"),
        ("port = 1", "host must be string, not nil"),
        ("host = 'a', port = 1, server_name = 'b'", "server_name is for TLS only"),
    ] {
        let said = problem(&format!("return relay.connect{{ {options} }}"));
        assert!(said.contains(words), "{options}: {said}");
    }
}

#[test]
fn options_reach_every_target_of_a_route() {
    for body in ["relay.direct(request.build.worker, ", "relay.via(relay.gateways('there'), "] {
        let route = route(&format!("return {body}{{ connect_timeout = 1.5, handshake_timeout = 2 }})"));
        assert_eq!(target(&route).connect_timeout, Some(Limit::seconds(1.5).unwrap()));
        assert_eq!(target(&route).handshake_timeout, Some(Limit::seconds(2.0).unwrap()));
    }
    let said = problem("return relay.direct(request.build.worker, { connect_timeout = 0 })");
    assert!(said.contains("relay.direct: connect_timeout: 0 s is no time limit"), "{said}");
    let said = problem("return relay.refuse('no', { connect_timeout = 1 })");
    assert!(said.contains("there is no option \"connect_timeout\""), "{said}");
}

#[test]
fn tags_are_words_with_a_value_each() {
    for body in ["relay.direct(request.build.worker, ", "relay.refuse('no', ", "relay.reply('yes', "] {
        let route = route(&format!("return {body}{{ tags = {{ class = 'gold', site = 'a' }} }})"));
        assert_eq!(route.tags.iter().collect::<Vec<_>>(), [("class", "gold"), ("site", "a")]);
    }
    for (tags, words) in [
        ("{ [1] = 'x' }", "is no word"),
        ("{ Class = 'x' }", "\"Class\" is no word"),
        ("{ class = true }", "\"class\" must be string, not true"),
        ("{ a='1', b='1', c='1', d='1', e='1', f='1', g='1', h='1', i='1' }", "more than 8 tags"),
    ] {
        let said = problem(&format!("return relay.refuse('no', {{ tags = {tags} }})"));
        assert!(said.contains(words), "{tags}: {said}");
    }
}

#[test]
fn tags_of_a_list_of_routes_are_joined_and_those_of_the_first_count() {
    let list = "return { relay.via(relay.gateways('there'), { tags = { first = '1', both = '1' } }),
        relay.direct(request.build.worker, { tags = { both = '2' } }) }";
    assert_eq!(route(list).tags.iter().collect::<Vec<_>>(), [("both", "1"), ("first", "1")]);
}
