//! The AWS home as it runs: the deployed stack, real `ingress` and `worker` processes, the real alerter as its function.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::cognito;
use crate::iam::Guard;
use crate::images::Images;
use crate::ministack::{self, Ministack, free_port, random_id};
use crate::process::{PATIENCE, signal, with_id};
use crate::stack::{self, STACK_VISIBILITY_S, Stack};
use crate::weather::Weather;

/// How often something is looked at that is waited for.
pub const POLL_EVERY: Duration = Duration::from_millis(50);
/// Signs the receipts; 32 bytes in hexadecimal.
const RECEIPT_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// A deployed program, built by `cargo test --workspace` because its package has integration tests.
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().and_then(Path::parent).unwrap().join(name);
    assert!(path.exists(), "no {}: run cargo build --workspace first", path.display());
    path
}

/// A way to a service that can be shut: an outage of just that service.
#[derive(Debug)]
pub struct Valve {
    /// `http://127.0.0.1:port`
    pub url: String,
    open: watch::Sender<bool>,
    broken: Arc<AtomicUsize>,
}

impl Valve {
    /// An open way to the server at this address.
    pub async fn to(url: &str) -> Self {
        let target: SocketAddr = url.trim_start_matches("http://").parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (open, state) = watch::channel(true);
        let broken = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&broken);
        tokio::spawn(async move {
            while let Ok((inward, _)) = listener.accept().await {
                tokio::spawn(carry(inward, target, state.clone(), Arc::clone(&count)));
            }
        });
        Self { url, open, broken }
    }

    /// How many connections an outage broke or did not take.
    pub fn broken(&self) -> usize {
        self.broken.load(Ordering::SeqCst)
    }

    /// Breaks every connection and takes no new one.
    pub fn shut(&self) {
        self.open.send_replace(false);
    }

    /// As before the outage.
    pub fn open(&self) {
        self.open.send_replace(true);
    }
}

async fn carry(mut inward: TcpStream, target: SocketAddr, mut open: watch::Receiver<bool>, broken: Arc<AtomicUsize>) {
    let carried = async {
        let mut outward = TcpStream::connect(target).await?;
        tokio::io::copy_bidirectional(&mut inward, &mut outward).await
    };
    tokio::select! {
        biased;
        _ = open.wait_for(|open| !open) => {
            broken.fetch_add(1, Ordering::SeqCst);
        }
        _ = carried => {}
    }
}

/// A running program; killed when dropped.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    /// `http://127.0.0.1:port`: the API of the ingress, the health of a worker.
    pub url: String,
    log: PathBuf,
}

impl Program {
    /// Starts it by this command and waits until it says that it is ready.
    async fn start(name: &str, mut command: Command, port: u16, variables: &[(&str, String)], folder: &Path) -> Self {
        let log = folder.join(format!("{name}-{port}.log"));
        let append = |path: &Path| File::options().create(true).append(true).open(path).unwrap();
        let told = append(&log.with_extension(stack::TOLD));
        let child = command
            .env_clear()
            .envs(variables.iter().map(|(variable, value)| (*variable, value)))
            .stdin(Stdio::null())
            .stdout(told)
            .stderr(append(&log))
            .spawn()
            .unwrap();
        let mut program = Self { name: name.to_owned(), child, url: format!("http://127.0.0.1:{port}"), log };
        let deadline = Instant::now() + PATIENCE;
        while program.ready().await != Some(true) {
            if let Some(status) = program.child.try_wait().unwrap() {
                panic!("{name} ended with {status} before it was ready:\n{}", program.log());
            }
            assert!(Instant::now() < deadline, "{name} was not ready in time:\n{}", program.log());
            tokio::time::sleep(POLL_EVERY).await;
        }
        program
    }

    /// What `/readyz` says; `None` where nobody answers.
    pub async fn ready(&self) -> Option<bool> {
        let answer = reqwest::get(format!("{}/readyz", self.url)).await.ok()?;
        Some(answer.status().is_success())
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by its name, `STOP` or `CONT`.
    pub fn signal(&self, name: &str) {
        signal(self.pid(), name);
    }

    /// SIGKILL: no chance to finish anything.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM; it must end with exit code 0.
    pub async fn stop(mut self) {
        assert!(Command::new("kill").arg(self.child.id().to_string()).status().unwrap().success());
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "{} did not end in time:\n{}", self.name, self.log());
            tokio::time::sleep(POLL_EVERY).await;
        };
        assert!(status.success(), "{} ended with {status} after SIGTERM:\n{}", self.name, self.log());
    }

    /// What it logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Already ended where it was stopped or killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            use std::io::Write as _;
            let _ = writeln!(std::io::stderr(), "log of {} at {}:\n{}", self.name, self.url, self.log());
        }
    }
}

/// Where the programs come from.
#[derive(Debug, Default)]
pub enum Programs {
    /// As `cargo test` builds them.
    #[default]
    Tested,
    /// From their images.
    Images(Images),
}

impl Programs {
    fn command(&self, name: &str) -> Command {
        match self {
            Self::Tested => Command::new(binary(name)),
            Self::Images(images) => images.command(name, &format!("/{name}")),
        }
    }

    fn alerter(&self) -> PathBuf {
        match self {
            Self::Tested => binary("alerter"),
            Self::Images(images) => images.root("alerter").join("bootstrap"),
        }
    }
}

/// Everything that a company has on AWS, and tokens of those who use it.
#[derive(Debug)]
pub struct Installation {
    /// The stand-in.
    pub server: Ministack,
    /// What is deployed on it.
    pub stack: Stack,
    /// Before it: lets each program do what its role allows.
    pub guard: Guard,
    /// Before that, where it was asked for: may be rough to whatever calls.
    pub weather: Option<Weather>,
    /// The way of ingress and workers to the store.
    pub store: Valve,
    /// The way of the workers to the alert topic.
    pub topic: Valve,
    /// `http://127.0.0.1:port` of the API, the same after a restart.
    pub api: String,
    /// An access token in the group Manager.
    pub manager: String,
    /// An access token in the group Staff.
    pub staff: String,
    /// An access token of the tills, with scopes `stockline/commands` and `stockline/read`.
    pub till: String,
    api_port: u16,
    http: reqwest::Client,
    programs: Programs,
    /// Where the programs find AWS.
    endpoint: String,
}

impl Installation {
    /// Deploys the stack and signs everybody in; no process runs yet.
    pub async fn deploy() -> Self {
        Self::deploy_with(Programs::Tested).await
    }

    /// As [`Installation::deploy`], with these programs.
    pub async fn deploy_with(programs: Programs) -> Self {
        Self::deploy_under(programs, None).await
    }

    /// As [`Installation::deploy`], and what the programs call may meet a weather of this seed, which begins calm.
    pub async fn deploy_under_weather(seed: u64) -> Self {
        Self::deploy_under(Programs::Tested, Some(seed)).await
    }

    async fn deploy_under(programs: Programs, weather: Option<u64>) -> Self {
        let server = Ministack::start().await;
        let guard = Guard::before(&server.url).await;
        let weather = match weather {
            Some(seed) => Some(Weather::before(&guard.url, seed).await),
            None => None,
        };
        let endpoint = weather.as_ref().map_or(&guard.url, |weather| &weather.url).clone();
        let told = server.folder().join("alerter").with_extension(stack::TOLD);
        let alerter = format!(
            "export AWS_ENDPOINT_URL='{}' AWS_ACCESS_KEY_ID=alerter\nexec '{}' >>'{}'",
            endpoint,
            programs.alerter().display(),
            told.display()
        );
        let stack = Stack::deploy(&server, Some(&alerter)).await;
        guard.enforce(stack.roles());
        let store = Valve::to(&endpoint).await;
        let topic = Valve::to(&endpoint).await;
        let manager = cognito::person(&server, &stack, "manager@example.com", &["Manager"]).await;
        let staff = cognito::person(&server, &stack, "staff@example.com", &["Staff"]).await;
        let till = cognito::machine(&server, &stack, &["stockline/commands", "stockline/read"]).await;
        let api_port = free_port();
        let http = reqwest::Client::builder().timeout(PATIENCE).build().unwrap();
        let api = format!("http://127.0.0.1:{api_port}");
        Self {
            server,
            stack,
            guard,
            weather,
            store,
            topic,
            api,
            manager,
            staff,
            till,
            api_port,
            http,
            programs,
            endpoint,
        }
    }

    /// Starts an ingress at [`Installation::api`].
    pub async fn ingress(&self) -> Program {
        self.ingress_with(&[]).await
    }

    /// As [`Installation::ingress`], with these variables besides or instead.
    pub async fn ingress_with(&self, change: &[(&'static str, String)]) -> Program {
        let mut variables = self.variables("ingress");
        variables.extend([
            ("STOCKLINE_LISTEN", format!("127.0.0.1:{}", self.api_port)),
            ("STOCKLINE_ISSUER", self.stack.output("Issuer").to_owned()),
            ("STOCKLINE_JWKS_URL", cognito::jwks_url(&self.server, &self.stack)),
            (
                "STOCKLINE_CLIENT_IDS",
                format!("{},{}", self.stack.output("PeopleClient"), self.stack.output("TillsClient")),
            ),
            ("STOCKLINE_LOGIN_URL", self.server.url.clone()),
            ("STOCKLINE_LOGIN_CLIENT_ID", self.stack.output("PeopleClient").to_owned()),
            ("STOCKLINE_RECEIPT_KEYS", RECEIPT_KEY.to_owned()),
        ]);
        variables.extend_from_slice(change);
        let command = self.programs.command("ingress");
        Program::start("ingress", command, self.api_port, &variables, self.server.folder()).await
    }

    /// Starts a worker.
    pub async fn worker(&self) -> Program {
        let port = free_port();
        let mut variables = self.worker_variables();
        variables.push(("STOCKLINE_HEALTH_LISTEN", format!("127.0.0.1:{port}")));
        Program::start("worker", self.programs.command("worker"), port, &variables, self.server.folder()).await
    }

    /// Runs a subcommand of the worker to its end.
    pub async fn worker_command(&self, arguments: &[&str]) -> Output {
        self.worker_command_with(arguments, &[]).await
    }

    /// As [`Installation::worker_command`], with these variables besides or instead.
    pub async fn worker_command_with(&self, arguments: &[&str], change: &[(&'static str, String)]) -> Output {
        let mut variables = self.worker_variables();
        variables.extend_from_slice(change);
        let mut command = self.programs.command("worker");
        command.args(arguments).env_clear().envs(variables);
        tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap()
    }

    /// What its container's health check says of the program of this name at this address.
    pub async fn probe(&self, name: &str, url: &str) -> Output {
        let variable = if name == "ingress" { "STOCKLINE_LISTEN" } else { "STOCKLINE_HEALTH_LISTEN" };
        let mut command = self.programs.command(name);
        command.arg("probe").env_clear().env(variable, url.trim_start_matches("http://"));
        tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap()
    }

    fn worker_variables(&self) -> Vec<(&'static str, String)> {
        let mut variables = self.variables("worker");
        variables.extend([
            ("STOCKLINE_TOPIC_ARN", self.stack.output("TopicArn").to_owned()),
            ("STOCKLINE_DLQ_URL", self.stack.output("DlqUrl").to_owned()),
            ("STOCKLINE_VISIBILITY_S", STACK_VISIBILITY_S.to_string()),
        ]);
        variables
    }

    /// In the name of this program.
    fn variables(&self, program: &str) -> Vec<(&'static str, String)> {
        let mut variables = ministack::environment(&self.endpoint, program);
        variables.extend([
            ("AWS_ENDPOINT_URL_DYNAMODB", self.store.url.clone()),
            ("AWS_ENDPOINT_URL_SNS", self.topic.url.clone()),
            ("STOCKLINE_ENV", "test".to_owned()),
            ("STOCKLINE_TABLE", self.stack.output("Table").to_owned()),
            ("STOCKLINE_QUEUE_URL", self.stack.output("QueueUrl").to_owned()),
        ]);
        variables
    }

    /// One request with a token: status and body, or that the connection failed.
    pub async fn send(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> reqwest::Result<(u16, Value)> {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.http.request(method, format!("{}{path}", self.api)).bearer_auth(token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await?;
        let status = response.status().as_u16();
        Ok((status, serde_json::from_slice(&response.bytes().await?).unwrap_or(Value::Null)))
    }

    /// Sends a command that must be accepted; the answer of the 202.
    pub async fn accept(&self, token: &str, command: &Value) -> Value {
        let (status, answer) = self.send(token, "POST", "/v1/commands", Some(command)).await.unwrap();
        assert_eq!(status, 202, "{answer}");
        answer
    }

    /// Sends a command and waits for its outcome.
    pub async fn settle(&self, token: &str, command: Value) -> Value {
        let accepted = self.accept(token, &with_id(command)).await;
        self.outcome(token, accepted["status_url"].as_str().unwrap()).await
    }

    /// Waits at a status address for the outcome.
    pub async fn outcome(&self, token: &str, status_url: &str) -> Value {
        let path = status_url.strip_prefix(&self.api).unwrap_or(status_url);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (status, answer) = self.send(token, "GET", path, None).await.unwrap();
            assert!(matches!(status, 200 | 503), "GET {path}: {status} {answer}");
            if status == 200 && answer["status"] != "queued" {
                return answer;
            }
            assert!(Instant::now() < deadline, "no outcome in time: {answer}");
            tokio::time::sleep(POLL_EVERY).await;
        }
    }

    /// A GET by the Manager that must succeed.
    pub async fn get(&self, path: &str) -> Value {
        let (status, body) = self.send(&self.manager, "GET", path, None).await.unwrap();
        assert_eq!(status, 200, "GET {path}: {body}");
        body
    }

    /// Puts any body into the command queue, as the group of an item.
    pub async fn queue(&self, item_id: &str, body: &str) {
        self.queue_at(self.stack.output("QueueUrl"), item_id, body).await;
    }

    /// Puts any body into that queue.
    pub async fn queue_at(&self, queue_url: &str, item_id: &str, body: &str) {
        let sqs = self.server.clients().sqs;
        let message = sqs.send_message().queue_url(queue_url).message_group_id(item_id);
        message.message_deduplication_id(random_id().to_string()).message_body(body).send().await.unwrap();
    }

    /// Registers an item and receives `quantity` of it at `main`.
    pub async fn stock_up(&self, item_id: &str, quantity: &str, threshold: Option<&str>) {
        let register = json!({
            "type": "register_item", "item_id": item_id, "name": item_id,
            "low_stock_threshold": threshold, "unit_cost": "1.25",
        });
        let receive = json!({"type": "receive", "item_id": item_id, "location_id": "main", "quantity": quantity});
        for command in [register, receive] {
            let outcome = self.settle(&self.manager, command).await;
            assert_eq!(outcome["status"], "applied", "{outcome}");
        }
    }

    /// The lines that programs and alerter wrote to standard output: their metrics.
    pub fn told(&self) -> Vec<String> {
        let files = std::fs::read_dir(self.server.folder()).unwrap().map(|file| file.unwrap().path());
        let told = files.filter(|file| file.extension().is_some_and(|extension| extension == stack::TOLD));
        told.flat_map(|file| std::fs::read_to_string(file).unwrap().lines().map(str::to_owned).collect::<Vec<_>>())
            .collect()
    }

    /// The whole ledger of an item, oldest first.
    pub async fn ledger(&self, item_id: &str) -> Vec<Value> {
        let mut movements = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = self.get(&format!("/v1/items/{item_id}/movements?limit=1000{cursor}")).await;
            movements.extend(page["movements"].as_array().unwrap().iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        movements.reverse();
        movements
    }
}

/// A quantity of the API in thousandths.
pub fn decimal(quantity: &Value) -> i64 {
    let text = quantity.as_str().unwrap();
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}{part:0<3}").parse().unwrap()
}
