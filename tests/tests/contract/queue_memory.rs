//! Runs the contract suite of the command queue on the in-memory queue that other tests use.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use stockline_core::testing::MemoryQueue;
use stockline_tests::contract::queue::{Capabilities, Home, Queue};

#[derive(Debug)]
struct Memory;

#[async_trait]
impl Home for Memory {
    async fn open(&self, visibility: Duration, max_receives: u32) -> Queue {
        let queue = Arc::new(MemoryQueue::new(visibility).with_max_receives(max_receives));
        let capabilities = Capabilities { refuses_expired: true, remembers_attempts: true };
        Queue { sender: queue.clone(), receiver: queue, capabilities }
    }
}

async fn home() -> Option<Memory> {
    Some(Memory)
}

stockline_tests::queue_contract!(home());
