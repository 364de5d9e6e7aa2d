//! Converts six weeks of real till data into files for `stockline load`, and checks the resulting stock.
//!
//! The input is a folder with `sales-*.csv.gz` (`sold_at,store_id,basket_id,product_id,quantity,…`) and
//! `products.csv.gz` (`product_id,…,product_category,product_type,…`). [`make_up`] generates a small set of the same
//! shape.
#![expect(clippy::print_stdout, reason = "the report is this program's output")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use uuid::Uuid;

use crate::rng::Rng;

/// The opening stock of each pair. Fuel is sold by the thousandth and gets more.
const OPENING: u64 = 1_000;
const OPENING_FUEL: u64 = 1_000_000;
/// A pair with a larger line than this sells fuel.
const FUEL_LINE: u64 = 1_000;

/// An item at a store.
type Pair = (String, String);

fn columns<const N: usize>(headers: &csv::StringRecord, names: [&str; N]) -> Result<[usize; N]> {
    let mut found = [0; N];
    for (place, name) in found.iter_mut().zip(names) {
        *place = headers.iter().position(|header| header == name).with_context(|| format!("no column {name}"))?;
    }
    Ok(found)
}

fn reader(path: &Path) -> Result<csv::Reader<MultiGzDecoder<BufReader<File>>>> {
    let file = File::open(path).with_context(|| format!("can't open {}", path.display()))?;
    Ok(csv::Reader::from_reader(MultiGzDecoder::new(BufReader::new(file))))
}

fn sales_file(source: &Path) -> Result<PathBuf> {
    let entries = std::fs::read_dir(source).with_context(|| format!("can't read {}", source.display()))?;
    let mut files = entries.collect::<std::io::Result<Vec<_>>>()?.into_iter().map(|entry| entry.path());
    let is_sales =
        |path: &PathBuf| path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("sales-"));
    files.find(is_sales).with_context(|| format!("no sales-*.csv.gz in {}", source.display()))
}

/// Returns the units sold and the largest line of each pair.
fn sold_by_pair(source: &Path) -> Result<BTreeMap<Pair, (u64, u64)>> {
    let mut sales = reader(&sales_file(source)?)?;
    let [store, product, quantity] = columns(sales.headers()?, ["store_id", "product_id", "quantity"])?;
    let mut pairs: BTreeMap<Pair, (u64, u64)> = BTreeMap::new();
    for record in sales.records() {
        let record = record?;
        let units: u64 = record[quantity].parse()?;
        let pair = pairs.entry((record[product].to_owned(), record[store].to_owned())).or_default();
        *pair = (pair.0 + units, pair.1.max(units));
    }
    // A pair with only zero-quantity lines sells nothing and gets no stock.
    pairs.retain(|_, (sold, _)| *sold > 0);
    Ok(pairs)
}

fn opening(largest_line: u64) -> u64 {
    if largest_line > FUEL_LINE { OPENING_FUEL } else { OPENING }
}

/// Writes `items.csv`, `stores.csv` and `receive.csv`.
pub(crate) fn prepare(source: &Path, out: &Path) -> Result<()> {
    std::fs::create_dir_all(out)?;
    let pairs = sold_by_pair(source)?;
    let mut names: BTreeMap<String, String> =
        pairs.keys().map(|(product, _)| (product.clone(), format!("Product {product}"))).collect();
    let mut products = reader(&source.join("products.csv.gz"))?;
    let [id, category, kind] = columns(products.headers()?, ["product_id", "product_category", "product_type"])?;
    for record in products.records() {
        let record = record?;
        let words: BTreeSet<&str> = [&record[category], &record[kind]].into_iter().filter(|w| !w.is_empty()).collect();
        let name = words.into_iter().collect::<Vec<_>>().join(", ");
        names.insert(record[id].to_owned(), if name.is_empty() { format!("Product {}", &record[id]) } else { name });
    }
    let mut items = csv::Writer::from_path(out.join("items.csv"))?;
    items.write_record(["item_id", "name"])?;
    for (item_id, name) in &names {
        items.write_record([item_id, name])?;
    }
    items.flush()?;
    let stores: BTreeSet<&String> = pairs.keys().map(|(_, store)| store).collect();
    let mut file = csv::Writer::from_path(out.join("stores.csv"))?;
    file.write_record(["location_id", "name"])?;
    for store in &stores {
        file.write_record([store.as_str(), &format!("Store {store}")])?;
    }
    file.flush()?;
    let mut receive = csv::Writer::from_path(out.join("receive.csv"))?;
    receive.write_record(["item_id", "location_id", "quantity"])?;
    for ((product, store), (_, largest)) in &pairs {
        receive.write_record([product, store, &opening(*largest).to_string()])?;
    }
    receive.flush()?;
    println!("{} items, {} stores, {} pairs that sell", names.len(), stores.len(), pairs.len());
    Ok(())
}

/// Compares the output of `stockline stock --json` with received − Σ sold for every pair.
pub(crate) fn check(source: &Path, stock: &Path) -> Result<()> {
    let pairs = sold_by_pair(source)?;
    let mut found: BTreeMap<Pair, String> = BTreeMap::new();
    let levels: Vec<serde_json::Value> =
        serde_json::from_str(&std::fs::read_to_string(stock)?).context("the stock is not a JSON list")?;
    for level in levels {
        let text = |key: &str| level.get(key).and_then(|v| v.as_str()).map(str::to_owned).context(key.to_owned());
        found.insert((text("item_id")?, text("location_id")?), text("on_hand")?);
    }
    let mut wrong = 0;
    for (pair, (sold, largest)) in &pairs {
        let right = (i128::from(opening(*largest)) - i128::from(*sold)).to_string();
        if found.get(pair) != Some(&right) {
            wrong += 1;
            if wrong <= 10 {
                println!("item {} at {}: found {:?}, expected {right}", pair.0, pair.1, found.get(pair));
            }
        }
    }
    if wrong > 0 || found.len() != pairs.len() {
        bail!("{wrong} of {} pairs are wrong; {} levels found", pairs.len(), found.len());
    }
    println!("all {} pairs are at received − Σ sold", pairs.len());
    Ok(())
}

/// One sale line of a till.
#[derive(Debug, Clone)]
pub(crate) struct SaleLine {
    sold_at: String,
    basket: String,
    quantity: String,
    /// The store.
    pub(crate) store: String,
    /// The product.
    pub(crate) product: String,
}

impl SaleLine {
    /// Returns the line as a command in JSON.
    pub(crate) fn to_command(&self, id: Uuid) -> String {
        let Self { sold_at, basket, quantity, store, product } = self;
        format!(
            r#"{{"type":"sell","command_id":"{id}","item_id":"{product}","location_id":"{store}","quantity":"{quantity}","on_shortage":"allow","occurred_at":"{sold_at}","reference":"{basket}"}}"#
        )
    }
}

/// Returns the first `most` lines with a quantity above zero, in order.
pub(crate) fn sale_lines(source: &Path, most: usize) -> Result<Vec<SaleLine>> {
    let mut sales = reader(&sales_file(source)?)?;
    let names = ["sold_at", "basket_id", "quantity", "store_id", "product_id"];
    let [sold_at, basket, quantity, store, product] = columns(sales.headers()?, names)?;
    let mut lines = Vec::new();
    for record in sales.records() {
        let record = record?;
        if lines.len() < most && &record[quantity] != "0" {
            let text = |at: usize| record[at].to_owned();
            let (sold_at, basket, quantity) = (text(sold_at), text(basket), text(quantity));
            lines.push(SaleLine { sold_at, basket, quantity, store: text(store), product: text(product) });
        }
    }
    Ok(lines)
}

fn cents(cents: usize) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

/// Generates a small set as messy as real till data: coupons of quantity 0, fuel, an unlisted product.
pub(crate) fn make_up(out: &Path, lines: usize) -> Result<()> {
    std::fs::create_dir_all(out)?;
    let gz = |name: &str| -> Result<csv::Writer<GzEncoder<File>>> {
        let file = File::create(out.join(name))?;
        Ok(csv::Writer::from_writer(GzEncoder::new(file, Compression::fast())))
    };
    let mut products = gz("products.csv.gz")?;
    products.write_record(["product_id", "product_category", "product_type"])?;
    for product in 1..400 {
        products.write_record([&product.to_string(), "GROCERY", "SHELF GOODS"])?;
    }
    products.into_inner().map_err(|error| anyhow::anyhow!("{error}"))?.finish()?;
    let mut sales = gz("sales-made-up.csv.gz")?;
    sales.write_record(["sold_at", "store_id", "basket_id", "product_id", "quantity", "sales_value"])?;
    let mut rng = Rng::new(11);
    for line in 0..lines {
        let (seconds, product) = (line / 4, 1 + rng.below(400));
        let quantity = match (product, rng.below(100)) {
            (7, _) => 8_000 + rng.below(9_000),
            (_, 0) => 0,
            (_, n) => 1 + n / 60,
        };
        let sold_at = format!(
            "2017-01-{:02}T{:02}:{:02}:{:02}Z",
            1 + seconds / 86_400,
            seconds / 3_600 % 24,
            seconds / 60 % 60,
            seconds % 60
        );
        let row = [
            sold_at,
            (300 + rng.below(20)).to_string(),
            (50_000 + line).to_string(),
            product.to_string(),
            quantity.to_string(),
            cents(quantity * (49 + product % 7 * 50)),
        ];
        sales.write_record(&row)?;
    }
    sales.into_inner().map_err(|error| anyhow::anyhow!("{error}"))?.finish()?;
    Ok(())
}
