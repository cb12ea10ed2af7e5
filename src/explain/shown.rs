//! A route as a person reads it. It shows all of the route, and nothing that a terminal would obey.

use std::fmt;

use crate::route::{Limit, Reply, Route, Tags, Target, Way};

/// A route's text: a line for each target, what the viewer would be told, and the tags.
pub(super) struct Shown<'a>(pub(super) &'a Route);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.way {
            Way::Targets(targets) => write_targets(f, targets)?,
            Way::Reply(reply) => write_reply(f, reply)?,
            Way::Refuse(text) => writeln!(f, "refused  the viewer gets {text:?}")?,
        }
        write!(f, "{}", ShownTags(&self.0.tags))
    }
}

/// Tags, a line each.
pub(super) struct ShownTags<'a>(pub(super) &'a Tags);

impl fmt::Display for ShownTags<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut label = "tags";
        for (tag, value) in self.0.iter() {
            writeln!(f, "{label:8} {tag}={value}")?;
            label = "";
        }
        Ok(())
    }
}

fn write_targets(f: &mut fmt::Formatter<'_>, targets: &[Target]) -> fmt::Result {
    for (index, target) in targets.iter().enumerate() {
        let label = if index == 0 { "route" } else { "" };
        write!(f, "{label:8} {}. {target}", index + 1)?;
        write_limit(f, "connected", target.connect_timeout)?;
        write_limit(f, "shaken hands", target.handshake_timeout.filter(|_| target.tls))?;
        writeln!(f)?;
    }
    Ok(())
}

fn write_limit(f: &mut fmt::Formatter<'_>, what: &str, limit: Option<Limit>) -> fmt::Result {
    match limit {
        None => Ok(()),
        Some(limit) => write!(f, ", {what} within {}", humantime::format_duration(limit.get())),
    }
}

fn write_reply(f: &mut fmt::Formatter<'_>, reply: &Reply) -> fmt::Result {
    writeln!(f, "replied  the viewer gets {} bytes:", reply.as_str().len())?;
    reply.as_str().split('\n').try_for_each(|line| writeln!(f, "         {}", shown(line)))
}

/// A line that does nothing to a terminal: a policy may well quote what viewers send. Quotes are what they are.
fn shown(line: &str) -> String {
    let mut shown = String::with_capacity(line.len());
    for c in line.chars() {
        match c {
            '"' | '\'' => shown.push(c),
            _ => shown.extend(c.escape_debug()),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_shown_as_it_is_but_for_what_terminals_obey() {
        assert_eq!(
            shown("{\"zone\":\"Zürich\"} it's \u{1b}[31m\u{202e}\\"),
            "{\"zone\":\"Zürich\"} it's \\u{1b}[31m\\u{202e}\\\\"
        );
    }
    use crate::names::Hostname;

    #[test]
    fn targets_are_shown_in_order_with_their_own_wishes() {
        let host = |name: &str| Hostname::parse(name).unwrap();
        let edge = Target {
            tls: true,
            server_name: Some(host("gw.internal")),
            connect_timeout: Some(Limit::seconds(2.0).unwrap()),
            handshake_timeout: Some(Limit::seconds(0.5).unwrap()),
            ..Target::connect(host("edge.example"), 443)
        };
        let plain = Target { tls: false, ..edge.clone() };
        assert_eq!(
            Shown(&Way::Targets(vec![edge, plain]).into()).to_string(),
            "route    1. connect edge.example:443 over TLS as gw.internal, connected within 2s, shaken hands within \
             500ms\n         2. connect edge.example:443, connected within 2s\n"
        );
    }

    #[test]
    fn a_reply_is_shown_line_by_line_with_its_tags_below() {
        let tags = Tags::new([("kind", "list"), ("about", "zones")]).unwrap();
        let route = Route { way: Way::Reply(Reply::new("west 3\r\neast \u{1b}[31m\u{7}").unwrap()), tags };
        assert_eq!(
            Shown(&route).to_string(),
            "replied  the viewer gets 19 bytes:\n         west 3\\r\n         east \\u{1b}[31m\\u{7}\ntags     \
             about=zones\n         kind=list\n"
        );
    }
}
