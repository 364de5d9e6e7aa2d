//! The alerter on AWS: a Lambda function behind the alert queue, DynamoDB and SES.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;
use stockline_alerter::{Adapters, Alerter, Config, MIN_LEASE, function};
use stockline_aws::deployed::{self, StartChecks};
use stockline_aws::{Clients, DynamoOptions, DynamoStore, SesMailer};
use stockline_core::domain::Timestamp;
use stockline_core::ports::Clock;
use stockline_service::{EmfEmitter, SystemClock, install_metrics_and_emf};

mod settings;

pub(crate) use settings::{Settings, VARIABLES};

/// How long a claim on an alert holds. The function's timeout must be shorter, so that a claim is retaken only after its
/// holder has ended. In any case no mail begins that could outlast the claim.
const LEASE: Duration = MIN_LEASE;

/// Serves invocations until Lambda ends the process.
pub(crate) async fn run(settings: Settings) -> anyhow::Result<()> {
    let logging = settings.logs.begin("stockline-alerter")?;
    let namespace = settings.logs.metrics_namespace.clone();
    let metrics = install_metrics_and_emf().context("can't set up metrics")?;
    // Not a guarded clock: Lambda freezes the process, and its clock steps whenever it goes on.
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let alerter = connect(settings, &clock).await?;
    match alerter.has_recipient().await {
        Ok(true) => {}
        Ok(false) => tracing::warn!(
            "alerts have no recipient: set STOCKLINE_ALERT_EMAILS, or alert_emails of a location (PUT /v1/locations/{{id}})"
        ),
        Err(error) => tracing::warn!(%error, "the recipients of alerts can't be checked"),
    }
    let emitter = EmfEmitter::new("alerter", &namespace, metrics).context("can't write metrics")?;
    let (alerter, clock, emitter) = (&alerter, &clock, &emitter);
    let invoked = service_fn(async |event: LambdaEvent<Value>| {
        let deadline = i64::try_from(event.context.deadline).unwrap_or(i64::MAX);
        let answer = function::handle(alerter, clock, event.payload, Timestamp::from_millis(deadline)).await;
        if let Err(error) = &answer {
            tracing::error!("an invocation failed: {error}");
        }
        // Between invocations the process is frozen: what is not written now may never be.
        emitter.flush();
        logging.flush();
        answer.map_err(|error| error.to_string())
    });
    lambda_runtime::run(invoked).await.map_err(|error| anyhow::anyhow!("the Lambda runtime ended: {error}"))
}

/// Makes the adapters, and checks that the table exists and is configured right.
async fn connect(settings: Settings, clock: &Arc<dyn Clock>) -> anyhow::Result<Alerter> {
    let clients = Clients::from_env().await;
    let options = DynamoOptions::default();
    let store = Arc::new(DynamoStore::new(clients.dynamodb, settings.table, options, Arc::clone(clock)));
    let mut checks = StartChecks::default();
    checks.add(&deployed::TABLE, store.check().await);
    checks.finish()?;
    let mailer = SesMailer::new(clients.ses, settings.mail_from, settings.mail_configuration_set);
    let config = Config { recipients: settings.recipients, lease: LEASE, public_url: settings.public_url };
    let adapters = Adapters {
        book: store.clone(),
        locations: store.clone(),
        queries: store,
        mailer: Arc::new(mailer),
        clock: Arc::clone(clock),
    };
    Ok(Alerter::new(config, adapters))
}
