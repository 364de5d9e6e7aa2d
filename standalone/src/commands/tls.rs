//! `tls self-signed`: an authority of the shop's own, and the server's certificate from it.

use std::collections::BTreeSet;
use std::fs::DirBuilder;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use jiff::civil::Date;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use stockline_core::domain::Timestamp;
use stockline_core::ports::Clock as _;
use stockline_service::{SystemClock, output};
use stockline_sqlite::keep_owner;

use crate::args::TlsCommand;
use crate::exit::{self, Usage};
use crate::files::{self, PUBLIC, SECRET};
use crate::folder::Folder;
use crate::host;

/// How long the authority is valid.
const AUTHORITY_DAYS: i64 = 3_650;
/// The time before now at which a certificate begins to be valid: clocks of clients may be behind.
const BACK_DAYS: i64 = 2;
/// An address of the range for documentation: connecting a UDP socket to it sends nothing, and shows the address that this
/// machine has in its network.
const ELSEWHERE: (Ipv4Addr, u16) = (Ipv4Addr::new(192, 0, 2, 1), 9);

const CERTIFICATE: &str = "CERTIFICATE";
const PRIVATE_KEY: &str = "PRIVATE KEY";

/// The files of a folder.
struct Files {
    folder: PathBuf,
}

impl Files {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn put(&self, name: &str, text: &str, mode: u32) -> anyhow::Result<()> {
        files::write_atomic(&self.path(name), text.as_bytes(), mode)
    }
}

/// Runs `stockline tls`.
pub(crate) fn tls(command: &TlsCommand) -> anyhow::Result<u8> {
    let TlsCommand::SelfSigned(args) = command;
    let names = names(&args.names)?;
    let folder = args.out.clone().unwrap_or_else(|| Folder::at(&args.data.data).tls());
    create(&folder)?;
    let (files, now) = (Files { folder }, SystemClock.now());
    let (authority, is_new) = authority(&files, now)?;
    let until = issue(&files, &authority, &names, now, args.days)?;
    output::line(text(&files.folder, &names, &until.to_string(), is_new))?;
    Ok(exit::OK)
}

/// Creates the folder and what is above it, readable only by the owner.
fn create(folder: &Path) -> anyhow::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let created = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    created.and_then(|()| keep_owner(folder)).with_context(|| format!("can't create {}", folder.display()))
}

/// Opens the authority of the folder, or makes one.
fn authority(files: &Files, now: Timestamp) -> anyhow::Result<((String, Issuer<'static, KeyPair>), bool)> {
    let found = (files::read_if_exists(&files.path("ca.pem"))?, files::read_if_exists(&files.path("ca.key"))?);
    match found {
        (Some(pem), Some(key)) => {
            let damaged = || {
                let folder = files.folder.display();
                format!(
                    "ca.pem and ca.key in {folder} can't be used: move them away, and every client must trust the new ones"
                )
            };
            let key = PrivatePkcs8KeyDer::from_pem_slice(key.as_bytes()).with_context(damaged)?;
            let key = KeyPair::try_from(&key).with_context(damaged)?;
            let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).with_context(damaged)?;
            let issuer = Issuer::from_ca_cert_der(&certificate, key).with_context(damaged)?;
            Ok(((pem, issuer), false))
        }
        (None, None) => {
            let key = KeyPair::generate().context("can't make a key")?;
            let mut params = CertificateParams::default();
            let name = format!("Stockline at {}", host::own_name().unwrap_or_else(|| "this shop".to_owned()));
            params.distinguished_name = rcgen::DistinguishedName::new();
            params.distinguished_name.push(DnType::CommonName, name);
            params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
            valid_for(&mut params, now, AUTHORITY_DAYS)?;
            let made = params.self_signed(&key).context("can't make the authority")?;
            let pem = files::pem(CERTIFICATE, made.der());
            // The key goes first: an authority without its key could never renew anything.
            files.put("ca.key", &files::pem(PRIVATE_KEY, key.serialized_der()), SECRET)?;
            files.put("ca.pem", &pem, PUBLIC)?;
            Ok(((pem, Issuer::new(params, key)), true))
        }
        (None, Some(_)) => {
            bail!("{} has ca.key and no ca.pem: put it back, or move ca.key away", files.folder.display())
        }
        (Some(_), None) => {
            bail!("{} has ca.pem and no ca.key: put it back, or move ca.pem away", files.folder.display())
        }
    }
}

/// Writes the server's certificate with its authority behind it, and its key. Returns until when it is valid.
fn issue(
    files: &Files,
    (authority, issuer): &(String, Issuer<'static, KeyPair>),
    names: &BTreeSet<String>,
    now: Timestamp,
    days: u16,
) -> anyhow::Result<Date> {
    let mut params = CertificateParams::new(names.iter().cloned().collect::<Vec<_>>())
        .map_err(|error| Usage(format!("--name: {error}")))?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Stockline");
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let until = valid_for(&mut params, now, i64::from(days))?;
    let key = KeyPair::generate().context("can't make a key")?;
    let made = params.signed_by(&key, issuer).context("can't make the certificate")?;
    let pem = files::pem(CERTIFICATE, made.der());
    // A running server takes the new pair when it is complete.
    files.put("server.key", &files::pem(PRIVATE_KEY, key.serialized_der()), SECRET)?;
    files.put("server.pem", &format!("{pem}{authority}"), PUBLIC)?;
    Ok(until)
}

/// Sets from when and until when a certificate is valid; returns the last day.
fn valid_for(params: &mut CertificateParams, now: Timestamp, days: i64) -> anyhow::Result<Date> {
    let now = jiff::Timestamp::from_millisecond(now.as_millis())?.to_zoned(jiff::tz::TimeZone::UTC).date();
    let day = |days: i64| now.checked_add(jiff::Span::new().days(days)).context("the clock is wrong");
    let at = |date: Date| date_time_ymd(date.year().into(), date.month().unsigned_abs(), date.day().unsigned_abs());
    let (from, until) = (day(-BACK_DAYS)?, day(days - BACK_DAYS)?);
    (params.not_before, params.not_after) = (at(from), at(until));
    Ok(until)
}

/// Returns the names of the certificate: the given ones, else those of this machine, and the loopback's in any case.
fn names(given: &[String]) -> Result<BTreeSet<String>, Usage> {
    let mut names: BTreeSet<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into();
    if given.is_empty() {
        if let Some(host) = host::own_name() {
            names.insert(format!("{}.local", host.split('.').next().unwrap_or(&host)));
            names.insert(host);
        }
        names.extend(own_address().map(|address| address.to_string()));
    }
    for name in given {
        names.insert(checked(name)?);
    }
    Ok(names)
}

/// Returns a name as certificates have it: an IP address, or a host name in lower case and in ASCII.
fn checked(name: &str) -> Result<String, Usage> {
    if let Ok(address) = name.parse::<IpAddr>() {
        return Ok(address.to_string());
    }
    match host::ascii(name.strip_prefix("*.").unwrap_or(name)) {
        Some(host) if name.starts_with("*.") => Ok(format!("*.{host}")),
        Some(host) => Ok(host),
        None => {
            Err(Usage(format!("--name {name:?} is not a host name or an IP address, such as shop.lan or 192.168.1.20")))
        }
    }
}

/// Returns the address that this machine has in its network.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect(ELSEWHERE).ok()?;
    socket.local_addr().ok().map(|address| address.ip()).filter(|ip| !ip.is_unspecified())
}

fn text(folder: &Path, names: &BTreeSet<String>, until: &str, is_new: bool) -> String {
    let is_outside = |name: &&String| !matches!(name.as_str(), "localhost" | "127.0.0.1" | "::1");
    let host = names.iter().find(is_outside).map_or("localhost", String::as_str);
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let names = names.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let folder = folder.display();
    let authority = if is_new { "new: every client must trust it once" } else { "as before: clients trust it already" };
    format!(
        "In {folder}:
  server.pem  the server's certificate, until {until}, for {names}
  server.key  its key
  ca.pem      the authority that signed it, {authority}
  ca.key      the key of the authority: whoever has it can pretend to be any site to your clients; keep it here

Serve with it:
  stockline serve --listen 0.0.0.0:8443 --tls-cert {folder}/server.pem --tls-key {folder}/server.key --public-url https://{host}:8443

Trust ca.pem on each machine that connects:
  stockline       --ca-cert ca.pem, or STOCKLINE_CA_CERT=ca.pem
  curl            --cacert ca.pem
  Debian, Ubuntu  cp ca.pem /usr/local/share/ca-certificates/stockline.crt && update-ca-certificates
  Fedora          cp ca.pem /etc/pki/ca-trust/source/anchors/ && update-ca-trust
  Windows         certutil -addstore -f Root ca.pem
  macOS           security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain ca.pem
  Android, iOS    open the file ca.pem, install it as a CA certificate, and on iOS trust it in the settings
  Firefox         Settings, Certificates, Authorities, Import

Run this command again before {until}: the authority stays, and a running server takes the new certificate by itself."
    )
}

#[cfg(test)]
mod tests {
    use stockline_ingress::TlsFiles;
    use stockline_ingress::server::Certificates;

    use super::*;
    use crate::args::{DataArg, SelfSignedArgs};

    fn made(folder: &Path, names: &[&str]) -> anyhow::Result<u8> {
        tls(&TlsCommand::SelfSigned(SelfSignedArgs {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            days: 30,
            out: Some(folder.into()),
            data: DataArg { data: "unused".into() },
        }))
    }

    #[test]
    fn a_renewal_keeps_the_authority_and_makes_a_pair_that_the_server_takes() {
        use std::os::unix::fs::PermissionsExt as _;
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path().join("a/tls");
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
        made(&folder, &["Shop.lan", "192.168.1.20", "büro.example"]).unwrap();
        let first = ["ca.pem", "ca.key", "server.pem", "server.key"].map(read);
        made(&folder, &[]).unwrap();
        let second = ["ca.pem", "ca.key", "server.pem", "server.key"].map(read);
        assert_eq!(first[..2], second[..2]);
        assert_ne!(first[2..], second[2..]);
        assert!(second[2].ends_with(&second[0]), "clients that trust the authority get the whole chain");
        for (name, mode) in [("ca.key", 0o600), ("server.key", 0o600), ("ca.pem", 0o644), ("", 0o700)] {
            assert_eq!(std::fs::metadata(folder.join(name)).unwrap().permissions().mode() & 0o777, mode, "{name}");
        }
        Certificates::open(TlsFiles { cert: folder.join("server.pem"), key: folder.join("server.key") }).unwrap();
    }

    #[test]
    fn half_an_authority_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        made(folder.path(), &[]).unwrap();
        std::fs::remove_file(folder.path().join("ca.key")).unwrap();
        let error = made(folder.path(), &[]).unwrap_err().to_string();
        assert!(error.contains("has ca.pem and no ca.key"), "{error}");
    }

    #[test]
    fn names_are_written_as_certificates_have_them() {
        let of = |given: &[&str]| names(&given.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        let found = of(&["Shop.LAN", "büro.example", "2001:db8::1", "*.shop.lan"]).unwrap();
        for name in ["shop.lan", "xn--bro-hoa.example", "2001:db8::1", "*.shop.lan", "localhost", "127.0.0.1", "::1"] {
            assert!(found.contains(name), "{name}: {found:?}");
        }
        for bad in ["", "a b", "https://shop.lan", "shop.lan:8443", "a_b"] {
            assert!(of(&[bad]).is_err(), "{bad}");
        }
    }
}
