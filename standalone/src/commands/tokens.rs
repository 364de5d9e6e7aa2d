//! `token` and `keys`: issues, lists and revokes access tokens; rotates the keys.

use stockline_core::domain::{LocationId, Timestamp};
use stockline_core::ports::Clock as _;
use stockline_service::{SystemClock, output};

use crate::args::{KeysCommand, Role, TokenArgs, TokenCommand};
use crate::exit::{self, Usage};
use crate::folder::Folder;
use crate::issuer::keys::{self, Keys};
use crate::issuer::lists;
use crate::issuer::tokens::{self, TokenRequest};
use crate::table::{Align, Table};

/// Runs `stockline token`.
pub(crate) fn token(args: TokenArgs) -> anyhow::Result<u8> {
    let now = SystemClock.now();
    match args.command {
        Some(TokenCommand::List { json, data }) => list(&Folder::at(data.data), json, now),
        Some(TokenCommand::Revoke { jti, subject, data }) => {
            let revoked = tokens::revoke(&Folder::at(data.data), &jti, subject.as_deref(), now)?;
            output::line(format_args!("{revoked} token(s) revoked"))?;
            Ok(exit::OK)
        }
        None => issue(args, now),
    }
}

fn issue(args: TokenArgs, now: Timestamp) -> anyhow::Result<u8> {
    let keys = Keys::open(&Folder::at(args.data.data))?;
    let (role, subject) = match (args.till, args.role) {
        (Some(till), _) => (Role::Till, till),
        (None, role) => {
            let role = role.ok_or_else(|| Usage("the token has no holder: give --role or --till".into()))?;
            (role, args.subject.unwrap_or_else(|| role.as_str().to_owned()))
        }
    };
    let (write_only, ttl_s) = (args.write_only, args.ttl.seconds());
    let request = TokenRequest { role, write_only, subject, locations: args.locations, ttl_s };
    output::line(tokens::issue(&keys, &request, now)?.jwt)?;
    Ok(exit::OK)
}

fn list(folder: &Folder, json: bool, now: Timestamp) -> anyhow::Result<u8> {
    let issued = tokens::issued(folder, now)?;
    if json {
        let rows: anyhow::Result<Vec<serde_json::Value>> = issued
            .iter()
            .map(|(token, state)| {
                let mut row = serde_json::to_value(token)?;
                row["state"] = (*state).into();
                Ok(row)
            })
            .collect();
        output::line(serde_json::to_string_pretty(&rows?)?)?;
        return Ok(exit::OK);
    }
    let columns = ["STATE", "ROLE", "SUBJECT", "LOCATIONS", "EXPIRES", "JTI"].map(|heading| (heading, Align::Left));
    let mut table = Table::new(&columns);
    for (token, state) in &issued {
        let locations: Vec<_> = token.locations.iter().map(LocationId::as_str).collect();
        table.row([
            (*state).to_owned(),
            token.role_name().to_owned(),
            token.subject.clone(),
            if locations.is_empty() { "everywhere".into() } else { locations.join(",") },
            token.expires_at.to_string(),
            token.jti.clone(),
        ]);
    }
    table.print()?;
    Ok(exit::OK)
}

/// Runs `stockline keys`.
pub(crate) fn keys(command: KeysCommand) -> anyhow::Result<u8> {
    let KeysCommand::Rotate { drop_old, data } = command;
    let (folder, now) = (Folder::at(data.data), SystemClock.now());
    let keys = Keys::open(&folder)?;
    let _lock = keys::lock(&folder)?;
    let rotated = if drop_old {
        let rotated = keys.rotate(now, true, |_| false)?;
        // No token is left that the old lists could be about.
        lists::mend_lists(&Keys::open(&folder)?)?;
        rotated
    } else {
        keys.rotate(now, false, tokens::key_is_needed(&folder, now)?)?
    };
    output::line(format_args!("tokens are signed with key {} from now on", rotated.kid))?;
    output::line(format_args!("{} older key(s) still verify, {} dropped", rotated.kept, rotated.dropped))?;
    output::line(format_args!("receipts are signed with a new key from the server's next start on"))?;
    Ok(exit::OK)
}
