//! The console on the AWS home: people sign in on the pages of the user pool of the deployed stack, and work with their own
//! token in the deployed ingress. The stand-in checks the callback, the code, PKCE and the address after signing out; the
//! looks and the cookies of Cognito's pages are its own.

use reqwest::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use stockline_deploy_checks::ministack::aws_tests;
use stockline_tests::aws::Installation;
use stockline_tests::cognito::PASSWORD;

use crate::aws_login::sign_in;

/// The address that the template gives to the user pool as the console's.
const PUBLIC: &str = "https://stock.example.com";

/// A browser at the console. It is led to the public address, which is where the ingress of the test listens.
struct Visitor {
    http: Client,
    api: String,
    cookie: String,
}

impl Visitor {
    /// Signs in on the pages of the user pool.
    async fn sign_in(api: &str, username: &str) -> Self {
        let http = Client::builder().redirect(Policy::none()).no_proxy().build().unwrap();
        let mut visitor = Self { http, api: api.to_owned(), cookie: String::new() };
        let begun = visitor.get("/console/sign-in/start?next=/console/items").await;
        visitor.cookie = cookies(&begun).remove(0);
        let address = location(&begun);
        let page = visitor.http.get(&address).send().await.unwrap();
        assert_eq!(page.status(), StatusCode::OK, "{address}: is our callback one of the client's?");
        let page = page.text().await.unwrap();
        let wrong = sign_in(&visitor.http, &address, &page, username, "Wrong-Horse-7").await;
        assert!(!wrong.status().is_redirection(), "a wrong password goes nowhere");
        let right = sign_in(&visitor.http, &address, &page, username, PASSWORD).await;
        let back = location(&right);
        let done = visitor.get(back.strip_prefix(PUBLIC).unwrap()).await;
        assert_eq!((done.status(), location(&done)), (StatusCode::SEE_OTHER, "/console/items".to_owned()));
        visitor.cookie = cookies(&done).remove(0);
        visitor
    }

    async fn get(&self, path: &str) -> Response {
        self.http.get(format!("{}{path}", self.api)).header(COOKIE, &self.cookie).send().await.unwrap()
    }

    async fn text(&self, path: &str) -> String {
        let answer = self.get(path).await;
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        answer.text().await.unwrap()
    }

    /// Posts a form, as a page of ours does.
    async fn post(&self, path: &str, kind: &str, body: String) -> Response {
        let request = self.http.post(format!("{}{path}", self.api)).header(COOKIE, &self.cookie);
        let request = request.header(CONTENT_TYPE, kind).header("origin", PUBLIC);
        request.body(body).send().await.unwrap()
    }
}

fn cookies(response: &Response) -> Vec<String> {
    let all = response.headers().get_all(SET_COOKIE).iter();
    all.map(|cookie| cookie.to_str().unwrap().split(';').next().unwrap().to_owned()).collect()
}

fn location(response: &Response) -> String {
    let location = response.headers().get(LOCATION).unwrap_or_else(|| panic!("{response:?}"));
    location.to_str().unwrap().to_owned()
}

const FORM: &str = "application/x-www-form-urlencoded";

#[tokio::test(flavor = "multi_thread")]
async fn people_sign_in_on_the_pools_pages_and_work_in_the_console() {
    if !aws_tests() {
        return;
    }
    let home = Installation::deploy().await;
    let on = [("STOCKLINE_CONSOLE", "true".to_owned()), ("STOCKLINE_PUBLIC_URL", PUBLIC.to_owned())];
    let (ingress, worker) = tokio::join!(home.ingress_with(&on), home.worker());

    let manager = Visitor::sign_in(&home.api, "manager@example.com").await;
    let register = "id=01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b&item_id=cola&name=Cola+0.33+l";
    let registered = manager.post("/console/items/new", FORM, register.to_owned()).await;
    assert_eq!((registered.status(), location(&registered)), (StatusCode::SEE_OTHER, "/console/items/cola".to_owned()));
    assert!(manager.text("/console/items/cola").await.contains("Cola 0.33 l"));
    for path in ["", "/today", "/items", "/refused", "/import", "/export", "/reports", "/locations", "/operations"] {
        manager.text(&format!("/console{path}")).await;
    }
    assert_eq!(manager.get("/console/people").await.status(), StatusCode::NOT_FOUND, "people are added in the pool");

    let file = "--b\r\nContent-Disposition: form-data; name=\"type\"\r\n\r\nitems\r\n--b\r\nContent-Disposition: form-data; \
                name=\"file\"; filename=\"a.csv\"\r\n\r\nSKU,Name\ntea,Green tea\n\r\n--b--\r\n";
    let judged = manager.post("/console/import", "multipart/form-data; boundary=b", file.to_owned()).await;
    let judged = judged.text().await.unwrap();
    let import = judged.split("/console/import/").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let applied = manager.post(&format!("/console/import/{import}"), FORM, String::new()).await;
    assert_eq!(applied.status(), StatusCode::SEE_OTHER, "{judged}");
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
    while !manager.text(&location(&applied)).await.contains("It is applied.") {
        assert!(tokio::time::Instant::now() < deadline, "it is never applied");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(manager.text("/console/items/tea").await.contains("Green tea"));

    let staff = Visitor::sign_in(&home.api, "staff@example.com").await;
    staff.text("/console").await;
    for path in ["/console/operations", "/console/reports/sales"] {
        assert_eq!(staff.get(path).await.status(), StatusCode::FORBIDDEN, "{path}");
    }

    let out = manager.post("/console/sign-out", FORM, String::new()).await;
    let to = manager.http.get(location(&out)).send().await.unwrap();
    assert_eq!(location(&to), format!("{PUBLIC}/console/signed-out"), "the pool knows where people go");
    assert_eq!(home_without(&home.api).await, StatusCode::SEE_OTHER, "nobody is signed in without a cookie");
    ingress.stop().await;
    worker.stop().await;
}

async fn home_without(api: &str) -> StatusCode {
    let http = Client::builder().redirect(Policy::none()).no_proxy().build().unwrap();
    http.get(format!("{api}/console")).send().await.unwrap().status()
}
