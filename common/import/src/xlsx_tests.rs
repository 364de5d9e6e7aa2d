use std::io::Write as _;

use rust_xlsxwriter::{ExcelDateTime, Format, Formula, Workbook};

use super::*;

fn cells(opened: &Opened) -> Vec<(u32, Vec<String>)> {
    opened.table.rows().map(|row| (row.line(), row.cells().map(str::to_owned).collect())).collect()
}

#[test]
fn numbers_dates_and_texts_are_read_as_the_sheet_has_them() {
    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    for (column, heading) in ["sku", "n", "when", "yes"].iter().enumerate() {
        sheet.write(0, column as u16, *heading).unwrap();
    }
    let date = Format::new().set_num_format("yyyy-mm-dd hh:mm");
    sheet.write(2, 0, 4_006_381_333_931_u64).unwrap();
    sheet.write(2, 1, 1.125).unwrap();
    let at = ExcelDateTime::from_ymd(2026, 1, 31).unwrap().and_hms(18, 30, 0).unwrap();
    sheet.write_with_format(2, 2, &at, &date).unwrap();
    sheet.write(2, 3, true).unwrap();
    sheet.write(3, 0, "cola").unwrap();
    sheet.write(3, 1, 0.1 + 0.2).unwrap();
    sheet.write_with_format(3, 2, ExcelDateTime::from_ymd(2026, 2, 1).unwrap(), &date).unwrap();
    let opened = read(&book.save_to_buffer().unwrap(), None).unwrap();
    assert_eq!(
        cells(&opened),
        [
            (3, ["4006381333931", "1.125", "2026-01-31T18:30:00", "true"].map(str::to_owned).to_vec()),
            (4, ["cola", "0.3", "2026-02-01", ""].map(str::to_owned).to_vec()),
        ]
    );
    assert!(opened.table.row(0).unwrap().is_numeric(1) && !opened.table.row(1).unwrap().is_numeric(0));
    assert!(opened.remarks.is_empty());
}

#[test]
fn formulas_and_merged_cells_are_told_and_two_sheets_are_asked_about() {
    let mut book = Workbook::new();
    let sheet = book.add_worksheet().set_name("Items").unwrap();
    sheet.write(0, 0, "sku").unwrap();
    sheet.write(0, 1, "n").unwrap();
    sheet.write(1, 0, "a").unwrap();
    sheet.write_formula(1, 1, Formula::new("=1+1").set_result("2")).unwrap();
    sheet.merge_range(2, 0, 3, 0, "b", &Format::new()).unwrap();
    let opened = read(&book.save_to_buffer().unwrap(), None).unwrap();
    assert_eq!(cells(&opened)[0].1, ["a", "2"]);
    let remarks = opened.remarks.join("\n");
    assert!(remarks.contains("formulas at B2") && remarks.contains("merged cells at A3"), "{remarks}");

    book.add_worksheet().set_name("More").unwrap().write(0, 0, "x").unwrap();
    book.add_worksheet().set_name("Empty").unwrap();
    let bytes = book.save_to_buffer().unwrap();
    assert!(read(&bytes, None).unwrap_err().to_string().contains("Items, More"));
    assert_eq!(read(&bytes, Some("Items")).unwrap().other_sheets, [Sheet { name: "More".into() }]);
    assert!(read(&bytes, Some("Nope")).unwrap_err().to_string().contains("no sheet \"Nope\""));
}

#[test]
fn a_million_empty_rows_are_nothing_and_too_many_columns_are_refused() {
    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    sheet.write(0, 0, "sku").unwrap();
    sheet.write(1, 0, "a").unwrap();
    sheet.write_blank(1_048_575, 0, &Format::new().set_bold()).unwrap();
    assert_eq!(cells(&read(&book.save_to_buffer().unwrap(), None).unwrap()), [(2, vec!["a".to_owned()])]);

    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    for column in 0..16_384 {
        sheet.write(0, column, "x").unwrap();
    }
    let refused = read(&book.save_to_buffer().unwrap(), None).unwrap_err().to_string();
    assert!(refused.contains("columns"), "{refused}");
}

fn zipped(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in parts {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn what_is_no_workbook_is_refused_with_what_it_is() {
    let refused = |bytes: &[u8]| crate::read(bytes, None, None).unwrap_err().to_string();
    assert!(refused(&zipped(&[("readme.txt", b"x")])).contains("without a workbook"));
    assert!(refused(&zipped(&[("xl/workbook.xml", b"<workbook")])).contains("without a workbook"));
    assert!(refused(b"PK\x03\x04 and nothing else").contains("damaged"));
    let name: Vec<u8> = "EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(refused(&[b"\xd0\xcf\x11\xe0".as_slice(), &[0; 508], &name].concat()).contains("password"));
    assert!(refused(b"\xd0\xcf\x11\xe0 old").contains("old Excel"));
    assert!(refused(b"").contains("empty"));
}

#[test]
fn a_bomb_is_refused_before_it_is_unpacked_into_memory() {
    let megabyte = vec![b' '; 1024 * 1024];
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("xl/workbook.xml", zip::write::SimpleFileOptions::default()).unwrap();
    for _ in 0..200 {
        zip.write_all(&megabyte).unwrap();
    }
    let bytes = zip.finish().unwrap().into_inner();
    assert!(bytes.len() < 1024 * 1024);
    assert!(matches!(read(&bytes, None), Err(FileError::Bomb(192))));
}

#[test]
fn a_cut_workbook_is_damaged() {
    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    for row in 0..200 {
        sheet.write(row, 0, format!("sku-{}", row * 7_919 % 101)).unwrap();
    }
    let bytes = book.save_to_buffer().unwrap();
    for cut in (30..bytes.len()).step_by(211) {
        assert!(read(&bytes[..cut], None).is_err(), "{cut}");
    }
}
