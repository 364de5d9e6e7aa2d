use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use stockline_alerter::{Alerter, Config, RecordFailure, metrics as names};
use stockline_core::ports::{AlertBook, Claimed, Clock, Lease, Mail, MailError, MailState, MailStatus, Mailer};

use crate::world::{HELD, LEASE_MS, MAIL, REFUSED, STORE, World, adapters, alert, body, config, handle};

#[tokio::test]
async fn a_redelivered_alert_is_mailed_once() {
    let world = World::new();
    let low = alert("SKU-1", "main");
    assert_eq!(handle(&world.alerter(), &[&low]).await, [Ok(())]);
    assert_eq!(world.store.sent_at(&low), Some(world.clock.now()));
    assert_eq!(handle(&world.alerter(), &[&low]).await, [Ok(())]);
    world.clock.advance_ms(10 * LEASE_MS);
    assert_eq!(handle(&world.alerter(), &[&low, &low]).await, [Ok(()), Ok(())]);
    let mails = world.outbox.accepted();
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].to, ["all@example.com"]);
    assert_eq!(mails[0].id, "SKU-1:main:1");
    assert!(mails[0].subject.ends_with("[SKU-1:main:1]"), "{}", mails[0].subject);
}

#[tokio::test]
async fn the_same_alert_twice_in_a_batch_is_one_mail_and_two_successes() {
    let world = World::new();
    let low = alert("SKU-1", "main");
    assert_eq!(handle(&world.alerter(), &[&low, &low]).await, [Ok(()), Ok(())]);
    assert_eq!(world.mails(), 1);
}

#[tokio::test]
async fn a_crash_between_claim_and_mail_delays_the_alert_until_the_lease_ends_and_loses_nothing() {
    let world = World::new();
    let low = alert("SKU-1", "main");
    let now = world.clock.now();
    let lease = Lease { holder: "dead".into(), from: now, until: now.plus_millis(LEASE_MS) };
    let dead = world.store.claim(std::slice::from_ref(&low), &lease).await;
    assert!(matches!(dead[0], Ok(Claimed::Ours)));

    let alerter = world.alerter();
    assert_eq!(handle(&alerter, &[&low]).await, [HELD]);
    world.clock.advance_ms(LEASE_MS - 1);
    assert_eq!(handle(&alerter, &[&low]).await, [HELD], "a moment before the lease ends it is still held");
    assert_eq!(world.mails(), 0);
    world.clock.advance_ms(1);
    assert_eq!(handle(&alerter, &[&low]).await, [Ok(())]);
    assert_eq!(world.mails(), 1);
}

#[tokio::test]
async fn a_crash_before_the_providers_answer_does_not_lose_the_alert() {
    let world = World::new();
    let low = alert("SKU-1", "main");
    world.outbox.answers.forget_permits(usize::MAX);
    let alerter = world.alerter();
    let batch = [&low];
    tokio::select! {
        _ = handle(&alerter, &batch) => panic!("it must wait for the provider's answer"),
        arrived = world.outbox.arrived.acquire() => arrived.unwrap().forget(),
    }
    drop(alerter);
    assert_eq!(world.store.sent_at(&low), None);
    world.outbox.answers.add_permits(100);
    world.clock.advance_ms(LEASE_MS);
    assert_eq!(handle(&world.alerter(), &[&low]).await, [Ok(())]);
    assert!(world.mails() >= 1);
}

#[tokio::test]
async fn only_a_crash_between_mail_and_mark_mails_twice() {
    let world = World::new();
    let low = alert("SKU-1", "main");
    world.store.marks.forget_permits(usize::MAX);
    let alerter = world.alerter();
    let batch = [&low];
    tokio::select! {
        _ = handle(&alerter, &batch) => panic!("it must wait for the mark"),
        begun = world.store.marks_begun.acquire() => begun.unwrap().forget(),
    }
    drop(alerter);
    assert_eq!(world.mails(), 1);
    world.store.marks.add_permits(100);
    world.clock.advance_ms(LEASE_MS);
    assert_eq!(handle(&world.alerter(), &[&low]).await, [Ok(())]);
    assert_eq!(world.mails(), 2, "the one case that the promise allows");
}

#[tokio::test]
async fn a_failed_mark_is_repeated_without_a_second_mail() {
    let world = World::new();
    let low = alert("SKU-1", "main");
    let alerter = world.alerter();
    world.store.faults().failing_marks = 3;
    assert_eq!(handle(&alerter, &[&low]).await, [STORE]);
    assert_eq!(world.store.sent_at(&low), None);
    world.clock.advance_ms(2 * LEASE_MS);
    assert_eq!(handle(&alerter, &[&low]).await, [Ok(())], "marked by the redelivery, after the lease has ended");
    assert!(world.store.sent_at(&low).is_some());
    assert_eq!(world.mails(), 1);
}

#[tokio::test]
async fn alerts_to_the_same_recipients_are_one_mail_and_other_alerts_have_their_own() {
    let world = World::new();
    world.location("a", "UTC", &["x@example.com", "y@example.com"]).await;
    world.location("b", "UTC", &["Y@example.com ", "x@example.com"]).await;
    world.location("c", "UTC", &["z@example.com"]).await;
    let alerts = [alert("SKU-1", "a"), alert("SKU-2", "b"), alert("SKU-3", "c"), alert("SKU-4", "nowhere")];
    let results = handle(&world.alerter(), &alerts.each_ref()).await;
    assert_eq!(results, [Ok(()); 4]);
    let mut mails = world.outbox.accepted();
    mails.sort_by_key(|mail| mail.to.clone());
    let to: Vec<Vec<String>> = mails.iter().map(|mail| mail.to.clone()).collect();
    assert_eq!(to[0], ["all@example.com"], "a location that nobody registered: the configured list");
    assert_eq!(to[1].len(), 2);
    assert_eq!(to[2], ["z@example.com"]);
    assert_eq!(to.len(), 3);
    for item in ["SKU-1", "SKU-2"] {
        assert!(mails[1].text.contains(&format!("Item {item} ({item})")), "{}", mails[1].text);
    }
    assert!(!mails[1].text.contains("SKU-3"));
}

#[tokio::test]
async fn an_undecodable_record_fails_alone() {
    let world = World::new();
    let low = body(&alert("SKU-1", "main"));
    let records = [("m1", "{\"item_id\":"), ("m2", low.as_str()), ("m3", "")];
    let results = world.alerter().handle(&records).await;
    assert_eq!(results, [Err(RecordFailure::Undecodable), Ok(()), Err(RecordFailure::Undecodable)]);
    assert_eq!(world.mails(), 1);
}

#[tokio::test]
async fn while_mail_is_down_alerts_are_redelivered_and_none_is_lost() {
    let world = World::new();
    let low = alert("SKU-1", "main");
    world.outbox.set_down(true);
    let alerter = world.alerter();
    assert_eq!(handle(&alerter, &[&low]).await, [MAIL]);
    world.outbox.set_down(false);
    assert_eq!(handle(&alerter, &[&low]).await, [Ok(())]);
    assert_eq!(world.mails(), 1);
}

#[tokio::test]
async fn a_claim_whose_mail_failed_blocks_no_other_alerter() {
    let world = World::new();
    let low = alert("SKU-1", "main");
    world.outbox.set_down(true);
    assert_eq!(handle(&world.alerter(), &[&low]).await, [MAIL]);
    world.outbox.set_down(false);
    assert_eq!(handle(&world.alerter(), &[&low]).await, [Ok(())], "within the lease");
    assert_eq!(world.mails(), 1);
}

#[tokio::test]
async fn a_claim_that_could_not_be_given_up_blocks_only_others_and_only_for_its_lease() {
    let world = World::new();
    let (low, other) = (alert("SKU-1", "main"), alert("SKU-2", "main"));
    world.outbox.set_down(true);
    world.store.faults().lost_give_ups = true;
    let alerter = world.alerter();
    assert_eq!(handle(&alerter, &[&low, &other]).await, [MAIL, MAIL]);
    world.outbox.set_down(false);
    assert_eq!(handle(&world.alerter(), &[&low]).await, [HELD]);
    assert_eq!(handle(&alerter, &[&low]).await, [Ok(())], "its own claim");
    world.clock.advance_ms(LEASE_MS);
    assert_eq!(handle(&world.alerter(), &[&other]).await, [Ok(())]);
    assert_eq!(world.mails(), 2);
}

#[tokio::test]
async fn while_the_store_is_down_nothing_is_mailed_or_claimed() {
    let world = World::new();
    let low = alert("SKU-1", "main");
    world.store.faults().down = true;
    assert_eq!(handle(&world.alerter(), &[&low]).await, [STORE]);
    world.store.faults().down = false;
    assert!(!world.store.is_claimed(&low));
    assert_eq!(handle(&world.alerter(), &[&low]).await, [Ok(())]);
    assert_eq!(world.mails(), 1);
}

#[tokio::test]
async fn a_refused_address_silences_nobody_else() {
    let world = World::new();
    world.location("a", "UTC", &["good@example.com", "gone@example.com"]).await;
    world.location("b", "UTC", &["gone@example.com"]).await;
    world.outbox.refuse("gone@example.com");
    let alerts = [alert("SKU-1", "a"), alert("SKU-2", "b"), alert("SKU-3", "main")];
    let results = handle(&world.alerter(), &alerts.each_ref()).await;
    assert_eq!(results, [Ok(()), REFUSED, Ok(())]);
    let mut to: Vec<Vec<String>> = world.outbox.accepted().into_iter().map(|mail| mail.to).collect();
    to.sort();
    assert_eq!(to, [["all@example.com"], ["good@example.com"]]);
    assert_eq!(world.store.sent_at(&alerts[1]), None, "it waits for a corrected address");
}

#[tokio::test]
async fn an_alert_without_recipient_is_handled_and_stays_unsent_in_the_history() {
    let world = World::new();
    let alerter = world.alerter_with(Config { recipients: vec![" ".into()], ..config() });
    assert!(!alerter.has_recipient().await.unwrap());
    let low = alert("SKU-1", "main");
    assert_eq!(handle(&alerter, &[&low]).await, [Ok(())]);
    assert!(world.store.is_claimed(&low));
    assert_eq!(world.store.sent_at(&low), None);
    assert_eq!(
        world.store.mail_of(&low).await,
        (MailStatus::NoRecipient, MailState { no_recipient: true, ..MailState::default() })
    );
    world.location("a", "UTC", &["x@example.com"]).await;
    assert!(alerter.has_recipient().await.unwrap());
}

#[tokio::test]
async fn more_recipients_than_a_mail_allows_get_several() {
    let world = World::new();
    let recipients = (0..120).map(|n| format!("r{n}@example.com")).collect();
    let alerter = world.alerter_with(Config { recipients, ..config() });
    assert_eq!(handle(&alerter, &[&alert("SKU-1", "main")]).await, [Ok(())]);
    let sizes: Vec<usize> = world.outbox.accepted().iter().map(|mail| mail.to.len()).collect();
    assert_eq!(sizes, [50, 50, 20]);
}

/// A mail provider that is unavailable for one send.
#[derive(Debug)]
struct UnavailableOnce {
    sends: Mutex<Vec<usize>>,
    unavailable_at: usize,
}

#[async_trait]
impl Mailer for UnavailableOnce {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let mut sends = self.sends.lock().unwrap();
        sends.push(mail.to.len());
        if sends.len() == self.unavailable_at {
            Err(MailError::Unavailable("too many requests".into()))
        } else {
            Ok(())
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_part_that_is_unavailable_after_another_was_accepted_is_retried_alone_even_by_another() {
    let world = World::new();
    let mailer = Arc::new(UnavailableOnce { sends: Mutex::default(), unavailable_at: 2 });
    let recipients = (0..60).map(|n| format!("r{n}@example.com")).collect();
    let adapters = adapters(&world.store, mailer.clone(), world.clock.clone());
    let config = Config { recipients, ..config() };
    let alerter = || Alerter::new(config.clone(), adapters.clone());
    assert_eq!(handle(&alerter(), &[&alert("SKU-1", "main")]).await, [MAIL]);
    assert!(world.store.sent_at(&alert("SKU-1", "main")).is_some(), "some have it");
    assert_eq!(handle(&alerter(), &[&alert("SKU-1", "main")]).await, [Ok(())]);
    assert_eq!(handle(&alerter(), &[&alert("SKU-1", "main")]).await, [Ok(())]);
    assert_eq!(*mailer.sends.lock().unwrap(), [50, 10, 10]);
}

#[tokio::test]
async fn a_subject_is_one_line() {
    let world = World::new();
    let mut evil = alert("SKU-1", "main");
    evil.item_name = "Milk\r\nBcc: eve@example.com\r\n\r\nhello".into();
    assert_eq!(handle(&world.alerter(), &[&evil]).await, [Ok(())]);
    let mail = world.outbox.accepted().remove(0);
    assert_eq!(mail.to, ["all@example.com"]);
    assert!(mail.subject.contains("Milk Bcc: eve@example.com hello"), "{}", mail.subject);
    assert!(!mail.subject.contains(char::is_control), "{:?}", mail.subject);
}

#[tokio::test]
async fn every_metric_shows_before_its_first_event() {
    let rendered = stockline_service::install_metrics().unwrap();
    let world = World::new();
    let _alerter = world.alerter();
    let text = rendered.render();
    for name in [
        names::ALERTS_MAILED,
        names::MAILS_SENT,
        names::UNDECODABLE,
        names::WITHOUT_RECIPIENT,
        names::NOTICES_MAILED,
        names::ALERT_AGE_SECONDS,
        names::PROVIDER_DOWN,
        names::FAILING_RECIPIENTS,
    ] {
        assert!(text.contains(name), "{name} is missing in {text}");
    }
    for kind in ["refused", "deferred", "unavailable"] {
        assert!(text.contains(&format!("{}{{kind=\"{kind}\"}}", names::MAIL_FAILURES)), "{kind} is missing in {text}");
    }
}
