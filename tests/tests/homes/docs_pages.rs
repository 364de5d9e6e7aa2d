//! Looks at the server's pages in a browser: on a phone and on a desk.

use serde_json::json;
use stockline_tests::browser::{Browser, browser_tests};
use stockline_tests::process::Server;

const PAGES: [&str; 3] = ["/", "/docs", "/docs/till"];
const PHONE_PX: u32 = 390;
const DESK_PX: u32 = 1280;

/// Presses the first button that copies, and returns what it says then.
const PRESS: &str = "(async () => {
    const button = document.querySelector('.code button');
    button.click();
    for (let i = 0; i < 100 && button.textContent === 'Copy'; i++) await new Promise((done) => setTimeout(done, 10));
    return button.textContent;
})()";

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_fit_a_phone_and_a_desk_and_their_policy_refuses_nothing_of_them() {
    if !browser_tests() {
        return;
    }
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path(), &[]).await;
    let mut browser = Browser::start();
    for path in PAGES {
        for width in [PHONE_PX, DESK_PX] {
            browser.open(&format!("{}{path}", server.url), width, 900);
            let widest = browser.value_of("document.documentElement.scrollWidth").as_u64().unwrap();
            assert!(widest <= width.into(), "{path} is {widest} px wide in {width} px, and scrolls sideways");
            let [examples, buttons] = [".code", ".code button"]
                .map(|what| browser.value_of(&format!("document.querySelectorAll('{what}').length")));
            assert_eq!(examples, buttons, "{path}: each example can be copied");
            if path == "/" {
                continue;
            }
            let is_open = browser.value_of("document.querySelector('nav details').open");
            assert_eq!(is_open, json!(width == DESK_PX), "{path}: the contents at {width} px");
            let beside = "document.querySelector('nav').getBoundingClientRect().left >= \
                          document.querySelector('main').getBoundingClientRect().right";
            assert_eq!(browser.value_of(beside), json!(width == DESK_PX), "{path}: the sidebar at {width} px");
        }
    }
    assert_eq!(browser.errors, [""; 0]);
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_example_is_copied_with_and_without_the_clipboard_of_a_secure_page() {
    if !browser_tests() {
        return;
    }
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path(), &[]).await;
    let mut browser = Browser::start();
    browser.open(&format!("{}/docs/till", server.url), DESK_PX, 900);
    browser.allow_clipboard();
    assert_eq!(browser.value_of(PRESS), "Copied");
    let copied = browser.value_of("navigator.clipboard.readText()");
    assert_eq!(copied, browser.value_of("document.querySelector('.code code').textContent"));
    assert!(copied.as_str().unwrap().contains("stockline token --till"), "{copied}");

    browser.open(&format!("{}/docs", server.url), DESK_PX, 900);
    browser.value_of(
        "window.kept = navigator.clipboard; Object.defineProperty(navigator, 'clipboard', {value: undefined}); 0",
    );
    assert_eq!(browser.value_of(PRESS), "Copied");
    let copied = browser.value_of("window.kept.readText()");
    assert_eq!(copied, browser.value_of("document.querySelector('.code code').textContent"));
    assert_eq!(browser.errors, [""; 0]);
    server.stop();
}
