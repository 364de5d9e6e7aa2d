use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::roles::arn;

/// A permission that a call needs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Access {
    /// `service:Action`
    pub action: String,
    /// The ARN of the resource.
    pub resource: String,
    /// The values that the conditions of a policy use.
    pub context: BTreeMap<&'static str, BTreeSet<String>>,
}

impl Access {
    /// Returns the same access with only the prefix of each key, such as `ITEM#…`. So there are few different ones,
    /// however large the stock is.
    pub fn kind(mut self) -> Self {
        for keys in self.context.values_mut() {
            *keys = keys
                .iter()
                .map(|key| key.split_once('#').map_or(key.clone(), |(begin, _)| format!("{begin}#…")))
                .collect();
        }
        self
    }
}

/// A call as it arrived.
#[derive(Debug)]
pub struct Call<'a> {
    /// The service in the signature: `dynamodb`, `sqs`, `sns` or `ses`.
    pub service: &'a str,
    /// `X-Amz-Target`, if the protocol has it.
    pub target: &'a str,
    /// Method and path.
    pub line: &'a str,
    pub body: &'a [u8],
}

/// The permissions of this call are not known here.
#[derive(Debug)]
pub struct UnknownCall(pub String);

/// A part of a call, or the call if it is unknown.
type Found<T> = Result<T, UnknownCall>;

const LEADING_KEYS: &str = "dynamodb:LeadingKeys";
/// The partition key of the table. The drift checks compare the template with the code.
const PARTITION_KEY: &str = "pk";

impl Call<'_> {
    /// Returns the permissions that a transaction needs if AWS judges each of its actions by the keys of all of them. AWS
    /// documents neither this reading of `dynamodb:LeadingKeys` nor the one of [`Call::accesses`], so policies must allow
    /// both. Any other call has one reading, and is left out.
    pub fn accesses_together(&self) -> Found<Vec<Access>> {
        let mut accesses = self.accesses()?;
        if !self.target.contains("Transact") {
            return Ok(Vec::new());
        }
        let keys: BTreeSet<String> =
            accesses.iter().filter_map(|access| access.context.get(LEADING_KEYS)).flatten().cloned().collect();
        accesses.iter_mut().for_each(|access| drop(access.context.insert(LEADING_KEYS, keys.clone())));
        Ok(accesses)
    }

    /// Returns all permissions that the call needs, each with its own keys.
    pub fn accesses(&self) -> Found<Vec<Access>> {
        match self.service {
            "dynamodb" => dynamodb(self.operation("DynamoDB_20120810.")?, &self.json()?),
            "sqs" => sqs(self.operation("AmazonSQS.")?, &self.json()?),
            "sns" => sns(&self.form()),
            "ses" => ses(self.line, &self.json()?),
            service => Err(UnknownCall(format!("{service}: {}", self.line))),
        }
    }

    fn operation(&self, prefix: &str) -> Found<&str> {
        self.target.strip_prefix(prefix).ok_or_else(|| UnknownCall(format!("{} {}", self.line, self.target)))
    }

    fn json(&self) -> Found<Value> {
        serde_json::from_slice(self.body)
            .map_err(|error| UnknownCall(format!("{} {}: {error}", self.line, self.target)))
    }

    fn form(&self) -> BTreeMap<String, String> {
        let pairs = reqwest::Url::parse(&format!("http://form/?{}", String::from_utf8_lossy(self.body))).unwrap();
        pairs.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
    }
}

fn text<'a>(value: &'a Value, what: &str) -> Found<&'a str> {
    value.as_str().ok_or_else(|| UnknownCall(format!("no {what} in {value}")))
}

fn access(action: String, resource: String) -> Access {
    Access { action, resource, context: BTreeMap::new() }
}

fn dynamodb(operation: &str, body: &Value) -> Found<Vec<Access>> {
    match operation {
        "DescribeTable" => Ok(vec![access("dynamodb:DescribeTable".to_owned(), table_arn(body)?)]),
        "GetItem" | "UpdateItem" | "DeleteItem" => Ok(vec![of_item(operation, body, &body["Key"])?]),
        "PutItem" => Ok(vec![of_item(operation, body, &body["Item"])?]),
        "Query" => Ok(vec![query(body)?]),
        // A scan reads every key, so it has no leading key.
        "Scan" => Ok(vec![access("dynamodb:Scan".to_owned(), index_arn(body)?)]),
        "BatchGetItem" => batch_get(body),
        "TransactGetItems" => transaction(body, |item| of_item("GetItem", &item["Get"], &item["Get"]["Key"])),
        "TransactWriteItems" => transaction(body, |item| {
            for (kind, action, key) in [
                ("Put", "PutItem", "Item"),
                ("Update", "UpdateItem", "Key"),
                ("Delete", "DeleteItem", "Key"),
                ("ConditionCheck", "ConditionCheckItem", "Key"),
            ] {
                if let Some(part) = item.get(kind) {
                    return of_item(action, part, &part[key]);
                }
            }
            Err(UnknownCall(format!("an action of a transaction: {item}")))
        }),
        operation => Err(UnknownCall(format!("dynamodb:{operation}"))),
    }
}

fn transaction(body: &Value, of: impl Fn(&Value) -> Found<Access>) -> Found<Vec<Access>> {
    let items = body["TransactItems"].as_array().ok_or_else(|| UnknownCall("a transaction of nothing".to_owned()))?;
    items.iter().map(of).collect()
}

fn table_arn(request: &Value) -> Found<String> {
    Ok(arn("dynamodb", &format!("table/{}", text(&request["TableName"], "TableName")?)))
}

/// Returns the ARN of the index of a query or scan, or of the table.
fn index_arn(request: &Value) -> Found<String> {
    let table = table_arn(request)?;
    Ok(request["IndexName"].as_str().map_or_else(|| table.clone(), |index| format!("{table}/index/{index}")))
}

fn of_item(action: &str, request: &Value, key: &Value) -> Found<Access> {
    let mut access = access(format!("dynamodb:{action}"), table_arn(request)?);
    access.context.insert(LEADING_KEYS, BTreeSet::from([leading(key)?]));
    Ok(access)
}

fn leading(key: &Value) -> Found<String> {
    Ok(text(&key[PARTITION_KEY]["S"], PARTITION_KEY)?.to_owned())
}

fn batch_get(body: &Value) -> Found<Vec<Access>> {
    let tables = body["RequestItems"].as_object().ok_or_else(|| UnknownCall("a read of nothing".to_owned()))?;
    let of_table = |(name, wanted): (&String, &Value)| {
        let keys = wanted["Keys"].as_array().ok_or_else(|| UnknownCall("a read of no keys".to_owned()))?;
        let mut access = access("dynamodb:BatchGetItem".to_owned(), arn("dynamodb", &format!("table/{name}")));
        access.context.insert(LEADING_KEYS, keys.iter().map(leading).collect::<Found<_>>()?);
        Ok(access)
    };
    tables.iter().map(of_table).collect()
}

fn query(body: &Value) -> Found<Access> {
    let mut access = access("dynamodb:Query".to_owned(), index_arn(body)?);
    let condition = text(&body["KeyConditionExpression"], "KeyConditionExpression")?;
    let first = condition.split(" AND ").next().unwrap_or_default();
    let value = first.split_once(" = ").map(|(_, value)| &body["ExpressionAttributeValues"][value.trim()]["S"]);
    let value = value.ok_or_else(|| UnknownCall(format!("a query by {condition}")))?;
    access.context.insert(LEADING_KEYS, BTreeSet::from([text(value, "the partition that is queried")?.to_owned()]));
    Ok(access)
}

/// Returns the action of a batch, which is that of its entries.
fn sqs(operation: &str, body: &Value) -> Found<Vec<Access>> {
    let action = match operation.strip_suffix("Batch").unwrap_or(operation) {
        known @ ("SendMessage"
        | "ReceiveMessage"
        | "DeleteMessage"
        | "ChangeMessageVisibility"
        | "GetQueueAttributes") => known,
        other => return Err(UnknownCall(format!("sqs:{other}"))),
    };
    let url = text(&body["QueueUrl"], "QueueUrl")?;
    Ok(vec![access(format!("sqs:{action}"), arn("sqs", url.rsplit('/').next().unwrap_or_default()))])
}

fn sns(form: &BTreeMap<String, String>) -> Found<Vec<Access>> {
    let action = match form.get("Action").map(String::as_str) {
        Some("Publish" | "PublishBatch") => "Publish",
        Some("GetTopicAttributes") => "GetTopicAttributes",
        other => return Err(UnknownCall(format!("sns:{}", other.unwrap_or("?")))),
    };
    let topic = form.get("TopicArn").ok_or_else(|| UnknownCall(format!("sns:{action} to no topic")))?;
    Ok(vec![access(format!("sns:{action}"), topic.clone())])
}

/// Returns the permissions of a mail: for the identity of the sender and for the configuration set. A raw mail is
/// another action.
fn ses(line: &str, body: &Value) -> Found<Vec<Access>> {
    if line != "POST /v2/email/outbound-emails" || body["Content"].get("Simple").is_none() {
        return Err(UnknownCall(format!("ses: {line}")));
    }
    let sender = text(&body["FromEmailAddress"], "FromEmailAddress")?;
    let address = sender.rsplit_once('<').map_or(sender, |(_, address)| address.trim_end_matches('>'));
    let mut resources = vec![arn("ses", &format!("identity/{address}"))];
    if let Some(set) = body["ConfigurationSetName"].as_str() {
        resources.push(arn("ses", &format!("configuration-set/{set}")));
    }
    let of_resource = |resource| {
        let mut access = access("ses:SendEmail".to_owned(), resource);
        access.context.insert("ses:FromAddress", BTreeSet::from([address.to_owned()]));
        access
    };
    Ok(resources.into_iter().map(of_resource).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(service: &str, target: &str, body: &Value) -> Found<Vec<Access>> {
        let body = body.to_string();
        Call { service, target, line: "POST /", body: body.as_bytes() }.accesses()
    }

    #[test]
    fn a_transaction_needs_the_permission_of_each_action_under_its_key() {
        let row = |pk: &str| json!({"pk": {"S": pk}, "sk": {"S": "x"}});
        let body = json!({"TransactItems": [
            {"Put": {"TableName": "stock", "Item": row("CMD#1")}},
            {"ConditionCheck": {"TableName": "stock", "Key": row("ITEM#1")}},
        ]});
        let accesses = of("dynamodb", "DynamoDB_20120810.TransactWriteItems", &body).unwrap();
        let found: Vec<_> =
            accesses.iter().map(|a| (a.action.as_str(), a.context[LEADING_KEYS].first().unwrap().as_str())).collect();
        assert_eq!(found, [("dynamodb:PutItem", "CMD#1"), ("dynamodb:ConditionCheckItem", "ITEM#1")]);
        assert_eq!(accesses[0].resource, arn("dynamodb", "table/stock"));

        let body = body.to_string();
        let call = Call {
            service: "dynamodb",
            target: "DynamoDB_20120810.TransactWriteItems",
            line: "POST /",
            body: body.as_bytes(),
        };
        let both = BTreeSet::from(["CMD#1".to_owned(), "ITEM#1".to_owned()]);
        let together = call.accesses_together().unwrap();
        assert!(together.len() == 2 && together.iter().all(|access| access.context[LEADING_KEYS] == both));
    }

    #[test]
    fn a_query_of_an_index_needs_the_permission_of_the_index() {
        let body = json!({
            "TableName": "stock", "IndexName": "unwell", "KeyConditionExpression": "#unwell = :partition AND #pk > :x",
            "ExpressionAttributeValues": {":partition": {"S": "main"}, ":x": {"S": "y"}},
        });
        let accesses = of("dynamodb", "DynamoDB_20120810.Query", &body).unwrap();
        assert_eq!(accesses[0].resource, arn("dynamodb", "table/stock/index/unwell"));
        assert_eq!(accesses[0].context[LEADING_KEYS], BTreeSet::from(["main".to_owned()]));
    }

    #[test]
    fn a_call_that_is_not_listed_is_unknown() {
        for (service, target) in [
            ("dynamodb", "DynamoDB_20120810.DeleteTable"),
            ("sqs", "AmazonSQS.PurgeQueue"),
            ("s3", ""),
            ("ses", ""),
            ("sns", ""),
        ] {
            let body = json!({"TableName": "stock", "QueueUrl": "http://x/0/commands.fifo", "Content": {"Raw": {}}});
            assert!(of(service, target, &body).is_err(), "{service} {target}");
        }
    }
}
