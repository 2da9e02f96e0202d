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
        let (status, made) = ask(port, "POST", "/session", &wanted, None);
        assert_eq!(status, 200, "{made}");
        Self { driver, port, session: made["value"]["sessionId"].as_str().unwrap().to_owned() }
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, answer) = ask(self.port, method, &format!("/session/{}{path}", self.session), body, None);
        if status != 200 {
            let (_, page) = ask(self.port, "GET", &format!("/session/{}/source", self.session), &Value::Null, None);
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
        let _ = ask(self.port, "DELETE", &format!("/session/{}", self.session), &Value::Null, None);
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

#[test]
fn people_see_what_belongs_together_keep_files_pay_and_hear_of_changes() {
    let app = App::start(
        "Build a web app for recipes with a title, a price and a photo, and ingredients with a name, each ingredient belongs to a recipe, with login, live updates and payments",
    );
    let url = format!("http://127.0.0.1:{}/", app.port);
    let browser = Browser::start();
    browser.go(&format!("{url}sign-up"));
    browser.write("#email", "ada@example.org");
    browser.write("#password", "correct horse");
    browser.follow("main button");
    browser.go(&format!("{url}recipes/new"));
    browser.write("#title", "Soup");
    browser.write("#price", "4.5");
    browser.follow("main button");
    browser.follow("tbody a");

    // What belongs to it is begun from here.
    browser.follow("section a.button");
    assert_eq!(browser.eval("return document.querySelector('#recipe').selectedOptions[0].text"), "Soup");
    browser.write("#name", "Salt");
    browser.follow("main button");
    browser.go(&format!("{url}recipes/1"));
    assert_eq!(browser.text("section li"), "Salt");

    // A file goes up and comes back.
    let photo = tempfile::Builder::new().prefix("photo ").suffix(".png").tempfile().unwrap();
    std::fs::write(photo.path(), [0, 13, 10, 255, 45, 45]).unwrap();
    let element = browser.find("#file");
    browser.call("POST", &format!("/element/{element}/value"), &json!({ "text": photo.path().to_str().unwrap() }));
    browser.follow("form[enctype] button");
    let name = photo.path().file_name().unwrap().to_str().unwrap();
    assert!(browser.text("main").contains(&format!("{name} 6 bytes")), "{}", browser.text("main"));
    let read = "return fetch(document.querySelector('section li a[href*=\"/files/\"]').href).then(a => a.arrayBuffer()).then(b => [...new Uint8Array(b)])";
    // Pages with live updates may ask their own server, and no other one.
    assert_eq!(browser.eval(read), json!([0, 13, 10, 255, 45, 45]));

    // It is paid for, at its price.
    assert_eq!(browser.eval("return document.querySelector('#amount').value"), "4.50");
    browser.follow("form[action$='/payments'] button");
    assert!(browser.text("main").contains("4.50 EUR: pending"), "{}", browser.text("main"));
    browser.follow("button[value=paid]");
    assert!(browser.text("main").contains("4.50 EUR: paid"), "{}", browser.text("main"));

    // What happens elsewhere is seen without loading anything.
    let make = |title: &str| {
        let script = format!(
            "return fetch('{url}recipes/new', {{ method: 'POST', body: new URLSearchParams({{ title: '{title}' }}) }}).then(answer => answer.ok)"
        );
        assert_eq!(browser.eval(&script), true);
    };
    browser.go(&format!("{url}recipes"));
    browser.eval("window.same = true");
    // What comes before it is connected is not heard of.
    let deadline = Instant::now() + Duration::from_secs(10);
    while !browser.text("tbody").contains("Stew") {
        assert!(Instant::now() < deadline, "it never came: {}", browser.text("tbody"));
        make("Stew");
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(browser.eval("return window.same"), true, "the same page");

    // What is deleted is asked about, and what others belong to stays.
    browser.go(&format!("{url}recipes/2"));
    browser.follow("a.danger");
    assert_eq!(browser.text("h1"), "Delete Stew?");
    browser.follow("main button");
    assert_eq!(browser.text("h1"), "Recipes");
    browser.go(&format!("{url}recipes/2"));
    assert!(browser.text("[role=alert]").contains("no such recipe"), "{}", browser.text("main"));
    browser.go(&format!("{url}recipes/1/delete"));
    browser.follow("main button");
    assert!(browser.text("[role=alert]").contains("ingredients; delete those first"), "{}", browser.text("main"));

    browser.go(&format!("{url}account"));
    browser.write("#password", "correct horse");
    browser.write("#new_password", "battery staple");
    browser.follow("main button");
    assert!(browser.text("[role=status]").contains("changed"));
}
