//! The order of a certificate chain, and how long it is valid.

use rustls::pki_types::CertificateDer;
use stockline_core::domain::Timestamp;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::X509Version;

/// A certificate that ends sooner than this is told of, and one of a short life when a fifth of its life is left.
const SOON_MS: i64 = 14 * 24 * 3_600_000;

/// A certificate chain, the server's own certificate first.
#[derive(Debug)]
pub(super) struct Chain {
    pub(super) certificates: Vec<CertificateDer<'static>>,
    /// What a person should know of the file that it came from.
    pub(super) remarks: Vec<String>,
    /// What is valid for the shortest time.
    validity: Validity,
}

/// How long a certificate of the chain is valid.
#[derive(Debug, Clone, Copy)]
struct Validity {
    is_own: bool,
    from: Timestamp,
    until: Timestamp,
}

/// The parts of a certificate that decide.
struct Parsed<'a> {
    certificate: X509Certificate<'a>,
    /// What people call it.
    name: String,
}

impl Chain {
    /// Puts certificates in the order in which TLS shows them: the one with this public key, then the issuer of each. A
    /// certificate that belongs to none of them is left out. Returns `None` if no certificate has the key.
    ///
    /// # Errors
    /// A certificate can't be parsed; the text says which.
    pub(super) fn of(found: Vec<CertificateDer<'static>>, public_key: Option<&[u8]>) -> Result<Option<Self>, String> {
        let parsed: Vec<Parsed<'_>> = found
            .iter()
            .enumerate()
            .map(|(index, der)| Parsed::of(der).ok_or_else(|| format!("its certificate {} is damaged", index + 1)))
            .collect::<Result<_, _>>()?;
        let own = match public_key {
            Some(key) => parsed.iter().position(|one| one.certificate.public_key().raw == key),
            None => Some(0),
        };
        let Some(own) = own else { return Ok(None) };
        if parsed[own].certificate.version() != X509Version::V3 {
            return Err(format!(
                "{} is of an old version of X.509 that names no host (subjectAltName), and clients refuse it; it expires at {}; \"stockline tls self-signed\" makes a good one",
                parsed[own].name,
                parsed[own].validity(true).until
            ));
        }
        let order = order(&parsed, own);
        let remarks = remarks(&parsed, &order);
        // The issuer at the end is what clients trust; they do not look at its dates.
        let shown = order.iter().filter_map(|index| parsed.get(*index));
        let dated = shown.filter(|one| !one.is_self_issued() || order.len() == 1);
        let validity = dated
            .enumerate()
            .map(|(place, one)| one.validity(place == 0))
            .min_by_key(|validity| validity.until)
            .unwrap_or_else(|| parsed[own].validity(true));
        drop(parsed);
        let certificates = order.iter().filter_map(|index| found.get(*index).cloned()).collect();
        Ok(Some(Self { certificates, remarks, validity }))
    }

    /// Returns the end of what is valid for the shortest time.
    pub(super) const fn until(&self) -> Timestamp {
        self.validity.until
    }

    /// Returns what is wrong with the dates of the chain; it does not change while the moment of the end does not.
    pub(super) fn doubt(&self, now: Timestamp) -> Option<String> {
        let Validity { is_own, from, until } = self.validity;
        let what = if is_own { "the TLS certificate" } else { "an issuer's certificate in the TLS chain" };
        let soon_ms = SOON_MS.min(until.millis_since(from) / 5);
        if now > until {
            Some(format!("{what} expired at {until}, and clients refuse it: put a new one in its files"))
        } else if now < from {
            Some(format!("{what} is not valid before {from}, and clients refuse it: or the clock is wrong"))
        } else if until.millis_since(now) < soon_ms {
            Some(format!("{what} expires at {until}: put a new one in its files before"))
        } else {
            None
        }
    }
}

/// Returns the places of the certificates in the order of the chain.
fn order(parsed: &[Parsed<'_>], own: usize) -> Vec<usize> {
    let mut order = vec![own];
    let mut last = own;
    while !parsed[last].is_self_issued() {
        let is_next = |index: &usize| !order.contains(index) && parsed[last].is_issued_by(&parsed[*index]);
        let Some(next) = (0..parsed.len()).find(is_next) else { break };
        order.push(next);
        last = next;
    }
    // An issuer may be there twice, signed by different authorities: clients choose.
    for index in 0..parsed.len() {
        let is_issuer = order.iter().any(|one| parsed[*one].is_issued_by(&parsed[index]));
        if is_issuer && !order.contains(&index) {
            order.push(index);
        }
    }
    order
}

fn remarks(parsed: &[Parsed<'_>], order: &[usize]) -> Vec<String> {
    let mut remarks = Vec::new();
    if order.iter().enumerate().any(|(place, index)| place != *index) {
        let names: Vec<_> = order.iter().map(|index| parsed[*index].name.as_str()).collect();
        remarks.push(format!("the certificates stand in another order there; they are shown as: {}", names.join(", ")));
    }
    for (index, one) in parsed.iter().enumerate().filter(|(index, _)| !order.contains(index)) {
        remarks.push(format!("certificate {} ({}) issued none of the others and is left out", index + 1, one.name));
    }
    let own = &parsed[order[0]];
    if own.certificate.is_ca() {
        remarks.push(format!(
            "{} is the certificate of an authority, which some clients refuse as a server's: \"stockline tls self-signed\" makes both",
            own.name
        ));
    } else if order.len() == 1 && !own.is_self_issued() {
        remarks.push(format!(
            "only the server's certificate is in the file: clients that do not trust its issuer ({}) itself refuse it; put the intermediate certificates behind it (fullchain.pem)",
            printable(&own.certificate.issuer().to_string())
        ));
    }
    if !matches!(own.certificate.subject_alternative_name(), Ok(Some(_))) {
        remarks.push(format!("{} names no host (subjectAltName), and clients refuse it", own.name));
    }
    remarks
}

impl<'a> Parsed<'a> {
    fn of(der: &'a CertificateDer<'static>) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let subject = printable(&certificate.subject().to_string());
        let name = if subject.is_empty() { "a certificate without a subject".to_owned() } else { subject };
        Some(Self { certificate, name })
    }

    fn is_self_issued(&self) -> bool {
        self.certificate.subject().as_raw() == self.certificate.issuer().as_raw()
    }

    fn is_issued_by(&self, other: &Self) -> bool {
        self.certificate.issuer().as_raw() == other.certificate.subject().as_raw()
    }

    fn validity(&self, is_own: bool) -> Validity {
        let at = |seconds: i64| Timestamp::from_millis(seconds.saturating_mul(1_000));
        let dates = self.certificate.validity();
        Validity { is_own, from: at(dates.not_before.timestamp()), until: at(dates.not_after.timestamp()) }
    }
}

/// A name comes from a file, and is logged.
fn printable(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
