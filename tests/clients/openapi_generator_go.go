// What a till does, with the client of openapi-generator in Go.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"reflect"

	"stockline"
)

const name = "go"

var (
	client *stockline.APIClient
	ctx    context.Context
)

func check(is bool, what ...any) {
	if !is {
		log.Fatal(what...)
	}
}

func must[T any](value T, _ any, err error) T {
	check(err == nil, err)
	return value
}

// A random UUID, version 4.
func newId() string {
	random := make([]byte, 16)
	file, err := os.Open("/dev/urandom")
	check(err == nil, err)
	defer file.Close()
	_, err = file.Read(random)
	check(err == nil, err)
	random[6], random[8] = random[6]&0x0f|0x40, random[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", random[:4], random[4:6], random[6:8], random[8:10], random[10:])
}

func sale(item, quantity string) stockline.Command {
	sell, id := stockline.NewSellCommand(item, quantity, "sell"), newId()
	sell.CommandId = &id
	sell.OnShortage = stockline.SHORTAGEPOLICY_ALLOW.Ptr()
	return stockline.SellCommandAsCommand(sell)
}

func sell(command stockline.Command, wait string) *stockline.CommandStatus {
	request := client.CommandsAPI.SubmitCommand(ctx).Command(command)
	if wait != "" {
		request = request.Prefer(wait)
	}
	return must(request.Execute())
}

func main() {
	configuration := stockline.NewConfiguration()
	configuration.Servers = stockline.ServerConfigurations{{URL: os.Getenv("STOCKLINE_URL")}}
	client = stockline.NewAPIClient(configuration)
	ctx = context.WithValue(context.Background(), stockline.ContextAccessToken, os.Getenv("STOCKLINE_TOKEN"))
	item := "of/" + name + " #1"
	unknown := item + "-unknown"

	first := sale(item, "1.5")
	sold := sell(first, "wait=20")
	check(sold.Status == stockline.STATUS_APPLIED && sold.Effects[0].After == "22.5", sold)
	check(reflect.DeepEqual(sell(first, "wait=20"), sold), "a replay answers as the first did")

	twice := sale(item, "1")
	batch := stockline.NewBatch([]stockline.Command{twice, sale(unknown, "1"), twice})
	answer := must(client.CommandsAPI.SubmitCommands(ctx).Batch(*batch).Prefer("wait=20").Execute())
	var words []stockline.BatchLineStatus
	for _, line := range answer.Results {
		words = append(words, line.Status)
	}
	check(fmt.Sprint(words) == "[applied rejected applied]", words)

	later := sale(item, "0.5")
	seen := sell(later, "")
	check(seen.Status == stockline.STATUS_QUEUED && seen.Receipt != nil, seen)
	receipt := *seen.Receipt
	for seen.Status == stockline.STATUS_QUEUED {
		poll := client.CommandsAPI.GetCommandStatus(ctx, item, *later.SellCommand.CommandId)
		seen = must(poll.Receipt(receipt).Execute())
	}
	check(seen.Status == stockline.STATUS_APPLIED && seen.Effects[0].After == "21", seen)

	found := 0
	for page := client.StockAPI.ListMovements(ctx).Limit(2); ; {
		movements := must(page.Execute())
		for _, movement := range movements.Movements {
			if movement.ItemId == item {
				found++
			}
		}
		if movements.NextCursor.Get() == nil {
			break
		}
		page = page.Cursor(*movements.NextCursor.Get())
	}
	check(found == 4, "the delivery and three sales", found)

	_, response, err := client.StockAPI.GetItem(ctx, unknown).Execute()
	var failed *stockline.GenericOpenAPIError
	check(errors.As(err, &failed), err)
	problem, is := failed.Model().(stockline.Problem)
	check(is && response.StatusCode == 404 && problem.Code == stockline.PROBLEMCODE_ITEM_NOT_FOUND, failed.Model())
	fmt.Println(name, "sold, sent again, sent a batch, polled, paged and met a problem")
}
