use std::net::SocketAddr;
use std::sync::Arc;

use stockline_alerter::test_mail;
use stockline_core::ports::{Clock, FixedClock, Mail, MailError, Mailer};

use super::smtp_server::SmtpServer;
use super::{EmlMailer, Sender, SmtpMailer, SmtpOptions};

fn clock() -> Arc<FixedClock> {
    Arc::new(FixedClock::at("2026-01-31T08:15:00Z".parse().unwrap()))
}

fn sender() -> Sender {
    "Stockline <alerts@stock.example.com>".parse().unwrap()
}

fn mail(id: &str, text: &str) -> Mail {
    Mail {
        id: id.into(),
        to: vec!["a@example.com".into(), "Bea <b@example.com>".into()],
        subject: "Käse is low".into(),
        text: text.into(),
        html: format!("<p>{text}</p>"),
    }
}

fn plain_mailer(server: SocketAddr) -> SmtpMailer {
    SmtpMailer::new(format!("smtp://{server}").parse().unwrap(), &SmtpOptions::default(), sender(), clock()).unwrap()
}

fn files(folder: &std::path::Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_mail_becomes_one_file_whatever_its_id_and_the_same_id_replaces_it() {
    let folder = tempfile::tempdir().unwrap();
    let mailer = EmlMailer::new(folder.path().join("mail"), sender(), clock()).unwrap();
    mailer.send(&mail("SKU-1:main:4", "first")).await.unwrap();
    mailer.send(&mail("SKU-1:main:4", "second")).await.unwrap();
    mailer.send(&mail("../escape", "other")).await.unwrap();
    assert_eq!(files(&folder.path().join("mail")), ["%2E.%2Fescape.eml", "SKU-1~main~4.eml"]);
    let text = std::fs::read_to_string(mailer.path_of("SKU-1:main:4")).unwrap();
    for part in [
        "From: Stockline <alerts@stock.example.com>\r\n",
        "To: a@example.com, Bea <b@example.com>\r\n",
        "Date: Sat, 31 Jan 2026 08:15:00 +0000\r\n",
        "X-Stockline-Id: SKU-1:main:4\r\n",
        "@stock.example.com>\r\n",
        "Content-Type: multipart/alternative;",
        "Content-Type: text/plain; charset=utf-8\r\n",
        "Content-Type: text/html; charset=utf-8\r\n",
        "second",
    ] {
        assert!(text.contains(part), "{part:?} is missing in {text}");
    }
    assert!(!text.contains("first"));
    assert!(text.is_ascii(), "headers and bodies are encoded");
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_an_outage_that_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mail");
    let mailer = EmlMailer::new(&path, sender(), clock()).unwrap();
    std::fs::remove_dir(&path).unwrap();
    std::fs::write(&path, "in its place").unwrap();
    let error = mailer.send(&mail("a", "x")).await.unwrap_err();
    assert!(matches!(&error, MailError::Unavailable(text) if text.contains("a.eml")), "{error}");
    // A removed folder is made again.
    std::fs::remove_file(&path).unwrap();
    mailer.send(&mail("a", "x")).await.unwrap();
    assert_eq!(files(&path), ["a.eml"]);
}

#[tokio::test]
async fn an_address_that_cannot_be_parsed_is_refused_without_being_named() {
    let folder = tempfile::tempdir().unwrap();
    let mailer = EmlMailer::new(folder.path(), sender(), clock()).unwrap();
    let mut bad = mail("a", "x");
    bad.to[1] = "eve@example.com\r\nBcc: eve@example.com".into();
    let error = mailer.send(&bad).await.unwrap_err();
    assert_eq!(error.to_string(), "the mail was refused: recipient 2 of 2 is not a mail address");
    assert_eq!(files(folder.path()), Vec::<String>::new());
}

#[tokio::test]
async fn refusals_and_outages_are_distinguished_by_the_smtp_answer() {
    let server = SmtpServer::start().await;
    let mailer = plain_mailer(server.address);
    mailer.send(&mail("a", "x")).await.unwrap();
    assert_eq!(server.received()[0].to, ["a@example.com", "b@example.com"]);

    server.refuse("b@example.com", "550 5.1.1 <b@example.com>: no such user");
    let error = mailer.send(&mail("a", "x")).await.unwrap_err();
    assert!(matches!(&error, MailError::Refused(_)), "{error}");
    assert!(!error.to_string().contains('@') && error.to_string().contains("550"), "{error}");

    for put_off in ["450 4.2.1 mailbox busy", "451 4.7.1 greylisted", "452 4.2.2 mailbox full"] {
        server.refuse("b@example.com", put_off);
        let error = mailer.send(&mail("a", "x")).await.unwrap_err();
        assert!(matches!(&error, MailError::Deferred(_)), "{error}");
    }
    for session in ["421 4.3.2 shutting down", "454 4.7.0 TLS not available"] {
        server.refuse("b@example.com", session);
        let error = mailer.send(&mail("a", "x")).await.unwrap_err();
        assert!(matches!(&error, MailError::Unavailable(_)), "{error}");
    }
}

#[tokio::test]
async fn a_banner_that_refuses_is_a_refusal_and_a_drop_after_the_mail_an_outage() {
    let server = SmtpServer::start().await;
    let mailer = plain_mailer(server.address);
    server.greet_with(Some("554 5.7.1 no service here"));
    let error = mailer.send(&mail("a", "x")).await.unwrap_err();
    assert!(!matches!(&error, MailError::Deferred(_)), "{error}");
    server.greet_with(None);
    server.drop_after_data(true);
    let error = mailer.send(&mail("a", "x")).await.unwrap_err();
    assert!(matches!(&error, MailError::Unavailable(_)), "{error}");
    assert_eq!(server.received().len(), 1, "the mail is out, and nobody knows");
    server.drop_after_data(false);
    mailer.send(&mail("a", "x")).await.unwrap();
}

#[tokio::test]
async fn a_failed_login_is_an_outage_and_no_refusal_of_the_mail() {
    let server = SmtpServer::start().await;
    let mailer = plain_mailer(server.address);
    server.answer_mail_with("530 5.7.0 authentication required");
    let error = mailer.send(&mail("a", "x")).await.unwrap_err();
    assert!(matches!(&error, MailError::Unavailable(_)), "{error}");
}

#[tokio::test]
async fn a_subject_cannot_add_headers() {
    let server = SmtpServer::start().await;
    let mailer = plain_mailer(server.address);
    let evil = "Milk\r\nBcc: eve@example.com\r\n\r\nhello";
    mailer.send(&Mail { subject: evil.into(), ..mail("SKU-1:main:1", "x") }).await.unwrap();
    let sent = server.received().remove(0);
    assert_eq!(sent.header("X-Stockline-Id"), "SKU-1:main:1");
    assert_eq!(sent.header("Bcc"), "");
    assert!(sent.header("Subject").contains("Milk  Bcc: eve@example.com"), "{}", sent.header("Subject"));
}

#[tokio::test]
async fn a_name_that_looks_like_an_encoded_word_is_shown_as_it_is_written() {
    let server = SmtpServer::start().await;
    let mailer = plain_mailer(server.address);
    for name in
        ["=?utf-8?Q?Free_beer?=", "K\u{e4}se =?utf-8?B?eA==?= is low, and this is a long name of an item", "a =? b"]
    {
        mailer.send(&Mail { subject: name.into(), id: name.into(), ..mail("a", "x") }).await.unwrap();
        let sent = server.received().pop().unwrap();
        for header in ["Subject", "X-Stockline-Id"] {
            // As a mail program reads it: the white space between two encoded words is dropped.
            let shown = sent.header(header);
            let words = shown.split_whitespace().map(|word| {
                assert!(word.len() <= 75, "{word}");
                let word = word.strip_prefix("=?utf-8?b?").and_then(|word| word.strip_suffix("?=")).unwrap();
                base64::Engine::decode(&base64::engine::general_purpose::STANDARD, word).unwrap()
            });
            assert_eq!(String::from_utf8(words.flatten().collect()).unwrap(), name, "{header}: {shown}");
        }
    }
}

#[tokio::test]
async fn a_missing_server_is_an_outage() {
    let gone = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let mailer = plain_mailer(gone);
    let error = mailer.send(&mail("a", "x")).await.unwrap_err();
    assert!(matches!(&error, MailError::Unavailable(_)), "{error}");
}

#[tokio::test]
async fn required_encryption_is_enforced() {
    let server = SmtpServer::start().await;
    let url = format!("smtp://me:secret@{}?tls=required", server.address).parse().unwrap();
    let mailer = SmtpMailer::new(url, &SmtpOptions::default(), sender(), clock()).unwrap();
    assert!(!format!("{mailer:?}").contains("secret"), "{mailer:?}");
    let error = mailer.send(&mail("a", "x")).await.unwrap_err();
    assert!(matches!(&error, MailError::Unavailable(_)), "{error}");
    assert_eq!(server.received().len(), 0);
}

#[tokio::test]
async fn a_test_mail_arrives() {
    let folder = tempfile::tempdir().unwrap();
    let mailer = EmlMailer::new(folder.path(), sender(), clock()).unwrap();
    let mail = test_mail(vec!["a@example.com".into()], clock().now(), None);
    mailer.send(&mail).await.unwrap();
    assert_eq!(files(folder.path()).len(), 1);
}

#[tokio::test]
async fn an_international_domain_is_sent_in_its_ascii_form() {
    let server = SmtpServer::start().await;
    let mailer = plain_mailer(server.address);
    let to = vec!["Chef <chef@B\u{fc}ro.example>".into(), "a@xn--bro-hoa.example".into()];
    mailer.send(&Mail { to, ..mail("a", "x") }).await.unwrap();
    let sent = server.received().remove(0);
    assert_eq!(sent.to, ["chef@xn--bro-hoa.example", "a@xn--bro-hoa.example"]);
    assert_eq!(sent.header("To"), "Chef <chef@xn--bro-hoa.example>, a@xn--bro-hoa.example");
}

#[tokio::test]
async fn the_client_introduces_itself_by_a_name_that_servers_accept() {
    let server = SmtpServer::start().await;
    let address = server.address;
    let hello = async |path: &str, hello: Option<&str>| {
        let options = SmtpOptions { hello: hello.map(|name| name.parse().unwrap()), ..SmtpOptions::default() };
        let url = format!("smtp://{address}{path}").parse().unwrap();
        let mailer = SmtpMailer::new(url, &options, sender(), clock()).unwrap();
        mailer.send(&mail("a", "x")).await.unwrap();
        server.received().pop().unwrap().hello
    };
    assert_eq!(hello("", Some("shop.example.com")).await, "shop.example.com");
    assert_eq!(hello("", Some("[192.0.2.7]")).await, "[192.0.2.7]");
    assert_eq!(hello("/own.example.com", None).await, "own.example.com");
    let usual = hello("", None).await;
    assert!(usual.contains('.') && !usual.starts_with('['), "{usual}");
    for bad in ["", "a b", "[x]", "b\u{fc}ro_x"] {
        assert!(bad.parse::<super::HelloName>().is_err(), "{bad}");
    }
}

#[tokio::test]
async fn a_mail_server_with_its_own_authority_is_trusted_only_by_its_file() {
    for (scheme, query) in [("smtps", ""), ("smtp", "?tls=required")] {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let server = SmtpServer::start_tls(&made, scheme == "smtps").await;
        let url = format!("{scheme}://localhost:{}{query}", server.address.port());
        let send = async |ca_certificates: Option<Vec<u8>>| {
            let options = SmtpOptions { ca_certificates, ..SmtpOptions::default() };
            let mailer = SmtpMailer::new(url.parse().unwrap(), &options, sender(), clock()).unwrap();
            mailer.send(&mail("a", "x")).await
        };
        let error = send(None).await.unwrap_err();
        assert!(matches!(&error, MailError::Unavailable(_)), "{error}");
        assert_eq!(server.received().len(), 0);
        send(Some(crate::files::pem("CERTIFICATE", made.cert.der()).into_bytes())).await.unwrap();
        assert_eq!(server.received().len(), 1, "{scheme}");
    }
}
