//! The standalone home's adapters: product code, not mocks. Two files (`queue.db`, `stock.db`), one writer each, WAL,
//! `synchronous=FULL`; what is answered as durable was synced.

mod writer;
