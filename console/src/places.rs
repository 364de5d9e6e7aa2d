//! The locations of a shop, as a person sees them.

use crate::api::Location;
use crate::fault::Fault;

/// The locations that the person sees, and the one where they work.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    pub(crate) all: Vec<Location>,
    /// The place in `all`; `None` only if the person may act nowhere.
    here: Option<usize>,
}

impl Places {
    /// Takes the locations, and the place among them of the one where the person works.
    pub(crate) const fn new(all: Vec<Location>, here: Option<usize>) -> Self {
        Self { all, here }
    }

    /// The location where the person works.
    pub(crate) fn here(&self) -> Option<&Location> {
        self.all.get(self.here?)
    }

    /// Takes another location as the one where the person works: that of a form, which may be older than the session's choice.
    ///
    /// # Errors
    /// The person does not see it: nothing must happen elsewhere instead.
    pub(crate) fn be_at(&mut self, id: &str) -> Result<(), Fault> {
        let at = self.all.iter().position(|place| place.location_id == id);
        self.here = Some(at.ok_or(Fault::Forbidden)?);
        Ok(())
    }

    /// Returns the id of the location where the person works.
    pub(crate) fn here_id(&self) -> &str {
        self.here().map_or("", |place| place.location_id.as_str())
    }

    /// Returns a location by its id.
    pub(crate) fn named(&self, id: &str) -> Option<&Location> {
        self.all.iter().find(|place| place.location_id == id)
    }

    /// Returns the name of a location; its id if it is not known.
    pub(crate) fn name<'a>(&'a self, id: &'a str) -> &'a str {
        self.named(id).map_or(id, |place| &place.name)
    }

    /// Returns the ids and the names of all, for a form to choose from.
    pub(crate) fn pairs(&self) -> Vec<(String, String)> {
        self.all.iter().map(|place| (place.location_id.clone(), place.name.clone())).collect()
    }

    /// Returns the time zone of the location where the person works.
    pub(crate) fn zone(&self) -> &str {
        self.here().map_or("UTC", |place| &place.time_zone)
    }
}
