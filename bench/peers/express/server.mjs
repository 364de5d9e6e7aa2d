// A stock service of the usual design, as a peer for Stockline's benchmark: Express and PostgreSQL, one transaction a
// sale. The level's row is locked (SELECT ... FOR UPDATE), and a table of command ids makes a repeated sale harmless.
// It checks no token, writes no alert and knows no late sales, all of which Stockline does.
import cluster from "node:cluster";
import express from "express";
import pg from "pg";

/** Processes, one for each core. */
const PROCESSES = Number(process.env.PEER_PROCESSES);
/** Connections of each process. A sale holds one for its transaction. */
const CONNECTIONS = 16;

if (cluster.isPrimary) {
  for (let n = 0; n < PROCESSES; n += 1) cluster.fork();
  process.on("SIGTERM", () => Object.values(cluster.workers).forEach((worker) => worker.process.kill()));
  cluster.on("exit", () => {
    if (Object.keys(cluster.workers).length === 0) process.exit(0);
  });
} else {
  serve();
}

function serve() {
  const pool = new pg.Pool({
    host: "127.0.0.1",
    port: Number(process.env.PEER_POSTGRES_PORT),
    user: "peer",
    database: "postgres",
    max: CONNECTIONS,
  });
  const app = express();
  app.disable("x-powered-by");
  app.disable("etag");
  app.use(express.json());
  app.get("/readyz", async (_request, response) => {
    await pool.query("SELECT 1");
    response.send("ready");
  });
  app.post("/v1/commands", async (request, response) => {
    const { command_id, item_id, location_id, quantity, device_id } = request.body;
    const sold = Math.round(Number(quantity) * 1000);
    if (typeof command_id !== "string" || typeof item_id !== "string" || !(sold > 0)) {
      response.status(422).json({ title: "this is no sale" });
      return;
    }
    const { status, outcome } = await sell(pool, request.body, command_id, item_id, location_id, sold, device_id);
    response.status(status).json(outcome);
  });
  const [host, port] = process.env.PEER_LISTEN.split(":");
  app.listen(Number(port), host);
}

/** Applies a sale once. The answer is 202 as Stockline's, though the sale is applied when it is sent. */
async function sell(pool, body, command_id, item_id, location_id, sold, device_id) {
  const client = await pool.connect();
  try {
    await client.query("BEGIN");
    const found = await client.query({
      name: "lock",
      text: "SELECT on_hand FROM level WHERE item_id = $1 AND location_id = $2 FOR UPDATE",
      values: [item_id, location_id],
    });
    if (found.rowCount === 0) {
      await client.query("ROLLBACK");
      return { status: 404, outcome: { title: "no such level" } };
    }
    const after = Number(found.rows[0].on_hand) - sold;
    const outcome = { command_id, item_id, status: "applied", on_hand: after };
    const first = await client.query({
      name: "command",
      text:
        "INSERT INTO command (command_id, item_id, body, outcome) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
      values: [command_id, item_id, body, outcome],
    });
    if (first.rowCount === 0) {
      await client.query("ROLLBACK");
      const before = await client.query("SELECT outcome FROM command WHERE command_id = $1", [command_id]);
      return { status: 202, outcome: before.rows[0].outcome };
    }
    await client.query({
      name: "level",
      text: "UPDATE level SET on_hand = $3 WHERE item_id = $1 AND location_id = $2",
      values: [item_id, location_id, after],
    });
    await client.query({
      name: "movement",
      text:
        "INSERT INTO movement (item_id, location_id, command_id, delta, on_hand, device_id) " +
        "VALUES ($1, $2, $3, $4, $5, $6)",
      values: [item_id, location_id, command_id, -sold, after, device_id],
    });
    await client.query("COMMIT");
    return { status: 202, outcome };
  } catch (error) {
    await client.query("ROLLBACK").catch(() => {});
    throw error;
  } finally {
    client.release();
  }
}
