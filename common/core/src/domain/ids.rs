use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use super::printable::{self, PrintableFault};

/// Why a text is not an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text has other characters or another length than allowed.
    #[error("must be 1 to {max} characters of A-Z a-z 0-9 . _ - and begin with a letter or digit")]
    Code {
        /// The longest allowed id, in characters.
        max: usize,
    },
    /// The text can't be the id of an item or a location.
    #[error(transparent)]
    Printable(#[from] PrintableFault),
    /// The text is not a UUID.
    #[error("must be a UUID such as \"01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b\" (version 7 recommended)")]
    Uuid,
}

fn code(text: &str, max: usize) -> Result<Arc<str>, IdError> {
    if printable::is_plain(text) && text.len() <= max { Ok(text.into()) } else { Err(IdError::Code { max }) }
}

fn printable(text: &str, max: usize) -> Result<Arc<str>, IdError> {
    printable::check(text, max)?;
    Ok(text.into())
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $max:literal, $read:ident) => {
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
                $read(text, $max).map(Self)
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

/// Gives the id of an item or a location its forms for the places that it is written to.
macro_rules! printable_id {
    ($(#[$doc:meta])* $name:ident, $max:literal) => {
        text_id!($(#[$doc])* $name, $max, printable);

        impl $name {
            /// The longest id, in bytes of UTF-8.
            pub const MAX_BYTES: usize = 4 * $max;

            /// Returns the id as ids are compared for their uniqueness: by Unicode's simple case folding. No two that are
            /// registered may have the same one.
            pub fn folded(&self) -> String {
                printable::folded(&self.0)
            }

            /// Returns the id as a part of a key that has other parts behind it. See [`in_key`](super::in_key).
            pub fn in_key(&self) -> Cow<'_, str> {
                super::in_key(&self.0)
            }

            /// Returns the id as one segment of a path. See [`path_segment`](super::path_segment).
            pub fn in_path(&self) -> Cow<'_, str> {
                super::path_segment(&self.0)
            }

            /// Returns the id for a carrier that allows less than an id. See [`carried`](super::carried).
            pub fn carried(&self) -> Cow<'_, str> {
                super::carried(&self.0)
            }
        }
    };
}

printable_id!(
    /// The id of an item: a SKU as the shop writes it, case-sensitive (design.md §3).
    ItemId,
    64
);
printable_id!(
    /// The id of a location (design.md §3).
    LocationId,
    32
);
text_id!(
    /// Names one request, by its client or by the ingress: the logs of a command are found by it.
    RequestId,
    64,
    code
);
text_id!(
    /// The id that the issuer gave a client: the `client_id` of its tokens. Cognito's have at most 128 characters.
    ClientId,
    128,
    code
);

impl RequestId {
    /// Makes an id of 16 hexadecimal digits.
    pub fn from_number(number: u64) -> Self {
        Self(format!("{number:016x}").into())
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
    fn ids_are_what_a_shop_writes() {
        for good in ["A", "4006381333931", "cola-0.33_l", "-a", "a b", "a/b", "ä", "№5", "#7", &"語".repeat(64)] {
            assert!(good.parse::<ItemId>().is_ok(), "{good}");
        }
        for bad in ["", ".", "..", " a", "a  b", "a\n", "a\0", &"x".repeat(65)] {
            assert!(bad.parse::<ItemId>().is_err(), "{bad:?}");
        }
        assert!("é".repeat(32).parse::<LocationId>().is_ok());
        assert!("x".repeat(33).parse::<LocationId>().is_err());
    }

    #[test]
    fn other_ids_are_plain_codes() {
        for bad in ["", ".", "-a", "a b", "a/b", "ä", &"x".repeat(65)] {
            assert!(bad.parse::<RequestId>().is_err(), "{bad:?}");
        }
        assert!("cola-0.33_l".parse::<ClientId>().is_ok());
        assert!("{01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b}".parse::<CommandId>().is_err());
        assert!("01936b2e7c4a7f108a5b3c9d2e1f4a6b".parse::<CommandId>().is_err());
    }
}
