//! Tests the Debian package in a clean Debian: installed over a folder of an older version, started as its unit says,
//! upgraded, removed and purged.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use rusqlite::Connection;
use stockline_deploy_checks::programs::repository;
use stockline_tests::debian::{Debian, debian_tests, packages};
use stockline_tests::process::{Server, signal};

const UNIT: &str = "/usr/lib/systemd/system/stockline.service";
const BACKUP_UNIT: &str = "/usr/lib/systemd/system/stockline-backup-now.service";
const SETTINGS: &str = "/etc/default/stockline";
const DATA: &str = "var/lib/stockline";
/// What systemd-analyze calls the exposure of a unit, times ten. Its own word for up to 50 is "MEDIUM", up to 20 "OK".
const EXPOSURE_MAX: u32 = 20;

#[path = "../../../common/sqlite/src/stock/tests/older.rs"]
mod older;

/// Returns what a unit says after `key=`.
fn setting(unit: &str, key: &str) -> String {
    let line = unit.lines().find_map(|line| line.strip_prefix(&format!("{key}="))).unwrap();
    line.to_owned()
}

/// Returns the line that runs a unit's program as systemd does: its settings read by root, then as its user.
fn start_of(debian: &Debian, unit: &str) -> String {
    let unit = debian.read(unit);
    let user = setting(&unit, "User");
    let settings = setting(&unit, "EnvironmentFile").trim_start_matches('-').to_owned();
    format!(
        "set -a; . {settings}; set +a; umask {}; exec setpriv --reuid={user} --regid={user} --init-groups --no-new-privs \
         --bounding-set=-all --inh-caps=-all {}",
        setting(&unit, "UMask"),
        setting(&unit, "ExecStart")
    )
}

/// The service in the Debian. It is killed when dropped.
struct Service(Child);

impl Service {
    fn start(debian: &Debian) -> Self {
        let mut child = debian.command(&start_of(debian, UNIT)).stdout(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        while !line.contains("is ready") {
            line.clear();
            assert!(out.read_line(&mut line).unwrap() > 0, "the service ended: {:?}", child.wait());
        }
        std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
        Self(child)
    }

    fn stop(mut self) {
        signal(self.0.id(), "TERM");
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs the command line as the package's users are told to.
fn stockline(debian: &Debian, words: &str) -> String {
    debian.ok(&format!(
        "setpriv --reuid=stockline --regid=stockline --init-groups stockline {words} --data /var/lib/stockline"
    ))
}

/// Makes what a shop has that has run an older version by hand, as root: a folder with stock, a user and a unit.
async fn older_shop(debian: &Debian) {
    let server = Server::start(&debian.path(DATA), &[]).await;
    server.stock_up("cola", "10").await;
    server.stop();
    let stock = Connection::open(debian.path(DATA).join("stock.db")).unwrap();
    older::back_to(3, &stock);
    drop(stock);
    debian.ok("useradd --system stockline");
    std::fs::write(debian.path("/etc/systemd/system/stockline.service"), "[Service]\nExecStart=/bin/false\n").unwrap();
}

/// Returns the names of the backups, oldest first.
fn backups(debian: &Debian) -> Vec<String> {
    let files = std::fs::read_dir(debian.path("/var/backups/stockline")).unwrap();
    let mut names: Vec<_> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn the_package_takes_an_older_shop_over_sells_is_upgraded_and_never_deletes_stock() {
    if !debian_tests() {
        return;
    }
    let [package, newer] = packages();
    let debian = Debian::clean();
    older_shop(&debian).await;

    let told = debian.install(package);
    assert!(told.contains("/etc/systemd/system/stockline.service takes precedence"), "{told}");
    let settings = debian.ok(&format!("stat -c '%a %U' {SETTINGS}"));
    assert_eq!(settings.trim(), "600 root", "it may hold a password");
    let own = format!("{}STOCKLINE_LISTEN=127.0.0.1:0\nBACKUP_KEEP=2\n", debian.read(SETTINGS));
    std::fs::write(debian.path(SETTINGS), &own).unwrap();

    let service = Service::start(&debian);
    assert!(debian.path(DATA).join("stock.db.v3.bak").exists(), "the older stock is copied before it is migrated");
    stockline(&debian, "submit sell --item cola --quantity 3");
    assert!(stockline(&debian, "history cola").contains("sell"));
    for older in ["2024-01-31T021500Z", "2025-01-31T021500Z"] {
        std::fs::write(debian.path(&format!("/var/backups/stockline/stockline-{older}.tar")), "").unwrap();
    }
    debian.ok(&start_of(&debian, BACKUP_UNIT));
    let kept = backups(&debian);
    assert!(kept.len() == 2 && kept[0].contains("2025-01-31"), "as many are kept as BACKUP_KEEP says: {kept:?}");
    service.stop();

    debian.install(newer);
    assert_eq!(debian.read(SETTINGS), own, "an upgrade leaves the owner's settings alone");
    let service = Service::start(&debian);
    let sold = stockline(&debian, "submit sell --item cola --quantity 1");
    assert!(sold.contains("6 on hand"), "{sold}");
    service.stop();

    debian.ok("dpkg --remove stockline");
    assert!(!debian.path("/usr/bin/stockline").exists());
    assert_eq!(debian.read(SETTINGS), own);
    debian.install(newer);
    let told = debian.ok("dpkg --purge stockline");
    assert!(told.contains("/var/lib/stockline is kept"), "{told}");
    assert!(!debian.path(SETTINGS).exists());
    assert_eq!(backups(&debian), kept);

    debian.install(newer);
    let audited = stockline(&debian, "audit");
    assert!(audited.contains("the ledger explains the stock"), "{audited}");
}

#[test]
fn the_package_of_a_clean_debian_has_a_hardened_unit_pages_completions_and_a_backup_timer() {
    if !debian_tests() {
        return;
    }
    let debian = Debian::clean();
    debian.install(&packages()[0]);
    assert_eq!(
        debian.ok("stat -c '%a %U' /var/lib/stockline /var/backups/stockline").trim(),
        "750 stockline\n750 stockline"
    );
    for unit in ["stockline.service", "stockline-backup.timer"] {
        assert_eq!(debian.ok(&format!("systemctl is-enabled {unit}")).trim(), "enabled");
    }
    let units = format!("{UNIT} {BACKUP_UNIT} /usr/lib/systemd/system/stockline-backup.timer");
    let found = debian.ok(&format!("systemd-analyze verify --man=no {units}"));
    assert_eq!(found, "");
    for unit in ["stockline.service", "stockline-backup-now.service"] {
        debian.ok(&format!("systemd-analyze security --offline=true --threshold={EXPOSURE_MAX} --no-pager {unit}"));
    }
    let page = debian.ok("zcat -f /usr/share/man/man1/stockline-serve.1*");
    assert!(page.contains("STOCKLINE_LISTEN"), "{page}");
    let completed = "bash -c '. /usr/share/bash-completion/completions/stockline && complete -p stockline'";
    assert!(debian.ok(completed).contains("stockline"));
    assert!(debian.path("/usr/share/zsh/vendor-completions/_stockline").exists());
    assert!(debian.path("/usr/share/doc/stockline/shop.md").exists());
    // A new shop begins empty, and the first backup has nothing to do.
    assert!(debian.ok(&start_of(&debian, BACKUP_UNIT)).contains("no stock in /var/lib/stockline yet"));
    let service = Service::start(&debian);
    stockline(&debian, "submit register_item --item cola --name Cola");
    service.stop();
    // Without anything in them, purging deletes the folders.
    let emptied = debian.ok("rm -r /var/lib/stockline/* /var/lib/stockline/.[!.]* 2>/dev/null; dpkg --purge stockline");
    assert!(!debian.path(DATA).exists(), "{emptied}");
}

#[test]
fn every_setting_that_the_package_names_is_one_of_the_programs() {
    let settings = std::fs::read_to_string(repository().join("deploy/debian/stockline.default")).unwrap();
    let options = std::fs::read_to_string(repository().join("docs/command-line.md")).unwrap();
    let backup = std::fs::read_to_string(repository().join("deploy/debian/backup")).unwrap();
    let names: Vec<&str> =
        settings.lines().filter_map(|line| line.strip_prefix('#')?.split_once('=')).map(|(name, _)| name).collect();
    assert!(names.len() >= 9, "{names:?}");
    for name in names {
        let known = if name.starts_with("STOCKLINE_") { &options } else { &backup };
        assert!(known.contains(name), "{name}");
    }
}
