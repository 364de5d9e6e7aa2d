//! The text that the server prints when it is ready.

use std::net::SocketAddr;
use std::path::Path;

use stockline_service::output;

/// The contents of the text.
#[derive(Debug)]
pub(crate) struct Welcome<'a> {
    /// The API's address.
    pub(crate) base: &'a str,
    /// The address of the metrics.
    pub(crate) metrics: SocketAddr,
    /// The data folder.
    pub(crate) folder: &'a Path,
    /// How mails are sent.
    pub(crate) mail: &'a str,
    /// Who gets the alerts of locations without their own addresses.
    pub(crate) recipients: &'a [String],
    /// Whether any location has its own addresses.
    pub(crate) has_location_mail: bool,
    /// Whether the folder is new, so that nobody has a token yet.
    pub(crate) is_new: bool,
    /// The address of the console.
    pub(crate) console: &'a str,
    /// A link that signs the owner in once, if one was made.
    pub(crate) sign_in: Option<&'a str>,
}

/// Prints the text to standard output. The server runs all the same if nobody can read it.
pub(crate) fn print(welcome: &Welcome<'_>) {
    let program = std::env::args_os().next().unwrap_or_else(|| "stockline".into());
    if let Err(error) = output::print(text(welcome, &program.to_string_lossy())) {
        tracing::warn!("the welcome text is not shown: {error}");
    }
}

fn text(welcome: &Welcome<'_>, program: &str) -> String {
    let base = welcome.base;
    let nobody = "nobody gets mail! Name someone with --alert-email, or per location with stockline locations put";
    let recipients = match (welcome.recipients, welcome.has_location_mail) {
        ([], false) => nobody.to_owned(),
        ([], true) => {
            "to the addresses of each location; locations without an address alert nobody (--alert-email)".to_owned()
        }
        (some, _) => format!("to {}, unless a location has its own addresses", some.join(", ")),
    };
    let data = if welcome.folder == Path::new("./stockline-data") {
        String::new()
    } else {
        format!(" --data {}", quoted(&welcome.folder.to_string_lossy()))
    };
    let program = quoted(program);
    let sign_in = match welcome.sign_in {
        Some(link) => {
            format!("\nTo sign in as the owner, open this link in a browser (once, within 15 minutes):\n  {link}\n")
        }
        None => format!("A link to sign in:   {program} console link{data} --role manager\n"),
    };
    let next = if welcome.is_new {
        format!(
            "Next, in another terminal: register an item, receive ten, sell one\n  \
             {program} submit register_item{data} --item cola --name \"Cola 0.33 l\" --threshold 5\n  \
             {program} submit receive{data} --item cola --quantity 10\n  \
             {program} submit sell{data} --item cola --quantity 1\n\
             A token for the API: {program} token{data} --role manager\n"
        )
    } else {
        format!(
            "A token for the API: {program} token{data} --role manager\nWhat is in stock:    {program} stock{data}\n"
        )
    };
    format!(
        "Stockline {version} is ready\n  \
         console  {console}\n  \
         API      {base}/v1\n  \
         docs     {base}/docs\n  \
         metrics  http://{metrics}/metrics\n  \
         data     {folder}\n  \
         mail     {mail}\n  \
         alerts   {recipients}\n\n{next}{sign_in}",
        version = env!("CARGO_PKG_VERSION"),
        metrics = welcome.metrics,
        folder = welcome.folder.display(),
        mail = welcome.mail,
        console = welcome.console,
    )
}

/// Quotes a word for a shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn welcome<'a>(recipients: &'a [String], folder: &'a str) -> Welcome<'a> {
        Welcome {
            base: "http://127.0.0.1:8080",
            metrics: "127.0.0.1:9464".parse().unwrap(),
            folder: Path::new(folder),
            mail: "as .eml files",
            recipients,
            has_location_mail: false,
            is_new: true,
            console: "http://127.0.0.1:8080/console",
            sign_in: None,
        }
    }

    #[test]
    fn the_welcome_says_where_things_are_who_gets_mail_and_what_to_paste_next() {
        let nobody = text(&welcome(&[], "./stockline-data"), "target/release/stockline");
        for part in
            ["http://127.0.0.1:8080/docs", "nobody gets mail!", "target/release/stockline submit receive --item"]
        {
            assert!(nobody.contains(part), "{part}:\n{nobody}");
        }
        let someone = ["stock@example.com".to_owned()];
        let elsewhere = text(&welcome(&someone, "/srv/my data"), "stockline");
        assert!(elsewhere.contains("to stock@example.com"));
        assert!(elsewhere.contains("stockline token --data '/srv/my data' --role manager"));
    }
}
