//! Hashes of texts: those of cryptography, which [`digest`] owns, and one that spreads texts over buckets. Never a way
//! to keep a secret: what a script holds, its log may show.

use mlua::Value;

use super::call::{answer, number as given_number, pure, string, text};
use super::fault::{Fault, bounded};
use crate::policy::description::{Namespace, Type, parameter};
use crate::policy::rank::rank;
use crate::tls::digest;

/// Longest text, in bytes.
const MAX_TEXT: usize = 1 << 20;

/// Most buckets. Far above, the jump below would be no longer exact.
const MAX_BUCKETS: f64 = 1_000_000.0;

/// The library `hash`.
pub(super) const NAMESPACE: Namespace = Namespace {
    name: "hash",
    about: "Numbers and texts that stand for other texts.",
    constants: &[],
    functions: &[
        pure(
            "number",
            "A number from 1 to `buckets` that is always the same for a text; with one bucket more, only the texts that \
             go into it move. It protects from nobody who chooses the text.",
            &[
                parameter("text", Type::String, "a text of up to 1 MiB, such as request.uuid"),
                parameter("buckets", Type::Number, "a whole number from 1 to 1 000 000, such as #gateways"),
            ],
            Type::Number,
            |lua, given| answer(lua, "hash.number", number(&text(given, 0), given_number(given, 1)).map(Value::Number)),
        ),
        pure(
            "sha256",
            "SHA-256 of a text, in lower-case hexadecimal.",
            &[parameter("text", Type::String, "a text of up to 1 MiB")],
            Type::String,
            |lua, given| answer(lua, "hash.sha256", sha256(&text(given, 0)).and_then(|text| string(lua, text))),
        ),
        pure(
            "sha512",
            "SHA-512 of a text, in lower-case hexadecimal.",
            &[parameter("text", Type::String, "a text of up to 1 MiB")],
            Type::String,
            |lua, given| answer(lua, "hash.sha512", sha512(&text(given, 0)).and_then(|text| string(lua, text))),
        ),
        pure(
            "hmac_sha256",
            "The authentication code of a text under a key, by SHA-256, in lower-case hexadecimal.",
            &[
                parameter("key", Type::String, "the key, of up to 1 MiB"),
                parameter("text", Type::String, "a text of up to 1 MiB"),
            ],
            Type::String,
            |lua, given| {
                let code = hmac_sha256(&text(given, 0), &text(given, 1));
                answer(lua, "hash.hmac_sha256", code.and_then(|text| string(lua, text)))
            },
        ),
    ],
    inner: &[],
};

/// SHA-256 of `text`, in lower-case hexadecimal.
fn sha256(text: &[u8]) -> Result<String, Fault> {
    bounded("text", text, MAX_TEXT)?;
    Ok(digest::sha256(text))
}

/// SHA-512 of `text`, in lower-case hexadecimal.
fn sha512(text: &[u8]) -> Result<String, Fault> {
    bounded("text", text, MAX_TEXT)?;
    Ok(digest::sha512(text))
}

/// The authentication code of `text` under `key`, by SHA-256, in lower-case hexadecimal.
fn hmac_sha256(key: &[u8], text: &[u8]) -> Result<String, Fault> {
    bounded("key", key, MAX_TEXT)?;
    bounded("text", text, MAX_TEXT)?;
    Ok(digest::hmac_sha256(key, text))
}

/// The bucket of `text`, from 1 to `buckets`, as Lua counts. With one bucket more, only the texts that go into it
/// move. No release changes it. Whoever chooses the text can choose the bucket: it protects from nobody.
fn number(text: &[u8], buckets: f64) -> Result<f64, Fault> {
    bounded("text", text, MAX_TEXT)?;
    if !(1.0..=MAX_BUCKETS).contains(&buckets) || buckets.fract() != 0.0 {
        return Err(format!("buckets must be a whole number from 1 to {MAX_BUCKETS}, not {buckets}").into());
    }
    Ok(bucket(rank(0, text), buckets) + 1.0)
}

/// Jump consistent hash (Lamping and Veach, 2014): from one bucket to the next one that `text` would move into, as
/// buckets come, until there are no more.
fn bucket(mut chance: u64, buckets: f64) -> f64 {
    let (mut last, mut next) = (0.0, 0.0);
    while next < buckets {
        last = next;
        chance = chance.wrapping_mul(0x27bb_2ee6_87b0_b0fd).wrapping_add(1);
        // 31 bits fit a double exactly, so every machine finds the same.
        let divisor = ((chance >> 33) + 1) as f64;
        next = ((last + 1.0) * (f64::from(1_u32 << 31) / divisor)).floor();
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(buckets: f64) -> Vec<f64> {
        (0..10_000).map(|n| number(format!("build{n}").as_bytes(), buckets).unwrap()).collect()
    }

    #[test]
    fn texts_spread_evenly_over_all_buckets() {
        for buckets in [1_u32, 2, 3, 7, 100] {
            let spread = spread(f64::from(buckets));
            for bucket in 1..=buckets {
                let share = spread.iter().filter(|number| **number == f64::from(bucket)).count();
                let fair = 10_000 / buckets as usize;
                assert!(share > fair * 7 / 10 && share < fair * 14 / 10, "{share} of {fair} in {bucket} of {buckets}");
            }
        }
    }

    #[test]
    fn one_bucket_more_moves_only_what_goes_into_it() {
        for buckets in 1..20 {
            let moved = spread(f64::from(buckets)).into_iter().zip(spread(f64::from(buckets + 1)));
            let moved: Vec<_> = moved.filter(|(before, after)| before != after).collect();
            assert!(moved.iter().all(|(_, after)| *after == f64::from(buckets + 1)));
            assert!(!moved.is_empty());
        }
    }

    #[test]
    fn no_release_moves_a_text() {
        let numbers = ["", "a", "build1", "build2"].map(|text| number(text.as_bytes(), 1000.0).unwrap());
        assert_eq!(numbers, [979.0, 573.0, 984.0, 895.0]);
    }

    #[test]
    fn buckets_are_counted_in_whole_numbers() {
        for buckets in [0.0, -1.0, 1.5, f64::NAN, f64::INFINITY, MAX_BUCKETS + 1.0] {
            assert!(number(b"x", buckets).is_err(), "{buckets}");
        }
        assert!(number(b"x", MAX_BUCKETS).is_ok());
        assert!(number(&vec![0; MAX_TEXT + 1], 2.0).is_err());
    }
}
