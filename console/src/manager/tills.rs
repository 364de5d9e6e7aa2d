//! Tills that fell silent: a part of Today.

use std::collections::{BTreeMap, HashSet};

use stockline_core::domain::Timestamp;

use crate::api::{Movement, MovementPage};
use crate::fault::Fault;
use crate::texts::fill;
use crate::visit::{Places, Visit};

/// The latest movements that are looked at.
const LATEST: usize = 1_000;
/// A till is silent if it sent nothing for so long while another one did, in milliseconds.
const SILENT_MS: i64 = 2 * 3_600_000;
/// Another till sells if it sent something within this time, in milliseconds.
const SELLS_MS: i64 = 30 * 60_000;

/// Says which tills sent nothing lately, though others did. Only managers are told.
pub(crate) async fn silent(visit: &Visit, places: &Places) -> Result<Vec<String>, Fault> {
    if !visit.session.person.is_manager {
        return Ok(Vec::new());
    }
    let latest: Option<MovementPage> = visit.api.find(&format!("/v1/movements?limit={LATEST}")).await?;
    let movements = latest.map(|page| page.movements).unwrap_or_default();
    let tills: HashSet<String> = match visit.app.config.sign_in.people() {
        Some(people) => {
            let issued = people.issued().await.map_err(|error| Fault::broken(&error))?;
            issued.into_iter().filter(|one| one.is_till).map(|one| one.subject).collect()
        }
        None => HashSet::new(),
    };
    let silent = fell_silent(&movements, &tills, visit.app.config.clock.now());
    let silent = silent
        .into_iter()
        .map(|(till, at)| fill(visit.t.till_silent, &[&till, &visit.locale.moment(&at.to_string(), places.zone())]));
    Ok(silent.collect())
}

/// Returns the tills that fell silent, with the time of their last movement. A till is what names itself as a device, or
/// holds the token of one; people come and go.
fn fell_silent(movements: &[Movement], tills: &HashSet<String>, now: Timestamp) -> Vec<(String, Timestamp)> {
    let mut last: BTreeMap<&str, Timestamp> = BTreeMap::new();
    for movement in movements {
        let own = Some(&movement.submitted_by).filter(|subject| tills.contains(*subject));
        let Some(till) = movement.device_id.as_ref().or(own) else { continue };
        let Ok(at) = movement.recorded_at.parse::<Timestamp>() else { continue };
        let known = last.entry(till.as_str()).or_insert(at);
        *known = at.max(*known);
    }
    let others_sell = last.values().any(|at| now.millis_since(*at) <= SELLS_MS);
    let silent = last.into_iter().filter(|(_, at)| others_sell && now.millis_since(*at) > SILENT_MS);
    silent.map(|(till, at)| (till.to_owned(), at)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const HOUR_MS: i64 = 3_600_000;

    fn movement(device: Option<&str>, by: &str, hours: i64) -> Movement {
        let at = Timestamp::from_millis(100 * HOUR_MS - hours * HOUR_MS).to_string();
        let movement = json!({
            "location_id": "main", "command_id": "c", "type": "sell", "quantity": "1", "delta": "-1", "before": "1", "after": "0",
            "occurred_at": at, "recorded_at": at, "late": false, "submitted_by": by, "device_id": device,
        });
        serde_json::from_value(movement).unwrap()
    }

    #[test]
    fn a_till_is_silent_only_while_another_one_sells() {
        let tills = HashSet::from(["till-3".to_owned()]);
        let now = Timestamp::from_millis(100 * HOUR_MS);
        let names = |movements: &[Movement]| -> Vec<String> {
            fell_silent(movements, &tills, now).into_iter().map(|(till, _)| till).collect()
        };
        let sells = movement(Some("d1"), "anna", 0);
        assert_eq!(
            names(&[sells.clone(), movement(None, "till-3", 3), movement(Some("d2"), "x", 9)]),
            ["d2", "till-3"]
        );
        assert_eq!(names(&[sells.clone(), movement(None, "till-3", 1), movement(None, "till-3", 9)]), [""; 0]);
        assert_eq!(names(&[sells, movement(None, "anna", 9)]), [""; 0], "a person went home");
        assert_eq!(names(&[movement(Some("d1"), "x", 1), movement(Some("d2"), "x", 9)]), [""; 0], "the shop is closed");
    }
}
