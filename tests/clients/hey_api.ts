import { getCommandStatus, getItem, listMovements, submitCommand, submitCommands } from './made/hey_api';
import type { Command, CommandStatus } from './made/hey_api';
import { client } from './made/hey_api/client.gen';
import { run, token, url, type Sale, type Seen } from './scenario';

client.setConfig({ baseUrl: url, auth: token });

const command = (sale: Sale): Command =>
  ({ type: 'sell', command_id: sale.id, item_id: sale.item, quantity: sale.quantity, on_shortage: 'allow' });

const seen = (status: CommandStatus): Seen =>
  ({ status: status.status, settledAt: status.settled_at, receipt: status.receipt, after: status.effects?.[0]?.after });

void run('hey-api', {
  async sell(sale, wait) {
    const { data } = await submitCommand({ body: command(sale), headers: { Prefer: wait }, throwOnError: true });
    return seen(data);
  },
  async batch(sales, wait) {
    const body = { commands: sales.map(command) };
    const { data } = await submitCommands({ body, headers: { Prefer: wait }, throwOnError: true });
    return data.results.map((line) => ({ status: line.status }));
  },
  async poll(sale, receipt) {
    const path = { item_id: sale.item, command_id: sale.id };
    const { data } = await getCommandStatus({ path, query: { receipt }, throwOnError: true });
    return seen(data);
  },
  async movements(limit, cursor) {
    const { data } = await listMovements({ query: { limit, cursor }, throwOnError: true });
    return { items: data.movements.map((movement) => movement.item_id), next: data.next_cursor };
  },
  async missing(item) {
    const { error, response } = await getItem({ path: { item_id: item } });
    return { status: response?.status ?? 0, code: error?.code ?? 'none' };
  },
});
