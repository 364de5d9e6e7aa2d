//! List prices of us-east-1 in November 2026, without free tiers, discounts or volume tiers.
//!
//! The pages build their tables by script. Each figure was therefore read from a quotation of the page, of its worked
//! example or of the price list. If sources differ, the text says how.

/// One price.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub(crate) struct Price {
    /// The service or part that is billed.
    pub(crate) what: &'static str,
    /// The price in dollars.
    pub(crate) dollars: f64,
    /// The number of units that the price covers.
    pub(crate) per: f64,
    /// The name of the unit.
    pub(crate) unit: &'static str,
    /// The page that lists it.
    pub(crate) page: &'static str,
}

impl Price {
    /// Returns the dollars for this many units.
    pub(crate) fn of(&self, units: f64) -> f64 {
        units / self.per * self.dollars
    }
}

const MILLION: f64 = 1e6;
const THOUSAND: f64 = 1e3;

macro_rules! prices {
    ($($name:ident = $dollars:literal per $per:expr, $unit:literal, $what:literal, $page:literal;)*) => {
        $(
            #[doc = $what]
            pub(crate) const $name: Price =
                Price { what: $what, dollars: $dollars, per: $per, unit: $unit, page: $page };
        )*

        /// All prices.
        pub(crate) const ALL: &[Price] = &[$($name),*];
    };
}

prices! {
    WRU = 0.625 per MILLION, "write units", "DynamoDB writes on demand", "Amazon DynamoDB pricing, on-demand capacity";
    RRU = 0.125 per MILLION, "read units", "DynamoDB reads on demand", "Amazon DynamoDB pricing, on-demand capacity";
    WCU = 0.000_65 per 1.0, "unit-h", "DynamoDB writes, provisioned", "Amazon DynamoDB pricing, provisioned capacity";
    RCU = 0.000_13 per 1.0, "unit-h", "DynamoDB reads, provisioned", "Amazon DynamoDB pricing, provisioned capacity";
    RESERVED_WCU = 0.000_299 per 1.0, "unit-h", "DynamoDB writes, reserved for a year: $150 once and $0.0128 an hour for 100", "Amazon DynamoDB pricing, reserved capacity";
    RESERVED_RCU = 0.000_059_2 per 1.0, "unit-h", "DynamoDB reads, reserved for a year: $30 once and $0.0025 an hour for 100", "Amazon DynamoDB pricing, reserved capacity";
    STORAGE = 0.25 per 1.0, "GB-month", "DynamoDB storage, indexes too", "Amazon DynamoDB pricing, data storage";
    PITR = 0.20 per 1.0, "GB-month", "DynamoDB point-in-time recovery, without indexes", "Amazon DynamoDB pricing, continuous backups";
    SQS_FIFO = 0.50 per MILLION, "requests", "SQS FIFO queues", "Amazon SQS pricing";
    SQS_STANDARD = 0.40 per MILLION, "requests", "SQS standard queues", "Amazon SQS pricing";
    SNS = 0.50 per MILLION, "requests", "SNS publishes; deliveries to SQS are free", "Amazon SNS pricing";
    LAMBDA_REQUESTS = 0.20 per MILLION, "requests", "Lambda invocations", "AWS Lambda pricing";
    LAMBDA_ARM = 0.000_013_333_4 per 1.0, "GB-s", "Lambda time on arm64", "AWS Lambda pricing";
    SES = 0.16 per THOUSAND, "mails", "SES plan Essentials, that of new accounts (à la carte: 0.10)", "Amazon SES pricing plans, since 2026-07-21";
    FARGATE_ARM_VCPU = 0.032_38 per 1.0, "vCPU-h", "Fargate on ARM64", "AWS Fargate pricing";
    FARGATE_ARM_GB = 0.003_56 per 1.0, "GB-h", "Fargate memory on ARM64", "AWS Fargate pricing";
    FARGATE_X86_VCPU = 0.040_48 per 1.0, "vCPU-h", "Fargate on x86-64", "AWS Fargate pricing";
    FARGATE_X86_GB = 0.004_445 per 1.0, "GB-h", "Fargate memory on x86-64", "AWS Fargate pricing";
    ALB = 0.022_5 per 1.0, "h", "Application Load Balancer", "Elastic Load Balancing pricing";
    LCU = 0.008 per 1.0, "LCU-h", "load balancer capacity units", "Elastic Load Balancing pricing";
    NAT = 0.045 per 1.0, "h", "NAT gateway", "Amazon VPC pricing, NAT gateway";
    NAT_GB = 0.045 per 1.0, "GB", "data through a NAT gateway", "Amazon VPC pricing, NAT gateway";
    ENDPOINT = 0.01 per 1.0, "zone-h", "interface endpoint", "AWS PrivateLink pricing";
    ENDPOINT_GB = 0.01 per 1.0, "GB", "data through an interface endpoint", "AWS PrivateLink pricing";
    IPV4 = 0.005 per 1.0, "h", "public IPv4 address", "Amazon VPC pricing, public IPv4";
    TRANSFER_OUT = 0.09 per 1.0, "GB", "data to the internet, first 10 TB", "Amazon EC2 on-demand pricing, data transfer";
    LOGS = 0.50 per 1.0, "GB", "CloudWatch logs ingested", "Amazon CloudWatch pricing";
    METRIC = 0.30 per 1.0, "metric-month", "CloudWatch custom metrics, Container Insights too", "Amazon CloudWatch pricing";
    ALARM = 0.10 per 1.0, "metric-month", "metrics of CloudWatch alarms", "Amazon CloudWatch pricing";
    DASHBOARD = 3.0 per 1.0, "month", "CloudWatch dashboard", "Amazon CloudWatch pricing";
    SECRET = 0.40 per 1.0, "month", "secret in Secrets Manager", "AWS Secrets Manager pricing";
    IMAGES = 0.10 per 1.0, "GB-month", "images in ECR", "Amazon ECR pricing";
    CLIENT = 6.0 per 1.0, "month", "Cognito machine client (newer guides name only tokens)", "Amazon Cognito pricing, machine-to-machine";
    TOKEN = 2.25 per THOUSAND, "tokens", "Cognito tokens of machines", "Amazon Cognito pricing, machine-to-machine";
    PERSON = 0.015 per 1.0, "person-month", "Cognito active people, tier Essentials", "Amazon Cognito pricing";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_covers_its_number_of_units() {
        assert_eq!(WRU.of(4_000_000.0), 2.5);
        assert!((TOKEN.of(1.0) - 0.002_25).abs() < 1e-12);
        assert_eq!(ALB.of(0.0), 0.0);
    }
}
