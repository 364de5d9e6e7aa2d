//! Checks that `deploy/` sets up what the programs assume. Each check is a function that takes the templates and
//! returns their faults, so a test can pass it wrong templates without deploying them.

use std::sync::OnceLock;

use stockline_deploy_checks::ministack::aws_tests;

mod alerts;
mod first_day;
mod kept;
mod network;
mod order;
mod programs;
mod queues;
mod table;
mod tasks;
mod variables;
mod wiring;
mod wrong;

use programs::Deployment;

/// The faults, one per line.
type Faults = Vec<String>;

type Check = fn(&Deployment) -> Faults;

/// Every claim, and the check for it.
const CHECKS: [(&str, Check); 15] = [
    ("the variables that are set are those that the programs read", variables::are_those_that_are_read),
    ("variables name what is meant", variables::name_what_is_meant),
    ("a parameter's default is the program's own", variables::have_the_same_defaults),
    ("a parameter allows only what the program takes", variables::are_bounded_as_the_programs_bound_them),
    ("the table has the keys and indexes of the code", table::is_as_the_code_has_it),
    ("the command queues are such that the promises hold on them", queues::are_as_the_adapter_wants_them),
    ("alerts reach the alerter, and its times fit", alerts::reach_the_alerter_in_time),
    ("tasks are stopped, looked at and confined as the programs need it", tasks::are_run_as_the_programs_need_it),
    ("the balancer's times fit the ingress's", tasks::the_balancer_waits_as_long_as_it_must),
    ("ports are the same everywhere", network::ports_are_the_same_everywhere),
    ("nobody reaches more than the API", network::nobody_reaches_more),
    ("the parts fit together", wiring::parts_fit_together),
    ("what holds something outlives the stack", kept::what_holds_something_is_kept),
    ("readers are deployed before writers, and a bad deploy is taken back", order::is_safe),
    ("the first bad day is thought of", first_day::is_thought_of),
];

fn deployment() -> &'static Deployment {
    static DEPLOYMENT: OnceLock<Deployment> = OnceLock::new();
    DEPLOYMENT.get_or_init(Deployment::read)
}

#[test]
fn the_templates_are_what_the_code_assumes() {
    if !aws_tests() {
        return;
    }
    let faults: Vec<String> = CHECKS
        .into_iter()
        .flat_map(|(claim, check)| check(deployment()).into_iter().map(move |fault| format!("{claim}: {fault}")))
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_wrong_template_fails_the_check_that_is_there_for_it() {
    if !aws_tests() {
        return;
    }
    let unnoticed: Vec<String> = wrong::templates()
        .into_iter()
        .filter(|wrong| {
            let mut deployment = deployment().clone();
            wrong.change(&mut deployment.templates);
            (wrong.check)(&deployment).is_empty()
        })
        .map(|wrong| wrong.to_string())
        .collect();
    assert!(unnoticed.is_empty(), "nobody noticed:\n{}", unnoticed.join("\n"));
}

#[test]
fn every_check_has_found_something_wrong() {
    let missing: Vec<&str> = CHECKS
        .into_iter()
        .filter(|(_, check)| !wrong::templates().iter().any(|wrong| std::ptr::fn_addr_eq(wrong.check, *check)))
        .map(|(claim, _)| claim)
        .collect();
    assert!(missing.is_empty(), "no wrong template for: {missing:?}");
}
