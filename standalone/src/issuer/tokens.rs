//! Access tokens: RS256 JWTs in the shape of a Cognito access token, and the records of the issued ones.

use std::collections::BTreeSet;

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use stockline_core::domain::{LocationId, Timestamp};
use uuid::Uuid;

use super::keys::{self, Keys};
use super::lists;
use crate::args::Role;
use crate::exit::Usage;
use crate::files::{self, SECRET};
use crate::folder::Folder;

/// The `client_id` of people's tokens.
pub(crate) const CLI_CLIENT: &str = "stockline-cli";
/// The `client_id` of tills' tokens.
pub(crate) const TILL_CLIENT: &str = "till";
/// The scope of a till's token: it submits and reads as Staff (design.md §4).
const TILL_SCOPE: &str = "stockline/commands stockline/read";
/// The scope of a till's token that reads nothing but the status of commands.
const WRITE_ONLY_SCOPE: &str = "stockline/commands";
/// The lifetime of the command line's own tokens, in seconds.
const OWN_TOKEN_S: u64 = 15 * 60;
/// How long an expired token stays in the list.
const LISTED_AFTER_EXPIRY_MS: i64 = 30 * 24 * 3_600_000;
/// The longest subject, in characters.
const MAX_SUBJECT_CHARS: usize = 64;

/// The properties of a token to issue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TokenRequest {
    /// The holder's role.
    pub(crate) role: Role,
    /// Whether a till's token reads nothing but the status of commands.
    pub(crate) write_only: bool,
    /// The holder, as every ledger entry names them: a code, not a person's name.
    pub(crate) subject: String,
    /// The locations where the holder may act; empty means everywhere.
    pub(crate) locations: Vec<LocationId>,
    /// The lifetime, in seconds.
    pub(crate) ttl_s: u64,
}

/// The claims of a Cognito access token.
#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    client_id: String,
    token_use: String,
    jti: String,
    iat: i64,
    nbf: i64,
    exp: i64,
    #[serde(rename = "cognito:groups", default, skip_serializing_if = "Vec::is_empty")]
    groups: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
}

/// The record of an issued token, a line of `tokens.jsonl`. It never holds the token itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Issued {
    pub(crate) jti: String,
    kid: String,
    pub(crate) subject: String,
    pub(crate) role: Role,
    /// The scope of a till's token. The tokens of earlier versions had no record of it: [`WRITE_ONLY_SCOPE`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) locations: Vec<LocationId>,
    issued_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

impl Issued {
    /// Returns what the token may do, in a word or two.
    pub(crate) fn role_name(&self) -> &'static str {
        match (self.role, self.scope.as_deref()) {
            (Role::Till, None | Some(WRITE_ONLY_SCOPE)) => "till (write-only)",
            (role, _) => role.as_str(),
        }
    }
}

/// An access token.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    /// The JWT.
    pub(crate) jwt: String,
    /// When it expires.
    pub(crate) expires_at: Timestamp,
}

/// Issues a token and records it.
pub(crate) fn issue(keys: &Keys, request: &TokenRequest, now: Timestamp) -> anyhow::Result<Token> {
    check_subject(&request.subject)?;
    let (token, issued) = sign(keys, request, now)?;
    let _lock = keys::lock(keys.folder())?;
    let path = lists::records_path(keys.folder());
    let present = read_records(keys.folder())?;
    let stale = present.iter().filter(|entry| is_stale(entry, now)).count();
    // The file is rewritten once half of it is stale, so that its size follows the tokens in use.
    if stale > present.len() / 2 {
        let mut text = String::new();
        for entry in present.iter().filter(|entry| !is_stale(entry, now)).chain([&issued]) {
            text.push_str(&serde_json::to_string(entry)?);
            text.push('\n');
        }
        files::write_atomic(&path, text.as_bytes(), SECRET)?;
    } else {
        files::append_line(&path, &serde_json::to_string(&issued)?, SECRET)?;
    }
    Ok(token)
}

/// Checks that a subject is a code.
pub(crate) fn check_subject(subject: &str) -> Result<(), Usage> {
    let chars = subject.chars().count();
    if (1..=MAX_SUBJECT_CHARS).contains(&chars) && !subject.chars().any(|c| c.is_control() || c == ' ') {
        return Ok(());
    }
    Err(Usage(format!(
        "{subject:?} is not a subject: give a code of 1 to {MAX_SUBJECT_CHARS} characters without spaces, such as till-3"
    )))
}

/// Returns the `jti` of a token of this issuer, without checking it.
pub(crate) fn id_of(jwt: &str) -> Option<String> {
    let claims = URL_SAFE_NO_PAD.decode(jwt.split('.').nth(1)?).ok()?;
    Some(serde_json::from_slice::<Claims>(&claims).ok()?.jti)
}

/// Makes a manager's token for the command line's own requests. It expires too soon to be worth a record.
pub(crate) fn for_command_line(keys: &Keys, now: Timestamp) -> anyhow::Result<Token> {
    let request = TokenRequest {
        role: Role::Manager,
        write_only: false,
        subject: "cli".into(),
        locations: Vec::new(),
        ttl_s: OWN_TOKEN_S,
    };
    Ok(sign(keys, &request, now)?.0)
}

fn sign(keys: &Keys, request: &TokenRequest, now: Timestamp) -> anyhow::Result<(Token, Issued)> {
    #[expect(clippy::disallowed_methods, reason = "names the token, so that it can be revoked")]
    let jti = Uuid::new_v4().to_string();
    let issued_s = now.as_millis() / 1_000;
    let expires_s = issued_s.saturating_add(i64::try_from(request.ttl_s).unwrap_or(i64::MAX));
    let group = match request.role {
        Role::Manager => Some("Manager".to_owned()),
        Role::Staff => Some("Staff".to_owned()),
        Role::Till => None,
    };
    let is_till = request.role == Role::Till;
    let scope = is_till.then(|| if request.write_only { WRITE_ONLY_SCOPE } else { TILL_SCOPE }.to_owned());
    let claims = Claims {
        iss: keys.issuer.clone(),
        sub: request.subject.clone(),
        client_id: if is_till { TILL_CLIENT } else { CLI_CLIENT }.to_owned(),
        token_use: "access".into(),
        jti: jti.clone(),
        iat: issued_s,
        nbf: issued_s,
        exp: expires_s,
        groups: group
            .into_iter()
            .chain(request.locations.iter().map(|id| format!("location.{}", id.in_path())))
            .collect(),
        scope: scope.clone(),
    };
    let expires_at = Timestamp::from_millis(expires_s.saturating_mul(1_000));
    let issued = Issued {
        jti,
        kid: keys.kid.clone(),
        subject: request.subject.clone(),
        role: request.role,
        scope,
        locations: request.locations.clone(),
        issued_at: Timestamp::from_millis(issued_s * 1_000),
        expires_at,
    };
    Ok((Token { jwt: keys.sign(&claims)?, expires_at }, issued))
}

/// Lists the issued tokens, the oldest first, each with its state.
pub(crate) fn issued(folder: &Folder, now: Timestamp) -> anyhow::Result<Vec<(Issued, &'static str)>> {
    let revoked = lists::read_revoked(folder)?;
    let state = |entry: &Issued| match () {
        () if revoked.contains(&entry.jti) => "revoked",
        () if entry.expires_at <= now => "expired",
        () => "valid",
    };
    let with_state = |entry: Issued| {
        let state = state(&entry);
        (entry, state)
    };
    Ok(read_records(folder)?.into_iter().map(with_state).collect())
}

/// Revokes tokens by `jti`, or all valid tokens of a subject; a running server notices within seconds. Returns how many
/// tokens were not revoked before.
pub(crate) fn revoke(folder: &Folder, ids: &[String], subject: Option<&str>, now: Timestamp) -> anyhow::Result<usize> {
    let _lock = keys::lock(folder)?;
    let entries = read_records(folder)?;
    let revoked = lists::read_revoked(folder)?;
    let mut chosen = BTreeSet::new();
    for id in ids {
        let entry = entries.iter().find(|entry| entry.jti == *id);
        let Some(entry) = entry else {
            bail!("no token with the jti {id} was issued here: stockline token list shows the issued tokens");
        };
        chosen.insert(&entry.jti);
    }
    chosen.extend(entries.iter().filter(|e| Some(e.subject.as_str()) == subject && e.expires_at > now).map(|e| &e.jti));
    if let Some(subject) = subject
        && chosen.is_empty()
    {
        bail!("{subject} has no valid token: stockline token list shows the issued tokens");
    }
    let fresh: Vec<_> = chosen.into_iter().filter(|jti| !revoked.contains(*jti)).cloned().collect();
    let count = fresh.len();
    lists::add_revoked(folder, revoked, fresh)?;
    Ok(count)
}

/// Returns a function that says whether any valid token was signed with a key.
pub(crate) fn key_is_needed(folder: &Folder, now: Timestamp) -> anyhow::Result<impl Fn(&str) -> bool + use<>> {
    let revoked = lists::read_revoked(folder)?;
    let valid = read_records(folder)?.into_iter().filter(|entry| entry.expires_at > now);
    let kids: BTreeSet<String> = valid.filter(|entry| !revoked.contains(&entry.jti)).map(|entry| entry.kid).collect();
    Ok(move |kid: &str| kids.contains(kid))
}

fn is_stale(entry: &Issued, now: Timestamp) -> bool {
    now.millis_since(entry.expires_at) > LISTED_AFTER_EXPIRY_MS
}

fn read_records(folder: &Folder) -> anyhow::Result<Vec<Issued>> {
    let path = lists::records_path(folder);
    let text = files::read_if_exists(&path)?.unwrap_or_default();
    let complete = text.rfind('\n').map_or("", |end| &text[..end]);
    complete
        .lines()
        .enumerate()
        .map(|(index, line)| {
            serde_json::from_str(line).with_context(|| {
                format!("{} is damaged in line {}: restore it from a backup", path.display(), index + 1)
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::jwk::JwkSet;
    use jsonwebtoken::{Algorithm, DecodingKey, Validation};

    use super::*;

    const NOW_S: i64 = 1_700_000_000;

    fn now() -> Timestamp {
        Timestamp::from_millis(NOW_S * 1_000)
    }

    /// Creates a folder as a first start does.
    fn started(path: &std::path::Path) -> (Folder, Keys) {
        let folder = Folder::at(path);
        crate::folder::entry::enter(&folder, now()).unwrap();
        let keys = Keys::open(&folder).unwrap();
        (folder, keys)
    }

    fn request(role: Role, subject: &str) -> TokenRequest {
        let locations = vec!["12".parse().unwrap()];
        TokenRequest { role, write_only: false, subject: subject.into(), locations, ttl_s: 3_600 }
    }

    /// Verifies a token with the published key that its header names.
    fn verified(folder: &Folder, jwt: &str) -> Claims {
        let set: JwkSet = serde_json::from_slice(&std::fs::read(folder.jwks()).unwrap()).unwrap();
        let kid = jsonwebtoken::decode_header(jwt).unwrap().kid.unwrap();
        let mut validation = Validation::new(Algorithm::RS256);
        validation.validate_exp = false;
        jsonwebtoken::decode(jwt, &DecodingKey::from_jwk(set.find(&kid).unwrap()).unwrap(), &validation).unwrap().claims
    }

    #[test]
    fn a_token_has_the_shape_of_a_cognito_access_token_and_verifies_by_the_published_key() {
        let temp = tempfile::tempdir().unwrap();
        let folder = Folder::at(temp.path());
        let (keys, _) = Keys::open_or_create(&folder, Uuid::from_u128(7), now()).unwrap();
        let staff = verified(&folder, &issue(&keys, &request(Role::Staff, "anna"), now()).unwrap().jwt);
        assert_eq!(
            (staff.token_use.as_str(), staff.client_id.as_str(), staff.sub.as_str()),
            ("access", CLI_CLIENT, "anna")
        );
        assert_eq!(staff.groups, ["Staff", "location.12"]);
        assert_eq!((staff.iat, staff.nbf, staff.exp, staff.scope), (NOW_S, NOW_S, NOW_S + 3_600, None));
        assert_eq!(staff.iss, keys.issuer);
        let till = verified(&folder, &issue(&keys, &request(Role::Till, "till-3"), now()).unwrap().jwt);
        assert_eq!((till.client_id.as_str(), till.scope.as_deref()), (TILL_CLIENT, Some(TILL_SCOPE)));
        assert_eq!(till.groups, ["location.12"], "a till is in no group of people");
        let write_only = TokenRequest { write_only: true, ..request(Role::Till, "web") };
        let write_only = verified(&folder, &issue(&keys, &write_only, now()).unwrap().jwt);
        assert_eq!(write_only.scope.as_deref(), Some("stockline/commands"));
        let listed = read_records(&folder).unwrap();
        assert_eq!(listed.iter().map(Issued::role_name).collect::<Vec<_>>(), ["staff", "till", "till (write-only)"]);
        assert_ne!(staff.jti, till.jti);
    }

    #[test]
    fn issued_tokens_are_recorded_without_their_text_and_can_be_revoked() {
        let temp = tempfile::tempdir().unwrap();
        let (folder, keys) = started(temp.path());
        let token = issue(&keys, &request(Role::Manager, "boss"), now()).unwrap();
        issue(&keys, &request(Role::Till, "till-1"), now()).unwrap();
        let text = std::fs::read_to_string(lists::records_path(&folder)).unwrap();
        assert!(!text.contains(&token.jwt) && !text.contains(token.jwt.rsplit('.').next().unwrap()));
        let needed = key_is_needed(&folder, now()).unwrap();
        assert!(needed(&keys.kid));

        let jti = read_records(&folder).unwrap()[0].jti.clone();
        revoke(&folder, std::slice::from_ref(&jti), Some("till-1"), now()).unwrap();
        assert_eq!(lists::read_revoked(&folder).unwrap().len(), 2);
        assert!(!key_is_needed(&folder, now()).unwrap()(&keys.kid), "no valid token needs the key");
        revoke(&folder, &[jti], None, now()).unwrap();
        assert_eq!(lists::read_revoked(&folder).unwrap().len(), 2, "a revoked token is not recorded again");
        assert!(revoke(&folder, &["nonsense".into()], None, now()).is_err());
        assert!(revoke(&folder, &[], Some("nobody"), now()).is_err());
    }

    #[test]
    fn a_token_that_expired_long_ago_leaves_the_records() {
        let temp = tempfile::tempdir().unwrap();
        let folder = Folder::at(temp.path());
        let (keys, _) = Keys::open_or_create(&folder, Uuid::from_u128(7), now()).unwrap();
        for till in ["a", "b", "c"] {
            issue(&keys, &request(Role::Till, till), now()).unwrap();
        }
        let later = now().plus_millis(LISTED_AFTER_EXPIRY_MS * 2);
        issue(&keys, &request(Role::Till, "d"), later).unwrap();
        let subjects: Vec<_> = read_records(&folder).unwrap().into_iter().map(|entry| entry.subject).collect();
        assert_eq!(subjects, ["d"]);
    }

    #[test]
    fn a_subject_must_be_a_code() {
        let temp = tempfile::tempdir().unwrap();
        let (keys, _) = Keys::open_or_create(&Folder::at(temp.path()), Uuid::from_u128(7), now()).unwrap();
        for bad in ["", "Anna Smith", "a\n", &"x".repeat(65)] {
            let error = issue(&keys, &request(Role::Staff, bad), now()).unwrap_err();
            assert!(error.is::<Usage>(), "{bad:?}: {error}");
        }
    }
}
