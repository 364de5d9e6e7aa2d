use std::collections::BTreeSet;

use serde::Serialize;
use stockline_core::domain::{ClientId, ClientRight, ClientSettings, LocationId, Timestamp};
use utoipa::ToSchema;

use super::words::ClientRightWord;

/// A registered client: the tills of a shop, or a program.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Client)]
pub(crate) struct ClientView<'a> {
    /// The `client_id` of its tokens, as the issuer named it.
    #[schema(value_type = String, example = "1example23456789")]
    client_id: &'a ClientId,
    /// The name for people.
    #[schema(example = "Tills of shop 1")]
    name: &'a str,
    /// What it may do, at most; the scopes of its token must allow it too.
    #[schema(value_type = Vec<ClientRightWord>, example = json!(["commands", "read"]))]
    rights: &'a BTreeSet<ClientRight>,
    /// Where it may act; null means everywhere.
    #[schema(value_type = Option<Vec<String>>, required = true, example = json!(["shop-1"]))]
    locations: Option<&'a BTreeSet<LocationId>>,
    /// Whether all its tokens are refused.
    #[schema(example = false)]
    disabled: bool,
    /// Who changed it last.
    #[schema(example = "9c5b94b1-35ad-49bb-b118-8e8fc24abf80")]
    updated_by: &'a str,
    /// When it last changed.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

impl<'a> ClientView<'a> {
    pub(crate) fn of(settings: &'a ClientSettings) -> Self {
        Self {
            client_id: &settings.client_id,
            name: &settings.name,
            rights: &settings.rights,
            locations: settings.locations.as_ref(),
            disabled: settings.disabled,
            updated_by: &settings.updated_by,
            updated_at: settings.updated_at,
        }
    }
}

/// A page of clients.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ClientPage<'a> {
    /// The clients, by id.
    pub(crate) clients: Vec<ClientView<'a>>,
    /// The cursor of the next page; null at the end.
    #[schema(required = true)]
    pub(crate) next_cursor: Option<&'a str>,
}

/// The settings of a registered client.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ClientSettings, example = json!({
    "name": "Tills of shop 1", "rights": ["commands", "read"], "locations": ["shop-1"], "disabled": false
}))]
#[expect(dead_code, reason = "describes what routes::clients reads")]
pub(crate) struct ClientSchema {
    /// The name for people, 1 to 200 characters.
    name: String,
    /// What it may do, at most; the scopes of its token must allow it too.
    #[schema(value_type = Vec<ClientRightWord>)]
    rights: Vec<String>,
    /// Where it may act, at most 1,000 locations; null means everywhere. It must be given, so that nobody leaves it out
    /// by mistake.
    #[schema(required = true)]
    locations: Option<Vec<String>>,
    /// Whether all its tokens are refused; `false` by default.
    disabled: Option<bool>,
}
