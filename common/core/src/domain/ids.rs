use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// Why a text is not an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text has other characters or another length than allowed.
    #[error("must be 1 to {max} characters of A-Z a-z 0-9 . _ - and begin with a letter or digit")]
    Code {
        /// The longest allowed id, in characters.
        max: usize,
    },
    /// The text is not a UUID.
    #[error("must be a UUID such as \"01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b\" (version 7 recommended)")]
    Uuid,
}

fn code(text: &str, max: usize) -> Result<Arc<str>, IdError> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let begins_well = text.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric);
    if begins_well && text.len() <= max && text.bytes().all(allowed) {
        Ok(text.into())
    } else {
        Err(IdError::Code { max })
    }
}

macro_rules! code_id {
    ($(#[$doc:meta])* $name:ident, $max:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The longest id, in characters.
            pub const MAX_LEN: usize = $max;

            /// Returns the id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                code(text, $max).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

code_id!(
    /// The id of an item: a SKU, case-sensitive (design.md §3).
    ItemId,
    64
);
code_id!(
    /// The id of a location (design.md §3).
    LocationId,
    32
);
code_id!(
    /// Names one request, by its client or by the ingress: the logs of a command are found by it.
    RequestId,
    64
);
code_id!(
    /// The id that the issuer gave a client: the `client_id` of its tokens. Cognito's have at most 128 characters.
    ClientId,
    128
);

impl RequestId {
    /// Makes an id of 16 hexadecimal digits.
    pub fn from_number(number: u64) -> Self {
        Self(format!("{number:016x}").into())
    }
}

impl ItemId {
    /// Returns the lower-case id. No two items may have the same one.
    pub fn lower_case(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl LocationId {
    /// Returns the lower-case id. No two registered locations may have the same one.
    pub fn lower_case(&self) -> String {
        self.0.to_lowercase()
    }
}

/// The client-made id of a command, unique within its item. It makes the command take effect at most once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CommandId(pub Uuid);

impl CommandId {
    /// Returns the id of a resubmission of this item's refused command, which may be for another item. It is the UUIDv5
    /// of the command's id and the item, because an id is unique only within its item.
    pub fn of_resubmission(self, item_id: &ItemId) -> Self {
        Self(Uuid::new_v5(&self.0, format!("resubmit {item_id}").as_bytes()))
    }
}

impl FromStr for CommandId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        if text.len() != 36 {
            return Err(IdError::Uuid);
        }
        Uuid::try_parse(text).map(Self).map_err(|_| IdError::Uuid)
    }
}

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_plain_codes() {
        for good in ["A", "4006381333931", "cola-0.33_l", &"x".repeat(64)] {
            assert!(good.parse::<ItemId>().is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "-a", "a b", "a/b", "ä", "a\n", "a\0", &"x".repeat(65)] {
            assert!(bad.parse::<ItemId>().is_err(), "{bad:?}");
        }
        assert!("x".repeat(33).parse::<LocationId>().is_err());
        assert!("{01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b}".parse::<CommandId>().is_err());
        assert!("01936b2e7c4a7f108a5b3c9d2e1f4a6b".parse::<CommandId>().is_err());
    }
}
