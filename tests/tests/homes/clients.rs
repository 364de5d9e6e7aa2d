//! Generates clients of the API with the generators that people use. Each client sells, sends the sale again, sends a batch,
//! polls, reads a list page by page and meets a problem on a real server.
//!
//! TypeScript is compiled with `--strict`; Go, Java and PHP with what Debian has. C#, Dart, Kotlin and Swift are only
//! generated: their compilers, or the libraries of their clients, are not in Debian.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use stockline_deploy_checks::python::assert_ran;
use stockline_deploy_checks::{node, python};
use stockline_tests::process::{Server, audit, with_id};
use tempfile::TempDir;

const REQUIREMENTS: &str = include_str!("../../clients/requirements.txt");

/// The languages whose clients are generated, with a type for each command.
const GENERATED: [&str; 7] = ["csharp", "dart", "go", "java", "kotlin", "php", "swift6"];

/// Where Debian keeps the sources of libraries in Go.
const GO_LIBRARIES: &str = "/usr/share/gocode";

/// The options with which openapi-generator makes clients of a language; docs/till.md names them.
fn options_of(language: &str) -> Value {
    match language {
        "go" => json!({"enumClassPrefix": true, "useOneOfDiscriminatorLookup": true, "packageName": "stockline"}),
        // Both need no library but Jackson.
        "java" => json!({"library": "native", "openApiNullable": false}),
        _ => json!({}),
    }
}

/// A folder with the tools, the programs of `tests/clients` and the document of a server.
struct Workshop {
    folder: TempDir,
    python: PathBuf,
}

impl Workshop {
    async fn of(server: &Server) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clients = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients");
        for entry in std::fs::read_dir(clients).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
        let document = server.get("/openapi.json").await;
        std::fs::write(folder.path().join("openapi.json"), document.to_string()).unwrap();
        std::fs::create_dir(folder.path().join("made")).unwrap();
        Self { folder, python: python::environment("clients", REQUIREMENTS) }
    }

    /// Adds the Node packages.
    fn with_node(self) -> Self {
        let manifest = include_str!("../../clients/package.json");
        let packages = node::packages("clients", manifest, include_str!("../../clients/package-lock.json"));
        std::os::unix::fs::symlink(packages.join("node_modules"), self.path("node_modules")).unwrap();
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, mut command: Command, what: &str) -> Output {
        let output = command.current_dir(self.folder.path()).output();
        let output = output.unwrap_or_else(|error| panic!("{what} can't be started: {error}"));
        assert_ran(&output, what);
        output
    }

    fn node(&self, script: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new("node");
        command.arg(self.path(script)).args(arguments);
        self.run(command, script)
    }

    /// Generates clients with openapi-generator into `made`, and fails if it warns of anything.
    fn generate(&self, languages: &[&str]) {
        let mut command = Command::new(self.python.with_file_name("openapi-generator-cli"));
        command.args(["batch", "--threads", "2", "--fail-fast"]);
        for language in languages {
            let config = self.path(&format!("{language}.json"));
            let made = self.path("made").join(language);
            let options = json!({
                "generatorName": language, "inputSpec": self.path("openapi.json"), "outputDir": made,
                "additionalProperties": options_of(language),
            });
            std::fs::write(&config, options.to_string()).unwrap();
            command.arg(config);
        }
        let output = self.run(command, "openapi-generator, which needs Java 11 or later (openjdk-17-jre-headless),");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        for sign in ["WARN", "ERROR", "Exception"] {
            assert!(!said.contains(sign), "openapi-generator says:\n{said}");
        }
    }

    /// Compiles the client in Go, and returns it. Its package is found where Go looks for those outside of modules.
    fn go(&self) -> Command {
        let package = self.path("gopath/src/stockline");
        std::fs::create_dir_all(&package).unwrap();
        for file in files_below(&self.path("made/go"), "go") {
            if file.parent() == Some(&self.path("made/go")) {
                std::fs::copy(&file, package.join(file.file_name().unwrap())).unwrap();
            }
        }
        let mut build = Command::new("go");
        build.args(["build", "-o", "till_in_go", "openapi_generator_go.go"]);
        build.env("GO111MODULE", "off").env("GOPATH", format!("{}:{GO_LIBRARIES}", self.path("gopath").display()));
        self.run(build, "go (golang-go and golang-gopkg-validator.v2-dev)");
        Command::new(self.path("till_in_go"))
    }

    /// Compiles the client in Java, and returns it. The jar of openapi-generator has Jackson in it.
    fn java(&self) -> Command {
        let mut place = Command::new(&self.python);
        place.args(["-c", "import openapi_generator_cli; print(openapi_generator_cli.__path__[0])"]);
        let place = String::from_utf8(self.run(place, "python").stdout).unwrap();
        let jar = Path::new(place.trim()).join("openapi-generator.jar");
        let mut build = Command::new("javac");
        build.args(["-nowarn", "-Xlint:none", "-d", "java_classes", "-cp"]).arg(&jar);
        build.args(["Generated.java", "OpenapiGeneratorJava.java"]);
        build.args(files_below(&self.path("made/java/src/main"), "java"));
        self.run(build, "javac (default-jdk-headless)");
        let mut client = Command::new("java");
        client.arg("-cp").arg(format!("{}:{}", self.path("java_classes").display(), jar.display()));
        client.arg("OpenapiGeneratorJava");
        client
    }

    /// Checks every file of the client in PHP, and returns the client.
    fn php(&self) -> Command {
        for file in files_below(&self.path("made/php/lib"), "php") {
            let mut check = Command::new("php");
            check.arg("-l").arg(file);
            self.run(check, "php (php-cli, php-curl, php-mbstring and php-guzzlehttp-guzzle)");
        }
        let mut client = Command::new("php");
        client.arg(self.path("openapi_generator_php.php"));
        client
    }

    /// Runs a client as a till.
    fn sell(&self, server: &Server, mut client: Command, name: &str) {
        client.env("STOCKLINE_URL", &server.url);
        client.env("STOCKLINE_TOKEN", server.token(&["--till", name]));
        let said = self.run(client, name).stdout;
        assert!(String::from_utf8_lossy(&said).contains("met a problem"), "{name} has ended early");
    }
}

/// Starts a server that has an item for each of these clients.
async fn shop(data: &TempDir, clients: &[&str]) -> Server {
    let server = Server::start(data.path(), &[]).await;
    for client in clients {
        let item = format!("of/{client} #1");
        for command in [
            json!({"type": "register_item", "item_id": item, "name": client, "decimals": 1, "unit_cost": "0.41"}),
            json!({"type": "receive", "item_id": item, "quantity": "24", "unit_cost": "0.41"}),
        ] {
            assert_eq!(server.settle(with_id(command)).await["status"], "applied");
        }
    }
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_is_clean_for_redocly_and_spectral() {
    let data = tempfile::tempdir().unwrap();
    let workshop = Workshop::of(&shop(&data, &[]).await).await.with_node();
    workshop.node("lint.mjs", &["openapi.json"]);

    let path = workshop.path("openapi.json");
    let mut document: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    document["paths"]["/v1/items"]["get"]["operationId"] = "list_levels".into();
    std::fs::write(path, document.to_string()).unwrap();
    let fault = Command::new("node").arg("lint.mjs").arg("openapi.json").current_dir(workshop.folder.path()).output();
    let fault = fault.unwrap();
    let said = String::from_utf8_lossy(&fault.stdout);
    assert!(!fault.status.success() && said.contains("redocly: ") && said.contains("spectral: "), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_in_typescript_compile_strictly_and_work() {
    let data = tempfile::tempdir().unwrap();
    let names = ["openapi-typescript", "hey-api", "typescript-fetch", "typescript-axios"];
    let server = shop(&data, &names).await;
    let workshop = Workshop::of(&server).await.with_node();
    let made = "made/openapi_typescript.ts";
    workshop.node("node_modules/openapi-typescript/bin/cli.js", &["openapi.json", "-o", made]);
    let options = ["-i", "openapi.json", "-o", "made/hey_api", "-p", "@hey-api/client-fetch", "@hey-api/typescript"];
    workshop.node("node_modules/@hey-api/openapi-ts/bin/run.js", &[&options[..], &["@hey-api/sdk"]].concat());
    workshop.generate(&["typescript-fetch", "typescript-axios"]);
    workshop.node("node_modules/typescript/bin/tsc", &[]);
    for name in names {
        let mut client = Command::new("node");
        client.arg(workshop.path("out").join(name.replace('-', "_")).with_extension("js"));
        workshop.sell(&server, client, name);
    }
    audit(&server.stop());
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_in_python_work() {
    let data = tempfile::tempdir().unwrap();
    let names = ["openapi-python-client", "openapi-generator"];
    let server = shop(&data, &names).await;
    let workshop = Workshop::of(&server).await;
    let mut generator = Command::new(workshop.python.with_file_name("openapi-python-client"));
    generator.args(["generate", "--path", "openapi.json", "--output-path", "made/till_client", "--meta", "none"]);
    generator.args(["--config", "openapi_python_client.json", "--fail-on-warning"]);
    workshop.run(generator, "openapi-python-client");
    workshop.generate(&["python"]);
    for (name, script) in names.iter().zip(["openapi_python_client.py", "openapi_generator_python.py"]) {
        let mut client = Command::new(&workshop.python);
        client.arg(workshop.path(script));
        client.env(
            "PYTHONPATH",
            format!("{}:{}", workshop.path("made").display(), workshop.path("made/python").display()),
        );
        workshop.sell(&server, client, name);
    }
    audit(&server.stop());
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_in_go_java_and_php_compile_and_work() {
    let data = tempfile::tempdir().unwrap();
    let names = ["go", "java", "php"];
    let server = shop(&data, &names).await;
    let workshop = Workshop::of(&server).await;
    workshop.generate(&names);
    for (name, client) in names.into_iter().zip([workshop.go(), workshop.java(), workshop.php()]) {
        workshop.sell(&server, client, name);
    }
    audit(&server.stop());
}

/// Returns the files with this extension below a folder.
fn files_below(folder: &Path, extension: &str) -> Vec<PathBuf> {
    all_below(folder).into_iter().filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
}

fn all_below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { all_below(&path) } else { vec![path] }).collect()
}

/// Returns the names of all files below a folder, without their case and their separators.
fn names_below(folder: &Path) -> Vec<String> {
    let name = |path: PathBuf| path.file_stem().unwrap().to_string_lossy().to_lowercase().replace(['_', '-'], "");
    all_below(folder).into_iter().map(name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_language_gets_a_type_for_each_command_and_none_without_a_name() {
    let data = tempfile::tempdir().unwrap();
    let workshop = Workshop::of(&shop(&data, &[]).await).await;
    workshop.generate(&GENERATED);
    for language in GENERATED {
        let names = names_below(&workshop.path("made").join(language));
        for of in
            ["registeritem", "updateitem", "archiveitem", "restoreitem", "setthreshold", "receive", "sell", "return"]
                .into_iter()
                .chain(["adjust", "count", "transfer"])
        {
            assert!(names.iter().any(|name| name.contains(&format!("{of}command"))), "{language}: {of}");
        }
        let unnamed = ["inline", "oneof", "anyof", "allof"];
        let anonymous = names.iter().find(|name| unnamed.iter().any(|sign| name.ends_with(sign)));
        assert_eq!(anonymous, None, "{language}");
    }
}
