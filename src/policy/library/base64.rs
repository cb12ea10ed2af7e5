//! Base64 (RFC 4648), in the standard alphabet and in the one for URLs. Never skips a character that it does not know.

use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD, Encoding};

use super::call::{answer, pure, string, text};
use super::fault::{Fault, bounded};
use crate::policy::description::{Namespace, Type, parameter};

/// Longest text, in bytes.
const MAX_TEXT: usize = 1 << 20;

/// The library `base64`.
pub(super) const NAMESPACE: Namespace = Namespace {
    name: "base64",
    about: "Bytes as letters and digits, and back (RFC 4648).",
    constants: &[],
    functions: &[
        pure(
            "encode",
            "The text in the standard alphabet, padded.",
            &[parameter("text", Type::String, "a text of up to 1 MiB")],
            Type::String,
            |lua, given| answer(lua, "base64.encode", encode(&text(given, 0)).and_then(|text| string(lua, text))),
        ),
        pure(
            "encode_url",
            "The text in the alphabet for URLs and tokens, without padding.",
            &[parameter("text", Type::String, "a text of up to 1 MiB")],
            Type::String,
            |lua, given| {
                answer(lua, "base64.encode_url", encode_url(&text(given, 0)).and_then(|text| string(lua, text)))
            },
        ),
        pure(
            "decode",
            "What was encoded, in either alphabet, padded or not; an error if it is no base64.",
            &[parameter("text", Type::String, "base64 of up to 1 MiB, without blanks")],
            Type::String,
            |lua, given| answer(lua, "base64.decode", decode(&text(given, 0)).and_then(|bytes| string(lua, bytes))),
        ),
    ],
    inner: &[],
};

/// `bytes` in the standard alphabet, padded.
fn encode(bytes: &[u8]) -> Result<String, Fault> {
    bounded("text", bytes, MAX_TEXT)?;
    Ok(BASE64.encode(bytes))
}

/// `bytes` in the alphabet for URLs, without padding, as tokens have it.
fn encode_url(bytes: &[u8]) -> Result<String, Fault> {
    bounded("text", bytes, MAX_TEXT)?;
    Ok(BASE64URL_NOPAD.encode(bytes))
}

/// The bytes that `text` stands for, in either alphabet, padded or not; but not in both at once.
fn decode(text: &[u8]) -> Result<Vec<u8>, Fault> {
    bounded("text", text, MAX_TEXT)?;
    // The decoder looks at the length first, which what does not belong here has made wrong.
    if let Some(stranger) = text.iter().position(|byte| !belongs(*byte)) {
        return Err(format!("text is no base64: byte {} is not of its alphabet", stranger + 1).into());
    }
    encoding(text).decode(text).map_err(|error| {
        let position = error.position + 1;
        format!("text is no base64 at byte {position}: {}", error.kind).into()
    })
}

fn belongs(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/-_=".contains(&byte)
}

fn encoding(text: &[u8]) -> Encoding {
    let url = text.iter().any(|byte| matches!(byte, b'-' | b'_'));
    match (url, text.ends_with(b"=")) {
        (false, true) => BASE64,
        (false, false) => BASE64_NOPAD,
        (true, true) => BASE64URL,
        (true, false) => BASE64URL_NOPAD,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_encoded_is_decoded_from_either_alphabet_padded_or_not() {
        for length in 0..70 {
            let bytes: Vec<u8> = (0..length).map(|n: u8| n.wrapping_mul(37) ^ 0xfb).collect();
            let padded = encode(&bytes).unwrap();
            for text in [&padded, padded.trim_end_matches('='), &encode_url(&bytes).unwrap(), &BASE64URL.encode(&bytes)]
            {
                assert_eq!(decode(text.as_bytes()).unwrap(), bytes, "{text}");
            }
        }
        assert_eq!(encode(b"\xfb\xff\xfe~").unwrap(), "+//+fg==");
        assert_eq!(encode_url(b"\xfb\xff\xfe~").unwrap(), "-__-fg");
    }

    #[test]
    fn what_is_no_base64_is_shown_where_it_is_not() {
        for (text, place) in
            [("Zm9*", "byte 4"), ("Zm 9v", "byte 3"), ("+_==", "byte 1"), ("Zm9vYg=", ""), ("Zh", "byte 2")]
        {
            match decode(text.as_bytes()) {
                Err(Fault::Words(words)) => assert!(words.contains(place), "{text}: {words}"),
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    #[test]
    fn long_texts_are_refused() {
        assert!(encode(&vec![0; MAX_TEXT]).is_ok());
        assert!(encode(&vec![0; MAX_TEXT + 1]).is_err());
        assert!(encode_url(&vec![0; MAX_TEXT + 1]).is_err());
        assert!(decode(&vec![b'A'; MAX_TEXT + 1]).is_err());
    }
}
