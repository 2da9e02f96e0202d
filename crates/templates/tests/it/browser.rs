//! A web app in a browser, as its users have it: Chromium, driven over WebDriver.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::evaluation::{App, ask};

/// A browser with one page, by chromedriver.
struct Browser {
    driver: Child,
    port: u16,
    session: String,
}

impl Browser {
    fn start() -> Self {
        let mut driver = Command::new("chromedriver")
            .args(["--port=0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver: `scripts/servers.sh browser` installs it");
        let mut log = BufReader::new(driver.stdout.take().unwrap());
        let port = loop {
            let mut line = String::new();
            assert!(log.read_line(&mut line).unwrap() > 0, "chromedriver ended");
            if let Some(port) =
                line.trim().trim_end_matches('.').rsplit_once("on port ").and_then(|(_, port)| port.parse().ok()).filter(|port| *port != 0)
            {
                break port;
            }
        };
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-sync",
        ];
        let wanted = json!({ "capabilities": { "alwaysMatch": { "browserName": "chrome", "goog:chromeOptions": { "args": arguments } } } });
        let (status, made) = ask(port, "POST", "/session", &wanted);
        assert_eq!(status, 200, "{made}");
        Self { driver, port, session: made["value"]["sessionId"].as_str().unwrap().to_owned() }
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, answer) = ask(self.port, method, &format!("/session/{}{path}", self.session), body);
        if status != 200 {
            let (_, page) = ask(self.port, "GET", &format!("/session/{}/source", self.session), &Value::Null);
            panic!("{method} {path} {body}: {}\n{}", answer["value"]["message"], page["value"]);
        }
        answer["value"].clone()
    }

    fn go(&self, url: &str) {
        self.call("POST", "/url", &json!({ "url": url }));
    }

    fn find(&self, css: &str) -> String {
        let found = self.call("POST", "/element", &json!({ "using": "css selector", "value": css }));
        found.as_object().unwrap().values().next().unwrap().as_str().unwrap().to_owned()
    }

    fn click(&self, css: &str) {
        self.call("POST", &format!("/element/{}/click", self.find(css)), &json!({}));
    }

    /// Clicks what leads to another page, or to this one anew.
    fn follow(&self, css: &str) {
        self.eval("window.before = true");
        self.click(css);
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.eval("return !window.before && document.readyState === 'complete'") != true {
            assert!(Instant::now() < deadline, "{css} led nowhere");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn write(&self, css: &str, text: &str) {
        let element = self.find(css);
        self.call("POST", &format!("/element/{element}/clear"), &json!({}));
        self.call("POST", &format!("/element/{element}/value"), &json!({ "text": text }));
    }

    /// What people see of it.
    fn text(&self, css: &str) -> String {
        self.call("GET", &format!("/element/{}/text", self.find(css)), &Value::Null).as_str().unwrap().to_owned()
    }

    fn eval(&self, script: &str) -> Value {
        self.call("POST", "/execute/sync", &json!({ "script": script, "args": [] }))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = ask(self.port, "DELETE", &format!("/session/{}", self.session), &Value::Null);
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

#[test]
fn people_sign_up_keep_what_they_type_and_see_only_their_own() {
    let app = App::start(
        "Build a web app for a reading list of books with a title, an author, a rating from 1 to 5 and a read flag, with login and search",
    );
    let url = format!("http://127.0.0.1:{}/", app.port);
    let browser = Browser::start();
    let sign_up = |email: &str| {
        browser.go(&format!("{url}sign-up"));
        browser.write("#email", email);
        browser.write("#password", "correct horse");
        browser.follow("main button");
    };
    browser.go(&url);
    assert_eq!(browser.text("h1"), "Sign in", "nobody is signed in");
    sign_up("ada@example.org");
    assert!(browser.text("main").contains("There are no books yet."));
    browser.follow("a.button");
    browser.write("#title", "Dune <b>&</b>");
    browser.write("#author", "Herbert");
    browser.write("#rating", "5");
    browser.click("#read");
    browser.follow("main button");
    assert_eq!(browser.text("tbody tr"), "Dune <b>&</b> Herbert 5 yes", "as it was typed, not as HTML");

    // The browser itself refuses what the form says is not possible, and the server what gets past it, with everything that was typed.
    browser.follow("tbody a");
    browser.write("#rating", "9");
    browser.write("#author", "Frank Herbert");
    browser.click("main button");
    assert_eq!(browser.eval("return document.querySelector('#rating').validity.rangeOverflow"), true);
    browser.eval("document.querySelector('main form').noValidate = true");
    browser.follow("main button");
    assert!(browser.text("[role=alert]").contains("mend what is marked") && browser.text("#rating-problem").starts_with("Rating"));
    assert_eq!(browser.eval("return document.querySelector('#author').value"), "Frank Herbert");
    browser.write("#rating", "4");
    browser.follow("main button");
    assert_eq!(browser.text("tbody tr"), "Dune <b>&</b> Frank Herbert 4 yes");
    browser.write("#q", "nobody");
    browser.follow("[role=search] button");
    assert!(browser.text("main").contains("There are no books yet."));

    // Styled, named, in a language, every control with a label, and no wider than a telephone.
    browser.go(&format!("{url}books/new"));
    assert_eq!(browser.eval("return [document.documentElement.lang, [...document.querySelectorAll('main input, main select, main textarea')].every(i => i.labels.length === 1)]"), json!(["en", true]));
    assert!(browser.eval("return document.styleSheets.length > 0 && document.styleSheets[0].cssRules.length > 10").as_bool().unwrap());
    browser.call("POST", "/window/rect", &json!({ "width": 500, "height": 800 }));
    assert_eq!(browser.eval("return document.documentElement.scrollWidth <= window.innerWidth"), true);

    browser.follow("header form button");
    assert_eq!(browser.text("h1"), "Sign in");
    sign_up("eve@example.org");
    assert!(browser.text("main").contains("There are no books yet."), "Ada's are hers");
    browser.go(&format!("{url}books/1"));
    assert!(browser.text("[role=alert]").contains("no such book"), "{}", browser.text("main"));
}
