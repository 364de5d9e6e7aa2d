import { isAxiosError } from 'axios';
import { CommandsApi, Configuration, StockApi, type Command, type CommandStatus, type Problem } from './made/typescript-axios';
import { run, token, url, type Sale, type Seen } from './scenario';

const configuration = new Configuration({ basePath: url, accessToken: token });
const commands = new CommandsApi(configuration);
const stock = new StockApi(configuration);

const command = (sale: Sale): Command =>
  ({ type: 'sell', command_id: sale.id, item_id: sale.item, quantity: sale.quantity, on_shortage: 'allow' });

const seen = (status: CommandStatus): Seen =>
  ({ status: status.status, settledAt: status.settled_at, receipt: status.receipt, after: status.effects?.[0]?.after });

void run('typescript-axios', {
  async sell(sale, wait) {
    return seen((await commands.submitCommand(command(sale), undefined, wait)).data);
  },
  async batch(sales, wait) {
    const { data } = await commands.submitCommands({ commands: sales.map(command) }, wait);
    return data.results.map((line) => ({ status: line.status }));
  },
  async poll(sale, receipt) {
    return seen((await commands.getCommandStatus(sale.item, sale.id, receipt)).data);
  },
  async movements(limit, cursor) {
    const { data } = await stock.listMovements(undefined, undefined, undefined, undefined, undefined, cursor, limit);
    return { items: data.movements.map((movement) => movement.item_id), next: data.next_cursor };
  },
  async missing(item) {
    try {
      await stock.getItem(item);
    } catch (error) {
      if (!isAxiosError<Problem>(error) || !error.response) throw error;
      return { status: error.response.status, code: error.response.data.code };
    }
    throw new Error('no problem');
  },
});
