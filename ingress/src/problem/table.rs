/// A kind of problem.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Code {
    /// The stable name.
    pub(crate) code: &'static str,
    /// The HTTP status (a line of a batch has it too).
    pub(crate) status: u16,
    /// One line for people.
    pub(crate) title: &'static str,
    /// May the same request succeed later, unchanged?
    pub(crate) retryable: bool,
    /// What the caller can do.
    pub(crate) advice: &'static str,
}

macro_rules! codes {
    ($($name:ident = $code:literal, $status:literal, $retryable:literal, $title:literal, $advice:literal;)*) => {
        /// Each code under its name.
        pub(crate) mod codes {
            use super::Code;
            $(
                #[doc = $title]
                pub(crate) const $name: &Code =
                    &Code { code: $code, status: $status, title: $title, retryable: $retryable, advice: $advice };
            )*
        }

        /// Every code, in order of status.
        pub(crate) const CODES: &[&Code] = &[$(codes::$name),*];
    };
}

codes! {
    MALFORMED_JSON = "malformed_json", 400, false, "The body is not JSON",
        "Correct the JSON at the line and column that detail names.";
    INVALID_PARAMETER = "invalid_parameter", 400, false, "A query parameter is not valid",
        "errors names each parameter. Unknown ones are refused, so that a typing error can't widen a list.";
    CURSOR_INVALID = "cursor_invalid", 400, false, "The cursor is not one of this list",
        "Send next_cursor of the page before exactly as it was. Cursors of other lists and of earlier versions are not valid; begin again without one.";
    INVALID_ID = "invalid_id", 400, false, "An id in the path is not valid",
        "An item id has 1 to 64 characters, a location id 1 to 32: any printable ones, and single spaces inside. Percent-encode them: AB/12 x is AB%2F12%20x in a path. A command id is a UUID.";
    INVALID_BARCODE = "invalid_barcode", 400, false, "The code can't be read",
        "detail says what is wrong with it. Send the text as the scanner types it, percent-encoded.";
    INVALID_HEADER = "invalid_header", 400, false, "A header is not valid",
        "detail names the header and its valid values.";
    RECEIPT_INVALID = "receipt_invalid", 400, false, "The receipt is not a receipt",
        "Send the receipt exactly as in status_url, or leave it out.";
    TOKEN_MISSING = "token_missing", 401, false, "A token is required",
        "Send Authorization: Bearer followed by an access token.";
    TOKEN_MALFORMED = "token_malformed", 401, false, "The token is not an access token",
        "Send the access token as it was issued: a signed JWT.";
    TOKEN_EXPIRED = "token_expired", 401, false, "The token has expired",
        "Get a new access token and send the request again.";
    TOKEN_NOT_YET_VALID = "token_not_yet_valid", 401, false, "The token is not valid yet",
        "Compare the clocks of this server and of the issuer.";
    TOKEN_INVALID_SIGNATURE = "token_invalid_signature", 401, false, "The token's signature is not valid",
        "Get a new access token from this installation.";
    TOKEN_WRONG_ISSUER = "token_wrong_issuer", 401, false, "The token has another issuer",
        "Get an access token from this installation.";
    TOKEN_WRONG_CLIENT = "token_wrong_client", 401, false, "The token belongs to another client",
        "Get an access token for a client that this installation is configured for, or have a Manager register the client: PUT /v1/clients/{client_id}.";
    TOKEN_WRONG_USE = "token_wrong_use", 401, false, "The token is not an access token",
        "Send the access token, not the id token.";
    TOKEN_ALGORITHM = "token_algorithm", 401, false, "The token is not signed with RS256",
        "Get an access token from this installation.";
    TOKEN_UNKNOWN_KEY = "token_unknown_key", 401, false, "The token is signed with an unknown key",
        "Get a new access token; the issuer's keys may have changed.";
    TOKEN_REVOKED = "token_revoked", 401, false, "The token was revoked",
        "Ask for a new token.";
    TOKEN_CLIENT_DISABLED = "token_client_disabled", 401, false, "The token's client was disabled",
        "Ask a Manager, who can enable the client again: PUT /v1/clients/{client_id}.";
    TOKEN_LOCATION_INVALID = "token_location_invalid", 401, false, "A scope of the token is about a location and is not understood",
        "Correct the scope that detail names: it must be stockline/location. and a valid location id. Or bind the client itself: PUT /v1/clients/{client_id}.";
    NO_ROLE = "no_role", 403, false, "The token names no role",
        "The token needs the group Manager or Staff, or the scope stockline/commands, stockline/read or stockline/manage.";
    FORBIDDEN = "forbidden", 403, false, "The token lacks a right",
        "detail names the missing right.";
    FORBIDDEN_COMMAND = "forbidden_command", 403, false, "The token may not submit this command",
        "Managers may submit every type of command. The setting staff_may can allow Staff more.";
    FORBIDDEN_LOCATION = "forbidden_location", 403, false, "The token is bound to other locations",
        "A token with groups for locations sees and acts only at these.";
    NOT_FOUND = "not_found", 404, false, "There is nothing at this path",
        "/docs lists every path.";
    ITEM_NOT_FOUND = "item_not_found", 404, false, "There is no such item",
        "Item ids are case-sensitive. A new item is visible as soon as its command is applied.";
    BARCODE_NOT_FOUND = "barcode_not_found", 404, false, "No item has this barcode",
        "A manager gives it to an item with register_item or update_item.";
    LOCATION_NOT_FOUND = "location_not_found", 404, false, "There is no such location",
        "A manager registers it with PUT /v1/locations/{location_id}.";
    CLIENT_NOT_FOUND = "client_not_found", 404, false, "There is no such client",
        "A Manager registers it with PUT /v1/clients/{client_id}.";
    CLIENTS_NOT_KEPT = "clients_not_kept", 404, false, "This installation does not register clients",
        "Here tokens are issued and revoked one by one: stockline token. Clients are registered on AWS only.";
    COMMAND_NOT_FOUND = "command_not_found", 404, false, "There is no such command",
        "No command is known under this id, and no receipt proves that it was accepted. It is safe to send the same command with the same id again.";
    IMPORT_NOT_FOUND = "import_not_found", 404, false, "There is no such import",
        "An import is kept for an hour by the process that took it. Post the same file again: it gets the same id, and goes on where it was.";
    LIST_NOT_KEPT = "list_not_kept", 404, false, "This installation does not keep this list",
        "List the movements of one item: GET /v1/items/{item_id}/movements. The list of all movements is kept in the standalone home only.";
    LOGIN_NOT_CONFIGURED = "login_not_configured", 404, false, "People can't log in here",
        "Use a token: with the standalone program, `stockline token` makes one. On AWS, the login is configured by STOCKLINE_LOGIN_URL and STOCKLINE_LOGIN_CLIENT_ID.";
    METHOD_NOT_ALLOWED = "method_not_allowed", 405, false, "The path does not accept this method",
        "The Allow header names the methods that it accepts.";
    REQUEST_TIMEOUT = "request_timeout", 408, true, "The body did not arrive in time",
        "Send it again, and commands with the same ids.";
    COMMAND_ID_REUSED = "command_id_reused", 409, false, "The id belongs to another command",
        "A command with other content was decided under this id; holder shows it. Give the new command an id of its own.";
    LOCATION_EXISTS = "location_exists", 409, false, "Another location has this id in another case",
        "Use the location that detail names, or an id that differs by more than its case.";
    CLIENT_CONFIGURED = "client_configured", 409, false, "The client is configured for the whole installation",
        "People's groups say what they may do. Register a client of its own for tills and programs.";
    ALREADY_APPLIED = "already_applied", 409, false, "The command took effect",
        "There is nothing to resubmit.";
    ALREADY_RESUBMITTED = "already_resubmitted", 409, false, "The command was resubmitted",
        "Look at the resubmission at status_url. If it was refused too, resubmit that one.";
    NOT_RESUBMITTABLE = "not_resubmittable", 409, false, "The command can't be resubmitted",
        "detail says why, and what to do instead: submit a new command, or retry a resubmission that was set aside.";
    IMPORT_FAULTY = "import_faulty", 409, false, "The import has faults",
        "Nothing was applied. Correct the file and post it again, or apply the lines without faults with faulty=skip.";
    ALREADY_DISMISSED = "already_dismissed", 409, false, "The command was dismissed",
        "detail says by whom, when and why. It can still be resubmitted.";
    NOT_DISMISSABLE = "not_dismissable", 409, false, "The command can't be dismissed",
        "Only a rejected command that was not resubmitted can be dismissed; detail says what this one is.";
    OUTCOME_MISSING = "outcome_missing", 410, false, "The command was accepted and has no outcome",
        "It was accepted longer ago than the queue keeps messages. This is counted, and an operator must find the cause. It is safe to send the command again with the same id.";
    BODY_TOO_LARGE = "body_too_large", 413, false, "The body is too large",
        "Send fewer commands at once; /v1/limits names the bound.";
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type", 415, false, "The body is not application/json",
        "Send Content-Type: application/json, and no Content-Encoding.";
    INVALID_COMMAND = "invalid_command", 422, false, "The command is not valid",
        "errors names every fault by JSON pointer. The command was not queued; correct it and send it again.";
    INVALID_BODY = "invalid_body", 422, false, "The body does not have the right shape",
        "errors names every fault by JSON pointer.";
    INVALID_IMPORT = "invalid_import", 422, false, "The file can't be imported",
        "detail says what is wrong with the file or its columns, and what to do. Nothing was changed.";
    TOO_MANY_COMMANDS = "too_many_commands", 422, false, "The batch has too many commands",
        "Send it in several requests; /v1/limits names the bound.";
    DUPLICATE_IN_REQUEST = "duplicate_in_request", 422, false, "Different lines have the same item and command id",
        "None of them was queued. Give each command an id of its own. The same command may stand there twice.";
    RATE_LIMITED = "rate_limited", 429, true, "The token makes too many requests",
        "Wait as long as Retry-After says. A batch has up to 500 commands in one request.";
    INTERNAL_ERROR = "internal_error", 500, true, "The server failed",
        "The failure was logged. It is safe to send commands again with the same ids.";
    STORE_UNREADABLE = "store_unreadable", 500, false, "The stock store holds data that this version can't read",
        "Tell the operator; the log has the details.";
    OVERLOADED = "overloaded", 503, true, "The server is overloaded",
        "Nothing of the request was done. Wait as long as Retry-After says, and send the same request again.";
    QUEUE_UNAVAILABLE = "queue_unavailable", 503, true, "The command queue did not acknowledge",
        "The command may be in the queue all the same. It is safe to send it again with the same id.";
    STORE_UNAVAILABLE = "store_unavailable", 503, true, "The stock store can't be read now",
        "Commands are accepted all the same. Reads work again as soon as the store does.";
    AUTH_UNAVAILABLE = "auth_unavailable", 503, true, "Tokens can't be verified now",
        "Wait as long as Retry-After says, and send the same request again.";
    NOT_READY = "not_ready", 503, true, "This process can't take requests now",
        "Send the request to another process, or wait.";
    TIMEOUT = "timeout", 503, true, "The request took too long",
        "Commands may be in the queue all the same. It is safe to send them again with the same ids.";
}

/// Every code of a single fault, in the order of the alphabet.
pub(crate) const FAULT_CODES: [&str; 13] = [
    "duplicate_field",
    "duplicate_in_request",
    "duplicate_parameter",
    "float",
    "idempotency_key_mismatch",
    "invalid_value",
    "missing_field",
    "out_of_range",
    "quantity_too_large",
    "too_many_fields",
    "unknown_field",
    "unknown_parameter",
    "wrong_type",
];
