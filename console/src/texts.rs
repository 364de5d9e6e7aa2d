//! Every word that the console shows. A language is one file beside `en.rs`; the compiler names what it lacks.

pub(crate) mod en;

/// Puts values into the places `{}` of a text, in their order.
pub(crate) fn fill(text: &str, values: &[&str]) -> String {
    let mut parts = text.split("{}");
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for (part, value) in parts.zip(values.iter().chain(std::iter::repeat(&""))) {
        filled.push_str(value);
        filled.push_str(part);
    }
    filled
}

/// Declares the table: one text for each name.
macro_rules! table {
    ($($name:ident),* $(,)?) => {
        /// The texts of one language.
        #[derive(Debug)]
        pub(crate) struct Texts {
            /// The language, as in `<html lang>`.
            pub(crate) lang: &'static str,
            $(pub(crate) $name: &'static str,)*
        }
    };
}

table! {
    // The frame.
    skip_to_main, menu, manager, staff, sign_out, location, change,
    // Sections.
    scan, items,
    // Signing in and out.
    sign_in, sign_in_as, sign_in_as_at, sign_in_ask, sign_in_code, sign_in_how, sign_in_oidc, sign_in_again, link_gone, sign_in_failed,
    session_over, session_over_advice, session_over_open, send_again, session_over_part, signed_out, signed_out_advice,
    // Faults.
    not_found, not_found_advice, forbidden, forbidden_advice, bad_form, bad_form_advice, busy, busy_advice, broken,
    broken_advice, to_start, not_sent,
    // The station.
    scan_field, scan_hint, scan_go, scan_camera, scan_camera_stop, scan_empty, scan_empty_advice, quantity, less, more,
    remove, here, elsewhere, elsewhere_none, no_stock_here, sell, receive, count, give_back, move_on, move_to, unknown_code,
    unknown_code_advice, which, archived, done_sell, done_receive, done_count, done_return, done_transfer, done_now,
    done_late, still_queued, refused, not_done, slip_spent, no_place, nothing_to_do, choose_target,

    // Counting.
    count_list, count_longest, count_books, count_hidden, count_shown, count_start, count_nothing, count_nothing_advice, count_how,
    count_save, count_anyway, count_conflict, count_conflict_unknown, count_both, count_accepted, count_done, count_right,
    count_differs, count_beyond, count_waiting, count_offline, count_saved, counted_of,
    // States of a level.
    low, out, oversold, normal,
    // Today.
    today, attention, all_well, all_well_advice, level_low, level_out, level_oversold, refused_open, set_aside, mails_waiting,
    needs_stock, missing, alerts_lately, no_alerts, mailed, not_mailed, first_steps, first_item, first_place,
    first_people, first_sale, more_than,
    // Refused commands.
    refused_list, refused_none, refused_none_advice, again_item, again_place, again_allow, again_send,
    again_all, again_all_advice, again_done, again_refused, again_sent, set_aside_advice,
    // Items.
    search, search_hint, no_items, no_items_advice, name, sku, on_hand, category, more_items, stock_by_location, threshold,
    state, last_counted, never, movements, no_movements, when, what, by, after, barcodes, sell_this, none_set, filter,
    new_item, all_items, add_item, save, archive_item, restore_item, edit_item, item_id_hint, unit, unit_hint, decimals,
    decimals_hint, barcodes_hint, threshold_hint, policy, policy_allow, policy_reject, saved, opening_stock,
    opening_hint, chart_stock, chart_sold, chart_table, day, sold, at_place,
    // Locations, people, operations.
    locations, people, operations, places_how, place_is_closed, place_closed, new_place, place_id, place_id_hint, add_place, time_zone, alert_emails, alert_emails_hint, everywhere, revoked, link_for, link_how, token_for, token_how, invite, subject, subject_hint, role, make_link, connect_till, till, till_hint, make_token, may_come_in, until, this_browser, revoke, parts_well, figures_elsewhere, figures_how, queue_waiting, queue_working, queue_age, mails_in_queue, mails_sent, mail_failures, request_half, request_slow,
    // Types of movements.
    kind_receive, kind_sell, kind_return, kind_adjust, kind_count, kind_transfer,
}

impl Texts {
    /// Returns the word for a type of movement.
    pub(crate) fn kind(&self, kind: &str) -> &'static str {
        match kind {
            "receive" => self.kind_receive,
            "sell" => self.kind_sell,
            "return" => self.kind_return,
            "adjust" => self.kind_adjust,
            "count" => self.kind_count,
            _ => self.kind_transfer,
        }
    }

    /// Returns the word for the state of a level.
    pub(crate) fn state(&self, state: &str) -> &'static str {
        match state {
            "low" => self.low,
            "out" => self.out,
            "oversold" => self.oversold,
            _ => self.normal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_take_their_places_in_order() {
        assert_eq!(fill("{} of {}", &["2", "cola"]), "2 of cola");
        assert_eq!(fill("{} of {}", &["{}"]), "{} of ");
        assert_eq!(fill("none", &["x"]), "none");
    }
}
