// What a till does, with the client of openapi-generator in Java.

import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import org.openapitools.client.ApiClient;
import org.openapitools.client.ApiException;
import org.openapitools.client.api.CommandsApi;
import org.openapitools.client.api.StockApi;
import org.openapitools.client.model.Batch;
import org.openapitools.client.model.Command;
import org.openapitools.client.model.CommandStatus;
import org.openapitools.client.model.Movement;
import org.openapitools.client.model.MovementPage;
import org.openapitools.client.model.Problem;
import org.openapitools.client.model.ProblemCode;
import org.openapitools.client.model.SellCommand;
import org.openapitools.client.model.ShortagePolicy;
import org.openapitools.client.model.Status;

final class OpenapiGeneratorJava {
    static final String NAME = "java";

    static void check(boolean is, Object what) {
        if (!is) {
            throw new IllegalStateException(String.valueOf(what));
        }
    }

    static SellCommand sale(String item, String quantity) {
        return new SellCommand()
                .type(SellCommand.TypeEnum.SELL)
                .commandId(UUID.randomUUID())
                .itemId(item)
                .quantity(quantity)
                .onShortage(ShortagePolicy.ALLOW);
    }

    public static void main(String[] arguments) throws Exception {
        ApiClient client = new ApiClient();
        client.updateBaseUri(System.getenv("STOCKLINE_URL"));
        String token = System.getenv("STOCKLINE_TOKEN");
        client.setRequestInterceptor(request -> request.header("Authorization", "Bearer " + token));
        CommandsApi commands = new CommandsApi(client);
        StockApi stock = new StockApi(client);
        String item = "of/" + NAME + " #1";
        String unknown = item + "-unknown";

        Command first = new Command(sale(item, "1.5"));
        CommandStatus sold = commands.submitCommand(first, null, "wait=20");
        check(sold.getStatus() == Status.APPLIED && sold.getEffects().get(0).getAfter().equals("22.5"), sold);
        check(commands.submitCommand(first, null, "wait=20").equals(sold), "a replay answers as the first did");

        Command twice = new Command(sale(item, "1"));
        Batch batch = new Batch().commands(List.of(twice, new Command(sale(unknown, "1")), twice));
        List<String> words = new ArrayList<>();
        commands.submitCommands(batch, "wait=20").getResults().forEach(line -> words.add(line.getStatus().getValue()));
        check(words.equals(List.of("applied", "rejected", "applied")), words);

        SellCommand later = sale(item, "0.5");
        CommandStatus seen = commands.submitCommand(new Command(later), null, null);
        String receipt = seen.getReceipt();
        check(seen.getStatus() == Status.QUEUED && receipt != null, seen);
        while (seen.getStatus() == Status.QUEUED) {
            seen = commands.getCommandStatus(item, later.getCommandId(), receipt, null, null);
        }
        check(seen.getStatus() == Status.APPLIED && seen.getEffects().get(0).getAfter().equals("21"), seen);

        int found = 0;
        String cursor = null;
        do {
            MovementPage page = stock.listMovements(null, null, null, null, null, cursor, 2, null);
            for (Movement movement : page.getMovements()) {
                found += movement.getItemId().equals(item) ? 1 : 0;
            }
            cursor = page.getNextCursor();
        } while (cursor != null);
        check(found == 4, "the delivery and three sales, not " + found);

        try {
            stock.getItem(unknown, null);
            check(false, "no problem");
        } catch (ApiException error) {
            Problem problem = ApiClient.createDefaultObjectMapper().readValue(error.getResponseBody(), Problem.class);
            check(error.getCode() == 404 && problem.getCode() == ProblemCode.ITEM_NOT_FOUND, error);
        }
        System.out.println(NAME + " sold, sent again, sent a batch, polled, paged and met a problem");
    }
}
