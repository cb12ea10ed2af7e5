//! Streams counted by the tags that policies gave them. A script may call every stream something else, so the labels
//! are bounded here: what comes after the bound is counted all the same, as `other`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

use crate::route::Tags;

/// What everything beyond the bounds is counted as. A policy may use the word itself; it then shares the count.
const OTHER: &str = "other";

/// Streams that ended, by tag. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct Tagged {
    /// Each tag of each stream.
    pub(super) streams: Family<ByTag, Counter>,
    known: Arc<Mutex<Known>>,
}

/// A tag, as a metric's labels.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ByTag {
    tag: String,
    value: String,
}

/// The labels in use. They live as long as the process, as counters do.
#[derive(Debug, Default)]
struct Known {
    values: BTreeMap<String, BTreeSet<String>>,
    pairs: usize,
}

impl Tagged {
    /// Most different tags; those that come later are counted as the tag `other` with the value `other`.
    pub const MAX_TAGS: usize = 16;

    /// Most different pairs of a tag and a value; later values of a tag are counted as its value `other`, which is not
    /// one of these.
    pub const MAX_PAIRS: usize = 256;

    /// Counts a stream under each of its tags.
    pub fn count(&self, tags: &Tags) {
        for (tag, value) in tags.iter() {
            let (tag, value) = self.known().bounded(tag, value);
            let by = ByTag { tag: tag.to_owned(), value: value.to_owned() };
            self.streams.get_or_create(&by).inc();
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // At worst a pair is counted that is not among the values: the bound still holds.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// The labels to count a pair under.
    fn bounded<'a>(&mut self, tag: &'a str, value: &'a str) -> (&'a str, &'a str) {
        if !self.values.contains_key(tag) && self.values.len() >= Tagged::MAX_TAGS {
            return (OTHER, OTHER);
        }
        let values = self.values.entry(tag.to_owned()).or_default();
        if values.contains(value) || value == OTHER {
            return (tag, value);
        }
        if self.pairs >= Tagged::MAX_PAIRS {
            return (tag, OTHER);
        }
        self.pairs += 1;
        values.insert(value.to_owned());
        (tag, value)
    }
}

#[cfg(test)]
mod tests {
    use crate::metrics::Metrics;
    use crate::route::Tags;

    fn tags(pairs: &[(&str, &str)]) -> Tags {
        Tags::new(pairs.iter().copied()).unwrap()
    }

    /// The lines of the metric, without its name.
    fn lines(metrics: &Metrics) -> Vec<String> {
        let name = "fingerpost_streams_tagged_total";
        metrics.text().lines().filter_map(|line| line.strip_prefix(name)).map(str::to_owned).collect()
    }

    #[test]
    fn a_stream_is_counted_under_each_of_its_tags() {
        let metrics = Metrics::new();
        metrics.streams.tagged.count(&tags(&[("team", "a"), ("tier", "gold")]));
        metrics.streams.tagged.clone().count(&tags(&[("team", "a")]));
        metrics.streams.tagged.count(&Tags::default());
        let mut lines = lines(&metrics);
        lines.sort();
        assert_eq!(lines, [r#"{tag="team",value="a"} 2"#, r#"{tag="tier",value="gold"} 1"#]);
    }

    #[test]
    fn a_value_cannot_break_the_text() {
        let metrics = Metrics::new();
        metrics.streams.tagged.count(&tags(&[("team", r#"a"} 7 \"#)]));
        assert_eq!(lines(&metrics), [r#"{tag="team",value="a\"} 7 \\"} 1"#]);
    }

    #[test]
    fn the_257th_pair_is_counted_as_another_value_of_its_tag() {
        let metrics = Metrics::new();
        for n in 0..1000 {
            metrics.streams.tagged.count(&tags(&[("build", &n.to_string())]));
        }
        metrics.streams.tagged.count(&tags(&[("build", "255")]));
        metrics.streams.tagged.count(&tags(&[("late", "x")]));
        let lines = lines(&metrics);
        assert_eq!(lines.len(), 256 + 2, "{lines:#?}");
        for line in [
            r#"{tag="build",value="0"} 1"#,
            r#"{tag="build",value="255"} 2"#,
            r#"{tag="build",value="other"} 744"#,
            r#"{tag="late",value="other"} 1"#,
        ] {
            assert!(lines.iter().any(|one| one == line), "{line} in {lines:#?}");
        }
    }

    #[test]
    fn the_17th_tag_is_counted_as_another_tag() {
        let metrics = Metrics::new();
        for n in 0..20 {
            metrics.streams.tagged.count(&tags(&[(&format!("tag{n}"), "x")]));
        }
        let lines = lines(&metrics);
        assert_eq!(lines.len(), 16 + 1, "{lines:#?}");
        assert!(lines.iter().any(|line| line == r#"{tag="other",value="other"} 4"#), "{lines:#?}");
        assert!(!lines.iter().any(|line| line.contains("tag16")), "{lines:#?}");
    }
}
