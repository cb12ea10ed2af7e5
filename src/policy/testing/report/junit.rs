//! What came of tests, as JUnit XML: the form that CI systems show. A case that failed is a failure; there are no
//! errors beside, for a file that cannot be loaded is a case that failed.

use std::fmt::Write as _;

use super::{Case, File, Flaw, Outcome};

/// The whole document.
pub(super) fn document(outcome: &Outcome) -> String {
    let (passed, failed) = outcome.counts();
    let took: f64 = outcome.files.iter().map(seconds).sum();
    let mut xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned();
    let tests = passed + failed;
    let _infallible = writeln!(
        xml,
        "<testsuites name=\"fingerpost policy test\" tests=\"{tests}\" failures=\"{failed}\" errors=\"0\" time=\"{took:.6}\">"
    );
    outcome.files.iter().for_each(|file| suite(&mut xml, file));
    xml.push_str("</testsuites>\n");
    xml
}

fn suite(xml: &mut String, file: &File) {
    let failed = file.cases.iter().filter(|case| case.flaw.is_some()).count();
    let (name, tests, took) = (escaped(&file.title), file.cases.len(), seconds(file));
    let _infallible = writeln!(
        xml,
        "  <testsuite name=\"{name}\" tests=\"{tests}\" failures=\"{failed}\" errors=\"0\" skipped=\"0\" time=\"{took:.6}\">"
    );
    file.cases.iter().for_each(|case| testcase(xml, &name, case));
    xml.push_str("  </testsuite>\n");
}

fn testcase(xml: &mut String, class: &str, case: &Case) {
    let (name, took) = (escaped(&case.name), case.took.as_secs_f64());
    let _infallible = write!(xml, "    <testcase classname=\"{class}\" name=\"{name}\" time=\"{took:.6}\"");
    if case.flaw.is_none() && case.printed.is_empty() {
        xml.push_str("/>\n");
        return;
    }
    xml.push_str(">\n");
    if let Some(flaw) = &case.flaw {
        failure(xml, flaw);
    }
    if !case.printed.is_empty() {
        let printed = escaped(&case.printed.join("\n"));
        let _infallible = writeln!(xml, "      <system-out>{printed}</system-out>");
    }
    xml.push_str("    </testcase>\n");
}

fn failure(xml: &mut String, flaw: &Flaw) {
    let (message, whole) = (escaped(&flaw.error.message), escaped(&flaw.to_string()));
    let _infallible = writeln!(xml, "      <failure message=\"{message}\" type=\"failure\">{whole}</failure>");
}

fn seconds(file: &File) -> f64 {
    file.cases.iter().map(|case| case.took.as_secs_f64()).sum()
}

/// `text` in an attribute or between tags. XML 1.0 has no way to write most control characters.
fn escaped(text: &str) -> String {
    let mut xml = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '"' => xml.push_str("&quot;"),
            '\n' => xml.push_str("&#10;"),
            '\t' => xml.push_str("&#9;"),
            '\u{fffe}' | '\u{ffff}' => xml.push('\u{fffd}'),
            c if c.is_ascii_control() => xml.push('\u{fffd}'),
            c => xml.push(c),
        }
    }
    xml
}
