use std::collections::BTreeMap;

use stockline_core::domain::{LocationId, LocationSettings};

/// A location as mails need it.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) time_zone: String,
    /// Sorted, each once; empty where nobody is configured.
    pub(crate) recipients: Vec<String>,
}

impl Place {
    /// Of registered settings, or of a location that nobody has registered (its mails are in UTC).
    pub(crate) fn new(location_id: &LocationId, settings: Option<&LocationSettings>, otherwise: &[String]) -> Self {
        let own = settings.map_or(&[][..], |settings| &settings.alert_emails);
        let own = addresses(own);
        Self {
            name: settings.map_or_else(|| location_id.to_string(), |settings| settings.name.clone()),
            time_zone: settings.map_or_else(|| "UTC".to_owned(), |settings| settings.time_zone.clone()),
            recipients: if own.is_empty() { addresses(otherwise) } else { own },
        }
    }
}

/// Trimmed, without empty ones, sorted, each once whatever its case: equal lists are one mail.
pub(crate) fn addresses(list: &[String]) -> Vec<String> {
    let by_key: BTreeMap<String, &str> =
        list.iter().map(|address| address.trim()).filter(|a| !a.is_empty()).map(|a| (a.to_lowercase(), a)).collect();
    by_key.into_values().map(str::to_owned).collect()
}
