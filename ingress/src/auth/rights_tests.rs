use serde_json::{Value, json};
use stockline_core::domain::Reason;

use super::*;

fn command(text: &Value) -> Command {
    let mut json = text.clone();
    json["command_id"] = json!("01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b");
    json["item_id"] = json!("COLA");
    serde_json::from_str(&json.to_string()).unwrap()
}

fn at(location: &str) -> LocationId {
    location.parse().unwrap()
}

fn token(groups: &[&str], scope: &str) -> Rights {
    try_token(groups, scope).unwrap()
}

fn try_token(groups: &[&str], scope: &str) -> Result<Rights, LocationScopeError> {
    Rights::from_token(groups.iter().copied(), scope.split_ascii_whitespace())
}

/// Returns a command of every kind (two of `set_threshold` and `transfer`), its location, and the lowest role for it.
fn commands() -> Vec<(Value, Option<&'static str>, SubmitAs)> {
    use SubmitAs::{Manager, Staff};
    vec![
        (json!({"type": "register_item", "name": "Cola"}), None, Manager),
        (json!({"type": "update_item", "name": "Cola"}), None, Manager),
        (json!({"type": "archive_item"}), None, Manager),
        (json!({"type": "restore_item"}), None, Manager),
        (json!({"type": "set_threshold", "low_stock_threshold": "1"}), None, Manager),
        (json!({"type": "set_threshold", "location_id": "north", "low_stock_threshold": "1"}), Some("north"), Manager),
        (json!({"type": "set_planning", "location_id": "north", "lead_time_days": 3}), Some("north"), Manager),
        (json!({"type": "receive", "location_id": "north", "quantity": "1"}), Some("north"), Staff),
        (json!({"type": "sell", "location_id": "north", "quantity": "1"}), Some("north"), Staff),
        (json!({"type": "sell", "quantity": "1"}), Some("main"), Staff),
        (json!({"type": "return", "location_id": "north", "quantity": "1"}), Some("north"), Staff),
        (
            json!({"type": "adjust", "location_id": "north", "quantity": "-1", "reason": "theft"}),
            Some("north"),
            Manager,
        ),
        (json!({"type": "count", "location_id": "north", "counted": "1"}), Some("north"), Manager),
        (
            json!({"type": "transfer", "from_location_id": "north", "to_location_id": "south", "quantity": "1"}),
            Some("north"),
            Staff,
        ),
        (
            json!({"type": "transfer", "from_location_id": "south", "to_location_id": "north", "quantity": "1"}),
            Some("south"),
            Staff,
        ),
        (json!({"type": "reverse", "reverses": "01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6c"}), ANYWHERE, Staff),
    ]
}

/// The place of a command that names none: the fold finds it. A token that is bound to no place may not act there either.
const ANYWHERE: Option<&str> = Some("anywhere");

#[test]
fn every_role_may_submit_what_the_table_says_and_only_where_it_is_bound() {
    let covered: BTreeSet<_> = commands().iter().map(|(text, ..)| command(text).kind()).collect();
    assert_eq!(covered.len(), CommandKind::ALL.len(), "the table has every kind");

    let everywhere = [
        (token(&[], ""), SubmitAs::Nobody, false),
        (token(&["Staff"], ""), SubmitAs::Staff, true),
        (token(&["Manager"], ""), SubmitAs::Manager, true),
        (token(&["Staff", "Manager"], ""), SubmitAs::Manager, true),
        (token(&[], "stockline/commands"), SubmitAs::Staff, true),
        (token(&[], "stockline/manage"), SubmitAs::Manager, true),
        (token(&[], "stockline/read"), SubmitAs::Nobody, true),
        (token(&[], "stockline/read stockline/commands"), SubmitAs::Staff, true),
    ];
    let bindings: [Option<&[&str]>; 5] =
        [None, Some(&[]), Some(&["north"]), Some(&["south"]), Some(&["main", "north"])];
    for (rights, role, has_role) in &everywhere {
        for binding in bindings {
            let rights = match binding {
                None => rights.clone(),
                Some(bound) => rights.clone().only_at(bound.iter().map(|id| at(id))),
            };
            for (text, location, least) in commands() {
                let expected = if !has_role {
                    Err("no_role")
                } else if *role < least {
                    Err("forbidden_command")
                } else {
                    match (binding, location) {
                        (None, _) => Ok(()),
                        (Some(bound), ANYWHERE) if !bound.is_empty() => Ok(()),
                        (Some(bound), Some(location)) if bound.contains(&location) => Ok(()),
                        (Some(_), _) => Err("forbidden_location"),
                    }
                };
                let found = rights.may_submit(&command(&text), &StaffMay::default()).map_err(|error| error.code);
                assert_eq!(found, expected, "{role:?} bound to {binding:?}: {text}");
            }
        }
    }
}

#[test]
fn staff_may_sets_how_long_staff_may_take_back_their_own() {
    let now = Timestamp::from_millis(10_000_000);
    let reach = |rights: &Rights, may: &str| rights.reach(now, &may.parse().unwrap());
    let own_since = |seconds: i64| Some(now.plus_millis(-seconds * 1_000));
    assert_eq!(reach(&Rights::MANAGER, ""), None);
    assert_eq!(reach(&Rights::STAFF, "").unwrap().own_since, own_since(3_600), "an hour by default");
    assert_eq!(reach(&Rights::STAFF, "count,reverse:60").unwrap().own_since, own_since(60));
    let bound = reach(&Rights::MANAGER.only_at([at("north")]), "").unwrap();
    assert_eq!((bound.own_since, bound.locations), (None, Some(vec![at("north")])));
    let reverse = command(&json!({"type": "reverse", "reverses": "01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6c"}));
    assert!(Rights::STAFF.may_submit(&reverse, &"reverse:0".parse().unwrap()).is_err());
    assert!("reverse:soon".parse::<StaffMay>().is_err());
}

#[test]
fn staff_may_allows_counts_and_named_reasons() {
    let count = command(&json!({"type": "count", "counted": "1"}));
    let adjust = |reason: Reason| command(&json!({"type": "adjust", "quantity": "1", "reason": reason.as_str()}));
    let none = StaffMay::default();
    let counts = StaffMay { count: true, ..StaffMay::default() };
    let breakage = StaffMay { adjust: vec![Reason::Damaged, Reason::Expired], ..StaffMay::default() };
    assert!(Rights::STAFF.may_submit(&count, &none).is_err());
    assert!(Rights::STAFF.may_submit(&count, &counts).is_ok());
    assert!(Rights::STAFF.may_submit(&count, &breakage).is_err());
    for reason in Reason::ALL {
        let named = breakage.adjust.contains(&reason);
        assert_eq!(Rights::STAFF.may_submit(&adjust(reason), &breakage).is_ok(), named, "{reason:?}");
        assert!(Rights::STAFF.may_submit(&adjust(reason), &counts).is_err());
        assert!(Rights::MANAGER.may_submit(&adjust(reason), &none).is_ok());
    }
    let elsewhere = Rights::STAFF.only_at([at("north")]);
    assert_eq!(elsewhere.may_submit(&count, &counts).unwrap_err().code, "forbidden_location");
    let reader = token(&[], "stockline/read");
    assert_eq!(reader.may_submit(&count, &counts).unwrap_err().code, "forbidden_command");
}

#[test]
fn every_role_may_read_what_the_design_says() {
    // status, stock, costs, settings
    for (rights, expected) in [
        (token(&[], ""), [Err("no_role"); 4]),
        (token(&["Everyone", "manager", "STAFF"], "openid email"), [Err("no_role"); 4]),
        (token(&["Staff"], ""), [Ok(()), Ok(()), Err("forbidden"), Err("forbidden")]),
        (token(&["Manager"], ""), [Ok(()); 4]),
        (token(&[], "stockline/commands"), [Ok(()), Err("forbidden"), Err("forbidden"), Err("forbidden")]),
        (token(&[], "stockline/read"), [Ok(()), Ok(()), Err("forbidden"), Err("forbidden")]),
        (token(&[], "stockline/manage"), [Ok(()), Err("forbidden"), Err("forbidden"), Ok(())]),
        (token(&[], "stockline/manage stockline/read"), [Ok(()), Ok(()), Err("forbidden"), Ok(())]),
        (token(&["Staff"], "stockline/manage"), [Ok(()), Ok(()), Err("forbidden"), Ok(())]),
    ] {
        let found =
            [rights.may_read_status(), rights.may_read(), rights.may_read_costs(), rights.may_manage_settings()]
                .map(|answer| answer.map_err(|error| error.code));
        assert_eq!(found, expected, "{rights:?}");
    }
}

#[test]
fn a_binding_narrows_reads_and_settings_and_is_read_from_groups_and_scopes() {
    for rights in [
        token(&["Manager", "location.north", "location.south"], ""),
        token(&["Manager"], "stockline/location.north location.south"),
        token(&["Manager", "location.north"], "stockline/location.south"),
    ] {
        assert_eq!(rights.visible_locations(), Some(&[at("north"), at("south")].into()));
        assert!(rights.may_read_location(&at("north")).is_ok());
        assert_eq!(rights.may_read_location(&at("main")).unwrap_err().code, "forbidden_location");
        assert!(rights.may_manage_location(&at("south")).is_ok());
        assert_eq!(rights.may_manage_location(&at("main")).unwrap_err().code, "forbidden_location");
        assert_eq!(rights.may_manage_settings().unwrap_err().code, "forbidden_location");
        assert!(rights.may_read_costs().is_ok());
    }
    assert_eq!(Rights::MANAGER.visible_locations(), None);
    assert!(Rights::MANAGER.may_manage_location(&at("main")).is_ok());
    assert_eq!(Rights::STAFF.may_manage_location(&at("main")).unwrap_err().code, "forbidden");
    let commands = token(&[], "stockline/commands");
    assert_eq!(commands.may_read_location(&at("main")).unwrap_err().code, "forbidden");
}

#[test]
fn an_invalid_location_binds_to_no_location_and_never_widens() {
    for name in ["location.", "location.a/b", "location.*", "location...", "Location.north", "locations.north"] {
        let rights = token(&["Manager", name], "");
        assert_eq!(rights.visible_locations().map(BTreeSet::len), Some(0), "{name}");
        let error = rights.may_read_location(&at("main")).unwrap_err();
        assert!(error.code == "forbidden_location" && error.detail.contains("not a valid id"), "{error}");
    }
    for (name, id) in [
        ("location.Caf%C3%A9%202", "Café 2"),
        ("location.Café%202", "Café 2"),
        ("location.a%2Fb", "a/b"),
        ("location.%2A", "*"),
    ] {
        let rights = token(&["Manager", name], "");
        assert_eq!(rights.visible_locations(), Some(&BTreeSet::from([at(id)])), "{name}");
    }
    for bad in ["location.a%20%20b", "location.%FF", "location.a%00"] {
        assert_eq!(token(&["Manager", bad], "").visible_locations().map(BTreeSet::len), Some(0), "{bad}");
    }
    for scope in ["commands", "stockline/", "stockline/commands/x", "Stockline/commands", "other/commands"] {
        assert_eq!(token(&[], scope), Rights::NONE, "{scope}");
    }
}

#[test]
fn a_refusal_names_what_was_tried_and_where_it_is_allowed() {
    let many = Rights::STAFF.only_at((1..=9).map(|n| at(&format!("shop-{n}"))));
    let sale = command(&json!({"type": "sell", "quantity": "1"}));
    let detail = many.may_submit(&sale, &StaffMay::default()).unwrap_err().detail;
    assert!(detail.contains("shop-5, …") && detail.contains("may not act at main"), "{detail}");
    let theft = command(&json!({"type": "adjust", "quantity": "1", "reason": "theft"}));
    let detail = Rights::STAFF.may_submit(&theft, &StaffMay::default()).unwrap_err().detail;
    assert!(detail.contains("reason theft"), "{detail}");
}

#[test]
fn a_scope_about_a_location_that_is_not_understood_refuses_the_token() {
    for scope in [
        "stockline2/location.north",
        "other/location.north",
        "a/b/location.north",
        "stockline/location.",
        "stockline/location.*",
        "stockline/location.a/b",
        "stockline/Location.north",
        "stockline/locations.north",
        "STOCKLINE/location.north",
        "location.*",
        "/location.north",
    ] {
        for others in ["", "stockline/manage ", "stockline/commands stockline/location.north "] {
            let error = try_token(&[], &format!("{others}{scope}")).unwrap_err().to_string();
            assert!(error.contains(scope), "{error}");
        }
    }
    for unrelated in ["openid", "stockline2/commands", "aws.cognito.signin.user.admin", "other/allocation.north"] {
        assert_eq!(try_token(&[], unrelated), Ok(Rights::NONE), "{unrelated}");
    }
}

#[test]
fn a_client_narrows_its_tokens_and_never_widens_them() {
    let client = |rights: &[ClientRight], locations: Option<&[&str]>| ClientSettings {
        client_id: "tills".parse().unwrap(),
        name: "Tills".into(),
        rights: rights.iter().copied().collect(),
        locations: locations.map(|ids| ids.iter().map(|id| at(id)).collect()),
        disabled: false,
        updated_by: "ann".into(),
        updated_at: stockline_core::domain::Timestamp::EPOCH,
    };
    use ClientRight::{Commands, Manage, Read};
    let everything = token(&[], "stockline/commands stockline/read stockline/manage");
    assert_eq!(everything.within(&client(&ClientRight::ALL, None)), everything);
    assert_eq!(everything.within(&client(&[], None)), Rights::NONE);
    let tills = everything.within(&client(&[Commands, Read], Some(&["north"])));
    assert_eq!(tills, token(&[], "stockline/commands stockline/read stockline/location.north"));
    let reader = token(&[], "stockline/read");
    assert_eq!(
        reader.within(&client(&[Commands, Manage], None)),
        Rights { read: ReadAs::CommandStatus, ..reader.clone() }
    );
    assert_eq!(reader.within(&client(&[Read, Manage], None)), reader);
    let bound = token(&[], "stockline/commands stockline/location.north stockline/location.south");
    assert_eq!(bound.within(&client(&[Commands], None)), bound);
    let both = bound.within(&client(&[Commands], Some(&["south", "main"])));
    assert_eq!(both.visible_locations(), Some(&[at("south")].into()));
    let nowhere = bound.within(&client(&[Commands], Some(&["main"])));
    assert_eq!(nowhere.visible_locations(), Some(&BTreeSet::new()));
}
