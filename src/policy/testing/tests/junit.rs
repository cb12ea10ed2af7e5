//! The report for CI, read again by a parser that is not ours.

use roxmltree::{Document, Node};

use super::*;

#[test]
fn every_case_is_in_the_report_with_what_was_wrong() {
    let test = "test.case('a \"<&>\\n\\1\u{7f} case', function() print('<b>', '\\0') expect.equal('<&]]>', '\\t') end)
test.case('fine', function() end)";
    let ran = ran(&[("p.lua", POLICY), ("p_test.lua", test)]);
    let text = ran.short(&ran.outcome.junit());
    let document = Document::parse(&text).unwrap();
    let all = document.root_element();
    assert_eq!(
        (all.tag_name().name(), all.attribute("tests"), all.attribute("failures")),
        ("testsuites", Some("2"), Some("1"))
    );
    let suite = all.first_element_child().unwrap();
    assert_eq!((suite.attribute("name"), suite.attribute("tests")), (Some("p_test.lua"), Some("2")));
    let cases: Vec<Node<'_, '_>> = suite.children().filter(Node::is_element).collect();
    assert_eq!(cases[0].attribute("name"), Some("a \"<&>\n\u{fffd}\u{fffd} case"));
    assert_eq!((cases[1].attribute("name"), cases[1].children().count()), (Some("fine"), 0));
    assert!(cases.iter().all(|case| case.attribute("classname") == Some("p_test.lua")));
    let took: f64 = cases[0].attribute("time").unwrap().parse().unwrap();
    assert!(took < 10.0);
    let parts: Vec<_> = cases[0].children().filter(Node::is_element).collect();
    assert_eq!((parts[0].tag_name().name(), parts[0].attribute("message")), ("failure", Some("not as expected")));
    let flaw = parts[0].text().unwrap();
    assert!(
        flaw.starts_with("p_test.lua:1: not as expected\n    test.case(") && flaw.contains("got       \"<&]]>\"\n"),
        "{flaw}"
    );
    assert_eq!((parts[1].tag_name().name(), parts[1].text()), ("system-out", Some("<b> \\u{0}")));
}
