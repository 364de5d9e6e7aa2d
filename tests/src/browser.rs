//! A browser without a window: Debian's chromium, driven over a pipe by the DevTools protocol.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};
use stockline_deploy_checks::wanted::wanted;
use tempfile::TempDir;

/// Reports whether the tests in a browser run. `STOCKLINE_TEST_BROWSER=0` skips them, and each one reports that.
pub fn browser_tests() -> bool {
    wanted("STOCKLINE_TEST_BROWSER", "chromium")
}

/// A browser with one page. It ends when dropped.
#[derive(Debug)]
pub struct Browser {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    calls: u64,
    session: Option<String>,
    /// The errors that the page has logged: refused by its policy, or thrown by its script.
    pub errors: Vec<String>,
    _profile: TempDir,
}

impl Browser {
    /// Starts the browser.
    pub fn start() -> Self {
        let profile = tempfile::tempdir().unwrap();
        // It reads calls from file 3 and writes answers to file 4.
        let script = "exec chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run \
                      --remote-debugging-pipe --user-data-dir=\"$0\" 3<&0 4>&1 </dev/null >/dev/null 2>&1";
        let mut child = Command::new("sh")
            .args(["-c", script])
            .arg(profile.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (to, from) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut browser = Self { child, to, from, calls: 0, session: None, errors: Vec::new(), _profile: profile };
        let target = browser.call("Target.createTarget", &json!({"url": "about:blank"}))["targetId"].clone();
        let attached = browser.call("Target.attachToTarget", &json!({"targetId": target, "flatten": true}));
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page.enable", "Log.enable", "Runtime.enable"] {
            browser.call(domain, &json!({}));
        }
        browser
    }

    /// Opens an address in a window of this size, and waits until it is loaded.
    pub fn open(&mut self, url: &str, width: u32, height: u32) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600});
        self.call("Emulation.setDeviceMetricsOverride", &size);
        let opened = self.call("Page.navigate", &json!({"url": url}));
        assert!(opened["errorText"].is_null(), "{url}: {opened}");
        while self.read()["method"] != "Page.loadEventFired" {}
    }

    /// Lets pages read and write the clipboard.
    pub fn allow_clipboard(&mut self) {
        let session = self.session.take();
        let permissions = json!({"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]});
        self.call("Browser.grantPermissions", &permissions);
        self.session = session;
        // A clipboard belongs to the page that has the focus.
        self.call("Emulation.setFocusEmulationEnabled", &json!({"enabled": true}));
    }

    /// Evaluates an expression on the page and returns its value; waits for a promise.
    pub fn value_of(&mut self, expression: &str) -> Value {
        let how = json!({"expression": expression, "awaitPromise": true, "returnByValue": true, "userGesture": true});
        let answer = self.call("Runtime.evaluate", &how);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    fn call(&mut self, method: &str, parameters: &Value) -> Value {
        self.calls += 1;
        let mut call = json!({"id": self.calls, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            call["sessionId"] = json!(session);
        }
        self.to.write_all(format!("{call}\0").as_bytes()).unwrap();
        loop {
            let answer = self.read();
            if answer["id"] == self.calls {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].clone();
            }
        }
    }

    /// Reads the next message, and notes errors of the page.
    fn read(&mut self) -> Value {
        let mut message = Vec::new();
        self.from.read_until(0, &mut message).unwrap();
        assert_eq!(message.pop(), Some(0), "chromium ended. These tests need it (Debian: apt install chromium)");
        let message: Value = serde_json::from_slice(&message).unwrap();
        let is_error = match message["method"].as_str() {
            Some("Log.entryAdded") => message["params"]["entry"]["level"] == "error",
            Some("Runtime.exceptionThrown") => true,
            _ => false,
        };
        if is_error {
            self.errors.push(message["params"].to_string());
        }
        message
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
