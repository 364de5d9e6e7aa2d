//! Checks the text of the Dockerfiles and shell scripts with rules of our own, hadolint and shellcheck.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use stockline_deploy_checks::dockerfile::{faults, instructions, shared};
use stockline_deploy_checks::programs::{binary, repository};
use stockline_deploy_checks::python;

const PROGRAMS: [&str; 2] = ["ingress", "worker"];

fn read(path: &str) -> String {
    std::fs::read_to_string(repository().join(path)).unwrap()
}

fn dockerfile(program: &str) -> String {
    read(&format!("Dockerfile.{program}"))
}

/// Returns the text between quotes after `key = ` in a manifest.
fn quoted(text: &str, key: &str) -> String {
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{key} = "))).unwrap();
    line.trim_matches('"').to_owned()
}

fn our_faults(text: &str, program: &str) -> Vec<String> {
    faults(text, program, &quoted(&read("rust-toolchain.toml"), "channel"), &quoted(&read("Cargo.toml"), "version"))
}

fn linter(name: &str) -> Command {
    let python = python::environment("linters", include_str!("../../../linters/requirements.txt"));
    Command::new(python.with_file_name(name))
}

fn hadolint(text: &str) -> Output {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    linter("hadolint").args(["--no-color", "--failure-threshold", "style"]).arg(file.path()).output().unwrap()
}

/// Returns every shell script of the repository. It finds them by their first line, so that no new script is forgotten.
fn shell_scripts() -> Vec<PathBuf> {
    let folders =
        [".ci", "deploy", "deploy/debian"].map(|folder| std::fs::read_dir(repository().join(folder)).unwrap());
    let files = folders.into_iter().flatten().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    let is_script = |path: &PathBuf| {
        let text = std::fs::read(path).unwrap();
        text.starts_with(b"#!") && text.split(|byte| *byte == b'\n').next().unwrap().ends_with(b"sh")
    };
    files.filter(is_script).collect()
}

#[test]
fn the_dockerfiles_keep_our_rules() {
    for program in PROGRAMS {
        assert_eq!(our_faults(&dockerfile(program), program), [""; 0], "Dockerfile.{program}");
    }
}

#[test]
fn each_of_our_rules_refuses_what_it_is_against() {
    let text = dockerfile("ingress");
    for (from, to, fault) in [
        ("FROM rust:1.95.0-slim-bookworm", "FROM rust:latest", "neither scratch, a stage nor rust:"),
        ("FROM rust:1.95.0-slim-bookworm", "FROM rust:1.94.0-slim-bookworm", "neither scratch, a stage nor rust:"),
        ("FROM scratch", "FROM debian:bookworm-slim", "is not made from scratch"),
        ("FROM scratch", "FROM build", "is not made from scratch"),
        ("cargo build --locked", "cargo build", "is not locked"),
        ("cargo chef cook --locked", "cargo chef cook", "is not locked"),
        ("--target \"$(rustc --print host-tuple)\"", "--target host-tuple", "and cargo makes none"),
        ("cargo-chef --version 0.1.78 --locked", "cargo-chef --version 0.1.78", "is not locked"),
        ("cargo-chef --version 0.1.78", "cargo-chef", "takes any version"),
        ("cook --locked --release", "cook --locked", "must have the same arguments"),
        ("ENV RUSTFLAGS=\"-C target-feature=+crt-static\"", "", "the C library is not linked in"),
        ("ARG REVISION", "ARG REGISTRY_TOKEN\nARG REVISION", "a build needs no secret"),
        ("RUN cargo build", "RUN --mount=type=secret,id=netrc cargo build", "a build needs no secret"),
        ("COPY . .", "ADD . .", "COPY says what it does"),
        ("USER 65532:65532", "USER root", "not root"),
        ("USER 65532:65532", "USER 0:0", "not root"),
        ("USER 65532:65532", "USER stockline", "not root"),
        ("USER 65532:65532", "", "not root"),
        ("ENTRYPOINT [\"/ingress\"]", "ENTRYPOINT /ingress", "in exec form"),
        ("ENTRYPOINT [\"/ingress\"]", "ENTRYPOINT [\"/bin/sh\", \"-c\", \"/ingress\"]", "must be the program"),
        ("CMD [\"/ingress\", \"probe\"]", "CMD curl -f localhost:8080/healthz", "the program's probe"),
        (
            "COPY deploy/image/nsswitch.conf",
            "COPY --from=build /bin/sh /bin/sh\nCOPY deploy/image/nsswitch.conf",
            "just these",
        ),
        ("COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt", "", "just these"),
        ("EXPOSE 8080", "RUN [\"/ingress\", \"--version\"]", "RUN has no place"),
        ("EXPOSE 8080", "ENV STOCKLINE_ENV=test", "ENV has no place"),
        ("org.opencontainers.image.revision=", "revision=", "no label revision"),
        ("ARG VERSION=0.1.0", "ARG VERSION", "is not the workspace's"),
    ] {
        // The earlier stages may contain the same line, so the change goes to the last one.
        let at = text.rfind(from).unwrap_or_else(|| panic!("{from} is in Dockerfile.ingress"));
        let changed = format!("{}{to}{}", &text[..at], &text[at + from.len()..]);
        let found = our_faults(&changed, "ingress");
        assert!(found.iter().any(|found| found.contains(fault)), "{from} → {to}: {found:?}");
    }
}

#[test]
fn what_both_build_is_the_same_so_that_it_is_built_once() {
    let [ingress, worker] = PROGRAMS.map(dockerfile);
    assert_eq!(shared(&ingress), shared(&worker));
    assert!(shared(&ingress).iter().any(|instruction| instruction.rest.starts_with("cargo build ")));
}

#[test]
fn hadolint_finds_nothing_and_would() {
    for program in PROGRAMS {
        let text = dockerfile(program);
        python::assert_ran(&hadolint(&text), program);
        let output = hadolint(&text.replace("rust:1.95.0-slim-bookworm AS", "rust:latest AS"));
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(!output.status.success() && said.contains("DL3007"), "{said}");
    }
}

#[test]
fn shellcheck_finds_nothing_and_would() {
    let scripts = shell_scripts();
    for known in ["deploy/image-root", "deploy/debian/postinst"] {
        assert!(scripts.contains(&repository().join(known)), "{scripts:?}");
    }
    python::assert_ran(&linter("shellcheck").args(&scripts).output().unwrap(), "shellcheck");
    let bad = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(bad.path(), "#!/bin/sh\nrm -rf $1/*\n").unwrap();
    let output = linter("shellcheck").arg(bad.path()).output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().contains("SC2086"));
}

#[test]
fn the_ports_that_are_exposed_are_those_that_the_programs_listen_on() {
    for (program, variable) in [("ingress", "STOCKLINE_LISTEN"), ("worker", "STOCKLINE_HEALTH_LISTEN")] {
        let help = Command::new(binary(program)).arg("--help").output().unwrap();
        let help = String::from_utf8(help.stdout).unwrap();
        let line = help.lines().find(|line| line.trim_start().starts_with(&format!("{variable} "))).unwrap();
        let instructions = instructions(&dockerfile(program));
        let port = &instructions.iter().find(|instruction| instruction.word == "EXPOSE").unwrap().rest;
        assert!(line.ends_with(&format!("[default: 0.0.0.0:{port}]")), "{port}: {line}");
    }
}

#[test]
fn a_builder_is_given_every_manifest_of_the_workspace_and_nothing_that_is_not_named() {
    let ignore = read(".dockerignore");
    let patterns: Vec<&str> = ignore.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(patterns[0], "*", "what is not named stays out");
    let manifest = read("Cargo.toml");
    let members = manifest.lines().find_map(|line| line.strip_prefix("members = ")).unwrap();
    let members: Vec<String> = serde_json::from_str(members).unwrap();
    for path in
        members.iter().map(String::as_str).chain(["Cargo.toml", "Cargo.lock", ".cargo", "deploy/image", "docs/till.md"])
    {
        let mut named = Path::new(path).ancestors().filter_map(Path::to_str);
        assert!(named.any(|path| patterns.contains(&format!("!{path}").as_str())), "{path} is ignored");
    }
    for path in ["target", ".git", "stockline-data", "deploy/.build"] {
        assert!(!patterns.contains(&format!("!{path}").as_str()), "{path}");
    }
}
