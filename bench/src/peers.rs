//! Sells the same sales on Stockline and on a service of the usual design: Express and PostgreSQL, a transaction and a
//! row lock each (`bench/peers/express`).
#![expect(clippy::print_stdout, reason = "the report is this program's output")]

use std::io::Write as _;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use tempfile::TempDir;

use crate::load::{self, Accepted, Load};
use crate::report::{self, Measured};
use crate::server::{Server, token};

/// The files of the peer, so that this program works from any folder.
const FILES: [(&str, &str); 3] = [
    ("package.json", include_str!("../peers/express/package.json")),
    ("package-lock.json", include_str!("../peers/express/package-lock.json")),
    ("server.mjs", include_str!("../peers/express/server.mjs")),
];
const SCHEMA: &str = include_str!("../peers/express/schema.sql");

/// The programs of PostgreSQL that the peer needs, in one folder.
const POSTGRES: [&str; 4] = ["initdb", "postgres", "pg_isready", "psql"];

/// What a level of the peer has at the start, in thousandths.
const ON_HAND: u64 = 1_000_000_000;
/// How long the peer may take to start.
const START_MAX: Duration = Duration::from_secs(60);

/// Options of `peers`.
#[derive(Debug, Clone, Args)]
pub(crate) struct PeersOptions {
    /// Items that are sold, uniformly
    #[arg(long, default_value_t = 10_000)]
    items: usize,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Keep-alive connections, each with one sale at a time
    #[arg(long, default_value_t = 64)]
    connections: usize,
}

/// Measures both, one after the other, and prints the ratios.
pub(crate) async fn run(options: &PeersOptions) -> Result<()> {
    let programs = Programs::find()?;
    let base = Load {
        address: String::new(),
        token: "none".to_owned(),
        connections: options.connections,
        batch: 1,
        items: options.items,
        duration: Duration::from_secs(options.seconds),
        rate: None,
    };
    let loads = [("single sales", base.clone()), ("one hot item", Load { items: 1, ..base })];
    println!("{:<14} {:<22} {:>9} {:>16} {:>16}", "load", "service", "applied/s", "p50 to applied", "p99 to applied");
    let peer = Peer::start(&programs, options.items)?;
    let mut of_peer = Vec::new();
    for (name, load) in &loads {
        let accepted = load::run(&Load { address: peer.address.clone(), ..load.clone() }).await?;
        line(name, "Express and PostgreSQL", accepted.per_second(), [50.0, 99.0].map(|p| accepted.percentile_ms(p)));
        of_peer.push(accepted);
    }
    drop(peer);
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    crate::fill(&data, options.items, 0).await?;
    let server = Server::start(&data)?;
    let till = token(&data, &["--till", "bench", "--ttl", "1d"])?;
    for ((name, load), peer) in loads.iter().zip(&of_peer) {
        let load = Load { address: server.address.clone(), token: till.clone(), ..load.clone() };
        let measured = report::measure(&server, &load).await?;
        line(name, "Stockline", measured.applied_per_s, [50.0, 99.0].map(|p| measured.settle_ms(p)));
        ratio(name, &measured, peer);
    }
    server.stop()
}

fn line(load: &str, service: &str, applied_per_s: f64, [p50, p99]: [f64; 2]) {
    println!("{load:<14} {service:<22} {applied_per_s:>9.0} {p50:>13.1} ms {p99:>13.1} ms");
}

fn ratio(load: &str, measured: &Measured, peer: &Accepted) {
    println!("{load:<14} {:<22} {:>8.1}×", "ratio", measured.applied_per_s / peer.per_second());
}

/// The programs that the peer needs.
#[derive(Debug)]
struct Programs {
    /// The folder of [`POSTGRES`].
    postgres: PathBuf,
}

impl Programs {
    fn find() -> Result<Self> {
        let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        let mut folders: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
        folders.sort();
        let path = std::env::var_os("PATH").unwrap_or_default();
        folders.extend(std::env::split_paths(&path));
        let has_all = |folder: &PathBuf| POSTGRES.iter().all(|program| folder.join(program).exists());
        let Some(postgres) = folders.into_iter().rev().find(has_all) else {
            bail!("the peer needs PostgreSQL: install it (Debian: postgresql), then run this again");
        };
        for program in ["node", "npm"] {
            Command::new(program).arg("--version").stdout(Stdio::null()).status().with_context(|| {
                format!("the peer needs {program}: install it (Debian: nodejs, npm), then run this again")
            })?;
        }
        Ok(Self { postgres })
    }

    /// Returns a command of PostgreSQL. It refuses to run as root, so there it runs as the user of its package.
    fn postgres(&self, program: &str) -> Result<Command> {
        let program = self.postgres.join(program);
        if !is_root()? {
            return Ok(Command::new(program));
        }
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "postgres", "--regid", "postgres", "--clear-groups", "--"]).arg(program);
        Ok(command)
    }
}

fn is_root() -> Result<bool> {
    let id = Command::new("id").arg("-u").output().context("can't run id")?;
    Ok(id.stdout.trim_ascii() == b"0")
}

/// The running peer. It ends when it is dropped, and its folder with it.
#[derive(Debug)]
struct Peer {
    postgres: Child,
    service: Option<Child>,
    /// `host:port` of the service.
    address: String,
    folder: TempDir,
}

impl Peer {
    fn start(programs: &Programs, items: usize) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let database = folder.path().join("database");
        std::fs::create_dir(&database)?;
        if is_root()? {
            run_to_end(Command::new("chown").arg("postgres").arg(folder.path()).arg(&database))?;
        }
        let initdb = ["--auth=trust", "--username=peer", "--encoding=UTF8", "--locale=C", "--no-instructions", "-D"];
        run_to_end(programs.postgres("initdb")?.args(initdb).arg(&database))?;
        let port = free_port()?;
        let mut postgres = programs.postgres("postgres")?;
        postgres.arg("-D").arg(&database).arg("-k").arg(folder.path()).args([
            "-h",
            "127.0.0.1",
            "-p",
            &port.to_string(),
        ]);
        let log = folder.path().join("postgres.log");
        let errors = std::fs::File::create(&log)?;
        let postgres = postgres.stdout(Stdio::null()).stderr(errors).spawn().context("can't start postgres")?;
        let mut peer = Self { postgres, service: None, address: format!("127.0.0.1:{}", free_port()?), folder };
        peer.until("PostgreSQL", || {
            let mut ready = Command::new(programs.postgres.join("pg_isready"));
            ready.args(["-q", "-U", "peer", "-d", "postgres", "-h", "127.0.0.1", "-p", &port.to_string()]);
            ready.status().is_ok_and(|status| status.success())
        })
        .with_context(|| std::fs::read_to_string(&log).unwrap_or_default())?;
        let levels = format!(
            "INSERT INTO level SELECT 'item-' || n, 'main', {ON_HAND}, NULL FROM generate_series(0, {items}) AS n;\nANALYZE;"
        );
        sql(programs, port, &format!("{SCHEMA}\n{levels}"))?;
        peer.serve(port)?;
        Ok(peer)
    }

    fn serve(&mut self, port: u16) -> Result<()> {
        let folder = self.folder.path().join("service");
        std::fs::create_dir(&folder)?;
        for (name, text) in FILES {
            std::fs::write(folder.join(name), text)?;
        }
        run_to_end(Command::new("npm").args(["ci", "--silent"]).current_dir(&folder))?;
        let processes = std::thread::available_parallelism().map_or(1, usize::from);
        let service = Command::new("node")
            .arg("server.mjs")
            .current_dir(&folder)
            .env("NODE_ENV", "production")
            .env("PEER_PROCESSES", processes.to_string())
            .env("PEER_POSTGRES_PORT", port.to_string())
            .env("PEER_LISTEN", &self.address)
            .stdout(Stdio::null())
            .spawn()
            .context("can't start node")?;
        self.service = Some(service);
        let address = self.address.clone();
        self.until("the peer", || Server::get(&address, "/readyz").is_some_and(|(status, _)| status == 200))
    }

    /// Polls until something answers; nothing signals that another program is ready.
    fn until(&self, what: &str, ready: impl Fn() -> bool) -> Result<()> {
        let deadline = Instant::now() + START_MAX;
        while !ready() {
            if Instant::now() > deadline {
                bail!("{what} was not ready within {} s", START_MAX.as_secs());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        for (child, signal) in [(self.service.as_mut(), "-TERM"), (Some(&mut self.postgres), "-INT")] {
            let Some(child) = child else { continue };
            // It may have ended by itself.
            let _ = Command::new("kill").arg(signal).arg(child.id().to_string()).status();
            let _ = child.wait();
        }
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Runs SQL, all of it in one transaction.
fn sql(programs: &Programs, port: u16, text: &str) -> Result<()> {
    let mut psql = Command::new(programs.postgres.join("psql"));
    psql.args(["-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-U", "peer", "-p", &port.to_string(), "postgres"]);
    let mut psql = psql.stdin(Stdio::piped()).spawn().context("can't run psql")?;
    psql.stdin.take().context("psql has no input")?.write_all(text.as_bytes())?;
    if !psql.wait()?.success() {
        bail!("psql failed");
    }
    Ok(())
}

fn run_to_end(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("can't run {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
