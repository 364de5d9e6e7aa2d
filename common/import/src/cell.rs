//! What a cell says: ids, barcodes, and text that a spreadsheet has marked.

use std::borrow::Cow;
use std::str::FromStr;

use stockline_core::domain::{Barcode, Json, Quantity, canonical_barcode, composed};

/// What separates the codes and addresses of one cell.
pub(crate) const LIST_SEPARATORS: [char; 5] = [';', '|', ',', '\n', '\r'];
/// Returns a cell without what marks text in spreadsheets: the apostrophe, which an export puts before what a spreadsheet would
/// take for a formula, and before such an apostrophe that belongs to the text; or `="…"`, which keeps zeros at the beginning.
pub fn unquoted(cell: &str) -> &str {
    let marked = |rest: &str| {
        let text = rest.trim_start_matches('\'');
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        digits || text.starts_with(['=', '+', '-', '@', '\t', '\r'])
    };
    let formula = || cell.strip_prefix("=\"")?.strip_suffix('"').filter(|text| !text.contains('"'));
    cell.strip_prefix('\'').filter(|rest| marked(rest)).or_else(formula).unwrap_or(cell)
}

/// Reports whether a cell clears what was set: `none`, `-` or `null`, in any case. An empty cell changes nothing.
pub fn clears(cell: &str) -> bool {
    ["none", "-", "null"].iter().any(|word| cell.eq_ignore_ascii_case(word))
}

/// Reads an id from a cell. Spreadsheets of some systems write `ö` as `o` with a mark behind it; ids have one form.
pub(crate) fn id<T: FromStr>(cell: &str) -> Result<T, T::Err> {
    composed(cell).parse()
}

/// A barcode as a cell has it: the code, and behind `*` the quantity of one scan, as in `14006381333938*12`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Written<'a> {
    /// The code as it is written.
    pub(crate) code: &'a str,
    pub(crate) quantity: Option<&'a str>,
}

impl<'a> Written<'a> {
    fn of(text: &'a str) -> Self {
        let text = unquoted(text.trim());
        let pack = text.rsplit_once('*').filter(|(_, quantity)| quantity.trim().parse::<Quantity>().is_ok());
        pack.map_or(Self { code: text, quantity: None }, |(code, quantity)| Self {
            code: code.trim(),
            quantity: Some(quantity.trim()),
        })
    }

    /// Returns the code in the form in which an item holds it.
    pub(crate) fn held(&self) -> Cow<'a, str> {
        canonical_barcode(self.code)
    }

    /// Returns whether the item's barcodes say this already. A cell without a quantity leaves it as it is.
    pub(crate) fn is_among(&self, barcodes: &[Barcode]) -> bool {
        let quantity = self.quantity.and_then(|quantity| quantity.parse::<Quantity>().ok());
        let same = |own: &&Barcode| own.code == self.held();
        barcodes.iter().find(same).is_some_and(|own| quantity.is_none_or(|quantity| quantity == own.quantity))
    }

    /// Returns the barcode as a command has it.
    pub(crate) fn json(&self) -> Json<'a> {
        let code = Json::Str(Cow::Borrowed(self.code));
        match self.quantity {
            None => code,
            Some(quantity) => Json::Object(vec![
                (Cow::Borrowed("code"), code),
                (Cow::Borrowed("quantity"), Json::Str(Cow::Borrowed(quantity))),
            ]),
        }
    }
}

/// Returns the barcodes of a cell.
pub(crate) fn barcodes(cell: &str) -> impl Iterator<Item = Written<'_>> {
    cell.split(LIST_SEPARATORS).map(Written::of).filter(|barcode| !barcode.code.is_empty())
}
