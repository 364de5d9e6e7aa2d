use super::*;

fn now() -> Timestamp {
    "2026-11-29T12:00:00Z".parse().unwrap()
}

fn read(text: &str) -> Scan {
    Scan::read(text, &ScaleRules::default(), now()).unwrap()
}

fn refused(text: &str) -> String {
    Scan::read(text, &ScaleRules::default(), now()).unwrap_err().to_string()
}

#[test]
fn every_form_of_a_gs1_text_says_the_same() {
    let facts = ScanFacts {
        gtin: Some("4006381333931".into()),
        batch: Some("AB/12".into()),
        expires_on: Some("2026-12-31".into()),
        net_weight_kg: Some("1.5".parse().unwrap()),
        count: Some(3),
        ..ScanFacts::default()
    };
    for (text, kind) in [
        ("]C1010400638133393117261231310300150010AB/12\u{1d}303", ScanKind::Gs1),
        ("]d2010400638133393130000003\u{1d}10AB/12\u{1d}172612313103001500", ScanKind::Gs1),
        ("\u{1d}010400638133393117261231310300150010AB/12\u{1d}3703", ScanKind::Gs1),
        ("(01)04006381333931(17)261231(10)AB/12(3103)001500(30)3", ScanKind::Gs1),
        ("https://id.gs1.org/01/04006381333931/10/AB%2F12?17=261231&3103=001500&37=3", ScanKind::DigitalLink),
        (
            "http://shop.example/p/01/4006381333931/10/AB%2f12?lang=de;30=3&3103=001500;17=261231#top",
            ScanKind::DigitalLink,
        ),
    ] {
        let scan = read(text);
        assert_eq!((scan.kind, &scan.facts), (kind, &facts), "{text}");
        assert_eq!(scan.codes, ["4006381333931", "04006381333931"], "{text}");
    }
    // Without any mark, a text that begins with a GTIN and reads to its end is an element string.
    assert_eq!(read("010400638133393110AB").facts.batch.as_deref(), Some("AB"));
    // Identifiers without use are skipped, by their fixed length or up to the separator.
    let skipped = read("]C1001234567890123456750204006381333931240ABC\u{1d}700326123123593712");
    assert_eq!((skipped.facts.gtin.as_deref(), skipped.facts.count), (Some("4006381333931"), None));
    let skipped = read("]C1020400638133393141195011015300033712");
    assert_eq!(skipped.facts.count, Some(12));
}

#[test]
fn dates_fall_within_fifty_years_of_now() {
    let day = |digits: &str| read(&format!("(01)04006381333931(17){digits}")).facts.expires_on.unwrap();
    assert_eq!(day("270200"), "2027-02-28");
    assert_eq!(day("280200"), "2028-02-29");
    assert_eq!(day("760101"), "2076-01-01");
    assert_eq!(day("770101"), "1977-01-01");
    assert_eq!(day("991231"), "1999-12-31");
}

#[test]
fn faults_of_a_gs1_text_are_named() {
    for (text, part) in [
        ("(01)04006381333932", "(01)04006381333932, which must be 14 digits with the right check digit"),
        ("(01)04006381333931(17)261345", "(17)261345, which must be a day"),
        ("(01)04006381333931(17)260230", "(17)260230, which must be a day"),
        ("(10)AB", "neither (01) nor (02)"),
        ("(01)04006381333931(10)", "(10), which must be 1 to 20"),
        ("(01)04006381333931(30)123456789", "(30)123456789, which must be 1 to 8 digits"),
        ("(01)04006381333931(3109)000001", "must be 6 digits, with up to 5 decimals"),
        ("(05)1", "\"05\" begins no application identifier"),
        ("]C1010400638133393117", "the text ends within it"),
        ("]C10104006381333931\u{1d}69", "\"69\" begins no application identifier"),
        ("https://id.gs1.org/01/04006381333931/10/%FF", "percent-encoded UTF-8"),
        ("https://id.gs1.org/01/", "must be 14 digits"),
        ("   ", "is blank"),
    ] {
        assert!(refused(text).contains(part), "{text}: {}", refused(text));
    }
    assert!(refused(&"1".repeat(SCAN_MAX_BYTES + 1)).contains("512 bytes"));
}

#[test]
fn any_other_text_is_a_code() {
    for (text, code) in [
        ("]E04006381333931", "4006381333931"),
        ("]A0AB-12", "AB-12"),
        ("AB-12", "AB-12"),
        ("https://shop.example/p/12", "https://shop.example/p/12"),
        ("(AB)", "(AB)"),
        ("0104006381333932", "0104006381333932"),
        ("01040063813339310599", "01040063813339310599"),
        ("]", "]"),
        ("é€", "é€"),
    ] {
        let scan = read(text);
        assert_eq!((scan.kind, scan.codes.first().map(String::as_str)), (ScanKind::Code, Some(code)), "{text}");
    }
    assert_eq!(read("0036000291452").facts.gtin.as_deref(), Some("036000291452"));
    assert!(read("4.00583E+12").fault.unwrap().to_string().contains("spreadsheet"));
}

#[test]
fn a_scale_label_is_read_by_the_rule_of_its_prefix() {
    let rules: ScaleRules = "21IIIIIWW.WWW, 02IIIIIXPP.PP,29IIIIIIQQQQ".parse().unwrap();
    let read = |code| Scan::read(code, &rules, now()).unwrap();
    let weighed = read("2112345005126");
    assert_eq!(weighed.kind, ScanKind::ScaleLabel);
    assert_eq!(weighed.facts.net_weight_kg, Some("0.512".parse().unwrap()));
    assert_eq!(weighed.codes, ["2112345005126", "02112345005126", "2112345000008", "02112345000008", "12345"]);
    let priced = read("212345003992");
    assert_eq!((priced.kind, priced.facts.price), (ScanKind::ScaleLabel, Some("3.99".parse().unwrap())));
    assert_eq!(priced.codes.last().map(String::as_str), Some("12345"));
    // No rule, another prefix, a wrong check digit.
    for code in ["2212345012992", "4006381333931", "2112345005127"] {
        assert_eq!(read(code).kind, ScanKind::Code, "{code}");
    }
    for (rule, why) in [
        ("21IIIIIWWWW", "12 places"),
        ("30IIIIIWWWWW", "prefixes 02 and 20 to 29"),
        ("21IIIIIWW.W.WW", "two points"),
        ("21XXXXXWWWWW", "no place I"),
        ("21IIIIIWWPPP", "one kind of value"),
        ("21IIIIIXXXXX", "one kind of value"),
        ("21IIIIIW.WWWW", "too many decimals"),
        ("21IIIIIWWxWW", "another character"),
        ("21IIIIWWIWWW", "side by side"),
        ("21IIIIIWWWWW,21IIIIIPPPPP", "a rule already"),
    ] {
        assert!(rule.parse::<ScaleRules>().unwrap_err().to_string().contains(why), "{rule}");
    }
}

#[test]
fn a_scan_means_a_quantity_of_the_items_unit() {
    let held = |quantity: &str| Barcode { code: "4006381333931".into(), quantity: quantity.parse().unwrap() };
    let case = held("12");
    let of = |scan: &Scan, held: &Barcode, unit, decimals| scan.quantity(held, unit, decimals).map(|q| q.to_string());
    let plain = read("4006381333931");
    assert_eq!(of(&plain, &case, "bottle", 0).as_deref(), Some("12"));
    let counted = read("(01)04006381333931(30)3");
    assert_eq!(of(&counted, &case, "bottle", 0).as_deref(), Some("36"));
    assert_eq!(of(&read("(01)04006381333931(37)99999999"), &case, "bottle", 0), None);
    assert_eq!(of(&read("(01)04006381333931(37)0"), &case, "bottle", 0), None);
    let weighed = read("(01)04006381333931(3103)001500");
    assert_eq!(of(&weighed, &case, "kg", 3).as_deref(), Some("1.5"));
    assert_eq!(of(&weighed, &case, "G", 0).as_deref(), Some("1500"));
    assert_eq!(of(&weighed, &case, "piece", 0).as_deref(), Some("12"));
    // More decimals than the item has, or than a quantity has.
    assert_eq!(of(&weighed, &case, "kg", 0), None);
    assert_eq!(of(&read("(01)04006381333931(3105)000001"), &case, "kg", 3), None);
    let rules: ScaleRules = "22IIIIIPPP.PP,29IIIIIIQQQQ".parse().unwrap();
    let priced = Scan::read("2212345012992", &rules, now()).unwrap();
    assert_eq!(of(&priced, &held("1"), "kg", 3), None);
    assert_eq!(of(&priced, &held("1"), "piece", 0).as_deref(), Some("1"));
}
