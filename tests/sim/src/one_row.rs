//! Calls that affect one row: lookup of an outcome, discard of a dead letter, claim and mark of an alert.

use std::sync::Arc;

use aws_sdk_dynamodb::operation::get_item::builders::GetItemInputBuilder;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemInputBuilder;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemInputBuilder;
use aws_sdk_dynamodb::types::{Put, TransactWriteItem, Update};

use super::connection::{SimWire, TABLE};
use super::expression::Row;
use super::faults::Step;
use super::table::{key_of, key_of_action};
use super::world::Answer;

/// The result of a change. If its condition fails, it is the row that is stored instead.
pub(crate) type Changed = Result<(), Option<Row>>;

impl SimWire {
    /// Reads a row consistently.
    pub(crate) async fn find(&self, input: &GetItemInputBuilder) -> Answer<Option<Row>> {
        let key = key_of(input.get_key().as_ref().unwrap());
        let step = if key.0 == "LOCATION" { Step::Location } else { Step::Find };
        let (table, of) = (self.table.clone(), key.clone());
        let serve = |_| {
            let (table, key) = (table.clone(), of.clone());
            async move { table.lock().unwrap().get(&key).map(|row| row.as_ref().clone()) }
        };
        let answer = self.process.call(step, serve).await;
        self.process.world.note(|| {
            format!("{} {step:?} {key:?}: {}", self.process.name, matches!(answer, Answer::Received(Some(_))))
        });
        answer
    }

    /// Puts a row. A location is put at once, because managers meet no faults; otherwise it is an alert's claim or
    /// month.
    pub(crate) async fn put(&self, input: &PutItemInputBuilder) -> Answer<Changed> {
        let row = input.get_item().clone().unwrap();
        if key_of(&row).0 == "LOCATION" {
            self.table.lock().unwrap().put(row, self.process.world.now_ms());
            return Answer::Received(Ok(()));
        }
        let put = Put::builder()
            .table_name(TABLE)
            .set_item(Some(row))
            .set_condition_expression(input.get_condition_expression().clone())
            .set_expression_attribute_names(input.get_expression_attribute_names().clone())
            .set_expression_attribute_values(input.get_expression_attribute_values().clone());
        let put = put.build().unwrap();
        let tamper = self.process.world.tamper;
        let put = tamper.map_or(put.clone(), |rule| rule.claims(put));
        let answer = self.change(Step::Claim, TransactWriteItem::builder().put(put).build()).await;
        match answer {
            Answer::Received(Err(Some(stored))) => {
                Answer::Received(Err(Some(tamper.map_or(stored.clone(), |rule| rule.claimed(stored)))))
            }
            answer => answer,
        }
    }

    /// Updates a row: the mark of a discarded dead letter or of a sent alert, or the end of a claim.
    pub(crate) async fn update(&self, input: &UpdateItemInputBuilder) -> Answer<Changed> {
        let change = Update::builder()
            .table_name(TABLE)
            .set_key(input.get_key().clone())
            .set_update_expression(input.get_update_expression().clone())
            .set_condition_expression(input.get_condition_expression().clone())
            .set_expression_attribute_names(input.get_expression_attribute_names().clone())
            .set_expression_attribute_values(input.get_expression_attribute_values().clone());
        let action = TransactWriteItem::builder().update(change.build().unwrap()).build();
        let action = self.process.world.tamper.map_or(action.clone(), |rule| rule.updates(&action));
        let step = if key_of_action(&action).0.starts_with("ALERT#") { Step::Mark } else { Step::Discard };
        self.change(step, action).await
    }

    async fn change(&self, step: Step, action: TransactWriteItem) -> Answer<Changed> {
        let key = key_of_action(&action);
        let (world, table, action) = (self.process.world.clone(), self.table.clone(), Arc::new(action));
        let serve = |_| {
            let (world, table, action) = (world.clone(), table.clone(), action.clone());
            async move {
                let mut table = table.lock().unwrap();
                if table.allows(&action) {
                    table.begin();
                    table.apply(&action, world.now_ms());
                    return Ok(());
                }
                Err(table.get(&key_of_action(&action)).map(|row| row.as_ref().clone()))
            }
        };
        let answer = self.process.call(step, serve).await;
        world
            .note(|| format!("{} {step:?} {key:?}: {}", self.process.name, matches!(answer, Answer::Received(Ok(())))));
        answer
    }
}
