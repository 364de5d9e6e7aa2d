//! HTTPS with a certificate of the shop's own authority.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::server::{Ran, Server};

fn made(folder: &Path, names: &[&str]) {
    let mut words = vec!["tls", "self-signed", "--out", folder.to_str().unwrap()];
    words.extend(names.iter().flat_map(|name| ["--name", name]));
    let text = Ran::of(&words).ok().stdout;
    for part in ["--tls-cert", "Trust ca.pem", "update-ca-certificates", "until 20", "localhost"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_shops_own_certificate_is_trusted_by_its_authority_and_renewed_without_a_restart() {
    let home = tempfile::tempdir().unwrap();
    let (used, other) = (home.path().join("used"), home.path().join("other"));
    made(&used, &["shop.lan"]);
    made(&other, &[]);
    let path = |folder: &Path, name: &str| folder.join(name).to_str().unwrap().to_owned();
    let (cert, key) = (path(&used, "server.pem"), path(&used, "server.key"));
    let server = Server::start(&["--tls-cert", &cert, "--tls-key", &key]);
    assert!(server.said("API").starts_with("https://127.0.0.1:"), "{}", server.welcome);
    let by = |authority: &str| server.run(&["stock", "--ca-cert", authority]);
    let (before, after) = (path(&used, "ca.pem"), path(&other, "ca.pem"));
    by(&before).ok();
    by(&after).refused(3, "certificate");

    for name in ["server.key", "server.pem"] {
        std::fs::copy(other.join(name), used.join(name)).unwrap();
    }
    let deadline = Instant::now() + Duration::from_secs(60);
    while by(&after).code != 0 {
        assert!(Instant::now() < deadline, "{:?}", by(&after));
    }
    by(&before).refused(3, "certificate");
}

#[test]
fn a_certificate_that_can_not_be_used_is_refused_before_anything_is_created() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    let nothing = home.path().join("nothing.pem");
    std::fs::write(&nothing, "").unwrap();
    let nothing = nothing.to_str().unwrap();
    let words =
        ["--data", data.to_str().unwrap(), "--listen", "127.0.0.1:0", "--tls-cert", nothing, "--tls-key", nothing];
    Ran::of(&words).refused(1, "holds no certificate");
    assert!(!data.exists());
}
