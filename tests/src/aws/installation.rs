use std::process::Output;

use super::Guard;
use super::{Program, Programs, Valve};
use crate::cognito;
use crate::flaky_network::FlakyNetwork;
use crate::process::PATIENCE;
use crate::stack::{self, STACK_VISIBILITY_S, Stack};
use stockline_deploy_checks::ministack::{self, Ministack, free_port};
use stockline_service::testing::Collector;

/// The key that signs the receipts: 32 bytes in hexadecimal.
const RECEIPT_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// Everything that a company has on AWS, and the tokens of its users.
#[derive(Debug)]
pub struct Installation {
    /// The stand-in.
    pub server: Ministack,
    /// The deployed stack.
    pub stack: Stack,
    /// The proxy that allows each program what its role allows.
    pub guard: Guard,
    /// The flaky network before the proxy, if the test needs one.
    pub network: Option<FlakyNetwork>,
    /// The collector of the programs' spans.
    pub collector: Collector,
    /// The valve between the store and ingress and workers.
    pub store: Valve,
    /// The valve between the alert topic and the workers.
    pub topic: Valve,
    /// `http://127.0.0.1:port` of the API. A restart keeps it.
    pub api: String,
    /// An access token in the group Manager.
    pub manager: String,
    /// An access token in the group Staff.
    pub staff: String,
    /// An access token of the tills, with scopes `stockline/commands` and `stockline/read`.
    pub till: String,
    api_port: u16,
    pub(super) http: reqwest::Client,
    programs: Programs,
    /// The address at which the programs find AWS.
    endpoint: String,
}

impl Installation {
    /// Deploys the stack and signs all users in. No process runs yet.
    pub async fn deploy() -> Self {
        Self::deploy_with(Programs::Tested).await
    }

    /// Does the same as [`Installation::deploy`] with these programs.
    pub async fn deploy_with(programs: Programs) -> Self {
        Self::deploy_under(programs, None).await
    }

    /// Does the same as [`Installation::deploy`] with a flaky network before the stand-in, which begins calm. The seed
    /// decides its faults.
    pub async fn deploy_on_flaky_network(seed: u64) -> Self {
        Self::deploy_under(Programs::Tested, Some(seed)).await
    }

    async fn deploy_under(programs: Programs, network: Option<u64>) -> Self {
        let server = Ministack::start().await;
        let guard = Guard::before(&server.url).await;
        let network = match network {
            Some(seed) => Some(FlakyNetwork::before(&guard.url, seed).await),
            None => None,
        };
        let endpoint = network.as_ref().map_or(&guard.url, |network| &network.url).clone();
        let stdout = server.folder().join("alerter").with_extension(stack::STDOUT);
        let alerter = format!(
            "export AWS_ENDPOINT_URL='{}' AWS_ACCESS_KEY_ID=alerter\nexec '{}' >>'{}'",
            endpoint,
            programs.alerter().display(),
            stdout.display()
        );
        let collector = Collector::start();
        let stack = Stack::deploy(&server, Some((&alerter, &collector.url))).await;
        guard.enforce(stack.roles());
        let store = Valve::to(&endpoint).await;
        let topic = Valve::to(&endpoint).await;
        let manager = cognito::person(&server, &stack, "manager@example.com", &["Manager"]).await;
        let staff = cognito::person(&server, &stack, "staff@example.com", &["Staff"]).await;
        let till = cognito::machine(&server, &stack, &["stockline/commands", "stockline/read"]).await;
        let api_port = free_port();
        let http = reqwest::Client::builder().timeout(PATIENCE).build().unwrap();
        let api = format!("http://127.0.0.1:{api_port}");
        let home = Self {
            server,
            stack,
            guard,
            network,
            collector,
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
        };
        home.register_tills().await;
        home
    }

    /// Registers the tills' client as the runbook does, but from a worker's place, because no ingress runs yet.
    async fn register_tills(&self) {
        let client = self.stack.output("TillsClient");
        let words =
            ["clients", "put", client, "--name", "Tills", "--right", "commands", "--right", "read", "--everywhere"];
        let put = self.worker_command(&words).await;
        assert!(put.status.success(), "{}", String::from_utf8_lossy(&put.stderr));
    }

    /// Starts an ingress at [`Installation::api`].
    pub async fn ingress(&self) -> Program {
        self.ingress_with(&[]).await
    }

    /// Does the same as [`Installation::ingress`]; these variables are added or replace others.
    pub async fn ingress_with(&self, change: &[(&'static str, String)]) -> Program {
        self.ingress_at(self.api_port, change).await
    }

    /// Starts a further ingress, at an address of its own.
    pub async fn ingress_beside(&self, change: &[(&'static str, String)]) -> Program {
        self.ingress_at(free_port(), change).await
    }

    async fn ingress_at(&self, port: u16, change: &[(&'static str, String)]) -> Program {
        let mut variables = self.variables("ingress");
        variables.extend([
            ("STOCKLINE_LISTEN", format!("127.0.0.1:{port}")),
            ("STOCKLINE_ISSUER", self.stack.output("Issuer").to_owned()),
            ("STOCKLINE_JWKS_URL", cognito::jwks_url(&self.server, &self.stack)),
            ("STOCKLINE_CLIENT_IDS", self.stack.output("PeopleClient").to_owned()),
            ("STOCKLINE_LOGIN_URL", self.server.url.clone()),
            ("STOCKLINE_LOGIN_CLIENT_ID", self.stack.output("PeopleClient").to_owned()),
            ("STOCKLINE_RECEIPT_KEYS", RECEIPT_KEY.to_owned()),
        ]);
        variables.extend_from_slice(change);
        let command = self.programs.command("ingress");
        Program::start("ingress", command, port, &variables, self.server.folder()).await
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

    /// Does the same as [`Installation::worker_command`]; these variables are added or replace others.
    pub async fn worker_command_with(&self, arguments: &[&str], change: &[(&'static str, String)]) -> Output {
        let mut variables = self.worker_variables();
        variables.extend_from_slice(change);
        let mut command = self.programs.command("worker");
        command.args(arguments).env_clear().envs(variables);
        tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap()
    }

    /// Runs the container's health check for the program of this name at this address.
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

    /// Returns the environment of this program, with its name as the access key.
    fn variables(&self, program: &str) -> Vec<(&'static str, String)> {
        let mut variables = ministack::environment(&self.endpoint, program);
        variables.extend([
            ("AWS_ENDPOINT_URL_DYNAMODB", self.store.url.clone()),
            ("AWS_ENDPOINT_URL_SNS", self.topic.url.clone()),
            ("STOCKLINE_ENV", "test".to_owned()),
            ("STOCKLINE_OTLP_ENDPOINT", self.collector.url.clone()),
            ("STOCKLINE_TABLE", self.stack.output("Table").to_owned()),
            ("STOCKLINE_QUEUE_URL", self.stack.output("QueueUrl").to_owned()),
        ]);
        variables
    }

    /// Returns the lines that programs and alerter wrote to standard output, which are their metrics.
    pub fn emf_lines(&self) -> Vec<String> {
        let files = std::fs::read_dir(self.server.folder()).unwrap().map(|file| file.unwrap().path());
        let stdout = files.filter(|file| file.extension().is_some_and(|extension| extension == stack::STDOUT));
        stdout
            .flat_map(|file| std::fs::read_to_string(file).unwrap().lines().map(str::to_owned).collect::<Vec<_>>())
            .collect()
    }
}
