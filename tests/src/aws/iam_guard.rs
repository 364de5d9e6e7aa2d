use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use tokio::net::TcpListener;

use stockline_deploy_checks::iam::{Access, Call, Roles};

/// Idle connections are closed after this time, before the stand-in closes them.
const IDLE: Duration = Duration::from_secs(1);

/// A proxy before the AWS stand-in that allows a program what its role allows, and records the calls. It knows the
/// caller by the access key, which is the name of the program.
#[derive(Debug)]
pub struct Guard {
    /// `http://127.0.0.1:port`, of every service.
    pub url: String,
    gate: Arc<Gate>,
}

/// The recorded calls.
#[derive(Debug, Clone, Default)]
pub struct Recorded {
    /// The allowed accesses of each program, by their [kinds](Access::kind).
    pub accesses: BTreeMap<String, BTreeSet<Access>>,
    /// The refused calls, in words.
    pub refused: BTreeSet<String>,
}

#[derive(Debug)]
struct Gate {
    server: String,
    http: reqwest::Client,
    roles: OnceLock<Roles>,
    recorded: Mutex<Recorded>,
}

impl Guard {
    /// Starts a guard before the server at this address. It refuses every call until it knows the roles.
    pub async fn before(server: &str) -> Self {
        let http = client();
        let gate = Gate { server: server.to_owned(), http, roles: OnceLock::new(), recorded: Mutex::default() };
        let gate = Arc::new(gate);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(pass).layer(DefaultBodyLimit::disable()).with_state(Arc::clone(&gate));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, gate }
    }

    /// Sets the roles and allows what they allow.
    pub fn enforce(&self, roles: Roles) {
        self.gate.roles.set(roles).unwrap();
    }

    /// Returns the roles that it enforces.
    pub fn roles(&self) -> &Roles {
        self.gate.roles.get().unwrap()
    }

    /// Returns the calls that were recorded so far.
    pub fn recorded(&self) -> Recorded {
        self.gate.recorded.lock().unwrap().clone()
    }
}

/// The client that forwards the requests.
pub(crate) fn client() -> reqwest::Client {
    reqwest::Client::builder().pool_idle_timeout(IDLE).build().unwrap()
}

impl Drop for Guard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            use std::io::Write as _;
            let _ = writeln!(std::io::stderr(), "refused: {:#?}", self.recorded().refused);
        }
    }
}

async fn pass(State(gate): State<Arc<Gate>>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (program, service) = signed_by(header(AUTHORIZATION.as_str()));
    let line = format!("{method} {}", uri.path());
    let call = Call { service, target: header("x-amz-target"), line: &line, body: &body };
    match gate.judge(program, &call) {
        Ok(()) => forward(&gate.http, &gate.server, method, &uri, headers, body).await,
        Err(why) => {
            gate.recorded.lock().unwrap().refused.insert(why.clone());
            refusal(service, &why)
        }
    }
}

/// Returns the access key and the service of a call.
pub(crate) fn signed_by(authorization: &str) -> (&str, &str) {
    let scope = authorization.split_once("Credential=").map_or("", |(_, rest)| rest);
    let mut parts = scope.split(['/', ',']);
    (parts.next().unwrap_or_default(), parts.nth(2).unwrap_or_default())
}

impl Gate {
    /// Records an allowed call, or returns why it is refused.
    fn judge(&self, program: &str, call: &Call<'_>) -> Result<(), String> {
        let policy = self.roles.get().and_then(|roles| roles.of(program));
        let policy = policy.ok_or_else(|| format!("{program:?} has no role, and calls {}", call.service))?;
        let accesses = call.accesses().and_then(|each| Ok([each, call.accesses_together()?].concat()));
        let accesses = accesses.map_err(|unknown| format!("{program} makes an unknown call: {}", unknown.0))?;
        for access in &accesses {
            if !policy.allows(access) {
                let Access { action, resource, context } = access;
                return Err(format!("{program} may not {action} on {resource} with {context:?}"));
            }
        }
        let kinds = accesses.into_iter().map(Access::kind);
        self.recorded.lock().unwrap().accesses.entry(program.to_owned()).or_default().extend(kinds);
        Ok(())
    }
}

/// Forwards a request unchanged to the server at this address, and returns its answer.
pub(crate) async fn forward(
    http: &reqwest::Client,
    server: &str,
    method: Method,
    uri: &Uri,
    mut headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    for of_the_connection in [HOST, CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
        headers.remove(of_the_connection);
    }
    let request = http.request(method, format!("{server}{path}")).headers(headers).body(body);
    let Ok(answer) = request.send().await else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    let (status, mut headers) = (answer.status(), answer.headers().clone());
    for of_the_connection in [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
        headers.remove(of_the_connection);
    }
    match answer.bytes().await {
        Ok(body) => (status, headers, body).into_response(),
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}

/// Returns the refusal as the service itself would answer it.
fn refusal(service: &str, why: &str) -> Response {
    let status = if service == "dynamodb" { StatusCode::BAD_REQUEST } else { StatusCode::FORBIDDEN };
    if service == "sns" {
        let error = "<Type>Sender</Type><Code>AuthorizationError</Code><Message>refused</Message>";
        let body = format!("<ErrorResponse><Error>{error}</Error></ErrorResponse>");
        return (status, [("content-type", "text/xml")], body).into_response();
    }
    let body = serde_json::json!({"__type": "AccessDeniedException", "message": why}).to_string();
    let headers = [("content-type", "application/x-amz-json-1.0"), ("x-amzn-errortype", "AccessDeniedException")];
    (status, headers, body).into_response()
}
