//! One-time links that sign people in to the console: `keys/links.json`. A link is the digest of its code there, and leaves
//! the file, durably, before its token is made: it works once, whatever happens.

use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use stockline_core::domain::Timestamp;

use super::keys::{self, Keys};
use super::tokens::{self, Token, TokenRequest};
use crate::files::{self, SECRET};
use crate::folder::Folder;

/// How long a link works.
pub(crate) const LINK_MS: i64 = 15 * 60 * 1_000;
/// The most links that wait to be used; the oldest make room.
const LINKS_MAX: usize = 200;
/// The random bytes of a code.
const CODE_BYTES: usize = 18;

/// A link that waits to be used.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Waiting {
    /// The SHA-256 of its code, in hexadecimal.
    digest: String,
    /// The token that it is exchanged for.
    request: TokenRequest,
    made_at: Timestamp,
    expires_at: Timestamp,
}

impl Waiting {
    /// A clock that was set back must not lengthen the life of a link.
    fn is_valid(&self, now: Timestamp) -> bool {
        self.made_at <= now.plus_millis(LINK_MS) && now < self.expires_at
    }
}

/// Returns the address of a link, from the address of the console.
pub(crate) fn address(console: &str, code: &str) -> String {
    format!("{console}/sign-in/{code}")
}

/// Makes a link and returns its code; blocks.
///
/// # Errors
/// The subject is not a code, or the file can't be written.
pub(crate) fn make(folder: &Folder, request: &TokenRequest, now: Timestamp) -> anyhow::Result<String> {
    tokens::check_subject(&request.subject)?;
    let mut bytes = [0_u8; CODE_BYTES];
    SystemRandom::new().fill(&mut bytes).map_err(|_| anyhow!("the system provides no random numbers"))?;
    let code = URL_SAFE_NO_PAD.encode(bytes);
    let link = Waiting {
        digest: files::sha256_hex(code.as_bytes()),
        request: request.clone(),
        made_at: now,
        expires_at: now.plus_millis(LINK_MS),
    };
    let _lock = keys::lock(folder)?;
    let mut waiting = read(folder)?;
    waiting.retain(|link| link.is_valid(now));
    let surplus = (waiting.len() + 1).saturating_sub(LINKS_MAX);
    waiting.drain(..surplus);
    waiting.push(link);
    write(folder, &waiting)?;
    Ok(code)
}

/// Returns the token that a link stands for, without using it; blocks.
///
/// # Errors
/// The file can't be read.
pub(crate) fn whom(folder: &Folder, code: &str, now: Timestamp) -> anyhow::Result<Option<TokenRequest>> {
    let digest = files::sha256_hex(code.as_bytes());
    let found = read(folder)?.into_iter().find(|link| link.digest == digest && link.is_valid(now));
    Ok(found.map(|link| link.request))
}

/// Uses a link: removes it and issues its token; blocks. `None` if it is unknown, used or expired.
///
/// # Errors
/// The files can't be read or written. If the link had left the file, it is used up all the same.
pub(crate) fn redeem(folder: &Folder, code: &str, now: Timestamp) -> anyhow::Result<Option<Token>> {
    let digest = files::sha256_hex(code.as_bytes());
    let taken = {
        let _lock = keys::lock(folder)?;
        let mut waiting = read(folder)?;
        let Some(at) = waiting.iter().position(|link| link.digest == digest && link.is_valid(now)) else {
            return Ok(None);
        };
        let taken = waiting.remove(at);
        write(folder, &waiting)?;
        taken
    };
    tokens::issue(&Keys::open(folder)?, &taken.request, now).map(Some)
}

fn path(folder: &Folder) -> PathBuf {
    folder.keys().join("links.json")
}

fn read(folder: &Folder) -> anyhow::Result<Vec<Waiting>> {
    let path = path(folder);
    let Some(text) = files::read_if_exists(&path)? else { return Ok(Vec::new()) };
    serde_json::from_str(&text)
        .with_context(|| format!("{} is damaged: remove it, and make new sign-in links", path.display()))
}

fn write(folder: &Folder, waiting: &[Waiting]) -> anyhow::Result<()> {
    files::write_atomic(&path(folder), &serde_json::to_vec(waiting)?, SECRET)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Role;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + millis)
    }

    fn started(path: &std::path::Path) -> Folder {
        let folder = Folder::at(path);
        crate::folder::entry::enter(&folder, at(0)).unwrap();
        folder
    }

    fn request() -> TokenRequest {
        let locations = vec!["12".parse().unwrap()];
        TokenRequest { role: Role::Staff, write_only: false, subject: "anna".into(), locations, ttl_s: 3_600 }
    }

    #[test]
    fn a_link_works_once_within_its_time_and_for_the_one_it_was_made_for() {
        let temp = tempfile::tempdir().unwrap();
        let folder = started(temp.path());
        let code = make(&folder, &request(), at(0)).unwrap();
        let text = std::fs::read_to_string(path(&folder)).unwrap();
        assert!(!text.contains(&code), "the file is no set of keys to the console");
        assert_eq!(whom(&folder, &code, at(1)).unwrap(), Some(request()));
        assert_eq!(whom(&folder, &code, at(LINK_MS)).unwrap(), None, "expired");
        assert_eq!(whom(&folder, &code, at(-LINK_MS - 1)).unwrap(), None, "the clock was set back");
        assert!(redeem(&folder, "another", at(1)).unwrap().is_none());
        assert!(redeem(&folder, &code, at(LINK_MS)).unwrap().is_none(), "expired");
        assert!(redeem(&folder, &code, at(1)).unwrap().is_some());
        assert!(redeem(&folder, &code, at(1)).unwrap().is_none(), "used");
        let issued = tokens::issued(&folder, at(1)).unwrap();
        assert_eq!((issued.len(), issued[0].0.subject.as_str()), (1, "anna"));
    }

    #[test]
    fn links_are_bounded_and_a_wrong_subject_gets_none() {
        let temp = tempfile::tempdir().unwrap();
        let folder = started(temp.path());
        let first = make(&folder, &request(), at(0)).unwrap();
        for _ in 0..LINKS_MAX {
            make(&folder, &request(), at(1)).unwrap();
        }
        assert_eq!(read(&folder).unwrap().len(), LINKS_MAX);
        assert_eq!(whom(&folder, &first, at(1)).unwrap(), None);
        make(&folder, &request(), at(LINK_MS + 1)).unwrap();
        assert_eq!(read(&folder).unwrap().len(), 1, "expired links leave the file");
        let wrong = TokenRequest { subject: "Anna Smith".into(), ..request() };
        assert!(make(&folder, &wrong, at(0)).is_err());
    }
}
