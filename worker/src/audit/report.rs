use serde_json::{Value, json};

use super::AuditReport;

impl AuditReport {
    /// Returns the report for programs.
    pub fn to_json(&self) -> Value {
        let fault = |fault: &super::Fault| json!({"item_id": fault.item_id, "location_id": fault.location_id, "what": fault.what});
        json!({
            "sound": self.is_sound(),
            "items": self.read.items,
            "levels": self.read.levels,
            "entries": self.read.entries,
            "outcomes": self.read.records,
            "after": self.after,
            "fault_count": self.fault_count,
            "faults": self.faults.iter().map(fault).collect::<Vec<_>>(),
        })
    }

    /// Returns the report for people, each line ended. `advice` says what to do about faults.
    pub fn to_text(&self, advice: &str) -> String {
        let read = &self.read;
        let resumed = self.after.as_ref().map(|after| {
            format!(
                "only the items behind {after}: the run that printed this checkpoint says what holds for the others"
            )
        });
        let mut lines: Vec<_> = resumed.into_iter().collect();
        lines.push(format!(
            "{} items, {} levels, {} ledger entries, {} outcomes read",
            read.items, read.levels, read.entries, read.records
        ));
        lines.extend(self.faults.iter().map(|fault| {
            let place = fault.location_id.as_ref().map(|id| format!(" at {id}")).unwrap_or_default();
            let item = fault.item_id.as_ref().map_or("the store", |item_id| item_id.as_str());
            format!("  {item}{place}: {}", fault.what)
        }));
        let listed = self.faults.len() as u64;
        if self.fault_count > listed {
            lines.push(format!("  … and {} more", self.fault_count - listed));
        }
        lines.push(if self.is_sound() {
            "the ledger explains the stock".to_owned()
        } else {
            format!("{} fault(s): {advice}", self.fault_count)
        });
        lines.push(String::new());
        lines.join("\n")
    }
}
