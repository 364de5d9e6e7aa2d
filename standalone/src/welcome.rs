//! What the server says when it starts.

use std::net::SocketAddr;
use std::path::Path;

/// Where everything is.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    /// The API's address.
    pub(crate) base: &'a str,
    /// Where metrics are.
    pub(crate) metrics: SocketAddr,
    /// The data folder.
    pub(crate) folder: &'a Path,
    /// How mails go.
    pub(crate) mail: &'a str,
    /// Who gets the alerts of locations without addresses of their own.
    pub(crate) recipients: &'a [String],
    /// Some location has addresses of its own.
    pub(crate) has_location_mail: bool,
    /// The keys are new, so nobody has a token yet.
    pub(crate) keys_made: bool,
}

/// Prints it to standard output.
pub(crate) fn print(facts: &Facts<'_>) {
    let program = std::env::args_os().next().unwrap_or_else(|| "stockline".into());
    print!("{}", text(facts, &program.to_string_lossy()));
}

fn text(facts: &Facts<'_>, program: &str) -> String {
    let base = facts.base;
    let nobody = "nobody gets mail! Name someone with --alert-email, or per location: stockline locations put";
    let recipients = match (facts.recipients, facts.has_location_mail) {
        ([], false) => nobody.to_owned(),
        ([], true) => "to the addresses of each location; others reach nobody (--alert-email)".to_owned(),
        (some, _) => format!("to {}, unless a location has addresses of its own", some.join(", ")),
    };
    let data = if facts.folder == Path::new("./stockline-data") {
        String::new()
    } else {
        format!(" --data {}", quoted(&facts.folder.to_string_lossy()))
    };
    let program = quoted(program);
    let next = if facts.keys_made {
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
         API      {base}/v1\n  \
         docs     {base}/docs\n  \
         metrics  http://{metrics}/metrics\n  \
         data     {folder}\n  \
         mail     {mail}\n  \
         alerts   {recipients}\n\n{next}",
        version = env!("CARGO_PKG_VERSION"),
        metrics = facts.metrics,
        folder = facts.folder.display(),
        mail = facts.mail,
    )
}

/// A word as a shell takes it.
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

    fn facts<'a>(recipients: &'a [String], folder: &'a str) -> Facts<'a> {
        Facts {
            base: "http://127.0.0.1:8080",
            metrics: "127.0.0.1:9464".parse().unwrap(),
            folder: Path::new(folder),
            mail: "as .eml files",
            recipients,
            has_location_mail: false,
            keys_made: true,
        }
    }

    #[test]
    fn the_welcome_says_where_things_are_who_gets_mail_and_what_to_paste_next() {
        let nobody = text(&facts(&[], "./stockline-data"), "target/release/stockline");
        for part in
            ["http://127.0.0.1:8080/docs", "nobody gets mail!", "target/release/stockline submit receive --item"]
        {
            assert!(nobody.contains(part), "{part}:\n{nobody}");
        }
        let someone = ["stock@example.com".to_owned()];
        let elsewhere = text(&facts(&someone, "/srv/my data"), "stockline");
        assert!(elsewhere.contains("to stock@example.com"));
        assert!(elsewhere.contains("stockline token --data '/srv/my data' --role manager"));
    }
}
