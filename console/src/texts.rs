//! Every word that the console shows. A language is one file beside `en.rs`; the compiler names what it lacks.

use stockline_core::domain::analytics::ReportName;

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
            /// The names of fields.
            pub(crate) fields: Fields,
            $(pub(crate) $name: &'static str,)*
        }
    };
}

/// Declares the names of fields.
macro_rules! fields {
    ($($name:ident),* $(,)?) => {
        /// The names of fields and of the columns of reports, by the words of the API.
        #[derive(Debug)]
        pub(crate) struct Fields { $(pub(crate) $name: &'static str,)* }

        impl Fields {
            fn named(&self, name: &str) -> Option<&'static str> {
                match name {
                    $(stringify!($name) => Some(self.$name),)*
                    _ => None,
                }
            }
        }
    };
}

fields! {
    item_id, name, unit, decimals, barcodes, category, low_stock_threshold, shortage_policy, unit_cost, supplier,
    lead_time_days, order_multiple, order_minimum, service_level, on_hand, location_id,
    counted, counted_at, note, time_zone, alert_emails, closed,
    day, week, month, sold, returned, net, amount, cost, margin, days, days_in_stock, per_day, per_day_in_stock, cover_days,
    stock_out, earliest, latest, on_order, target, order, order_by, days_out, lost_units, lost_amount, start, received,
    transferred, adjusted_up, rate, share, class, xyz, variation, value, last_sold, last_received, age_days, mean_value,
    turnover, gmroi, damaged, expired, theft, found, correction, sample, other, total, total_cost, share_of_sales,
    average_cost,
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
    count_differs, count_beyond, count_next, count_waiting, count_offline, count_saved, counted_of,
    // States of a level.
    low, out, oversold, normal,
    // Today.
    today, attention, all_well, all_well_advice, level_low, level_out, level_oversold, refused_open, set_aside, mails_waiting,
    needs_stock, missing, alerts_lately, no_alerts, mailed, not_mailed, first_steps, first_item, first_import, first_place,
    first_people, first_sale, more_than,
    // Refused commands.
    refused_list, refused_none, refused_none_advice, again_item, again_place, again_allow, again_send,
    again_all, again_all_advice, again_done, again_refused, again_sent, set_aside_advice,
    dismiss, dismiss_why, dismissed,
    // Items.
    search, search_hint, search_cut, search_on, search_none_yet, search_no_more, no_items, no_items_advice, name, sku, on_hand, category, more_items, stock_by_location, threshold,
    state, last_counted, never, movements, no_movements, when, what, by, after, barcodes, sell_this, none_set, filter,
    new_item, all_items, add_item, save, archive_item, restore_item, edit_item, item_id_hint, unit, unit_hint, decimals,
    decimals_hint, barcodes_hint, threshold_hint, policy, policy_allow, policy_reject, saved, opening_stock,
    opening_hint, archived_not, archived_only, bulk, bulk_pick, bulk_none, bulk_done, bulk_category, bulk_threshold, bulk_reject, bulk_allow,
    supplier, lead_time, order_multiple, order_minimum, service_level, planning, planning_how, planning_at, planning_at_how, bulk_supplier,
    bulk_value, bulk_value_hint, bulk_change, chart_stock, chart_sold, chart_table, day, sold, at_place,
    // Locations, people, operations.
    locations, people, operations, places_how, place_is_closed, place_closed, new_place, place_id, place_id_hint, add_place, time_zone, alert_emails, alert_emails_hint, everywhere, revoked, link_for, link_how, token_for, token_how, invite, subject, subject_hint, role, make_link, connect_till, till, till_hint, make_token, may_come_in, until, this_browser, revoke, parts_well, figures_elsewhere, figures_how, queue_waiting, queue_working, queue_age, mails_in_queue, mails_sent, mail_failures, request_half, request_slow, rate_accepted, rate_decided, settled_half, settled_slow, disk_used, disk_free, last_backup, outage, letters, letter_retry, letter_discard, hot_items, hot_moves, tills_silent, till_silent,
    // Imports and exports.
    exchange, import, export, too_large, too_large_advice, import_how, import_what, import_items, import_stock,
    import_counts, import_thresholds, import_locations, import_file, import_file_hint, import_check, import_more,
    import_location_hint, import_decimal, import_decimal_point, import_decimal_comma, by_itself, import_delimiter,
    import_comma, import_semicolon, import_tab, import_sheet, import_sheet_hint, import_date_means, import_date_hint,
    import_templates, import_no_file, import_forgotten, import_lines, import_create, import_change, import_leave,
    import_skip, import_faulty, import_system, import_of_sheet, import_columns, import_column_means, import_place_means,
    import_choose, import_leave_out, import_by_heading, import_ignore, import_again, import_faults, import_none_faulty, import_line, import_column, import_value, import_wrong, import_remedy, import_would, import_apply,
    import_apply_skip, import_nothing, import_result, import_result_how, import_progress, import_applying,
    import_applied, import_stopped, import_planned, import_refused, import_another, effect_create, effect_change,
    effect_leave, effect_skip,
    export_how, export_stock, export_refused, export_set_aside, export_changes, export_alerts, export_all, from_day,
    to_day, as_csv, as_lines,
    // Reports.
    reports, reports_how, report_sales, report_velocity, report_cover, report_reorder, report_lost_sales,
    report_sell_through, report_abc, report_dead_stock, report_turnover, report_shrinkage, report_value,
    report_sales_how, report_velocity_how, report_cover_how, report_reorder_how, report_lost_sales_how,
    report_sell_through_how, report_abc_how, report_dead_stock_how, report_turnover_how, report_shrinkage_how,
    report_value_how, report_period, report_show, report_group, report_none, report_none_advice,
    report_not_kept, report_not_kept_advice, report_definition, report_left_out, report_of, report_sum, report_rows,
    report_dead_days, report_lead_time, report_review, report_service, report_top, report_until, last_7_days,
    last_28_days, last_91_days, last_365_days, order_list, order_list_how, order_what, order_nothing, order_more, print,
    // Types of movements.
    kind_receive, kind_sell, kind_return, kind_adjust, kind_count, kind_transfer, kind_reverse, reverse, reverse_of,
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
            "reverse" => self.kind_reverse,
            _ => self.kind_transfer,
        }
    }

    /// Returns the name of a field; the API's word if there is none.
    pub(crate) fn field<'a>(&self, name: &'a str) -> &'a str {
        self.fields.named(name).unwrap_or(name)
    }

    /// Returns what a file is about.
    pub(crate) fn import_kind(&self, kind: &str) -> &'static str {
        match kind {
            "stock" => self.import_stock,
            "counts" => self.import_counts,
            "thresholds" => self.import_thresholds,
            "locations" => self.import_locations,
            _ => self.import_items,
        }
    }

    /// Returns what a line of a file does.
    pub(crate) fn import_effect(&self, effect: &str) -> &'static str {
        match effect {
            "create" => self.effect_create,
            "change" => self.effect_change,
            "skip" => self.effect_skip,
            _ => self.effect_leave,
        }
    }

    /// Returns the name of a list that can be exported.
    pub(crate) fn export_list(&self, list: &str) -> &'static str {
        match list {
            "items" => self.items,
            "stock" => self.export_stock,
            "movements" => self.movements,
            "alerts" => self.export_alerts,
            "refused" => self.export_refused,
            "set-aside" => self.export_set_aside,
            _ => self.export_changes,
        }
    }

    /// Returns the name of a report, and what it tells.
    pub(crate) fn report(&self, report: ReportName) -> (&'static str, &'static str) {
        match report {
            ReportName::Sales => (self.report_sales, self.report_sales_how),
            ReportName::Velocity => (self.report_velocity, self.report_velocity_how),
            ReportName::Cover => (self.report_cover, self.report_cover_how),
            ReportName::Reorder => (self.report_reorder, self.report_reorder_how),
            ReportName::LostSales => (self.report_lost_sales, self.report_lost_sales_how),
            ReportName::SellThrough => (self.report_sell_through, self.report_sell_through_how),
            ReportName::Abc => (self.report_abc, self.report_abc_how),
            ReportName::DeadStock => (self.report_dead_stock, self.report_dead_stock_how),
            ReportName::Turnover => (self.report_turnover, self.report_turnover_how),
            ReportName::Shrinkage => (self.report_shrinkage, self.report_shrinkage_how),
            ReportName::Value => (self.report_value, self.report_value_how),
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
