//! An operator's shell: the AWS command line and the scripts of `deploy/`, against the stand-in.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::ministack::{ACCESS_KEY_ID, Ministack, REGION, SECRET_ACCESS_KEY};
use crate::python::environment;
use crate::templates;

const AWS: &str = include_str!("../awscli.txt");

/// Returns a command that runs a program of `deploy/` or the AWS command line in an operator's environment.
pub fn operator(program: &Path, server: &Ministack) -> Command {
    let tools = environment("awscli", AWS);
    let mut command = Command::new(program);
    command
        .current_dir(templates::folder())
        .env_clear()
        .env("PATH", format!("{}:/usr/bin:/bin", tools.parent().unwrap().display()))
        .env("HOME", server.folder())
        .env("LANG", "C.UTF-8")
        .env("AWS_PAGER", "")
        .env("AWS_ENDPOINT_URL", &server.url)
        .env("AWS_DEFAULT_REGION", REGION)
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY);
    command
}

/// Returns the AWS command line.
pub fn command_line() -> PathBuf {
    environment("awscli", AWS).with_file_name("aws")
}

/// Returns a command that runs `deploy/drill` with these arguments. What it keeps is in the stand-in's folder.
pub fn drill(server: &Ministack, arguments: &[&str]) -> Command {
    let mut command = operator(Path::new("/usr/bin/env"), server);
    command.arg("python3").arg(templates::folder().join("drill")).args(arguments).current_dir(server.folder());
    command
}
