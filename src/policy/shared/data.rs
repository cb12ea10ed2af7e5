//! Values of the table as data: as JSON has them, where JSON has them.

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

use super::Value;

/// A value as it is written.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Written {
    Boolean(bool),
    Number(f64),
    Text(String),
    /// One that JSON has no number for: `NaN`, `inf` or `-inf`.
    Odd {
        number: String,
    },
    /// What is not UTF-8.
    Bytes {
        base64: String,
    },
}

impl From<Value> for Written {
    fn from(value: Value) -> Self {
        match value {
            Value::Boolean(truth) => Self::Boolean(truth),
            Value::Number(number) if number.is_finite() => Self::Number(number),
            Value::Number(number) => Self::Odd { number: number.to_string() },
            Value::Text(bytes) => match std::str::from_utf8(&bytes) {
                Ok(text) => Self::Text(text.to_owned()),
                Err(_) => Self::Bytes { base64: BASE64.encode(&bytes) },
            },
        }
    }
}

impl TryFrom<Written> for Value {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        match written {
            Written::Boolean(truth) => Ok(Self::Boolean(truth)),
            Written::Number(number) => Ok(Self::Number(number)),
            Written::Odd { number } => number.parse().map(Self::Number).map_err(|error| format!("{number:?}: {error}")),
            Written::Text(text) => Ok(Self::Text(text.into_bytes().into())),
            Written::Bytes { base64 } => match BASE64.decode(base64.as_bytes()) {
                Ok(bytes) => Ok(Self::Text(bytes.into())),
                Err(error) => Err(format!("base64: {error}")),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::shared::Value;

    #[test]
    fn every_value_is_the_same_when_it_is_read_again() {
        let bytes = |bytes: &[u8]| Value::Text(bytes.into());
        for (value, text) in [
            (true.into(), "true"),
            (5.0.into(), "5.0"),
            // Read less exactly than it is written, it is another number.
            (31.245_270_191_439_438.into(), "31.245270191439438"),
            (f64::MIN.into(), "-1.7976931348623157e+308"),
            (f64::NEG_INFINITY.into(), r#"{"number":"-inf"}"#),
            ("a\"b".into(), r#""a\"b""#),
            (bytes(b"\xff\0"), r#"{"base64":"/wA="}"#),
        ] {
            assert_eq!(serde_json::to_string(&value).unwrap(), text);
            assert_eq!(serde_json::from_str::<Value>(text).unwrap(), value);
        }
        let nan = serde_json::to_string(&Value::Number(f64::NAN)).unwrap();
        assert!(matches!(serde_json::from_str(&nan), Ok(Value::Number(number)) if number.is_nan()), "{nan}");
        assert!(serde_json::from_str::<Value>(r#"{"base64":"?"}"#).is_err());
    }
}
