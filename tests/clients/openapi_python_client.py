import os

from scenario import run
from till_client import AuthenticatedClient
from till_client.api.commands import get_command_status, submit_command, submit_commands
from till_client.api.stock import get_item, list_movements
from till_client.models import Batch, Problem, SellCommand, SellCommandType, ShortagePolicy
from till_client.types import UNSET

client = AuthenticatedClient(base_url=os.environ["STOCKLINE_URL"], token=os.environ["STOCKLINE_TOKEN"])


def command(sale):
    return SellCommand(
        type_=SellCommandType.SELL,
        command_id=sale.id,
        item_id=sale.item,
        quantity=sale.quantity,
        on_shortage=ShortagePolicy.ALLOW,
    )


class Till:
    def sell(self, sale, wait):
        return submit_command.sync(client=client, body=command(sale), prefer=wait or UNSET)

    def batch(self, sales, wait):
        return submit_commands.sync(client=client, body=Batch(commands=[command(s) for s in sales]), prefer=wait).results

    def poll(self, sale, receipt):
        return get_command_status.sync(sale.item, sale.id, client=client, receipt=receipt)

    def movements(self, limit, cursor):
        return list_movements.sync(client=client, limit=limit, cursor=cursor or UNSET)

    def missing(self, item):
        problem = get_item.sync(item, client=client)
        assert isinstance(problem, Problem), problem
        return problem.status, problem.code


run("openapi-python-client", Till())
