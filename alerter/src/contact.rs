use std::collections::{BTreeMap, BTreeSet};

use stockline_core::domain::{LocationId, LocationSettings};

/// The contact of a location: what its mails need.
#[derive(Debug, Clone)]
pub(crate) struct Contact {
    pub(crate) name: String,
    pub(crate) time_zone: String,
    /// Sorted and each once. Empty if no recipient is configured.
    pub(crate) recipients: Vec<String>,
}

impl Contact {
    /// Returns the contact of a location. A location that is not registered has no settings; its mails are in UTC.
    pub(crate) fn new(location_id: &LocationId, settings: Option<&LocationSettings>, default: &[String]) -> Self {
        let own = settings.map_or(&[][..], |settings| &settings.alert_emails);
        let own = addresses(own);
        Self {
            name: settings.map_or_else(|| location_id.to_string(), |settings| settings.name.clone()),
            time_zone: settings.map_or_else(|| "UTC".to_owned(), |settings| settings.time_zone.clone()),
            recipients: if own.is_empty() { addresses(default) } else { own },
        }
    }

    /// Returns who of these is still a recipient.
    pub(crate) fn still_wanted(&self, missing: &[String]) -> Vec<String> {
        let missing = missing.iter().map(|address| address.to_lowercase()).collect::<BTreeSet<_>>();
        self.recipients.iter().filter(|address| missing.contains(&address.to_lowercase())).cloned().collect()
    }
}

/// Returns the addresses trimmed, sorted, and each once whatever its case, without empty ones. Equal lists are one mail.
pub(crate) fn addresses(list: &[String]) -> Vec<String> {
    let by_key: BTreeMap<String, &str> =
        list.iter().map(|address| address.trim()).filter(|a| !a.is_empty()).map(|a| (a.to_lowercase(), a)).collect();
    by_key.into_values().map(str::to_owned).collect()
}
