//! Tokens: RS256 JWTs in the shape of a Cognito access token, and the list of those that were issued.

use std::collections::BTreeSet;

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use stockline_core::domain::{LocationId, Timestamp};
use uuid::Uuid;

use crate::exit::{self, Usage};
use crate::files::{self, SECRET};
use crate::folder::Folder;
use crate::keys::{self, Keys};
use crate::table::{Align, Table};

/// `client_id` of people's tokens.
pub(crate) const CLI_CLIENT: &str = "stockline-cli";
/// `client_id` of tills.
pub(crate) const TILL_CLIENT: &str = "till";
/// The scope of a till: submits as Staff and reads the status of commands (design.md §4).
const TILL_SCOPE: &str = "stockline/commands";
/// How long a token lives that the command line makes for itself, in seconds.
pub(crate) const OWN_TOKEN_S: u64 = 15 * 60;
/// Expired tokens stay in the list so long.
const LISTED_AFTER_EXPIRY_MS: i64 = 30 * 24 * 3_600_000;
/// The longest subject, in characters.
const MAX_SUBJECT_CHARS: usize = 64;

/// For whom a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Role {
    /// May do everything.
    Manager,
    /// Moves stock and reads.
    Staff,
    /// A machine: submits as Staff and reads the status of commands.
    #[value(skip)]
    Till,
}

impl Role {
    /// The word for it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Manager => "manager",
            Self::Staff => "staff",
            Self::Till => "till",
        }
    }
}

/// A token to be made.
#[derive(Debug, Clone)]
pub(crate) struct TokenRequest {
    /// For whom.
    pub(crate) role: Role,
    /// Names the holder in every entry that they make: a code, not a person's name.
    pub(crate) subject: String,
    /// Acts only there; empty: everywhere.
    pub(crate) locations: Vec<LocationId>,
    /// For how long it is good, in seconds.
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

/// A line of `tokens.jsonl`: what was issued, never the token itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Issued {
    jti: String,
    kid: String,
    subject: String,
    role: Role,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    locations: Vec<LocationId>,
    issued_at: Timestamp,
    expires_at: Timestamp,
}

/// A token and when it ends.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    /// The JWT.
    pub(crate) jwt: String,
    /// When it is no longer good.
    pub(crate) expires_at: Timestamp,
}

/// Makes a token and lists it as issued.
pub(crate) fn issue(keys: &Keys, request: &TokenRequest, now: Timestamp) -> anyhow::Result<Token> {
    let chars = request.subject.chars().count();
    if !(1..=MAX_SUBJECT_CHARS).contains(&chars) || request.subject.chars().any(|c| c.is_control() || c == ' ') {
        return Err(Usage(format!(
            "the name {:?} must be 1 to {MAX_SUBJECT_CHARS} characters without spaces: a code such as till-3",
            request.subject
        ))
        .into());
    }
    let (token, issued) = sign(keys, request, now)?;
    let _lock = keys::lock(keys.folder())?;
    let path = ledger_path(keys.folder());
    let present = read_ledger(keys.folder())?;
    let stale = present.iter().filter(|entry| is_stale(entry, now)).count();
    // Rewritten once half of it is stale, so that it stays as long as what is in use.
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

/// A manager's token that the command line makes for its own requests; too short-lived to be listed.
pub(crate) fn own(keys: &Keys, now: Timestamp) -> anyhow::Result<Token> {
    let request =
        TokenRequest { role: Role::Manager, subject: "cli".into(), locations: Vec::new(), ttl_s: OWN_TOKEN_S };
    Ok(sign(keys, &request, now)?.0)
}

fn sign(keys: &Keys, request: &TokenRequest, now: Timestamp) -> anyhow::Result<(Token, Issued)> {
    #[expect(clippy::disallowed_methods, reason = "names the token, so that it can be taken back")]
    let jti = Uuid::new_v4().to_string();
    let issued_s = now.as_millis() / 1_000;
    let expires_s = issued_s.saturating_add(i64::try_from(request.ttl_s).unwrap_or(i64::MAX));
    let group = match request.role {
        Role::Manager => Some("Manager".to_owned()),
        Role::Staff => Some("Staff".to_owned()),
        Role::Till => None,
    };
    let is_till = request.role == Role::Till;
    let claims = Claims {
        iss: keys.issuer.clone(),
        sub: request.subject.clone(),
        client_id: if is_till { TILL_CLIENT } else { CLI_CLIENT }.to_owned(),
        token_use: "access".into(),
        jti: jti.clone(),
        iat: issued_s,
        nbf: issued_s,
        exp: expires_s,
        groups: group.into_iter().chain(request.locations.iter().map(|id| format!("location.{id}"))).collect(),
        scope: is_till.then(|| TILL_SCOPE.to_owned()),
    };
    let expires_at = Timestamp::from_millis(expires_s.saturating_mul(1_000));
    let issued = Issued {
        jti,
        kid: keys.kid.clone(),
        subject: request.subject.clone(),
        role: request.role,
        locations: request.locations.clone(),
        issued_at: Timestamp::from_millis(issued_s * 1_000),
        expires_at,
    };
    Ok((Token { jwt: keys.sign(&claims)?, expires_at }, issued))
}

/// Prints the tokens that were issued.
pub(crate) fn list(folder: &Folder, json: bool, now: Timestamp) -> anyhow::Result<u8> {
    let revoked = read_revoked(folder)?;
    let entries = read_ledger(folder)?;
    let state = |entry: &Issued| match () {
        () if revoked.contains(&entry.jti) => "revoked",
        () if entry.expires_at <= now => "expired",
        () => "valid",
    };
    if json {
        let rows: anyhow::Result<Vec<serde_json::Value>> = entries
            .iter()
            .map(|entry| {
                let mut row = serde_json::to_value(entry)?;
                row["state"] = state(entry).into();
                Ok(row)
            })
            .collect();
        println!("{}", serde_json::to_string_pretty(&rows?)?);
        return Ok(exit::OK);
    }
    let columns = ["STATE", "ROLE", "SUBJECT", "LOCATIONS", "EXPIRES", "JTI"].map(|heading| (heading, Align::Left));
    let mut table = Table::new(&columns);
    for entry in &entries {
        let locations: Vec<_> = entry.locations.iter().map(LocationId::as_str).collect();
        table.row([
            state(entry).to_owned(),
            entry.role.as_str().to_owned(),
            entry.subject.clone(),
            if locations.is_empty() { "everywhere".into() } else { locations.join(",") },
            entry.expires_at.to_string(),
            entry.jti.clone(),
        ]);
    }
    table.print();
    Ok(exit::OK)
}

/// Takes tokens back, by their `jti` or all of a subject; the server sees it within seconds.
pub(crate) fn revoke(folder: &Folder, ids: &[String], subject: Option<&str>, now: Timestamp) -> anyhow::Result<u8> {
    let _lock = keys::lock(folder)?;
    let entries = read_ledger(folder)?;
    let revoked = read_revoked(folder)?;
    let mut chosen = BTreeSet::new();
    for id in ids {
        let entry = entries.iter().find(|entry| entry.jti == *id);
        let Some(entry) = entry else {
            bail!("no token with the jti {id} was issued here; stockline token list shows those that were");
        };
        chosen.insert(&entry.jti);
    }
    chosen.extend(entries.iter().filter(|e| Some(e.subject.as_str()) == subject && e.expires_at > now).map(|e| &e.jti));
    if let Some(subject) = subject
        && chosen.is_empty()
    {
        bail!("{subject} has no valid token; stockline token list shows who has");
    }
    let fresh: Vec<_> = chosen.into_iter().filter(|jti| !revoked.contains(*jti)).collect();
    for jti in &fresh {
        files::append_line(&folder.revoked(), jti, SECRET)?;
    }
    println!("{} token(s) revoked", fresh.len());
    Ok(exit::OK)
}

/// Was a token that is still good signed by this key?
pub(crate) fn key_is_needed(folder: &Folder, now: Timestamp) -> anyhow::Result<impl Fn(&str) -> bool + use<>> {
    let revoked = read_revoked(folder)?;
    let valid = read_ledger(folder)?.into_iter().filter(|entry| entry.expires_at > now);
    let kids: BTreeSet<String> = valid.filter(|entry| !revoked.contains(&entry.jti)).map(|entry| entry.kid).collect();
    Ok(move |kid: &str| kids.contains(kid))
}

fn ledger_path(folder: &Folder) -> std::path::PathBuf {
    folder.keys().join("tokens.jsonl")
}

fn is_stale(entry: &Issued, now: Timestamp) -> bool {
    now.millis_since(entry.expires_at) > LISTED_AFTER_EXPIRY_MS
}

fn read_ledger(folder: &Folder) -> anyhow::Result<Vec<Issued>> {
    let path = ledger_path(folder);
    let text = files::read_if_there(&path)?.unwrap_or_default();
    let complete = text.rfind('\n').map_or("", |end| &text[..end]);
    complete
        .lines()
        .enumerate()
        .map(|(index, line)| {
            serde_json::from_str(line).with_context(|| format!("{} is damaged in line {}", path.display(), index + 1))
        })
        .collect()
}

fn read_revoked(folder: &Folder) -> anyhow::Result<BTreeSet<String>> {
    let text = files::read_if_there(&folder.revoked())?.unwrap_or_default();
    Ok(text.lines().map(|line| line.trim().to_owned()).collect())
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

    fn request(role: Role, subject: &str) -> TokenRequest {
        TokenRequest { role, subject: subject.into(), locations: vec!["12".parse().unwrap()], ttl_s: 3_600 }
    }

    /// As a verifier reads it: by the published key that the header names.
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
        let (keys, _) = Keys::open_or_make(&folder, now()).unwrap();
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
        assert_ne!(staff.jti, till.jti);
    }

    #[test]
    fn issued_tokens_are_listed_without_their_text_and_can_be_taken_back() {
        let temp = tempfile::tempdir().unwrap();
        let folder = Folder::at(temp.path());
        let (keys, _) = Keys::open_or_make(&folder, now()).unwrap();
        let token = issue(&keys, &request(Role::Manager, "boss"), now()).unwrap();
        issue(&keys, &request(Role::Till, "till-1"), now()).unwrap();
        let text = std::fs::read_to_string(ledger_path(&folder)).unwrap();
        assert!(!text.contains(&token.jwt) && !text.contains(token.jwt.rsplit('.').next().unwrap()));
        let needed = key_is_needed(&folder, now()).unwrap();
        assert!(needed(&keys.kid));

        let jti = read_ledger(&folder).unwrap()[0].jti.clone();
        revoke(&folder, std::slice::from_ref(&jti), Some("till-1"), now()).unwrap();
        assert_eq!(read_revoked(&folder).unwrap().len(), 2);
        assert!(!key_is_needed(&folder, now()).unwrap()(&keys.kid), "nothing valid needs the key");
        revoke(&folder, &[jti], None, now()).unwrap();
        assert_eq!(std::fs::read_to_string(folder.revoked()).unwrap().lines().count(), 2, "once is enough");
        assert!(revoke(&folder, &["nonsense".into()], None, now()).is_err());
        assert!(revoke(&folder, &[], Some("nobody"), now()).is_err());
    }

    #[test]
    fn what_expired_long_ago_leaves_the_list() {
        let temp = tempfile::tempdir().unwrap();
        let folder = Folder::at(temp.path());
        let (keys, _) = Keys::open_or_make(&folder, now()).unwrap();
        for till in ["a", "b", "c"] {
            issue(&keys, &request(Role::Till, till), now()).unwrap();
        }
        let later = now().plus_millis(LISTED_AFTER_EXPIRY_MS * 2);
        issue(&keys, &request(Role::Till, "d"), later).unwrap();
        let subjects: Vec<_> = read_ledger(&folder).unwrap().into_iter().map(|entry| entry.subject).collect();
        assert_eq!(subjects, ["d"]);
    }

    #[test]
    fn a_name_must_be_a_code() {
        let temp = tempfile::tempdir().unwrap();
        let (keys, _) = Keys::open_or_make(&Folder::at(temp.path()), now()).unwrap();
        for bad in ["", "Anna Smith", "a\n", &"x".repeat(65)] {
            let error = issue(&keys, &request(Role::Staff, bad), now()).unwrap_err();
            assert_eq!(exit::code_of(&error), exit::USAGE, "{bad:?}");
        }
    }
}
