//! YAML text as a tree, and the line on which any part of the tree stands. It knows no setting.
//!
//! The YAML parser tells a line for errors only, so [`line_of`] walks the text again and raises an error on purpose
//! where it wants to know. That costs one more parse a question, and questions are asked only when something is wrong.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_yaml::Deserializer as Yaml;

/// A place in the tree: which entry of a mapping, or which item of a list, at each level from the top.
pub(super) type Spot = Vec<usize>;

/// One value, as the file has it: duplicate keys are still there.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    /// Nothing, `null` or `~`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i128),
    /// Any other number.
    Float(f64),
    /// Any other scalar.
    Text(String),
    /// A sequence.
    List(Vec<Self>),
    /// A mapping, in the order of the file.
    Map(Vec<(String, Self)>),
}

/// Reads a whole file. One without any value is [`Node::Null`].
///
/// # Errors
/// What the parser says, and the line where it says it.
pub(super) fn parse(text: &str) -> Result<Node, (Option<usize>, String)> {
    let mut documents = Yaml::from_str(text);
    let Some(document) = documents.next() else { return Ok(Node::Null) };
    let node = Tree.deserialize(document).map_err(describe)?;
    match documents.next() {
        None => Ok(node),
        Some(_) => Err((None, "has more than one YAML document; the configuration is one".to_owned())),
    }
}

/// The line of what stands at `spot`, counted from 1: of its key in a mapping, of itself in a list. The spot must be
/// one that the tree of the same text has.
pub(super) fn line_of(text: &str, spot: &[usize]) -> Option<usize> {
    let document = Yaml::from_str(text).next()?;
    let stop = Stop { spot }.deserialize(document).err()?;
    stop.location().map(|location| location.line())
}

fn describe(error: serde_yaml::Error) -> (Option<usize>, String) {
    let line = error.location().map(|location| location.line());
    (line, format!("is not valid YAML: {error}"))
}

impl fmt::Display for Node {
    /// As a problem quotes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("nothing"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Integer(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value}"),
            Self::Text(value) => write!(f, "{value:?}"),
            Self::List(_) => f.write_str("a list"),
            Self::Map(_) => f.write_str("a mapping"),
        }
    }
}

/// Builds the tree.
struct Tree;

impl<'de> DeserializeSeed<'de> for Tree {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Node, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value without a tag")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Integer(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Integer(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Self)? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut map = Vec::new();
        while let Some(key) = entries.next_key_seed(Self)? {
            let key = match key {
                Node::Text(key) => key,
                other => return Err(A::Error::custom(format!("expected text as a key, found {other}; quote it"))),
            };
            map.push((key, entries.next_value_seed(Self)?));
        }
        Ok(Node::Map(map))
    }
}

/// Goes down to a spot and stops there with an error, which the parser then gives its line.
struct Stop<'s> {
    spot: &'s [usize],
}

impl<'de> DeserializeSeed<'de> for Stop<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Stop<'_> {
    type Value = ();

    /// Also what happens to every scalar: serde makes an error of it, here and now, which is what is wanted.
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("to stop here")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Some((first, below)) = self.spot.split_first() else { return Err(A::Error::custom("here")) };
        for _ in 0..*first {
            items.next_element::<IgnoredAny>()?;
        }
        items.next_element_seed(Stop { spot: below })?;
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let Some((first, below)) = self.spot.split_first() else { return Err(A::Error::custom("here")) };
        for _ in 0..*first {
            entries.next_entry::<IgnoredAny, IgnoredAny>()?;
        }
        if below.is_empty() {
            entries.next_key_seed(Stop { spot: below })?;
        } else {
            entries.next_key::<IgnoredAny>()?;
            entries.next_value_seed(Stop { spot: below })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
a: 1
b:
  - c: 2
    d: [3,
        4]
  - {e: 5,
     f: {g: 6,
         h: 7}}
a: again
";

    #[test]
    fn every_part_of_block_and_flow_style_has_its_line() {
        let lines: [(&[usize], usize); 10] = [
            (&[0], 1),
            (&[1], 2),
            (&[1, 0], 3),
            (&[1, 0, 1], 4),
            (&[1, 0, 1, 1], 5),
            (&[1, 1], 6),
            (&[1, 1, 0], 6),
            (&[1, 1, 1, 0], 7),
            (&[1, 1, 1, 1], 8),
            (&[2], 9),
        ];
        for (spot, line) in lines {
            assert_eq!(line_of(TEXT, spot), Some(line), "{spot:?}");
        }
    }

    #[test]
    fn duplicate_keys_stay_in_the_tree() {
        let node = parse("a: 1\na: x\n").unwrap();
        let entry = |value| ("a".to_owned(), value);
        assert_eq!(node, Node::Map(vec![entry(Node::Integer(1)), entry(Node::Text("x".to_owned()))]));
    }

    #[test]
    fn an_empty_file_is_nothing() {
        for text in ["", "\n", "# only a comment\n", "---\n"] {
            assert_eq!(parse(text), Ok(Node::Null), "{text:?}");
        }
    }

    #[test]
    fn what_is_not_yaml_has_a_line() {
        let lines = |text| parse(text).unwrap_err().0;
        assert_eq!(lines("a: 1\nb: [\n"), Some(3));
        assert_eq!(lines("a: 1\nb: !tag 1\n"), Some(2));
        assert_eq!(lines("a: 1\n---\nb: 2\n"), None);
        let (line, text) = parse("a: {\n 1: x}\n").unwrap_err();
        assert!(line.is_some() && text.contains("expected text as a key, found 1; quote it"), "{line:?} {text}");
    }
}
