import { CommandsApi, Configuration, ResponseError, StockApi } from './made/typescript-fetch';
import { ProblemFromJSON, type Command, type CommandStatus } from './made/typescript-fetch';
import { run, text, token, url, type Sale, type Seen } from './scenario';

const configuration = new Configuration({ basePath: url, accessToken: token });
const commands = new CommandsApi(configuration);
const stock = new StockApi(configuration);

const command = (sale: Sale): Command =>
  ({ type: 'sell', commandId: sale.id, itemId: sale.item, quantity: sale.quantity, onShortage: 'allow' });

const seen = (status: CommandStatus): Seen => ({
  status: status.status,
  settledAt: text(status.settledAt),
  receipt: status.receipt,
  after: status.effects?.[0]?.after,
});

void run('typescript-fetch', {
  async sell(sale, prefer) {
    return seen(await commands.submitCommand({ command: command(sale), prefer }));
  },
  async batch(sales, prefer) {
    const answer = await commands.submitCommands({ batch: { commands: sales.map(command) }, prefer });
    return answer.results.map((line) => ({ status: line.status }));
  },
  async poll(sale, receipt) {
    return seen(await commands.getCommandStatus({ itemId: sale.item, commandId: sale.id, receipt }));
  },
  async movements(limit, cursor) {
    const page = await stock.listMovements({ limit, cursor });
    return { items: page.movements.map((movement) => movement.itemId), next: page.nextCursor };
  },
  async missing(item) {
    try {
      await stock.getItem({ itemId: item });
    } catch (error) {
      if (!(error instanceof ResponseError)) throw error;
      return { status: error.response.status, code: ProblemFromJSON(await error.response.json()).code };
    }
    throw new Error('no problem');
  },
});
