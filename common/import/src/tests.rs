//! Whole files: from their bytes to a plan.

use std::collections::{BTreeMap, HashMap};

use stockline_core::domain::{
    Barcode, Catalogue, Claim, Command, Item, ItemId, Level, LocationSettings, Planning, Quantity, ShortagePolicy,
    Timestamp,
};
use stockline_core::ports::ItemWithLevels;
use stockline_core::testing::record_of;

use crate::plan::{Effect, May, Plan, Step};
use crate::{Columns, Kind, Known, Needs, Options, Vendor, read, template};

fn location(id: &str, name: &str) -> LocationSettings {
    LocationSettings { location_id: id.parse().unwrap(), name: name.into(), ..LocationSettings::main() }
}

pub(crate) fn item(id: &str, name: &str, barcodes: &[&str]) -> Item {
    Item {
        item_id: id.parse().unwrap(),
        catalogue: Catalogue {
            name: name.into(),
            unit: "piece".into(),
            decimals: 0,
            barcodes: barcodes.iter().map(|code| Barcode::single(*code)).collect(),
            category: None,
            low_stock_threshold: None,
            shortage_policy: ShortagePolicy::Allow,
            unit_cost: None,
            planning: Planning::default(),
        },
        overrides: BTreeMap::new(),
        archived_at: None,
        version: 1,
        threshold_version: 1,
        alert_epoch: 0,
        created_at: Timestamp::EPOCH,
        updated_at: Timestamp::EPOCH,
    }
}

fn level(at: &str, on_hand: &str, seq: u64) -> Level {
    let json = serde_json::json!({"location_id": at, "on_hand": on_hand, "seq": seq, "version": seq, "state": "normal",
        "updated_at": "2026-01-01T00:00:00Z"});
    serde_json::from_value(json).unwrap_or_else(|error| panic!("{error}"))
}

/// A store with the item `cola`: 5 in `main`, none elsewhere.
fn known() -> Known {
    let cola = ItemWithLevels { item: item("cola", "Cola", &["4006381333931"]), levels: vec![level("main", "5", 2)] };
    let locations = vec![location("main", "Main"), location("shop-1", "Main Street"), {
        let mut closed = location("old", "Old shop");
        closed.closed = true;
        closed
    }];
    Known {
        items: HashMap::from([("cola".parse().unwrap(), cola)]),
        holders: HashMap::from([(Claim::Barcode("4006381333931".into()), "cola".parse().unwrap())]),
        locations,
        default_location: "main".parse().ok(),
    }
}

fn plan_with(options: &Options, text: &str, known: &Known) -> Plan {
    let opened = read(text.as_bytes(), None, None).unwrap();
    let columns = Columns::of(&opened.table, options).unwrap();
    let may = May { submit: &|_| Ok(()), manage: &|_, _| Ok(()) };
    Plan::of(&opened.table, &columns, options, known, &may, b"hash")
}

fn plan(kind: Kind, text: &str) -> Plan {
    plan_with(&Options::of(kind), text, &known())
}

fn codes(plan: &Plan) -> Vec<(u32, &'static str)> {
    plan.faults.iter().map(|fault| (fault.line, fault.code)).collect()
}

fn commands(plan: &Plan) -> Vec<serde_json::Value> {
    let steps = plan.lines.iter().flat_map(|line| &line.steps);
    let command = |step: &Step| match step {
        Step::Command(command) => serde_json::to_value(command).unwrap(),
        Step::Location(settings) => serde_json::to_value(settings).unwrap(),
    };
    steps.map(command).collect()
}

#[test]
fn the_templates_are_files_without_faults() {
    for kind in Kind::ALL {
        let mut known = known();
        if kind != Kind::Items {
            let mut coal = item("coal", "Charcoal", &[]);
            coal.catalogue.decimals = 3;
            known.items.insert("coal".parse().unwrap(), ItemWithLevels { item: coal, levels: Vec::new() });
            let cola = ItemWithLevels { item: item("cola-033", "Cola", &[]), levels: Vec::new() };
            known.items.insert("cola-033".parse().unwrap(), cola);
        } else {
            known.holders.clear();
        }
        let plan = plan_with(&Options::of(kind), template(kind), &known);
        assert_eq!((codes(&plan), plan.file_faults.len()), (vec![], 0), "{kind}");
        assert!(plan.totals().steps + 1 >= plan.lines.len(), "{kind}: {:?}", plan.totals());
    }
}

#[test]
fn a_new_item_is_registered_and_opened_and_a_known_one_is_changed_where_it_differs() {
    let text =
        "Name;SKU;Category;on_hand:Main Street;Barcode\nCola;cola;drinks;3;4006381333931,96385074\nTea;tea;;2,5;\n";
    let plan = plan(Kind::Items, text);
    assert_eq!(codes(&plan), [(3, "fractional_quantity")]);
    let [cola, _] = plan.lines.as_slice() else { panic!() };
    assert_eq!(cola.effect, Effect::Change);
    let commands = commands(&plan);
    assert_eq!((&commands[0]["type"], &commands[0]["category"]), (&"update_item".into(), &"drinks".into()));
    assert!(commands[0].get("name").is_none(), "it is the same");
    assert_eq!(commands[0]["barcodes"], serde_json::json!(["4006381333931", "96385074"]));
    assert_eq!((&commands[1]["type"], &commands[1]["location_id"]), (&"receive".into(), &"shop-1".into()));
    let changes: Vec<_> = cola.changes.iter().map(|change| (change.field, change.from.as_deref())).collect();
    assert_eq!(changes, [("barcodes", Some("4006381333931")), ("category", None), ("on_hand", None)]);
}

#[test]
fn items_have_a_planning_and_locations_what_they_have_instead_and_only_differences_are_sent() {
    let text = "item_id,name,supplier,lead_time_days,order_multiple,order_minimum,service_level,lead_time_days:main,\
                supplier:Main Street,service_level:Main Street,lead_time_days:Main Street\n\
                cola,,Drinks Ltd,3,12,0,97.5,none,Next Door,99,\n\
                tea,Tea,,,,,,2,,,4\n";
    let mut known = known();
    let cola = known.items.get_mut(&"cola".parse::<ItemId>().unwrap()).unwrap();
    cola.item.catalogue.planning.lead_time_days = Some(3);
    let own = Planning { supplier: Some("Next Door".into()), ..Planning::default() };
    cola.item.overrides.insert("shop-1".parse().unwrap(), own);
    let own = Planning { lead_time_days: Some(9), ..Planning::default() };
    cola.item.overrides.insert("main".parse().unwrap(), own);
    let plan = plan_with(&Options::of(Kind::Items), text, &known);
    assert_eq!(codes(&plan), []);
    let made: Vec<serde_json::Value> = commands(&plan)
        .into_iter()
        .map(|mut command| {
            command.as_object_mut().unwrap().remove("command_id");
            command
        })
        .collect();
    let expected = serde_json::json!([
        {"type": "update_item", "item_id": "cola", "supplier": "Drinks Ltd", "order_multiple": "12", "order_minimum": "0",
            "service_level": "97.5"},
        {"type": "set_planning", "item_id": "cola", "location_id": "main", "lead_time_days": null},
        {"type": "set_planning", "item_id": "cola", "location_id": "shop-1", "service_level": "99"},
        {"type": "register_item", "item_id": "tea", "name": "Tea", "unit": "piece", "decimals": 0, "shortage_policy": "allow"},
        {"type": "set_planning", "item_id": "tea", "location_id": "main", "lead_time_days": 2},
        {"type": "set_planning", "item_id": "tea", "location_id": "shop-1", "lead_time_days": 4},
    ]);
    assert_eq!(serde_json::Value::from(made), expected);
    let changes: Vec<_> = plan.lines[0]
        .changes
        .iter()
        .map(|change| (change.field, change.location_id.as_deref(), change.from.as_deref(), change.to.as_deref()))
        .collect();
    assert_eq!(changes.last(), Some(&("service_level", Some("shop-1"), None, Some("99"))));
    assert!(changes.contains(&("lead_time_days", Some("main"), Some("9"), None)), "{changes:?}");

    let wrong = "item_id,lead_time_days,service_level,order_multiple,lead_time_days:main,supplier:nowhere\n\
                 cola,3.5,100,0,400,x\n";
    let plan = plan_with(&Options::of(Kind::Items), wrong, &known);
    assert_eq!(plan.file_faults.iter().map(|fault| fault.code).collect::<Vec<_>>(), ["unknown_location"]);
    let found: Vec<_> = plan.faults.iter().map(|fault| (fault.column.as_deref().unwrap(), fault.code)).collect();
    assert_eq!(
        found,
        [("lead_time_days", "wrong_type"), ("order_multiple", "invalid_value"), ("service_level", "invalid_value")]
    );
}

#[test]
fn every_fault_is_named_with_its_line_column_and_value() {
    let text = "sku,name,barcodes,decimals,unit_cost,shortage_policy\n\
        ,No id,,,,\n\
        a,,,,,\n\
        b,B,4.00583E+12,,,\n\
        C,C,111,,1.250,\n\
        c,c,111,9,-1,maybe\n\
        d,d,4006381333931,x,#N/A,\n\
        1.5E+05,e,,,,\n\
        cola,Cola,,,,\n";
    let plan = plan(Kind::Items, text);
    assert_eq!(
        codes(&plan),
        [
            (2, "missing_field"),
            (3, "missing_name"),
            (4, "shortened_number"),
            (5, "ambiguous_number"),
            (6, "duplicate_line"),
            (6, "duplicate_barcode"),
            (7, "cell_error"),
            (7, "barcode_taken"),
            (8, "shortened_number"),
        ]
    );
    let fault = &plan.faults[3];
    assert_eq!((fault.column.as_deref(), fault.value.as_deref()), (Some("unit_cost"), Some("1.250")));
    assert!(plan.faults.iter().all(|fault| !fault.remedy.is_empty() && !fault.detail.is_empty()));
    assert_eq!(plan.totals().leave, 1);
}

#[test]
fn opening_stock_is_received_once_and_another_stock_is_refused() {
    let text = "item_id,location_id,on_hand,unit_cost\ncola,main,5,\ncola,shop-1,7,0.41\ncola,old,1,\ntea,main,1,\n\
                cola,shop-1,7,\ncola,nowhere,1,\ncola,main,1.5,\ncola,,1,\n";
    let plan = plan(Kind::Stock, text);
    assert_eq!(
        codes(&plan),
        [
            (4, "location_closed"),
            (5, "unknown_item"),
            (6, "duplicate_line"),
            (7, "unknown_location"),
            (8, "duplicate_line"),
            (8, "fractional_quantity"),
            (9, "missing_field"),
        ]
    );
    let effects: Vec<Effect> = plan.lines.iter().take(2).map(|line| line.effect).collect();
    assert_eq!(effects, [Effect::Leave, Effect::Create]);
    let received = &commands(&plan)[0];
    assert_eq!((&received["quantity"], &received["unit_cost"]), (&"7".into(), &"0.41".into()));
}

#[test]
fn stock_that_has_moved_is_left_if_this_opened_it_and_refused_else() {
    let text = "item_id,location_id,on_hand\ncola,main,9\n";
    let mut plan = plan(Kind::Stock, text);
    assert_eq!(plan.questions().len(), 1);
    let mut opened = plan.clone();
    plan.answer([None]);
    assert_eq!(codes(&plan), [(2, "already_stocked")]);
    assert_eq!(plan.totals().faulty, 1);

    let key = opened.questions().next().unwrap().clone();
    let json = serde_json::json!({"v": 1, "command_id": key.command_id, "item_id": "cola", "status": "applied",
        "accepted_at": "2026-01-01T00:00:00Z", "settled_at": "2026-01-01T00:00:00Z", "submitted_by": "ann",
        "command": {"type": "receive", "command_id": key.command_id, "item_id": "cola", "location_id": "main", "quantity": "9"}});
    opened.answer([Some(record_of(&json))]);
    assert_eq!((codes(&opened), opened.totals().leave), (vec![], 1));
}

#[test]
fn negative_stock_opens_as_a_correction() {
    let plan = plan(Kind::Stock, "item_id,location_id,on_hand\ncola,shop-1,-3\n");
    let command = &commands(&plan)[0];
    assert_eq!(
        (&command["type"], &command["quantity"], &command["reason"]),
        (&"adjust".into(), &"-3".into(), &"correction".into())
    );
}

#[test]
fn counts_keep_their_time_and_the_same_file_makes_the_same_ids() {
    let text = "item_id,counted,counted_at\ncola,4,2026-01-31 18:30\n";
    let mut options = Options::of(Kind::Counts);
    let first = commands(&plan_with(&options, text, &known()));
    assert_eq!(first[0]["occurred_at"], "2026-01-31T18:30:00.000Z", "the zone of the location");
    assert_eq!(first, commands(&plan_with(&options, text, &known())));
    options.batch = Some("again".into());
    assert_ne!(first[0]["command_id"], commands(&plan_with(&options, text, &known()))[0]["command_id"]);
    let alone = plan(Kind::Counts, "item_id,counted,counted_at\ncola,4,2026-01-31\n");
    assert_eq!(codes(&alone), [(2, "date_alone")]);
    assert_eq!(codes(&plan(Kind::Counts, "item_id,counted\ncola,-1\n")), [(2, "invalid_value")]);
}

#[test]
fn thresholds_are_set_cleared_and_left() {
    let text = "item_id,location_id,low_stock_threshold\ncola,,6\ncola,main,none\ncola,shop-1,2\ncola,Main Street,3\n";
    let plan = plan(Kind::Thresholds, text);
    assert_eq!(codes(&plan), [(5, "duplicate_line")], "a location by its name is the same location");
    let commands = commands(&plan);
    assert_eq!(commands.len(), 2);
    assert!(commands[0].get("location_id").is_none());
    assert_eq!(commands[1]["location_id"], "shop-1");
    assert_eq!(plan.totals().leave, 1, "there was none to clear");
}

#[test]
fn locations_are_made_and_changed() {
    let text = "location_id,name,time_zone,alert_emails,closed\nshop-2,Two,Europe/Berlin,a@example.com;b@example.com,no\n\
                shop-1,Main Street,,,yes\nmain,,,,\nMAIN,x,Mars/City,nobody,perhaps\n";
    let plan = plan(Kind::Locations, text);
    assert_eq!(
        codes(&plan).into_iter().map(|(line, _)| line).collect::<Vec<_>>(),
        [5, 5, 5, 5, 5],
        "{:?}",
        plan.faults
    );
    let totals = plan.totals();
    assert_eq!((totals.create, totals.change, totals.leave), (1, 1, 1));
}

#[test]
fn unknown_columns_need_consent_and_what_may_not_be_done_is_a_fault() {
    let opened = read(b"sku,colour,counted\ncola,red,3\n", None, None).unwrap();
    let mut options = Options::of(Kind::Counts);
    let columns = Columns::of(&opened.table, &options).unwrap();
    assert_eq!(columns.unknown, ["colour"]);
    let refuse = |_: &Command| Err("the token is bound to shop-1".to_owned());
    let may = May { submit: &refuse, manage: &|_, _| Ok(()) };
    let plan = Plan::of(&opened.table, &columns, &options, &known(), &may, b"");
    assert_eq!((plan.file_faults[0].code, codes(&plan)), ("unknown_column", vec![(2, "forbidden")]));
    options.ignore_unknown = true;
    assert!(Columns::of(&opened.table, &options).unwrap().unknown.is_empty());
}

#[test]
fn columns_are_found_mapped_or_asked_for() {
    let of = |headings: &str, map: &[(&str, &str)]| {
        let table = read(format!("{headings}\n").as_bytes(), None, None).unwrap().table;
        let map = map.iter().map(|(field, column)| ((*field).to_owned(), (*column).to_owned())).collect();
        Columns::of(&table, &Options { map, ..Options::of(Kind::Counts) })
    };
    assert_eq!(of("QTY,Article No", &[]).unwrap().fields.len(), 2);
    let error = |headings: &str, map: &[(&str, &str)]| of(headings, map).unwrap_err().to_string();
    assert!(error("sku,name", &[]).contains("needs a column counted"));
    assert!(error("sku,qty,stock", &[]).contains("both hold counted"));
    assert!(of("sku,qty,stock", &[("counted", "stock")]).unwrap().left_out.contains(&"qty".to_owned()));
    assert!(of("sku,counted,qty", &[]).unwrap().unknown.contains(&"qty".to_owned()), "its own name goes before");
    assert!(error("sku,qty", &[("counted", "pieces")]).contains("no column \"pieces\""));
    assert!(error("sku,qty", &[("price", "qty")]).contains("no field"));
}

#[test]
fn the_needs_of_a_file_are_its_items_and_what_they_claim() {
    let text = "sku,name,barcode\ncola,Cola,4006381333931;1\ntea,Tea,2\n";
    let (table, options) = (read(text.as_bytes(), None, None).unwrap().table, Options::of(Kind::Items));
    let columns = Columns::of(&table, &options).unwrap();
    let items: Vec<ItemId> = Needs::items(&table, &columns, &options);
    assert_eq!(items.len(), 2);
    let claims = Needs::claims(&table, &columns, &options, &known());
    let barcode = |code: &str| Claim::Barcode(code.into());
    assert_eq!(claims, [barcode("1"), barcode("2"), Claim::ItemKey("tea".into())]);
}

#[test]
fn vendors_files_are_recognised() {
    for (file, vendor, items, on_hand) in [
        (include_str!("../tests/files/woocommerce.csv"), Vendor::WooCommerce, 3, "31"),
        (include_str!("../tests/files/shopify.csv"), Vendor::Shopify, 3, "22"),
        (include_str!("../tests/files/square.csv"), Vendor::Square, 3, "28"),
        (include_str!("../tests/files/lightspeed.csv"), Vendor::Lightspeed, 3, "26"),
    ] {
        let table = read(file.as_bytes(), None, None).unwrap().table;
        let options = Options::of(Kind::Items);
        let columns = Columns::of(&table, &options).unwrap();
        assert_eq!(columns.vendor, Some(vendor));
        let may = May { submit: &|_| Ok(()), manage: &|_, _| Ok(()) };
        let mut known = known();
        known.holders.clear();
        let plan = Plan::of(&table, &columns, &options, &known, &may, b"");
        assert_eq!((codes(&plan), plan.file_faults.len()), (vec![], 0), "{vendor:?} {:?}", plan.faults);
        let commands = commands(&plan);
        let registered: Vec<_> = commands.iter().filter(|command| command["type"] == "register_item").collect();
        assert_eq!(registered.len(), items, "{vendor:?}: {commands:#?}");
        let received = commands.iter().filter(|command| command["type"] == "receive");
        let sum: i64 = received.map(|c| c["quantity"].as_str().unwrap().parse::<Quantity>().unwrap().raw()).sum();
        assert_eq!(Quantity::from_raw(sum).to_string(), on_hand, "{vendor:?}");
        for command in registered {
            assert!(command["name"].as_str().unwrap().len() > 3, "{command}");
        }
    }
    let inventory = read(include_bytes!("../tests/files/shopify-inventory.csv"), None, None).unwrap().table;
    let columns = Columns::of(&inventory, &Options::of(Kind::Stock)).unwrap();
    assert_eq!(columns.vendor, Some(Vendor::ShopifyInventory));
}
