//! Creates SDK clients of the AWS stand-in.

use stockline_aws::Clients;
use stockline_deploy_checks::ministack::{ACCESS_KEY_ID, Ministack, REGION, SECRET_ACCESS_KEY};

/// Returns clients of this server, with the SDK's defaults.
pub fn clients(server: &Ministack) -> Clients {
    clients_at(&server.url, ACCESS_KEY_ID)
}

/// Returns clients of a stand-in at this address under this name, with the SDK's defaults.
pub fn clients_at(url: &str, access_key_id: &str) -> Clients {
    macro_rules! client {
        ($sdk:ident) => {{
            use $sdk::config::{BehaviorVersion, Credentials, Region};
            let config = $sdk::Config::builder()
                .behavior_version(BehaviorVersion::latest())
                .region(Region::from_static(REGION))
                .credentials_provider(Credentials::new(access_key_id, SECRET_ACCESS_KEY, None, None, "test"))
                .endpoint_url(url)
                .build();
            $sdk::Client::from_conf(config)
        }};
    }
    Clients {
        dynamodb: client!(aws_sdk_dynamodb),
        sqs: client!(aws_sdk_sqs),
        sns: client!(aws_sdk_sns),
        ses: client!(aws_sdk_sesv2),
    }
}
