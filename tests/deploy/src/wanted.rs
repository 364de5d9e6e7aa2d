//! Leaves out tests whose tools a machine does not have.

use std::io::Write as _;

/// Reports whether tests run that need something special. With `{variable}=0` in the environment they do not, and each one
/// reports that.
#[expect(clippy::disallowed_methods, reason = "a switch of the test run, not of the product")]
pub fn wanted(variable: &str, what: &str) -> bool {
    let left_out = std::env::var(variable).is_ok_and(|value| value == "0");
    if left_out {
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        // Written directly, because the output of a passing test is captured.
        let _ = writeln!(std::io::stderr(), "LEFT OUT: {test} needs {what}, and {variable}=0");
    }
    !left_out
}
