use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use super::{Action, Barcode, Catalogue, CataloguePatch, Command, Fixed, Planning, PlanningPatch};

/// The first 128 bits of a SHA-256 over a command's *parsed* values (design.md §5). `"2"`, `2` and `"2.0"` are equal;
/// so are an omitted and a default value, and `Z` and `+00:00`. `sent_at`, the submitter and unset fields are left out,
/// so old fingerprints stay valid when fields are added.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 16]);

/// Hashes named values. Each has its length before it, so different lists of fields never collide.
struct Fields(Sha256);

impl Fields {
    fn text(&mut self, name: &str, value: &str) {
        for part in [name, value] {
            self.0.update((part.len() as u64).to_be_bytes());
            self.0.update(part.as_bytes());
        }
    }

    fn number(&mut self, name: &str, value: i64) {
        self.text(name, itoa(value, &mut [0; 20]));
    }

    fn some_text(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    fn some_fixed<const P: u32>(&mut self, name: &str, value: Option<Fixed<P>>) {
        if let Some(value) = value {
            self.number(name, value.raw());
        }
    }

    /// A field whose explicit `null` means "clear".
    fn clearable_fixed<const P: u32>(&mut self, name: &str, value: Option<Option<Fixed<P>>>) {
        match value {
            None => {}
            Some(None) => self.text(name, "null"),
            Some(Some(value)) => self.number(name, value.raw()),
        }
    }

    fn barcodes(&mut self, barcodes: &[Barcode]) {
        self.number("barcodes", i64::try_from(barcodes.len()).unwrap_or(i64::MAX));
        for barcode in barcodes {
            self.text("barcode", &barcode.code);
            if !barcode.is_single() {
                self.number("barcode_quantity", barcode.quantity.raw());
            }
        }
    }

    fn catalogue(&mut self, c: &Catalogue) {
        self.text("name", &c.name);
        self.text("unit", &c.unit);
        self.number("decimals", c.decimals.into());
        if !c.barcodes.is_empty() {
            self.barcodes(&c.barcodes);
        }
        self.some_text("category", c.category.as_deref());
        self.some_fixed("low_stock_threshold", c.low_stock_threshold);
        self.text("shortage_policy", c.shortage_policy.as_str());
        self.some_fixed("unit_cost", c.unit_cost);
        self.planning(&c.planning);
    }

    fn planning(&mut self, p: &Planning) {
        self.some_text("supplier", p.supplier.as_deref());
        if let Some(days) = p.lead_time_days {
            self.number("lead_time_days", days.into());
        }
        self.some_fixed("order_multiple", p.order_multiple);
        self.some_fixed("order_minimum", p.order_minimum);
        self.some_fixed("service_level", p.service_level);
    }

    fn planning_patch(&mut self, p: &PlanningPatch) {
        if let Some(supplier) = &p.supplier {
            // An empty supplier can't be submitted either.
            self.text("supplier", supplier.as_deref().unwrap_or(""));
        }
        match p.lead_time_days {
            None => {}
            Some(None) => self.text("lead_time_days", "null"),
            Some(Some(days)) => self.number("lead_time_days", days.into()),
        }
        self.clearable_fixed("order_multiple", p.order_multiple);
        self.clearable_fixed("order_minimum", p.order_minimum);
        self.clearable_fixed("service_level", p.service_level);
    }

    fn patch(&mut self, p: &CataloguePatch) {
        self.some_text("name", p.name.as_deref());
        self.some_text("unit", p.unit.as_deref());
        if let Some(decimals) = p.decimals {
            self.number("decimals", decimals.into());
        }
        if let Some(barcodes) = &p.barcodes {
            self.barcodes(barcodes);
        }
        if let Some(category) = &p.category {
            // An empty category can't be submitted, so it can mean "clear".
            self.text("category", category.as_deref().unwrap_or(""));
        }
        self.clearable_fixed("low_stock_threshold", p.low_stock_threshold);
        self.some_text("shortage_policy", p.shortage_policy.map(|policy| policy.as_str()));
        self.clearable_fixed("unit_cost", p.unit_cost);
        self.planning_patch(&p.planning);
    }
}

/// Writes decimal digits without an allocation, because this runs for every command on the hot path.
fn itoa(value: i64, buffer: &mut [u8; 20]) -> &str {
    let mut at = buffer.len();
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        buffer[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        at -= 1;
        buffer[at] = b'-';
    }
    std::str::from_utf8(&buffer[at..]).unwrap_or_default()
}

impl Fingerprint {
    /// Returns the fingerprint of a command.
    pub fn of(command: &Command) -> Self {
        let mut fields = Fields(Sha256::new());
        fields.text("type", command.kind().as_str());
        match &command.action {
            Action::RegisterItem(catalogue) => fields.catalogue(catalogue),
            Action::UpdateItem(patch) => fields.patch(patch),
            Action::ArchiveItem | Action::RestoreItem => {}
            Action::SetThreshold { location_id, low_stock_threshold } => {
                fields.some_text("location_id", location_id.as_ref().map(|l| l.as_str()));
                fields.clearable_fixed("low_stock_threshold", Some(*low_stock_threshold));
            }
            Action::SetPlanning { location_id, planning } => {
                fields.text("location_id", location_id.as_str());
                fields.planning_patch(planning);
            }
            Action::Receive { location_id, quantity, unit_cost } => {
                fields.text("location_id", location_id.as_str());
                fields.number("quantity", quantity.raw());
                fields.some_fixed("unit_cost", *unit_cost);
            }
            Action::Sell { location_id, quantity, on_shortage, amount } => {
                fields.text("location_id", location_id.as_str());
                fields.number("quantity", quantity.raw());
                fields.some_text("on_shortage", on_shortage.map(|policy| policy.as_str()));
                fields.some_fixed("amount", *amount);
            }
            Action::Return { location_id, quantity, amount } => {
                fields.text("location_id", location_id.as_str());
                fields.number("quantity", quantity.raw());
                fields.some_fixed("amount", *amount);
            }
            Action::Adjust { location_id, quantity } => {
                fields.text("location_id", location_id.as_str());
                fields.number("quantity", quantity.raw());
            }
            Action::Count { location_id, counted } => {
                fields.text("location_id", location_id.as_str());
                fields.number("counted", counted.raw());
            }
            Action::Transfer { from_location_id, to_location_id, quantity } => {
                fields.text("from_location_id", from_location_id.as_str());
                fields.text("to_location_id", to_location_id.as_str());
                fields.number("quantity", quantity.raw());
            }
            Action::Reverse { reverses } => fields.text("reverses", &reverses.to_string()),
        }
        let details = &command.details;
        if let Some(occurred_at) = details.occurred_at {
            fields.number("occurred_at", occurred_at.as_millis());
        }
        fields.some_fixed("expected_on_hand", details.expected_on_hand);
        fields.some_text("reason", details.reason.map(|reason| reason.as_str()));
        fields.some_text("note", details.note.as_deref());
        fields.some_text("reference", details.reference.as_deref());
        fields.some_text("device_id", details.device_id.as_deref());
        fields.some_text("operator", details.operator.as_deref());
        let digest = fields.0.finalize();
        let mut first = [0; 16];
        first.copy_from_slice(&digest[..16]);
        Self(first)
    }

    /// Returns the bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Makes a fingerprint from its bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Fingerprint {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match u128::from_str_radix(text, 16) {
            Ok(bits) if text.len() == 32 && !text.starts_with('+') => Ok(Self(bits.to_be_bytes())),
            _ => Err("a fingerprint is 32 hexadecimal digits"),
        }
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Json, ParseContext, parse_command};
    use super::*;

    fn fingerprint(json: &str) -> String {
        let json: Json<'_> = serde_json::from_str(json).unwrap();
        Fingerprint::of(&parse_command(&json, &ParseContext::stored()).unwrap()).to_string()
    }

    const ID: &str = r#""command_id":"01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b","item_id":"cola""#;

    #[test]
    fn spellings_of_one_command_share_a_fingerprint() {
        let first = fingerprint(&format!(
            r#"{{"type":"sell",{ID},"location_id":"main","quantity":"2","occurred_at":"2026-01-31T08:15:00Z"}}"#
        ));
        for other in [
            r#""quantity":2,"occurred_at":"2026-01-31T08:15:00+00:00""#,
            r#""quantity":"2.0","occurred_at":"2026-01-31T09:15:00.000+01:00","location_id":"main""#,
            r#""quantity":"2","occurred_at":"2026-01-31T08:15:00Z","sent_at":"2026-01-31T08:15:01Z""#,
        ] {
            assert_eq!(fingerprint(&format!(r#"{{"type":"sell",{ID},{other}}}"#)), first, "{other}");
        }
        for other in [r#""quantity":"2""#, r#""quantity":"3","occurred_at":"2026-01-31T08:15:00Z""#] {
            assert_ne!(fingerprint(&format!(r#"{{"type":"sell",{ID},{other}}}"#)), first, "{other}");
        }
    }

    #[test]
    fn golden_fingerprints_of_every_type_stay_as_they_are() {
        let movement = r#""location_id":"shop-1","occurred_at":"2026-01-31T08:15:00Z","note":"n","reference":"r","device_id":"till-1","operator":"op7","expected_on_hand":"5""#;
        let mut golden = String::new();
        for (kind, fields) in [
            ("register_item", r#""name":"Cola","unit":"bottle","decimals":0,"barcodes":["4006381333931"],"category":"drinks","low_stock_threshold":"6","shortage_policy":"reject","unit_cost":"0.41""#.to_owned()),
            ("register_item", r#""name":"Cola","barcodes":["4006381333931",{"code":"14006381333938","quantity":12}]"#.to_owned()),
            ("update_item", r#""name":"Cola 2","low_stock_threshold":null,"category":null"#.to_owned()),
            ("archive_item", String::new()),
            ("restore_item", String::new()),
            ("set_threshold", r#""location_id":"shop-1","low_stock_threshold":"4""#.to_owned()),
            ("receive", format!(r#"{movement},"quantity":"24","unit_cost":"0.41""#)),
            ("sell", format!(r#"{movement},"quantity":"1","on_shortage":"allow""#)),
            ("return", format!(r#"{movement},"quantity":"1","reason":"damaged""#)),
            ("adjust", format!(r#"{movement},"quantity":"-1","reason":"theft""#)),
            ("count", format!(r#"{movement},"counted":"23""#)),
            ("transfer", r#""from_location_id":"main","to_location_id":"shop-1","quantity":"5""#.to_owned()),
            ("sell", format!(r#"{movement},"quantity":"1","amount":"3.98""#)),
            ("return", format!(r#"{movement},"quantity":"1","amount":"3.98""#)),
            ("reverse", r#""reverses":"01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6c","note":"n""#.to_owned()),
            ("register_item", r#""name":"Cola","supplier":"Drinks Ltd","lead_time_days":3,"order_multiple":"12","order_minimum":24,"service_level":"97.5""#.to_owned()),
            ("update_item", r#""supplier":null,"lead_time_days":null,"order_multiple":"6","service_level":null"#.to_owned()),
            ("set_planning", r#""location_id":"shop-1","supplier":"Next Door","lead_time_days":0,"order_multiple":null,"order_minimum":null,"service_level":"99""#.to_owned()),
        ] {
            let comma = if fields.is_empty() { "" } else { "," };
            golden += &format!("{kind} {}\n", fingerprint(&format!(r#"{{"type":"{kind}",{ID}{comma}{fields}}}"#)));
        }
        assert_eq!(golden, include_str!("fingerprint.golden"));
    }
}
