//! Items with a planning of their own at many locations: what a page holds of them is bounded as levels are.

use std::collections::BTreeMap;

use stockline_core::domain::{Item, Timestamp};
use stockline_core::ports::{ItemFilter, ItemWithLevels, PageRequest, Since};

use super::{Bounds, Shop, at, item_id};

/// The places of a page in this test.
const PLACES_MAX: usize = 6;

/// Each item, at how many locations it has stock, and how many have a planning of their own.
const ITEMS: [(&str, usize, usize); 7] =
    [("a", 0, 4), ("b", 2, 0), ("c", 1, 3), ("d", 2, 9), ("e", 0, 0), ("f", 3, 3), ("g", 0, 1)];

/// Opens ten locations, and registers the items. The planning of each location differs in every field that it has.
async fn stocked(shop: Shop) -> Shop {
    let shop = shop.reopened(Bounds { page_levels_max: PLACES_MAX, ..Bounds::default() }).await;
    for n in 0..10 {
        shop.open_location(&format!("l{n}")).await;
    }
    for (item, levels, overrides) in ITEMS {
        shop.register(item, r#","supplier":"Ltd","lead_time_days":3"#).await;
        for n in 0..levels {
            shop.receive(item, &format!("l{n}"), 1, at(1)).await;
        }
        for n in 0..overrides {
            let fields = match n % 3 {
                0 => format!(r#""supplier":"{item} of l{n}","lead_time_days":{n}"#),
                1 => format!(r#""order_multiple":"{}","order_minimum":"{}""#, n + 1, n + 2),
                _ => format!(r#""service_level":"{}","lead_time_days":0"#, 90 + n),
            };
            shop.run("set_planning", item, &format!(r#","location_id":"l{n}",{fields}"#), at(2)).await;
        }
    }
    shop
}

async fn alone(shop: &Shop, item: &str) -> ItemWithLevels {
    shop.ports().queries.item(&item_id(item)).await.unwrap().unwrap()
}

pub async fn a_page_of_items_counts_what_locations_have_instead_and_the_next_goes_on(shop: Shop) {
    let shop = stocked(shop).await;
    for limit in [1, 2, 100] {
        let (mut pages, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let asked = PageRequest::new(cursor.as_deref(), limit);
            let page = shop.ports().queries.items(&ItemFilter::default(), asked).await.unwrap();
            let places: usize = page.entries.iter().map(ItemWithLevels::places).sum();
            assert!(places <= PLACES_MAX || page.entries.len() == 1, "{limit}: {places} places");
            for view in &page.entries {
                let item = view.item.item_id.as_str();
                assert_eq!(*view, alone(&shop, item).await, "as it is read by itself");
                let (_, levels, overrides) = ITEMS.into_iter().find(|(name, ..)| *name == item).unwrap();
                assert_eq!((view.levels.len(), view.item.overrides.len()), (levels, overrides), "{item}");
            }
            pages.push(page.entries.iter().map(|view| view.item.item_id.as_str()).collect::<String>());
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(pages.concat(), "abcdefg", "each item once, in order");
        if limit == 100 {
            assert_eq!(pages, ["ab", "c", "d", "ef", "g"]);
        }
    }
}

pub async fn a_page_of_changed_items_counts_what_locations_have_instead(shop: Shop) {
    let shop = stocked(shop).await;
    let largest = ITEMS.iter().map(|(_, levels, overrides)| levels + overrides).max().unwrap();
    let (mut found, mut cursor): (BTreeMap<_, Item>, _) = (BTreeMap::new(), None::<String>);
    loop {
        let asked = PageRequest::new(cursor.as_deref(), 100);
        let since = Since::Time(Timestamp::EPOCH);
        let page = shop.ports().queries.changed_items(&ItemFilter::default(), &since, at(9), asked).await.unwrap().page;
        let places: usize = page.entries.iter().map(ItemWithLevels::places).sum();
        assert!(places < PLACES_MAX + largest, "{places} places");
        for view in page.entries {
            assert_eq!(found.insert(view.item.item_id.to_string(), view.item), None, "no item comes twice");
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(found.keys().map(String::as_str).collect::<String>(), "abcdefg");
    for (name, item) in found {
        assert_eq!(item, alone(&shop, &name).await.item);
    }
}
