//! Tills that fell silent: a part of Today.

use std::collections::{BTreeMap, HashSet};

use stockline_core::domain::Timestamp;
use stockline_core::ports::{SENDER_USED_MS, Sender};

use crate::fault::Fault;
use crate::texts::fill;
use crate::visit::{Places, Visit};

/// A till is silent if it sent nothing for so long while another one did, in milliseconds.
const SILENT_MS: i64 = 2 * 3_600_000;
/// Another till sells if it sent something within this time, in milliseconds.
const SELLS_MS: i64 = 30 * 60_000;

/// Says which tills sent nothing lately, though others did. Only managers are told, and only where one process accepts what
/// all tills send.
pub(crate) async fn silent(visit: &Visit, places: &Places) -> Result<Vec<String>, Fault> {
    let Some(lately) = visit.app.config.lately.as_ref().filter(|_| visit.session.person.is_manager) else {
        return Ok(Vec::new());
    };
    let (senders, now) = (lately.senders(|at| visit.sees(at)), visit.app.config.clock.now());
    // The tokens are read from a file, and mostly nobody is silent.
    if !senders.values().any(|at| is_silent(*at, now)) {
        return Ok(Vec::new());
    }
    let tills: HashSet<String> = match visit.app.config.sign_in.people() {
        Some(people) => {
            let issued = people.issued().await.map_err(|error| Fault::broken(&error))?;
            issued.into_iter().filter(|one| one.is_till).map(|one| one.subject).collect()
        }
        None => HashSet::new(),
    };
    let silent = fell_silent(senders, &tills, now)
        .into_iter()
        .map(|(till, at)| fill(visit.t.till_silent, &[&till, &visit.locale.moment(&at.to_string(), places.zone())]));
    Ok(silent.collect())
}

fn is_silent(last: Timestamp, now: Timestamp) -> bool {
    (SILENT_MS + 1..=SENDER_USED_MS).contains(&now.millis_since(last))
}

/// Returns the tills that fell silent, with the time of their last movement. A till is what names itself as a device, or
/// holds the token of one; people come and go.
fn fell_silent(
    senders: impl IntoIterator<Item = (Sender, Timestamp)>,
    tills: &HashSet<String>,
    now: Timestamp,
) -> Vec<(String, Timestamp)> {
    let mut last: BTreeMap<String, Timestamp> = BTreeMap::new();
    for (sender, at) in senders {
        let till = match sender {
            Sender::Device(device_id) => device_id,
            Sender::Subject(subject) if tills.contains(&*subject) => subject.as_ref().to_owned(),
            Sender::Subject(_) => continue,
        };
        let known = last.entry(till).or_insert(at);
        *known = at.max(*known);
    }
    let others_sell = last.values().any(|at| now.millis_since(*at) <= SELLS_MS);
    last.retain(|_, at| others_sell && is_silent(*at, now));
    last.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 3_600_000;

    #[test]
    fn a_till_is_silent_only_while_another_one_sells_and_only_for_a_week() {
        let tills = HashSet::from(["till-3".to_owned()]);
        let now = Timestamp::from_millis(1_000 * HOUR_MS);
        let device = |name: &str, hours: i64| (Sender::Device(name.to_owned()), now.plus_millis(-hours * HOUR_MS));
        let subject = |name: &str, hours: i64| (Sender::Subject(name.into()), now.plus_millis(-hours * HOUR_MS));
        let names = |senders: &[(Sender, Timestamp)]| -> Vec<String> {
            fell_silent(senders.iter().cloned(), &tills, now).into_iter().map(|(till, _)| till).collect()
        };
        let sells = device("d1", 0);
        assert_eq!(names(&[sells.clone(), subject("till-3", 3), device("d2", 9)]), ["d2", "till-3"]);
        assert_eq!(names(&[sells.clone(), subject("till-3", 1), device("till-3", 9)]), [""; 0]);
        assert_eq!(names(&[sells.clone(), subject("anna", 9)]), [""; 0], "a person went home");
        assert_eq!(names(&[sells, device("d2", 8 * 24)]), [""; 0], "the till is out of use");
        assert_eq!(names(&[device("d1", 1), device("d2", 9)]), [""; 0], "the shop is closed");
    }
}
