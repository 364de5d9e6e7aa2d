//! Parameters that several operations have, each described once. The handlers read them by [`crate::params`].

use utoipa::IntoParams;

/// The item of the path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "it describes the parameter to programs and people")]
pub(crate) struct ItemInPath {
    /// The item
    #[param(example = "cola-033")]
    item_id: String,
}

/// The command of the path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "it describes the parameters to programs and people")]
pub(crate) struct CommandInPath {
    /// The item of the command
    #[param(example = "cola-033")]
    item_id: String,
    /// The command
    #[param(format = "uuid", example = "01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b")]
    command_id: String,
}

/// The import of the path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "it describes the parameter to programs and people")]
pub(crate) struct ImportInPath {
    /// The import
    #[param(example = "0b1f6c1e-7a7e-5d0c-9a52-0d9a7a3f1b11")]
    import_id: String,
}

/// Which page of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it describes the parameters to programs and people")]
pub(crate) struct Page {
    /// `next_cursor` of the page before
    #[param(nullable = false)]
    cursor: Option<String>,
    /// Entries of a page, 1 to 1,000; 100 by default
    #[param(nullable = false)]
    limit: Option<u64>,
}

/// Which movements.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it describes the parameters to programs and people")]
pub(crate) struct Movements {
    /// Only movements at this location
    #[param(nullable = false, example = "shop-1")]
    location_id: Option<String>,
    /// Recorded at or after this time
    #[param(nullable = false, format = DateTime)]
    from: Option<String>,
    /// Recorded before this time; now or later is no end
    #[param(nullable = false, format = DateTime)]
    to: Option<String>,
    /// Only movements of this command type
    #[param(nullable = false, rename = "type", example = "sell")]
    kind: Option<String>,
    /// Only movements of this person at the till
    #[param(nullable = false, example = "7")]
    operator: Option<String>,
}
