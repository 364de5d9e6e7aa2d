//! Files to start from.

use crate::kind::Kind;

/// Returns a file with headings and example lines, as CSV. Imported as it is, it is right but for the locations that it
/// names.
pub const fn template(kind: Kind) -> &'static str {
    match kind {
        Kind::Items => {
            "item_id,name,unit,decimals,barcodes,category,low_stock_threshold,shortage_policy,unit_cost,supplier,\
             lead_time_days,order_multiple,order_minimum,service_level,on_hand:main\n\
             cola-033,Cola 0.33 l,piece,0,4006381333931,drinks,6,allow,0.41,Drinks Ltd,3,12,24,97.5,24\n\
             coal,Charcoal,kg,3,,garden,10.5,reject,1.2050,Garden & Sons,14,12.5,,,80.25\n"
        }
        Kind::Stock => {
            "item_id,location_id,on_hand,unit_cost,low_stock_threshold\ncola-033,main,24,0.41,6\ncoal,main,80.25,,\n"
        }
        Kind::Counts => {
            "item_id,location_id,counted,counted_at,note\n\
             cola-033,main,22,,\ncoal,main,79.5,,two bags were open\n"
        }
        Kind::Thresholds => "item_id,location_id,low_stock_threshold\ncola-033,,6\ncola-033,main,12\ncoal,main,none\n",
        Kind::Locations => {
            "location_id,name,time_zone,alert_emails,closed\n\
             shop-1,Main Street,Europe/Berlin,shop-1@example.com;owner@example.com,false\n"
        }
    }
}
