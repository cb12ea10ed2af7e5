//! Numbers as the standard library writes them, the quick way. It never writes another text for a number.

use std::fmt::{self, Write as _};

/// What a time is counted in: a second has so many.
const BILLION: u64 = 1_000_000_000;

/// Adds `value` to `line`.
pub(super) fn whole(value: u64, line: &mut String) {
    line.push_str(itoa::Buffer::new().format(value));
}

/// Adds `value` to `line` as [`fmt::Debug`] does, by its billionths where it is so many: times are.
pub(super) fn real(value: f64, line: &mut String) -> fmt::Result {
    let Some(billionths) = billionths(value) else { return write!(line, "{value:?}") };
    whole(billionths / BILLION, line);
    // With a digit in front, which keeps the zeros, and is where the point goes.
    let mut digits = itoa::Buffer::new();
    let fraction = digits.format(BILLION + billionths % BILLION).get(1..).unwrap_or_default();
    let fraction = fraction.trim_end_matches('0');
    line.push('.');
    line.push_str(if fraction.is_empty() { "0" } else { fraction });
    Ok(())
}

/// How many billionths are `value`, if their number says all of it.
///
/// Up to 15 digits, no two decimal numbers are the same `f64`. So one that is nearest to `value` is also the shortest
/// text for it, which is what [`fmt::Debug`] looks for. Below a ten-thousandth it writes an exponent.
fn billionths(value: f64) -> Option<u64> {
    if !(1e-4..1e6).contains(&value) {
        return None;
    }
    let nearest = (value * 1e9 + 0.5) as u64;
    (nearest as f64 / 1e9 == value).then_some(nearest)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn is_debug(value: f64) {
        let mut text = String::new();
        real(value, &mut text).unwrap();
        assert_eq!(text, format!("{value:?}"));
    }

    #[test]
    fn real_numbers_are_written_as_the_standard_library_does() {
        let odd = [0.0, -0.0, -1.5, 1e-4, 9.999e-5, 1e6, 999_999.999_999_999, 0.1 + 0.2, 1.0 / 3.0, 123_456.7, 1e300];
        odd.into_iter().chain([f64::NAN, f64::INFINITY, f64::MIN_POSITIVE, f64::EPSILON, 1.0, 10.0]).for_each(is_debug);
    }

    #[test]
    fn times_of_every_length_are_written_as_the_standard_library_does() {
        let mut nanos: u64 = 1;
        while nanos < 10_000_000 * BILLION {
            for near in [nanos - 1, nanos, nanos + 1] {
                is_debug(Duration::from_nanos(near).as_secs_f64());
            }
            nanos += 1 + nanos / 997;
        }
    }

    #[test]
    fn whole_numbers_have_no_other_digits() {
        let mut text = String::new();
        [0, 7, u64::MAX].into_iter().for_each(|value| whole(value, &mut text));
        assert_eq!(text, "0718446744073709551615");
    }
}
