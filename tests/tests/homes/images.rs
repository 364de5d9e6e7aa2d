//! Tests the images as they are deployed. The tests assemble the root file systems from the lines of the Dockerfiles,
//! and run the programs in them without root, without a writable file system and without a shell.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use serde_json::json;
use stockline_deploy_checks::ministack::aws_tests;
use stockline_deploy_checks::programs::repository;
use stockline_deploy_checks::python::assert_ran;
use stockline_tests::aws::{Installation, POLL_EVERY, Program, Programs};
use stockline_tests::cognito;
use stockline_tests::images::{Images, image_tests, is_static, script};
use stockline_tests::process::{PATIENCE, with_id};
use stockline_tests::tls_front::TlsFront;

/// The maximum size of an image. A registry compresses images, so it stores less.
const IMAGE_BYTES_MAX: u64 = 38_000_000;
/// The maximum size of the alerter. AWS Lambda allows 250 MB unpacked, but a start should not read that much.
const ALERTER_BYTES_MAX: u64 = 30_000_000;
/// AWS Lambda's maximum for a zip that is uploaded directly.
const ZIP_BYTES_MAX: usize = 50_000_000;
const USER: &str = "65532";

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

async fn images() -> Images {
    tokio::task::spawn_blocking(Images::assemble).await.unwrap()
}

/// Checks that a program runs as an unprivileged user, can gain no privilege, has a read-only root, and has no
/// mounts except devices.
fn confined(program: &Program) {
    let process = Path::new("/proc").join(program.pid().to_string());
    let status = std::fs::read_to_string(process.join("status")).unwrap();
    let field = |name: &str| -> Vec<&str> {
        let line = status.lines().find_map(|line| line.strip_prefix(&format!("{name}:"))).unwrap();
        line.split_whitespace().collect()
    };
    // Without root the test runs in a user namespace, where the ids differ from the ids outside.
    let inside = std::fs::read_to_string(process.join("uid_map")).unwrap();
    if inside.split_whitespace().next() == Some("0") {
        assert_eq!((field("Uid"), field("Gid")), (vec![USER; 4], vec![USER; 4]));
        assert_eq!(field("Groups"), [""; 0]);
    } else {
        assert_eq!(inside.split_whitespace().next(), Some(USER));
    }
    assert_eq!((field("NoNewPrivs"), field("CapEff")), (vec!["1"], vec!["0000000000000000"]));
    let mounts = std::fs::read_to_string(process.join("mountinfo")).unwrap();
    let mounts: Vec<Vec<&str>> = mounts.lines().map(|line| line.split(' ').collect()).collect();
    let read_only = |place: &str| {
        let mount = mounts.iter().find(|mount| mount[4] == place).unwrap();
        mount[5].split(',').any(|option| option == "ro")
    };
    assert!(read_only("/") && read_only("/dev"), "{mounts:?}");
    let mut others = mounts.iter().filter(|mount| mount[4] != "/" && mount[4] != "/dev");
    assert!(others.all(|mount| mount[4].starts_with("/dev/")), "nothing else is mounted: {mounts:?}");
}

#[tokio::test]
async fn an_image_is_one_small_static_program_for_nobody_and_nothing_else() {
    if !image_tests() {
        return;
    }
    let images = images().await;
    for name in ["ingress", "worker"] {
        let files = images.files(name);
        let paths: Vec<&str> = files.iter().map(|(path, _)| path.as_str()).collect();
        let mut expected = vec!["etc/nsswitch.conf", "etc/ssl/certs/ca-certificates.crt", name];
        expected.sort_unstable();
        assert_eq!(paths, expected);
        let bytes: u64 = files.iter().map(|(_, bytes)| bytes).sum();
        assert!(bytes <= IMAGE_BYTES_MAX, "{name}: {bytes} bytes");
        assert!(is_static(&images.root(name).join(name)), "{name} needs a dynamic linker");

        let version = images.command(name, &format!("/{name}")).arg("--version").output().unwrap();
        assert_eq!(text(&version.stdout), format!("{name} {}\n", env!("CARGO_PKG_VERSION")), "{version:?}");
        for shell in ["/bin/sh", "/bin/bash", "/busybox/sh"] {
            let output = images.command(name, shell).args(["-c", "true"]).output().unwrap();
            assert!(!output.status.success() && text(&output.stderr).contains("No such file"), "{output:?}");
        }
    }
    let alerter = images.files("alerter");
    assert!(
        matches!(&alerter[..], [(path, bytes)] if path == "bootstrap" && *bytes <= ALERTER_BYTES_MAX),
        "{alerter:?}"
    );
    let bootstrap = images.root("alerter").join("bootstrap");
    assert!(is_static(&bootstrap));
    let version = Command::new(bootstrap).arg("--version").output().unwrap();
    assert_eq!(text(&version.stdout), format!("alerter {}\n", env!("CARGO_PKG_VERSION")));
    // The check must also fail: a test binary is linked dynamically.
    assert!(!is_static(&std::env::current_exe().unwrap()));
}

#[test]
fn the_alerter_is_zipped_to_the_same_bytes_each_time() {
    if !image_tests() {
        return;
    }
    let zipped = || {
        let output = script("build-alerter").arg("--zip").output().unwrap();
        assert_ran(&output, "build-alerter");
        std::fs::read(repository().join("deploy/.build/alerter.zip")).unwrap()
    };
    let first = zipped();
    assert!(first == zipped(), "two zips of one program differ");
    assert!(first.len() <= ZIP_BYTES_MAX, "{} bytes", first.len());
    assert!(is_static(&repository().join("deploy/.build/alerter/bootstrap")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_images_serve_work_and_mail_and_a_store_outage_makes_no_container_unhealthy() {
    if !image_tests() || !aws_tests() {
        return;
    }
    let images = images().await;
    let home = Installation::deploy_with(Programs::Images(images)).await;
    let ingress = home.ingress().await;
    let worker = home.worker().await;
    confined(&ingress);
    confined(&worker);

    home.stock_up("cola", "8", Some("5")).await;
    let sale = json!({"type": "sell", "item_id": "cola", "location_id": "main", "quantity": "4"});
    let outcome = home.settle(&home.staff, sale.clone()).await;
    assert_eq!((&outcome["status"], &outcome["effects"][0]["after"]), (&json!("applied"), &json!("4")), "{outcome}");
    let deadline = Instant::now() + PATIENCE;
    while home.server.ses_messages().await.is_empty() {
        assert!(Instant::now() < deadline, "the alert was not mailed:\n{}", home.server.log());
        tokio::time::sleep(POLL_EVERY).await;
    }

    home.store.shut();
    let held_up = home.accept(&home.staff, &with_id(sale)).await;
    let deadline = Instant::now() + PATIENCE;
    while worker.ready().await != Some(false) {
        assert!(Instant::now() < deadline, "the worker did not notice the outage");
        tokio::time::sleep(POLL_EVERY).await;
    }
    for (name, program) in [("ingress", &ingress), ("worker", &worker)] {
        let output = home.probe(name, &program.url).await;
        assert!(output.status.success(), "{name}: {output:?}");
    }
    home.store.open();
    let outcome = home.outcome(&home.staff, held_up["status_url"].as_str().unwrap()).await;
    assert_eq!(outcome["effects"][0]["after"], "0", "{outcome}");

    for (name, program) in [("ingress", ingress), ("worker", worker)] {
        let url = program.url.clone();
        program.stop().await;
        let output = home.probe(name, &url).await;
        assert_eq!(output.status.code(), Some(1), "{name} is gone: {output:?}");
        assert!(text(&output.stderr).contains("does not answer"), "{output:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_images_names_are_found_and_certificates_checked() {
    if !image_tests() || !aws_tests() {
        return;
    }
    let images = images().await;
    let etcs = ["ingress", "worker"].map(|name| images.root(name).join("etc"));
    let home = Installation::deploy_with(Programs::Images(images)).await;
    let front = TlsFront::of(&home.server.url).await;
    // A container engine mounts these files.
    for etc in &etcs {
        std::fs::write(etc.join("hosts"), "127.0.0.1 localhost\n").unwrap();
        std::fs::write(etc.join("resolv.conf"), &front.resolv_conf).unwrap();
    }
    let by_name = [
        ("AWS_ENDPOINT_URL", front.url.clone()),
        ("AWS_ENDPOINT_URL_DYNAMODB", front.url.clone()),
        ("AWS_ENDPOINT_URL_SNS", front.url.clone()),
    ];

    let strange = home.worker_command_with(&["audit"], &by_name).await;
    assert_eq!(strange.status.code(), Some(3), "nobody vouches for the certificate: {strange:?}");
    assert_eq!(front.carried(), 0);
    for etc in &etcs {
        let mut file = File::options().append(true).open(etc.join("ssl/certs/ca-certificates.crt")).unwrap();
        file.write_all(front.certificate_pem.as_bytes()).unwrap();
    }
    let trusted = home.worker_command_with(&["audit"], &by_name).await;
    assert!(trusted.status.success(), "{trusted:?}");

    let keys = cognito::jwks_url(&home.server, &home.stack).replace(&home.server.url, &front.url);
    let mut change = by_name.to_vec();
    change.push(("STOCKLINE_JWKS_URL", keys));
    let before = front.carried();
    let ingress = home.ingress_with(&change).await;
    let item = json!({"type": "register_item", "item_id": "cola", "name": "Cola"});
    home.accept(&home.manager, &with_id(item)).await;
    assert!(front.carried() > before, "keys and queue are behind the name");
    ingress.stop().await;
}
