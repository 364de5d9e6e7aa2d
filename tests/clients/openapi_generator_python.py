import os

from openapi_client import ApiClient, ApiException, Batch, Command, CommandsApi, Configuration, Problem, SellCommand, StockApi
from scenario import run

client = ApiClient(Configuration(host=os.environ["STOCKLINE_URL"], access_token=os.environ["STOCKLINE_TOKEN"]))
commands, stock = CommandsApi(client), StockApi(client)


def command(sale):
    sell = SellCommand(
        type="sell", command_id=sale.id, item_id=sale.item, quantity=sale.quantity, on_shortage="allow"
    )
    return Command(sell)


class Till:
    def sell(self, sale, wait):
        return commands.submit_command(command(sale), prefer=wait)

    def batch(self, sales, wait):
        return commands.submit_commands(Batch(commands=[command(sale) for sale in sales]), prefer=wait).results

    def poll(self, sale, receipt):
        return commands.get_command_status(sale.item, sale.id, receipt=receipt)

    def movements(self, limit, cursor):
        return stock.list_movements(limit=limit, cursor=cursor)

    def missing(self, item):
        try:
            stock.get_item(item)
        except ApiException as error:
            return error.status, Problem.from_json(error.body).code
        raise AssertionError("no problem")


run("openapi-generator", Till())
