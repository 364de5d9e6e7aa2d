use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::arrivals::Arrivals;
use super::in_flight::{DeliveryNo, InFlight};

/// How long a delivered alert stays invisible.
pub(super) const VISIBILITY_TIMEOUT: Duration = Duration::from_secs(60);

/// The row numbers of waiting and delivered alerts, 8 bytes each. Bodies stay in the file.
#[derive(Debug)]
pub(super) struct Alerts {
    visible: VecDeque<i64>,
    in_flight: InFlight<i64>,
}

impl Alerts {
    /// Delivers up to `max` alerts.
    pub(super) fn take(&mut self, now: Instant, max: usize) -> Vec<(DeliveryNo, i64)> {
        let many = max.min(self.visible.len());
        let rows = self.visible.drain(..many);
        rows.map(|row| (self.in_flight.add(row, now, VISIBILITY_TIMEOUT), row)).collect()
    }

    /// Returns how many alerts wait or are delivered and not acknowledged.
    pub(super) fn waiting(&self) -> u64 {
        (self.visible.len() + self.in_flight.len()) as u64
    }

    /// Ends a delivery for good and returns the row; `None` if the delivery has expired.
    pub(super) fn ack(&mut self, delivery: DeliveryNo) -> Option<i64> {
        self.in_flight.remove(delivery)
    }

    /// Returns when the next delivery expires.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.in_flight.next_deadline()
    }

    /// Ends a delivery and shows the alert again after `delay`. Returns `false` if the delivery has expired.
    pub(super) fn hide(&mut self, delivery: DeliveryNo, now: Instant, delay: Duration) -> bool {
        let Some(row) = self.in_flight.remove(delivery) else { return false };
        if delay.is_zero() {
            self.visible.push_back(row);
        } else {
            // Under a new number, so that no receiver has a handle for it.
            self.in_flight.add(row, now, delay);
        }
        true
    }

    fn expire(&mut self, now: Instant) {
        while let Some((_, row)) = self.in_flight.pop_expired(now) {
            self.visible.push_back(row);
        }
    }
}

/// The alerts, shared by the writer thread and the receivers.
#[derive(Debug)]
pub(super) struct SharedAlerts {
    alerts: Mutex<Alerts>,
    pub(super) arrivals: Arrivals,
}

impl SharedAlerts {
    /// Starts with the alerts of the file.
    pub(super) fn new(visible: VecDeque<i64>) -> Self {
        Self { alerts: Mutex::new(Alerts { visible, in_flight: InFlight::new() }), arrivals: Arrivals::default() }
    }

    /// Shows new alerts after they are durable.
    pub(super) fn arrive(&self, rows: &[i64]) {
        if !rows.is_empty() {
            self.change(Instant::now(), |alerts| alerts.visible.extend(rows));
        }
    }

    /// Reads or changes the alerts, then wakes the receivers that the change concerns.
    pub(super) fn change<T>(&self, now: Instant, change: impl FnOnce(&mut Alerts) -> T) -> T {
        let mut alerts = self.alerts.lock().unwrap_or_else(PoisonError::into_inner);
        let deadline_before = alerts.in_flight.next_deadline();
        alerts.expire(now);
        let answer = change(&mut alerts);
        let (some_wait, deadline) = (!alerts.visible.is_empty(), alerts.in_flight.next_deadline());
        drop(alerts);
        self.arrivals.changed(some_wait, deadline_before, deadline);
        answer
    }
}
