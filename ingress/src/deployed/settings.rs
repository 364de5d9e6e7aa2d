//! The configuration of the ingress on AWS.

use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use stockline_aws::deployed::{self, Deployment, Logs};
use stockline_core::domain::{ReceiptKeys, ScaleRules};
use stockline_ingress::{AuthConfig, JwksSource, Limits, LoginConfig, Origin, StaffMay};
use stockline_service::{Env, EnvError, Variable};

pub(crate) const LISTEN: Variable = Variable::with_default(
    "STOCKLINE_LISTEN",
    "0.0.0.0:8080",
    "address and port of the API; plain HTTP, because the load balancer in front does TLS",
);
const ISSUER: Variable = Variable::required(
    "STOCKLINE_ISSUER",
    "the issuer of tokens, as in their iss: https://cognito-idp.REGION.amazonaws.com/POOL",
);
const JWKS_URL: Variable = Variable::optional(
    "STOCKLINE_JWKS_URL",
    "address of the issuer's keys, if it is not the issuer's /.well-known/jwks.json",
);
const CLIENT_IDS: Variable = Variable::required(
    "STOCKLINE_CLIENT_IDS",
    "people's client ids, separated by commas; the clients of tills and programs are registered at /v1/clients",
);
const LOGIN_URL: Variable = Variable::optional(
    "STOCKLINE_LOGIN_URL",
    "address of the user pool's sign-in pages, for `stockline login`; with STOCKLINE_LOGIN_CLIENT_ID",
);
const LOGIN_CLIENT_ID: Variable = Variable::optional(
    "STOCKLINE_LOGIN_CLIENT_ID",
    "the client that people log in with, one of STOCKLINE_CLIENT_IDS; with STOCKLINE_LOGIN_URL",
);
const CONSOLE: Variable = Variable::with_default(
    "STOCKLINE_CONSOLE",
    "false",
    "true or false: serve the console, the pages for people, at /console? It needs STOCKLINE_PUBLIC_URL and the login",
);
const PUBLIC_URL: Variable = Variable::optional(
    "STOCKLINE_PUBLIC_URL",
    "the address at which people reach the API, such as https://stock.example.com; for the console",
);
const RECEIPT_KEYS: Variable = Variable::required(
    "STOCKLINE_RECEIPT_KEYS",
    "secret keys of receipts, each at least 32 bytes as base64, separated by commas; the first signs, all verify",
);
const REQUIRE_LOCATION: Variable = Variable::with_default(
    "STOCKLINE_REQUIRE_LOCATION",
    "true",
    "true or false: must movements name their location? If not, main is the default",
);
const STAFF_MAY: Variable =
    Variable::optional("STOCKLINE_STAFF_MAY", "what Staff may do beyond the default, e.g. count,adjust:damaged");
const SCALE_LABELS: Variable = Variable::optional(
    "STOCKLINE_SCALE_LABELS",
    "how labels of the shop's own scales are read, e.g. 21IIIIIWW.WWW,22IIIIIPPP.PP",
);
const CORS_ORIGINS: Variable = Variable::optional(
    "STOCKLINE_CORS_ORIGINS",
    "origins whose web pages may call the API, separated by commas, e.g. https://till.example.com",
);
const RATE_PER_S: Variable = Variable::with_default(
    "STOCKLINE_RATE_PER_S",
    "200",
    "requests per second that one token may make, and twice as many at once; 0 sets no limit",
);

const LINGER_MS: Variable = Variable::with_default(
    "STOCKLINE_LINGER_MS",
    "0",
    "milliseconds that messages of different items wait for each other, to be sent in one call that is paid for once",
);

/// All variables, as `--help` lists them.
pub(crate) const VARIABLES: &[Variable] = &[
    deployed::DEPLOYMENT,
    LISTEN,
    deployed::TABLE,
    deployed::QUEUE_URL,
    ISSUER,
    JWKS_URL,
    CLIENT_IDS,
    LOGIN_URL,
    LOGIN_CLIENT_ID,
    CONSOLE,
    PUBLIC_URL,
    RECEIPT_KEYS,
    REQUIRE_LOCATION,
    STAFF_MAY,
    SCALE_LABELS,
    CORS_ORIGINS,
    RATE_PER_S,
    LINGER_MS,
    deployed::LOG,
    deployed::OTLP_ENDPOINT,
    deployed::METRICS_NAMESPACE,
    deployed::METRICS_LISTEN,
];

/// The configuration that was read.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) listen: SocketAddr,
    pub(crate) metrics_listen: Option<SocketAddr>,
    pub(crate) table: String,
    pub(crate) queue_url: String,
    pub(crate) auth: AuthConfig,
    pub(crate) login: Option<LoginConfig>,
    /// The address at which people reach the console; `None` without it.
    pub(crate) console: Option<String>,
    pub(crate) receipt_keys: ReceiptKeys,
    pub(crate) require_location: bool,
    pub(crate) staff_may: StaffMay,
    pub(crate) scale_labels: ScaleRules,
    pub(crate) origins: Vec<Origin>,
    pub(crate) limits: Limits,
    pub(crate) linger: Duration,
    pub(crate) logs: Logs,
}

impl Settings {
    /// Reads the environment.
    ///
    /// # Errors
    /// All faults at once.
    pub(crate) fn read(mut env: Env) -> Result<Self, EnvError> {
        let env_ref = &mut env;
        let deployment = Deployment::read(env_ref);
        let listen = env_ref.address(&LISTEN);
        let metrics_listen = env_ref.address(&deployed::METRICS_LISTEN);
        let table = env_ref.text(&deployed::TABLE);
        let queue_url = deployment.url(env_ref, &deployed::QUEUE_URL);
        let auth = auth(env_ref, deployment);
        let login = login(env_ref, deployment, auth.as_ref());
        let console = console(env_ref, deployment, login.as_ref());
        let receipt_keys = receipt_keys(env_ref);
        let require_location = env_ref.switch(&REQUIRE_LOCATION);
        let staff_may = env_ref.value(&STAFF_MAY).unwrap_or_default();
        let scale_labels = env_ref.value(&SCALE_LABELS).unwrap_or_default();
        let origins = env_ref.list(&CORS_ORIGINS, str::parse::<Origin>).unwrap_or_default();
        let rate = env_ref.number(&RATE_PER_S, 0..=1_000_000);
        let linger_ms = env_ref.number(&LINGER_MS, 0..=1_000);
        let logs = Logs::read(env_ref);
        let settings = || {
            Some(Self {
                listen: listen?,
                metrics_listen,
                table: table?,
                queue_url: queue_url?,
                auth: auth?,
                login,
                console,
                receipt_keys: receipt_keys?,
                require_location: require_location?,
                staff_may,
                scale_labels,
                origins,
                limits: limits(rate.filter(|per_s| *per_s > 0)),
                linger: Duration::from_millis(linger_ms?.into()),
                logs: logs?,
            })
        };
        env.finish_with(settings())
    }
}

fn auth(env: &mut Env, deployment: Deployment) -> Option<AuthConfig> {
    let issuer = deployment.url(env, &ISSUER);
    let jwks_url = deployment.url(env, &JWKS_URL);
    let client_ids = env.list(&CLIENT_IDS, |id| Ok::<_, String>(id.to_owned()));
    let issuer = issuer?;
    let jwks_url = jwks_url.unwrap_or_else(|| format!("{issuer}/.well-known/jwks.json"));
    Some(AuthConfig::new(issuer, client_ids?, JwksSource::Url(jwks_url)))
}

/// Returns `None` if people can't log in here, or if a fault was found.
fn login(env: &mut Env, deployment: Deployment, auth: Option<&AuthConfig>) -> Option<LoginConfig> {
    let client_id = match (env.text(&LOGIN_URL), env.text(&LOGIN_CLIENT_ID)) {
        (Some(_), Some(client_id)) => client_id,
        (None, None) => return None,
        _ => {
            env.fault(format!("{} and {} must both be set, or neither", LOGIN_URL.name, LOGIN_CLIENT_ID.name));
            return None;
        }
    };
    let url = deployment.url(env, &LOGIN_URL)?;
    if auth.is_some_and(|auth| !auth.client_ids.contains(&client_id)) {
        env.fault(format!("{} must be one of {}", LOGIN_CLIENT_ID.name, CLIENT_IDS.name));
    }
    LoginConfig::cognito(&url, &client_id).map_err(|error| env.fault(format!("{} {error}", LOGIN_URL.name))).ok()
}

/// Returns the address of the console; `None` without it, or if a fault was found.
fn console(env: &mut Env, deployment: Deployment, login: Option<&LoginConfig>) -> Option<String> {
    let public = deployment.url(env, &PUBLIC_URL);
    if !env.switch(&CONSOLE)? {
        return None;
    }
    if public.is_none() || login.is_none() {
        env.fault(format!(
            "{} needs {}, {} and {}",
            CONSOLE.name, PUBLIC_URL.name, LOGIN_URL.name, LOGIN_CLIENT_ID.name
        ));
    }
    public
}

fn receipt_keys(env: &mut Env) -> Option<ReceiptKeys> {
    // A key may lack its padding or have unused bits; it is the same key for every reader.
    let lenient = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let base64 = GeneralPurpose::new(&STANDARD, lenient);
    const FAULT: &str = "must be keys of at least 32 bytes each as base64, separated by commas; \
                         openssl rand -base64 32 makes one";
    env.read(&RECEIPT_KEYS, |text| {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let keys: Result<Vec<Vec<u8>>, _> = parts.map(|part| base64.decode(part)).collect();
        keys.ok().and_then(|keys| ReceiptKeys::new(&keys)).ok_or(FAULT)
    })
}

fn limits(rate_per_s: Option<u32>) -> Limits {
    let standard = Limits::default();
    let rate_burst = rate_per_s.map_or(standard.rate_burst, |per_s| per_s.saturating_mul(2));
    Limits { rate_per_s, rate_burst, ..standard }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

    fn env(change: &[(&str, &str)]) -> Env {
        let mut pairs = vec![
            ("STOCKLINE_TABLE", "stock"),
            ("STOCKLINE_QUEUE_URL", "https://sqs.eu-central-1.amazonaws.com/1/commands.fifo"),
            ("STOCKLINE_ISSUER", "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_x"),
            ("STOCKLINE_CLIENT_IDS", "tills, people"),
            ("STOCKLINE_RECEIPT_KEYS", KEY),
        ];
        pairs.extend(change);
        Env::from_pairs(pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())))
    }

    #[test]
    fn the_required_variables_are_enough() {
        let settings = Settings::read(env(&[])).unwrap();
        assert_eq!(settings.auth.client_ids, ["tills", "people"]);
        let JwksSource::Url(url) = &settings.auth.jwks else { panic!("{:?}", settings.auth.jwks) };
        assert_eq!(url, "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_x/.well-known/jwks.json");
        assert!(settings.require_location);
        assert_eq!((settings.limits.rate_per_s, settings.limits.rate_burst), (Some(200), 400));
        assert!(!format!("{settings:?}").contains("AAAA"), "a secret shows");
    }

    #[test]
    fn a_generated_secret_of_letters_and_digits_is_a_key_and_a_short_one_is_not() {
        let generated = "Zk3".repeat(22);
        Settings::read(env(&[("STOCKLINE_RECEIPT_KEYS", &format!("{generated},{KEY}"))])).unwrap();
        for bad in ["c2hvcnQ=", "§", &format!("{KEY},short")] {
            let text = Settings::read(env(&[("STOCKLINE_RECEIPT_KEYS", bad)])).unwrap_err().to_string();
            assert!(text.contains("STOCKLINE_RECEIPT_KEYS must be keys") && !text.contains(bad), "{text}");
        }
    }

    #[test]
    fn a_login_is_configured_completely_or_not_at_all() {
        let domain = ("STOCKLINE_LOGIN_URL", "https://acme.auth.eu-central-1.amazoncognito.com");
        assert_eq!(Settings::read(env(&[])).unwrap().login, None);
        let login = Settings::read(env(&[domain, ("STOCKLINE_LOGIN_CLIENT_ID", "people")])).unwrap().login.unwrap();
        assert_eq!(login.token_endpoint, format!("{}/oauth2/token", domain.1));
        for (change, fault) in [
            (vec![domain], "must both be set"),
            (vec![("STOCKLINE_LOGIN_CLIENT_ID", "people")], "must both be set"),
            (vec![domain, ("STOCKLINE_LOGIN_CLIENT_ID", "strangers")], "must be one of STOCKLINE_CLIENT_IDS"),
            (
                vec![("STOCKLINE_LOGIN_URL", "https://s3cret/a"), ("STOCKLINE_LOGIN_CLIENT_ID", "people")],
                "STOCKLINE_LOGIN_URL must be an address such as",
            ),
        ] {
            let text = Settings::read(env(&change)).unwrap_err().to_string();
            assert!(text.contains(fault) && !text.contains("s3cret"), "{fault}: {text}");
        }
    }

    #[test]
    fn the_console_needs_its_address_and_the_login() {
        let login = [
            ("STOCKLINE_LOGIN_URL", "https://acme.auth.eu-central-1.amazoncognito.com"),
            ("STOCKLINE_LOGIN_CLIENT_ID", "people"),
        ];
        let (on, public) = (("STOCKLINE_CONSOLE", "true"), ("STOCKLINE_PUBLIC_URL", "https://stock.example.com"));
        assert_eq!(Settings::read(env(&[public, login[0], login[1]])).unwrap().console, None, "it is off");
        let console = Settings::read(env(&[on, public, login[0], login[1]])).unwrap().console;
        assert_eq!(console.as_deref(), Some(public.1));
        for lacking in [vec![on, public], vec![on, login[0], login[1]]] {
            let text = Settings::read(env(&lacking)).unwrap_err().to_string();
            assert!(text.contains("STOCKLINE_CONSOLE needs STOCKLINE_PUBLIC_URL"), "{text}");
        }
    }

    #[test]
    fn every_variable_of_the_help_is_read() {
        let empty = VARIABLES.iter().map(|variable| (variable.name, ""));
        let empty: Vec<_> = empty.collect();
        let text = Settings::read(env(&empty)).unwrap_err().to_string();
        assert!(!text.contains("is not a variable"), "{text}");
    }
}
