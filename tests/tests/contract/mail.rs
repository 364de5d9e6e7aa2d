//! Runs the contract suite of the mailers on `.eml` files and on SES v2 (the stand-in).

use std::sync::Arc;

use async_trait::async_trait;
use stockline::mail::EmlMailer;
use stockline_aws::SesMailer;
use stockline_core::ports::Mailer;
use stockline_deploy_checks::ministack::{Ministack, aws_tests};
use stockline_service::SystemClock;
use stockline_tests::contract::mail::{Outbox, Taken};
use stockline_tests::sdk::clients;

const SENDER: &str = "Stockline <alerts@stock.example.com>";

mod eml {
    use super::*;

    #[derive(Debug)]
    struct Folder {
        path: tempfile::TempDir,
        mailer: EmlMailer,
    }

    #[async_trait]
    impl Outbox for Folder {
        fn mailer(&self) -> &dyn Mailer {
            &self.mailer
        }

        async fn taken(&self) -> Vec<Taken> {
            let mut files: Vec<_> =
                std::fs::read_dir(self.path.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
            files.sort();
            files.into_iter().map(|file| read(&std::fs::read_to_string(file).unwrap())).collect()
        }
    }

    /// Parses a mail of plain ASCII, which has nothing encoded.
    fn read(text: &str) -> Taken {
        let header = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
        let address = |part: &str| part.trim().rsplit('<').next().unwrap().trim_end_matches('>').to_owned();
        let part = |kind: &str| {
            let (_, rest) = text.split_once(&format!("Content-Type: {kind}")).unwrap();
            let (_, rest) = rest.split_once("\r\n\r\n").unwrap();
            rest.split_once("\r\n--").unwrap().0.trim_end().to_owned()
        };
        Taken {
            to: header("To:").split(',').map(address).collect(),
            subject: header("Subject:"),
            text: part("text/plain"),
            html: part("text/html"),
        }
    }

    async fn outbox() -> Option<Folder> {
        let path = tempfile::tempdir().unwrap();
        let mailer = EmlMailer::new(path.path(), SENDER.parse().unwrap(), Arc::new(SystemClock)).unwrap();
        Some(Folder { path, mailer })
    }

    stockline_tests::mail_contract!(outbox());
}

mod ses {
    use super::*;

    /// Each test has its own server, because mails belong to the whole account.
    #[derive(Debug)]
    struct Ses {
        server: Ministack,
        mailer: SesMailer,
    }

    #[async_trait]
    impl Outbox for Ses {
        fn mailer(&self) -> &dyn Mailer {
            &self.mailer
        }

        async fn taken(&self) -> Vec<Taken> {
            let text = |mail: &serde_json::Value, name: &str| mail[name].as_str().unwrap().to_owned();
            let address = |to: &serde_json::Value| {
                to.as_str().unwrap().rsplit('<').next().unwrap().trim_end_matches('>').to_owned()
            };
            let mails = self.server.ses_messages().await;
            mails
                .iter()
                .map(|mail| Taken {
                    to: mail["To"].as_array().unwrap().iter().map(address).collect(),
                    subject: text(mail, "Subject"),
                    text: text(mail, "BodyText"),
                    html: text(mail, "BodyHtml"),
                })
                .collect()
        }
    }

    async fn outbox() -> Option<Ses> {
        if !aws_tests() {
            return None;
        }
        let server = Ministack::start().await;
        let ses = clients(&server).ses;
        ses.create_email_identity().email_identity("stock.example.com").send().await.unwrap();
        let mailer = SesMailer::new(ses, SENDER.to_owned(), None);
        Some(Ses { server, mailer })
    }

    stockline_tests::mail_contract!(outbox());
}
