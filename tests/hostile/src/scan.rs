//! Target: the text of a scanned barcode. The first line is the rules for scale labels, the rest is the text.

use stockline_core::domain::{
    Barcode, MAX_COMMAND_QUANTITY, ScaleRules, Scan, Timestamp, barcode_spellings, canonical_barcode,
};

pub(crate) fn run(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let (rules, code) = text.split_once('\n').unwrap_or(("", text));
    let rules: ScaleRules = match rules.parse() {
        Ok(rules) => rules,
        Err(error) => {
            assert!(!format!("{error}").contains('\n'), "{error}");
            return false;
        }
    };
    assert_eq!(rules.to_string().parse::<ScaleRules>().as_ref(), Ok(&rules), "{rules}");
    let scan = match Scan::read(code, &rules, Timestamp::from_millis(1_796_000_000_000)) {
        Ok(scan) => scan,
        Err(error) => {
            assert!(!format!("{error}").chars().any(|c| c == '\n' || c == '\u{1b}'), "{error:?}");
            return false;
        }
    };
    assert!(!scan.codes.is_empty());
    for code in &scan.codes {
        let held = canonical_barcode(code);
        assert_eq!(canonical_barcode(&held), held, "{code}");
        assert!(barcode_spellings(&held).iter().all(|spelling| canonical_barcode(spelling) == held), "{code}");
    }
    if let Some(gtin) = &scan.facts.gtin {
        assert!(scan.codes.contains(gtin), "{gtin}");
    }
    for (unit, decimals) in [("piece", 0), ("kg", 3), ("g", 0)] {
        let held = Barcode { code: scan.codes[0].clone(), quantity: MAX_COMMAND_QUANTITY };
        if let Some(quantity) = scan.quantity(&held, unit, decimals) {
            assert!(quantity.is_positive() && quantity <= MAX_COMMAND_QUANTITY && quantity.fits_decimals(decimals));
        }
    }
    true
}
