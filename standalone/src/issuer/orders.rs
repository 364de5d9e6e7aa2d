//! Orders that change keys and tokens. The running server carries them out, as the owner of the folder, and judges the next
//! request by them; without a server, the command line does it.

use serde::{Deserialize, Serialize};
use stockline_core::domain::Timestamp;

use super::keys::{self, Keys};
use super::lists;
use super::tokens::{self, TokenRequest};
use crate::folder::Folder;

/// What can be ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum KeysOrder {
    /// Issue a token.
    Issue(TokenRequest),
    /// Revoke tokens by `jti`, and all valid tokens of a subject.
    Revoke { ids: Vec<String>, subject: Option<String> },
    /// Sign with new keys from now on.
    Rotate { drop_old: bool },
}

impl KeysOrder {
    /// Carries the order out in a folder and returns the text for people; blocks.
    pub(crate) fn carry_out(&self, folder: &Folder, now: Timestamp) -> anyhow::Result<String> {
        match self {
            Self::Issue(request) => Ok(tokens::issue(&Keys::open(folder)?, request, now)?.jwt),
            Self::Revoke { ids, subject } => {
                let revoked = tokens::revoke(folder, ids, subject.as_deref(), now)?;
                Ok(format!("{revoked} token(s) revoked"))
            }
            Self::Rotate { drop_old } => rotate(folder, *drop_old, now),
        }
    }

    /// Says what to do if nobody knows whether the order was carried out.
    pub(crate) const fn advice(&self) -> &'static str {
        match self {
            Self::Issue(_) => {
                "see with stockline token list whether a token was issued, and revoke one that nobody has"
            }
            Self::Revoke { .. } => {
                "see with stockline token list whether the tokens are revoked, or give the same order again"
            }
            Self::Rotate { .. } => "give the same order again, which makes further keys",
        }
    }
}

fn rotate(folder: &Folder, drop_old: bool, now: Timestamp) -> anyhow::Result<String> {
    let keys = Keys::open(folder)?;
    let _lock = keys::lock(folder)?;
    let rotated = if drop_old {
        let rotated = keys.rotate(now, true, |_| false)?;
        // No token is left that the old lists could be about.
        lists::mend_lists(&Keys::open(folder)?)?;
        rotated
    } else {
        keys.rotate(now, false, tokens::key_is_needed(folder, now)?)?
    };
    Ok(format!(
        "tokens are signed with key {} from now on\n{} older key(s) still verify, {} dropped\n\
         receipts are signed with a new key from the server's next start on",
        rotated.kid, rotated.kept, rotated.dropped
    ))
}
