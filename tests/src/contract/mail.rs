//! The contract of a [`Mailer`]. The tests of the alerter cover SMTP itself.

use async_trait::async_trait;
use stockline_core::ports::{Mail, MailError, Mailer};

/// A mail that was handed over, as far as the provider shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The addresses without names, in order.
    pub to: Vec<String>,
    /// The decoded subject.
    pub subject: String,
    /// The decoded text part.
    pub text: String,
    /// The decoded HTML part.
    pub html: String,
}

/// A mailer and the mails that it sent.
#[async_trait]
pub trait Outbox: Send + Sync + std::fmt::Debug {
    /// Returns the mailer.
    fn mailer(&self) -> &dyn Mailer;

    /// Returns all mails that it sent, oldest first.
    async fn taken(&self) -> Vec<Taken>;
}

fn mail(id: &str) -> Mail {
    Mail {
        id: id.into(),
        to: vec!["a@example.com".into(), "Bea <b@example.com>".into()],
        subject: "Cola is low".into(),
        text: "2 left at shop-1.".into(),
        html: "<p>2 left at <b>shop-1</b>.</p>".into(),
    }
}

/// All recipients get it, as text and as HTML.
pub async fn a_mail_is_handed_over_whole(outbox: &impl Outbox) {
    let mail = mail("cola:shop-1:1");
    outbox.mailer().send(&mail).await.unwrap();
    let expected = Taken {
        to: vec!["a@example.com".into(), "b@example.com".into()],
        subject: mail.subject.clone(),
        text: mail.text.clone(),
        html: mail.html.clone(),
    };
    assert_eq!(outbox.taken().await, [expected]);
}

/// Errors are logged, and an address is personal data.
pub async fn an_address_that_can_not_be_read_is_refused_without_being_named(outbox: &impl Outbox) {
    for bad in ["eve@example.com\r\nBcc: eve@example.com", "eve", "Eve <eve@example.com", "@example.com"] {
        let mut mail = mail("cola:shop-1:1");
        mail.to[1] = bad.into();
        let error = outbox.mailer().send(&mail).await.unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, MailError::Refused(_)), "{text}");
        assert!(text.contains("recipient 2 of 2") && !text.contains("eve"), "{text}");
    }
    assert_eq!(outbox.taken().await, []);
}

/// The name of an item may contain a line break.
pub async fn a_line_break_in_the_subject_makes_no_header(outbox: &impl Outbox) {
    let mut mail = mail("cola:shop-1:1");
    mail.subject = "Cola\r\nBcc: eve@example.com".into();
    outbox.mailer().send(&mail).await.unwrap();
    let taken = outbox.taken().await;
    assert_eq!(taken[0].to, ["a@example.com", "b@example.com"]);
    assert_eq!(taken[0].subject.split_whitespace().collect::<Vec<_>>(), ["Cola", "Bcc:", "eve@example.com"]);
}

/// Makes a test of each claim of the contract. The argument is an async expression of an `Option<impl Outbox>`. `None`
/// leaves the test out.
#[macro_export]
macro_rules! mail_contract {
    ($outbox:expr) => {
        $crate::mail_contract! { @claims $outbox;
            a_mail_is_handed_over_whole
            an_address_that_can_not_be_read_is_refused_without_being_named
            a_line_break_in_the_subject_makes_no_header
        }
    };
    (@claims $outbox:expr; $($claim:ident)+) => {
        $(
            #[tokio::test]
            async fn $claim() {
                if let Some(outbox) = $outbox.await {
                    $crate::contract::mail::$claim(&outbox).await;
                }
            }
        )+
    };
}
