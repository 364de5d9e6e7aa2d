//! `token` and `keys`: issues, lists and revokes access tokens; rotates the keys.

use stockline_core::domain::{LocationId, Timestamp};
use stockline_core::ports::Clock as _;
use stockline_service::{SystemClock, output};

use crate::args::{KeysCommand, Role, TokenArgs, TokenCommand};
use crate::exit::{self, Usage};
use crate::folder::Folder;
use crate::issuer::orders::KeysOrder;
use crate::issuer::tokens::{self, TokenRequest};
use crate::serve::control::{self, AnyOrder};
use crate::table::{Align, Table};

/// Runs `stockline token`.
pub(crate) async fn token(args: TokenArgs) -> anyhow::Result<u8> {
    match args.command {
        Some(TokenCommand::List { json, data }) => list(&Folder::at(data.data), json, SystemClock.now()),
        Some(TokenCommand::Revoke { jti, subject, data }) => {
            order(&Folder::at(data.data), KeysOrder::Revoke { ids: jti, subject }).await
        }
        None => issue(args).await,
    }
}

/// Gives an order to the running server, or carries it out here if no server runs.
async fn order(folder: &Folder, order: KeysOrder) -> anyhow::Result<u8> {
    let asked = control::ask(&folder.control_socket(), &AnyOrder::Keys { keys: order.clone() }).await?;
    // A server of an earlier version reads changed files by itself.
    let Some(reply) = asked.filter(|reply| !reply.is_not_understood()) else {
        output::line(order.carry_out(folder, SystemClock.now())?)?;
        return Ok(exit::OK);
    };
    reply.print()
}

async fn issue(args: TokenArgs) -> anyhow::Result<u8> {
    let folder = Folder::at(args.data.data);
    let (role, subject) = match (args.till, args.role) {
        (Some(till), _) => (Role::Till, till),
        (None, role) => {
            let role = role.ok_or_else(|| Usage("the token has no holder: give --role or --till".into()))?;
            (role, args.subject.unwrap_or_else(|| role.as_str().to_owned()))
        }
    };
    let request = TokenRequest { role, subject, locations: args.locations, ttl_s: args.ttl.seconds() };
    order(&folder, KeysOrder::Issue(request)).await
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
            token.role.as_str().to_owned(),
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
pub(crate) async fn keys(command: KeysCommand) -> anyhow::Result<u8> {
    let KeysCommand::Rotate { drop_old, data } = command;
    order(&Folder::at(data.data), KeysOrder::Rotate { drop_old }).await
}
