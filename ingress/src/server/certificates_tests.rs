use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, Issuer, KeyPair, date_time_ymd};

use super::*;
use crate::auth::testing::pem;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn params(name: &str, hosts: &[&str], until: i32) -> CertificateParams {
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let mut params = CertificateParams::new(hosts).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    params
}

fn authority(name: &str, above: Option<&Issuer<'_, KeyPair>>) -> Authority {
    let mut params = params(name, &[], 2040);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    match above {
        Some(above) => CertifiedIssuer::signed_by(params, key, above).unwrap(),
        None => CertifiedIssuer::self_signed(params, key).unwrap(),
    }
}

/// Three certificates of a chain in PEM, and the key of the first.
struct Made {
    own: String,
    between: String,
    root: String,
    key: String,
}

fn chain(until: i32) -> Made {
    let root = authority("Root", None);
    let between = authority("Between", Some(&root));
    let key = KeyPair::generate().unwrap();
    let own = params("shop", &["localhost"], until).signed_by(&key, &between).unwrap();
    Made {
        own: certificate(own.der()),
        between: certificate(between.der()),
        root: certificate(root.der()),
        key: private(&key),
    }
}

fn certificate(der: &[u8]) -> String {
    pem("CERTIFICATE", der)
}

fn private(key: &KeyPair) -> String {
    pem("PRIVATE KEY", key.serialized_der())
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn with(certificates: &[&str], key: &str) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.put("cert.pem", &certificates.concat());
        folder.put("key.pem", key);
        folder
    }

    fn put(&self, name: &str, text: &str) {
        std::fs::write(self.0.path().join(name), text).unwrap();
    }

    fn files(&self) -> TlsFiles {
        TlsFiles { cert: self.0.path().join("cert.pem"), key: self.0.path().join("key.pem") }
    }

    fn open(&self) -> Arc<Certificates> {
        Certificates::open(self.files()).unwrap()
    }
}

/// Returns the shown certificates in PEM, and what is remarked.
fn shown(certificates: &Certificates) -> (Vec<String>, String) {
    let shown = certificates.shown();
    let pems = shown.chain.certificates.iter().map(|der| certificate(der));
    (pems.collect(), shown.chain.remarks.join("; "))
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

const NOW: &str = "2026-06-01T00:00:00Z";

#[test]
fn a_chain_is_shown_with_the_servers_own_certificate_first_whatever_its_order_in_the_file() {
    let Made { own, between, root, key } = chain(2030);
    let stranger = certificate(authority("Stranger", None).der());
    let expected = [&own, &between, &root].map(String::clone);
    for order in [[&own, &between, &root], [&between, &own, &root], [&root, &between, &own], [&between, &root, &own]] {
        let (pems, remarks) = shown(&Folder::with(&order.map(String::as_str), &key).open());
        assert_eq!(pems, expected);
        assert_eq!(remarks.contains("in another order"), order[0] != &own, "{remarks}");
    }
    let (pems, remarks) = shown(&Folder::with(&[&stranger, &between, &own], &key).open());
    assert_eq!(pems, expected[..2]);
    assert!(remarks.contains("certificate 1 (CN=Stranger") && remarks.contains("CN=shop, CN=Between"), "{remarks}");
    let (pems, remarks) = shown(&Folder::with(&[&own], &key).open());
    assert_eq!(pems, expected[..1]);
    assert!(remarks.contains("CN=Between") && remarks.contains("fullchain.pem"), "{remarks}");
}

#[test]
fn what_clients_refuse_is_remarked() {
    let (ca, key) = (authority("Shop", None), KeyPair::generate().unwrap());
    let (_, remarks) = shown(&Folder::with(&[&certificate(ca.der())], &private(ca.key())).open());
    assert!(remarks.contains("stockline tls self-signed") && remarks.contains("names no host"), "{remarks}");
    let damaged = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    let own = certificate(params("shop", &["localhost"], 2030).signed_by(&key, &ca).unwrap().der());
    let folder = Folder::with(&[&own, damaged], &private(&key));
    let error = Certificates::open(folder.files()).unwrap_err().to_string();
    assert!(error.contains("its certificate 2 is damaged"), "{error}");
}

#[test]
fn changed_files_are_shown_and_a_half_changed_pair_never() {
    let (old, new) = (chain(2030), chain(2031));
    let folder = Folder::with(&[&old.own, &old.between], &old.key);
    let (certificates, faults) = (folder.open(), Faults::default());
    let own = || shown(&certificates).0[0].clone();
    let before = certificates.config();
    certificates.look(&faults, at(NOW));
    assert!(Arc::ptr_eq(&before, &certificates.config()), "files that did not change are not parsed again");

    folder.put("cert.pem", &format!("{}{}", new.own, new.between));
    certificates.look(&faults, at(NOW));
    assert_eq!((own(), faults.text()), (old.own.clone(), String::new()), "its key may follow in a moment");
    certificates.look(&faults, at(NOW));
    assert_eq!(own(), old.own);
    assert!(faults.text().contains("can't be used") && !faults.is_down(), "{}", faults.text());
    folder.put("key.pem", &new.key);
    certificates.look(&faults, at(NOW));
    assert_eq!((own(), faults.text()), (new.own.clone(), String::new()));

    std::fs::remove_file(folder.files().key).unwrap();
    certificates.reload(&faults, at(NOW));
    assert_eq!(own(), new.own);
    assert!(faults.text().contains("can't be used"), "an operator who asks is answered at once: {}", faults.text());
}

#[test]
fn a_certificate_that_ends_soon_or_has_ended_is_a_fault_until_it_is_renewed() {
    let Made { own, between, key, .. } = chain(2027);
    let folder = Folder::with(&[&own, &between], &key);
    let (certificates, faults) = (folder.open(), Faults::default());
    for (now, part) in [
        ("2025-12-31T00:00:00Z", "not valid before 2026-01-01"),
        ("2026-12-17T00:00:00Z", ""),
        ("2026-12-19T00:00:00Z", "expires at 2027-01-01"),
        ("2027-01-02T00:00:00Z", "expired at 2027-01-01"),
    ] {
        certificates.look(&faults, at(now));
        let text = faults.text();
        assert!(text.contains(part) && text.is_empty() == part.is_empty() && !faults.is_down(), "{now}: {text}");
    }
    let renewed = chain(2031);
    folder.put("cert.pem", &format!("{}{}", renewed.own, renewed.between));
    folder.put("key.pem", &renewed.key);
    certificates.look(&faults, at("2027-01-02T00:00:00Z"));
    assert_eq!(faults.text(), "");
}
