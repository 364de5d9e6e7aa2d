<?php
// What a till does, with the client of openapi-generator in PHP.
declare(strict_types=1);

use OpenAPI\Client\Api\CommandsApi;
use OpenAPI\Client\Api\StockApi;
use OpenAPI\Client\ApiException;
use OpenAPI\Client\Configuration;
use OpenAPI\Client\Model\Batch;
use OpenAPI\Client\Model\SellCommand;

require_once 'GuzzleHttp/autoload.php';
spl_autoload_register(function (string $class): void {
    $path = str_replace(['OpenAPI\\Client\\', '\\'], ['', '/'], $class);
    $file = __DIR__ . "/made/php/lib/$path.php";
    if (is_file($file)) {
        require_once $file;
    }
});

function check(bool $is, mixed $what): void
{
    if (!$is) {
        fwrite(STDERR, print_r($what, true) . "\n");
        exit(1);
    }
}

function new_id(): string
{
    $random = random_bytes(16);
    $random[6] = chr(ord($random[6]) & 0x0f | 0x40);
    $random[8] = chr(ord($random[8]) & 0x3f | 0x80);
    return vsprintf('%s%s-%s-%s-%s-%s%s%s', str_split(bin2hex($random), 4));
}

function sale(string $item, string $quantity): SellCommand
{
    return new SellCommand([
        'type' => 'sell', 'command_id' => new_id(), 'item_id' => $item, 'quantity' => $quantity,
        'on_shortage' => 'allow',
    ]);
}

$name = 'php';
$item = "of/$name #1";
$unknown = "$item-unknown";
$configuration = (new Configuration())->setHost(getenv('STOCKLINE_URL'))->setAccessToken(getenv('STOCKLINE_TOKEN'));
$commands = new CommandsApi(null, $configuration);
$stock = new StockApi(null, $configuration);

$first = sale($item, '1.5');
$sold = $commands->submitCommand($first, null, 'wait=20');
check($sold->getStatus() === 'applied' && $sold->getEffects()[0]->getAfter() === '22.5', $sold);
check((string) $commands->submitCommand($first, null, 'wait=20') === (string) $sold, 'a replay answers as the first did');

$twice = sale($item, '1');
$batch = new Batch(['commands' => [$twice, sale($unknown, '1'), $twice]]);
$lines = $commands->submitCommands($batch, 'wait=20')->getResults();
$words = array_map(fn ($line) => $line->getStatus(), $lines);
check($words === ['applied', 'rejected', 'applied'], $words);

$later = sale($item, '0.5');
$seen = $commands->submitCommand($later);
$receipt = $seen->getReceipt();
check($seen->getStatus() === 'queued' && $receipt !== null, $seen);
while ($seen->getStatus() === 'queued') {
    $seen = $commands->getCommandStatus($item, $later->getCommandId(), $receipt);
}
check($seen->getStatus() === 'applied' && $seen->getEffects()[0]->getAfter() === '21', $seen);

$found = 0;
$cursor = null;
do {
    $page = $stock->listMovements(cursor: $cursor, limit: 2);
    foreach ($page->getMovements() as $movement) {
        $found += (int) ($movement->getItemId() === $item);
    }
    $cursor = $page->getNextCursor();
} while ($cursor !== null);
check($found === 4, "the delivery and three sales, not $found");

try {
    $stock->getItem($unknown);
    check(false, 'no problem');
} catch (ApiException $error) {
    check($error->getCode() === 404 && $error->getResponseObject()->getCode() === 'item_not_found', $error);
}
echo "$name sold, sent again, sent a batch, polled, paged and met a problem\n";
