//! Guesses what was meant by a name that does not exist.

/// The end of a message about the unknown name `word`: the likeliest of `known`, or all of them.
pub(super) fn hint<'a>(word: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    match nearest(word, known.clone()) {
        Some(name) => format!("; did you mean \"{name}\"?"),
        None => {
            let names = known.collect::<Vec<_>>().join(", ");
            if names.is_empty() { names } else { format!("; there are: {names}") }
        }
    }
}

/// Which of `known` was meant by `word`, if it may have been one of them.
pub(super) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let (edits, name) = known.map(|name| (distance(word, name), name)).min()?;
    // A word of which nothing is left was not misspelled.
    (edits <= name.len() / 3 + 1 && edits < name.len().min(word.len())).then_some(name)
}

/// Levenshtein's distance, in bytes.
fn distance(a: &str, b: &str) -> usize {
    // Whoever is this far off meant something else; and a script's key can be megabytes long.
    if a.len() > b.len() + 8 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut left = i + 1;
        let mut next = vec![left];
        for (y, pair) in b.bytes().zip(row.windows(2)) {
            let [diagonal, above] = *pair else { continue };
            left = (left + 1).min(above + 1).min(diagonal + usize::from(x != y));
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_is_corrected_and_a_stranger_is_shown_the_list() {
        let known = ["tenant", "zone", "id"];
        assert_eq!(hint("tennant", known.into_iter()), "; did you mean \"tenant\"?");
        assert_eq!(hint("zones", known.into_iter()), "; did you mean \"zone\"?");
        assert_eq!(hint("x", known.into_iter()), "; there are: tenant, zone, id");
        assert_eq!(hint("x", std::iter::empty()), "");
        assert_eq!(hint("os", ["dns"].into_iter()), "; there are: dns");
    }

    #[test]
    fn distances_are_edits() {
        for (a, b, edits) in [("", "abc", 3), ("abc", "abc", 0), ("abc", "adc", 1), ("abc", "ac", 1), ("ab", "ba", 2)] {
            assert_eq!(distance(a, b), edits, "{a} {b}");
        }
    }
}
