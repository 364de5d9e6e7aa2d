//! Rules of our Dockerfiles that hadolint does not check.

use serde_json::Value;

/// The only files of the build stage and of the repository that an image may contain besides its program.
const FILES: [(&str, &str); 2] = [
    ("--from=build /etc/ssl/certs/ca-certificates.crt", "/etc/ssl/certs/ca-certificates.crt"),
    ("deploy/image/nsswitch.conf", "/etc/nsswitch.conf"),
];
/// The folder of the build stage's programs.
const PROGRAMS: &str = "--from=build /stockline/target/*/release/";
const LABELS: [&str; 7] = ["title", "description", "licenses", "version", "revision", "created", "source"];
/// Words that mark a secret.
const SECRETS: [&str; 5] = ["secret", "token", "password", "credential", "_key"];

/// An instruction: its word in capitals, and the rest on one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instruction {
    /// `FROM`, `RUN`, …
    pub word: String,
    /// The rest, with single spaces.
    pub rest: String,
}

/// Returns the instructions of a Dockerfile, with joined lines and without comments.
pub fn instructions(text: &str) -> Vec<Instruction> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#') && !line.is_empty());
    let joined = lines.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
    let instruction = |line: &str| {
        let mut words = line.split_whitespace();
        let word = words.next().unwrap_or_default().to_uppercase();
        Instruction { word, rest: words.collect::<Vec<_>>().join(" ") }
    };
    joined.lines().map(instruction).collect()
}

/// Returns the build stages, which both files share.
pub fn shared(text: &str) -> Vec<Instruction> {
    instructions(text)
        .into_iter()
        .take_while(|instruction| instruction.rest.split(' ').next() != Some("scratch"))
        .collect()
}

/// Returns the faults of the Dockerfile of this program.
pub fn faults(text: &str, program: &str, rust: &str, version: &str) -> Vec<String> {
    let all = instructions(text);
    let last_from = all.iter().rposition(|instruction| instruction.word == "FROM").unwrap_or_default();
    let mut faults = Vec::new();
    bases(&all, rust, &mut faults);
    builds(&all, &mut faults);
    secrets(&all, &mut faults);
    image(&all[last_from..], program, version, &mut faults);
    faults
}

/// Checks that each stage is based on scratch, on an earlier stage, or on the Rust version of the workspace.
fn bases(all: &[Instruction], rust: &str, faults: &mut Vec<String>) {
    let mut names = vec!["scratch"];
    for from in all.iter().filter(|instruction| instruction.word == "FROM") {
        let words: Vec<&str> = from.rest.split(' ').collect();
        let tag = words[0].strip_prefix("rust:").unwrap_or_default();
        if !names.contains(&words[0]) && !tag.starts_with(&format!("{rust}-")) {
            faults.push(format!("FROM {}: is neither scratch, a stage nor rust:{rust}-…", words[0]));
        }
        names.extend(words.get(2));
    }
}

/// Checks that cargo builds with the lock file, and that the cooked dependencies are those of the build.
fn builds(all: &[Instruction], faults: &mut Vec<String>) {
    let runs = all.iter().filter(|instruction| instruction.word == "RUN");
    let commands: Vec<&str> = runs.flat_map(|run| run.rest.split("&&")).map(str::trim).collect();
    for command in commands.iter().filter(|command| command.starts_with("cargo")) {
        let words: Vec<&str> = command.split(' ').collect();
        if !words.contains(&"--locked") && !command.starts_with("cargo chef prepare") {
            faults.push(format!("{command}: is not locked"));
        }
        if words.windows(2).any(|pair| pair == ["--target", "host-tuple"]) {
            faults.push(format!("{command}: cargo chef looks for a folder target/host-tuple, and cargo makes none"));
        }
        if words.contains(&"install") && !words.contains(&"--version") {
            faults.push(format!("{command}: takes any version"));
        }
    }
    let arguments = |of: &str| {
        let command = commands.iter().find_map(|command| command.strip_prefix(of));
        command.map(|arguments| arguments.replace(" --recipe-path recipe.json", ""))
    };
    if arguments("cargo chef cook").is_none() || arguments("cargo chef cook") != arguments("cargo build") {
        faults.push("cargo chef cook and cargo build must have the same arguments".to_owned());
    }
    if !all.iter().any(|instruction| instruction.word == "ENV" && instruction.rest.contains("+crt-static")) {
        faults.push("the C library is not linked in".to_owned());
    }
}

fn secrets(all: &[Instruction], faults: &mut Vec<String>) {
    for instruction in all {
        let name = instruction.rest.split('=').next().unwrap_or_default().to_lowercase();
        let sets = matches!(instruction.word.as_str(), "ARG" | "ENV");
        if sets && SECRETS.iter().any(|secret| name.contains(secret))
            || instruction.rest.contains("--mount=type=secret")
        {
            faults.push(format!("{} {name}: a build needs no secret", instruction.word));
        }
        if instruction.word == "ADD" {
            faults.push(format!("ADD {}: COPY says what it does", instruction.rest));
        }
    }
}

/// Checks that the last stage has one program and only the files that it needs.
fn image(stage: &[Instruction], program: &str, version: &str, faults: &mut Vec<String>) {
    const WORDS: [&str; 8] = ["FROM", "ARG", "LABEL", "COPY", "USER", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT"];
    let mut wrong = |fault: String| faults.push(format!("the image: {fault}"));
    for instruction in stage.iter().filter(|instruction| !WORDS.contains(&instruction.word.as_str())) {
        wrong(format!("{} has no place in it", instruction.word));
    }
    let rests = |word: &str| -> Vec<&str> {
        stage
            .iter()
            .filter(|instruction| instruction.word == word)
            .map(|instruction| instruction.rest.as_str())
            .collect()
    };
    if rests("FROM") != ["scratch"] {
        wrong("is not made from scratch".to_owned());
    }
    let mut copies: Vec<String> = FILES.iter().map(|(from, to)| format!("{from} {to}")).collect();
    copies.push(format!("{PROGRAMS}{program} /{program}"));
    if rests("COPY") != copies {
        wrong(format!("must have just these files: {copies:?}"));
    }
    let numeric = |id: &str| id.parse::<u32>().is_ok_and(|id| id > 0);
    let users = rests("USER");
    if users.len() != 1 || !users[0].split_once(':').is_some_and(|(user, group)| numeric(user) && numeric(group)) {
        wrong(format!("USER must be one numeric user:group, and not root: {users:?}"));
    }
    if !matches!(rests("ENTRYPOINT")[..], [entry] if exec_form(entry) == Some(vec![format!("/{program}")])) {
        wrong("ENTRYPOINT must be the program, in exec form".to_owned());
    }
    let probe =
        rests("HEALTHCHECK").first().and_then(|check| check.split_once(" CMD ")).and_then(|(_, cmd)| exec_form(cmd));
    if probe != Some(vec![format!("/{program}"), "probe".to_owned()]) {
        wrong("HEALTHCHECK must be the program's probe, in exec form".to_owned());
    }
    let labels = rests("LABEL").join(" ");
    for label in LABELS.iter().filter(|label| !labels.contains(&format!("org.opencontainers.image.{label}="))) {
        wrong(format!("has no label {label}"));
    }
    if !rests("ARG").contains(&format!("VERSION={version}").as_str()) {
        wrong(format!("its version is not the workspace's, {version}"));
    }
}

fn exec_form(text: &str) -> Option<Vec<String>> {
    let Ok(Value::Array(words)) = serde_json::from_str(text) else {
        return None;
    };
    words.iter().map(|word| word.as_str().map(str::to_owned)).collect()
}
