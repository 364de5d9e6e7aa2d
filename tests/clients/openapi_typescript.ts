import createClient from 'openapi-fetch';
import type { components, paths } from './made/openapi_typescript';
import { run, token, url, type Sale, type Seen } from './scenario';

const client = createClient<paths>({ baseUrl: url, headers: { Authorization: `Bearer ${token}` } });

const command = (sale: Sale): components['schemas']['Command'] =>
  ({ type: 'sell', command_id: sale.id, item_id: sale.item, quantity: sale.quantity, on_shortage: 'allow' });

function seen(status: components['schemas']['CommandStatus'] | undefined): Seen {
  if (!status) throw new Error('no answer');
  return {
    status: status.status,
    settledAt: status.settled_at,
    receipt: status.receipt,
    after: status.effects?.[0]?.after,
  };
}

void run('openapi-typescript', {
  async sell(sale, wait) {
    const { data } = await client.POST('/v1/commands', { body: command(sale), params: { header: { Prefer: wait } } });
    return seen(data);
  },
  async batch(sales, wait) {
    const { data } = await client.POST('/v1/commands/batch', {
      body: { commands: sales.map(command) },
      params: { header: { Prefer: wait } },
    });
    return (data?.results ?? []).map((line) => ({ status: line.status }));
  },
  async poll(sale, receipt) {
    const path = { item_id: sale.item, command_id: sale.id };
    const { data } = await client.GET('/v1/items/{item_id}/commands/{command_id}', {
      params: { path, query: { receipt }, header: { Prefer: 'wait=5' } },
    });
    return seen(data);
  },
  async movements(limit, cursor) {
    const { data } = await client.GET('/v1/movements', { params: { query: { limit, cursor } } });
    if (!data) throw new Error('no answer');
    return { items: data.movements.map((movement) => movement.item_id), next: data.next_cursor };
  },
  async missing(item) {
    const { error, response } = await client.GET('/v1/items/{item_id}', { params: { path: { item_id: item } } });
    return { status: response.status, code: error?.code ?? 'none' };
  },
});
