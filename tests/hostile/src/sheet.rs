//! Target: a spreadsheet, as an import reads it.

use std::collections::HashMap;

use stockline_core::domain::LocationSettings;
use stockline_import::{Columns, Effect, Kind, Known, May, Needs, Options, Plan, read, result_file};

/// Returns whether a line became a command or a setting. Every line is accounted for, and the lines with faults can be
/// written out and read again.
pub(crate) fn run(bytes: &[u8]) -> bool {
    let opened = match read(bytes, None, None) {
        Ok(opened) => opened,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return false;
        }
    };
    let known = Known {
        items: HashMap::new(),
        holders: HashMap::new(),
        locations: vec![LocationSettings::main()],
        default_location: "main".parse().ok(),
    };
    let may = May { submit: &|_| Ok(()), manage: &|_, _| Ok(()) };
    let mut taken = false;
    for kind in Kind::ALL {
        let options = Options { ignore_unknown: bytes.len().is_multiple_of(2), ..Options::of(kind) };
        let Ok(columns) = Columns::of(&opened.table, &options) else { continue };
        let claims = Needs::claims(&opened.table, &columns, &options, &known);
        assert!(claims.len() <= bytes.len());
        let plan = Plan::of(&opened.table, &columns, &options, &known, &may, b"hash");
        assert_eq!(plan.lines.len(), opened.table.len());
        let totals = plan.totals();
        assert_eq!(totals.create + totals.change + totals.leave + totals.skip + totals.faulty, totals.lines);
        for line in &plan.lines {
            let has_fault = plan.faults.iter().any(|fault| fault.index == line.index);
            assert_eq!(line.effect == Effect::Faulty, has_fault, "line {}", line.line);
            assert!(line.effect != Effect::Faulty || line.steps.is_empty());
        }
        let faulty =
            plan.faults.iter().map(|fault| (fault.index, fault.code, fault.detail.as_str(), fault.remedy.as_str()));
        let result = result_file(&opened.table, faulty);
        let again = read(&result, Some(b','), None).expect("a result file can be read");
        assert_eq!(again.table.len(), plan.faults.len());
        taken |= totals.steps > 0;
    }
    taken
}
