use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::server::{Ran, Server, stockline};

const STORES: usize = 3;
const ITEMS: usize = 20;

/// A gzipped file of sales, and the final stock of each (item, store) pair if it began at 1,000.
struct Sales {
    path: PathBuf,
    expected: std::collections::BTreeMap<(String, String), i64>,
}

fn sales(home: &Path, lines: usize) -> Sales {
    let mut expected = std::collections::BTreeMap::new();
    let mut text = String::from("sold_at,store_id,basket_id,product_id,quantity\n");
    for n in 0..lines {
        let (item, store) = (format!("p{}", n * 7 % ITEMS), format!("s{}", n * 5 % STORES));
        let quantity = if n % 50 == 13 { 0 } else { n % 4 + 1 };
        let (minute, second) = (n / 60 % 60, n % 60);
        text.push_str(&format!("2017-01-01T08:{minute:02}:{second:02}Z,{store},{},{item},{quantity}\n", n / 3));
        *expected.entry((item, store)).or_insert(1_000) -= i64::try_from(quantity).unwrap();
    }
    let path = home.join("sales.csv.gz");
    let file = std::fs::File::create(&path).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    gzip.finish().unwrap();
    Sales { path, expected }
}

/// Starts a server with all items, all stores, and 1,000 of each item in each store.
fn stocked(options: &[&str]) -> Server {
    let options: Vec<&str> = ["--max-age-days", "5000"].into_iter().chain(options.iter().copied()).collect();
    let server = Server::start(&options);
    let put: Vec<String> = (0..STORES).map(|n| format!("s{n}")).collect();
    let words: Vec<&str> = ["locations", "put"].into_iter().chain(put.iter().map(String::as_str)).collect();
    server.run(&words).ok();
    let mut pairs = String::from("item,store\n");
    for item in 0..ITEMS {
        for store in &put {
            pairs.push_str(&format!("p{item},{store}\n"));
        }
    }
    let path = server.home().join("pairs.csv");
    std::fs::write(&path, pairs).unwrap();
    let path = path.to_str().unwrap();
    let items = server.run(&[
        "load",
        path,
        "--type",
        "register_item",
        "--map",
        "item_id=item,name=item",
        "--id",
        "item",
        "--distinct",
        "--json",
    ]);
    assert_eq!(items.ok().json()["applied"], ITEMS);
    let opening = server.run(&[
        "load",
        path,
        "--type",
        "receive",
        "--map",
        "item_id=item,location_id=store",
        "--set",
        "quantity=1000",
        "--id",
        "item,store",
        "--batch",
        "opening",
        "--json",
    ]);
    assert_eq!(opening.ok().json()["applied"], ITEMS * STORES);
    server
}

const MAP: &str = "item_id=product_id,location_id=store_id,quantity=quantity,occurred_at=sold_at";

fn load<'a>(path: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let words = ["load", path, "--type", "sell", "--map", MAP, "--id", "basket_id,product_id", "--json"];
    words.into_iter().chain(more.iter().copied()).collect()
}

fn assert_stock(server: &Server, sales: &Sales) {
    let levels = server.run(&["stock", "--json", "--limit", "1000"]).ok().json();
    let found: std::collections::BTreeMap<_, i64> = levels
        .as_array()
        .unwrap()
        .iter()
        .map(|level| {
            let text = |name: &str| level[name].as_str().unwrap().to_owned();
            ((text("item_id"), text("location_id")), text("on_hand").parse().unwrap())
        })
        .collect();
    for (pair, expected) in &sales.expected {
        assert_eq!(found.get(pair), Some(expected), "{pair:?}");
    }
}

#[test]
fn a_file_is_loaded_once_its_refused_lines_are_reported_and_a_second_run_changes_nothing() {
    let server = stocked(&[]);
    let sales = sales(server.home(), 2_000);
    let path = sales.path.to_str().unwrap();
    let first = server.run(&load(path, &[])).refused(1, "").json();
    assert_eq!((&first["lines"], &first["refused"], &first["applied"]), (&2_000.into(), &40.into(), &1_960.into()));
    assert_eq!(first["unknown"], 0);
    assert_stock(&server, &sales);
    let refused = std::fs::read_to_string(server.home().join("sales.refused.csv")).unwrap();
    assert_eq!(refused.lines().count(), 41);
    let line = refused.lines().nth(1).unwrap();
    assert!(line.starts_with("15,invalid_value,") && line.contains("above 0"), "the line of the file: {line}");

    let second = server.run(&load(path, &[])).refused(1, "").json();
    assert_eq!((&second["already_applied"], &second["applied"]), (&1_960.into(), &0.into()));
    assert_stock(&server, &sales);
    server.run(&["audit"]).ok();
}

#[test]
fn a_server_killed_in_the_middle_loses_and_doubles_nothing() {
    let mut server = stocked(&[]);
    let sales = sales(server.home(), 6_000);
    let path = sales.path.to_str().unwrap();
    let data = server.data();
    let loading =
        stockline(&load(path, &["--data", data.to_str().unwrap(), "--request-lines", "50", "--retry-for", "1s"]))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
    // The kill must come after a part is applied.
    while server.on_hand("p0", "s0") == "1000" {}
    server.kill();
    let ended = loading.wait_with_output().unwrap();
    server.start_again();
    let again = server.run(&load(path, &[])).refused(1, "").json();
    assert_eq!(again["unknown"], 0, "{again}; the killed run ended with {:?}", ended.status);
    assert_stock(&server, &sales);
    server.run(&["audit"]).ok();
}

#[test]
fn a_load_goes_on_by_itself_when_the_server_comes_back() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mut server = stocked(&["--listen", &free]);
    let sales = sales(server.home(), 6_000);
    let data = server.data();
    let words = ["--data", data.to_str().unwrap(), "--request-lines", "50", "--retry-for", "2m"];
    let loading = stockline(&load(sales.path.to_str().unwrap(), &words))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while server.on_hand("p0", "s0") == "1000" {}
    server.kill();
    server.start_again();
    let summary = Ran::from(loading.wait_with_output().unwrap()).refused(1, "").json();
    assert_eq!((&summary["applied"], &summary["unknown"]), (&5_880.into(), &0.into()), "{summary}");
    assert_stock(&server, &sales);
}

#[test]
fn a_backup_taken_under_load_and_loaded_again_ends_at_the_same_stock() {
    let server = stocked(&[]);
    let sales = sales(server.home(), 6_000);
    let (path, data) = (sales.path.to_str().unwrap(), server.data());
    let loading = stockline(&load(path, &["--data", data.to_str().unwrap(), "--request-lines", "50"]))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    while server.on_hand("p0", "s0") == "1000" {}
    let file = server.home().join("backup.tar");
    server.run(&["backup", file.to_str().unwrap()]).ok();
    assert_eq!(loading.wait_with_output().unwrap().status.code(), Some(1));
    assert_stock(&server, &sales);

    let mut restored = Server::start(&["--max-age-days", "5000"]);
    restored.terminate();
    std::fs::remove_dir_all(restored.data()).unwrap();
    restored.run(&["restore", file.to_str().unwrap()]).ok();
    restored.start_again();
    let again = restored.run(&load(path, &[])).refused(1, "").json();
    assert_eq!(again["unknown"], 0, "{again}");
    assert_stock(&restored, &sales);
    restored.run(&["audit"]).ok();
}

#[test]
fn a_wrong_file_sends_nothing() {
    let server = stocked(&[]);
    let file = |name: &str, content: &str| {
        let path = server.home().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    const HEADINGS: &str = "sold_at,store_id,basket_id,product_id,quantity\n";
    const SALE: &str = "2017-01-01T08:00:00Z,s0,1,p0,1\n";
    let twice = file("twice.csv", &format!("{HEADINGS}{SALE}{SALE}"));
    server.run(&load(&twice, &[])).refused(1, "line 3 repeats line 2").refused(1, "#");
    let column = file("column.csv", "a,b\n1,2\n");
    server.run(&load(&column, &[])).refused(2, "has no column");
    let local = file("local.csv", &format!("{HEADINGS}2017-01-01T08:00:00,s0,1,p0,1\n"));
    server.run(&load(&local, &[])).refused(2, "--time-zone");
    let short = file("short.csv", &format!("{HEADINGS}{SALE}2017-01-01T08:00:00Z,s0\n"));
    server.run(&load(&short, &[])).refused(1, "line 3: 2 fields");
    server.run(&load("/nonexistent.csv", &[])).refused(1, "can't read /nonexistent.csv");
    assert_eq!(server.on_hand("p0", "s0"), "1000");
    server.run(&load(&local, &["--time-zone", "America/New_York"])).ok();
    assert_eq!(server.on_hand("p0", "s0"), "999");
}

#[test]
fn repeated_lines_are_events_of_their_own_with_the_occurrence_number() {
    let server = stocked(&[]);
    let path = server.home().join("twice.csv");
    std::fs::write(&path, "sold_at,store_id,basket_id,product_id,quantity\n,s0,1,p0,1\n,s0,1,p0,1\n").unwrap();
    let words =
        ["load", path.to_str().unwrap(), "--type", "sell", "--map", MAP, "--id", "basket_id,product_id,#", "--json"];
    assert_eq!(server.run(&words).ok().json()["applied"], 2);
    assert_eq!(server.run(&words).refused(4, "").json()["applied"], 0);
    assert_eq!(server.on_hand("p0", "s0"), "998");
}

/// A server with the item `tea`, and files in its folder.
struct Shop(Server);

impl Shop {
    fn open() -> Self {
        let server = Server::start(&[]);
        server.run(&["submit", "register_item", "--item", "tea", "--name", "Tea"]).ok();
        Self(server)
    }

    /// Loads a file with this content. `options` come after the file.
    fn load(&self, name: &str, content: &str, options: &str) -> Ran {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        let words: Vec<&str> = ["load", &path].into_iter().chain(options.split(' ')).collect();
        self.0.run(&words)
    }

    fn path(&self, name: &str) -> String {
        self.0.home().join(name).to_str().unwrap().to_owned()
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    fn tea(&self) -> String {
        self.0.on_hand("tea", "main")
    }
}

#[test]
fn a_mended_refused_file_keeps_the_ids_of_its_lines() {
    let shop = Shop::open();
    let sales = "--type sell --map item_id=code,quantity=qty --id receipt,code,#";
    let content = "receipt,line,code,qty\n1,1,tea,\"1,0\"\n1,2,tea,1\n1,3,tea,1\n";
    shop.load("sales.csv", content, sales).refused(1, "");
    assert_eq!(shop.tea(), "-2");
    let refused = shop.read("sales.refused.csv");
    assert!(refused.starts_with(
        "stockline_line,stockline_code,stockline_detail,stockline_command_id,stockline_resubmits,receipt,"
    ));
    // Its lines are counted anew in the mended file, and still they are the lines of the first.
    let mended = refused.replace("\"1,0\"", "3");
    shop.load("mended.csv", &mended, sales).ok();
    assert_eq!(shop.tea(), "-5");
    shop.load("mended.csv", &mended, sales).refused(4, "");
    assert_eq!(shop.tea(), "-5");
    assert_eq!(shop.read("sales.refused.csv"), refused, "nobody's work is overwritten");
}

#[test]
fn what_was_refused_earlier_is_told_so_and_can_be_mended_in_two_ways_but_not_twice() {
    let shop = Shop::open();
    let sales = "--type sell --map item_id=sku,quantity=qty --id receipt";
    let content = "receipt,sku,qty\n1,jam,2\n2,ham,3\n";
    shop.load("sales.csv", content, sales).refused(1, "");
    for item in ["jam", "ham"] {
        shop.0.run(&["submit", "register_item", "--item", item, "--name", item]).ok();
    }
    let again = shop.load("sales.csv", content, sales);
    again.refused(1, "refused earlier").refused(1, "refused --resubmit");
    // One line by the refused file, both by a resubmission.
    let refused = shop.read("sales.refused.csv");
    let one: Vec<&str> = refused.lines().take(2).collect();
    shop.load("one.csv", &format!("{}\n", one.join("\n")), sales).ok();
    assert_eq!(shop.0.on_hand("jam", "main"), "-2");
    let open = shop.0.run(&["refused"]).ok().stdout;
    assert!(open.contains("ham") && !open.contains("jam"), "what was mended is no longer open: {open}");
    let all = shop.0.run(&["refused", "--all"]).ok().stdout;
    assert!(all.contains("resubmitted as jam"), "{all}");
    let _ = shop.0.run(&["refused", "--resubmit"]);
    assert_eq!((shop.0.on_hand("jam", "main"), shop.0.on_hand("ham", "main")), ("-2".into(), "-3".into()));
    let last = shop.load("sales.csv", content, &format!("{sales} --json")).json();
    assert_eq!((&last["already_applied"], &last["refused"]), (&2.into(), &0.into()), "{last}");
    assert_eq!(shop.0.on_hand("ham", "main"), "-3");
    shop.0.run(&["audit"]).ok();
}

#[test]
fn the_same_lines_under_another_batch_are_other_events() {
    let shop = Shop::open();
    let sales = "--type sell --map item_id=sku,quantity=qty --id receipt,sku";
    let content = "receipt,sku,qty\n1,tea,1\n2,tea,2\n";
    shop.load("mon.csv", content, &format!("{sales} --batch mon")).ok();
    let again = shop.load("tue.csv", content, &format!("{sales} --batch mon"));
    let again = again.refused(4, "--batch").refused(4, ", by ").refused(4, "mon.csv");
    assert!(!again.stdout.contains("tue.csv"), "{again:?}");
    shop.load("tue.csv", content, &format!("{sales} --batch tue")).ok();
    assert_eq!(shop.tea(), "-6");
}

#[test]
fn numbers_dates_and_places_are_said_or_refused() {
    let shop = Shop::open();
    let counts = "--type count --map item_id=sku,counted=n,location_id=where,occurred_at=on --id sku,on";
    let headings = "sku;n;where;on\n";
    let thousand = format!("{headings}tea;1.250;main;\n");
    shop.load("n.csv", &thousand, counts).refused(2, "--decimal");
    shop.load("n.csv", &thousand, &format!("{counts} --decimal ,")).ok();
    assert_eq!(shop.tea(), "1250");
    let day = format!("{headings}tea;7;main;2026-01-05\n");
    shop.load("d.csv", &day, &format!("{counts} --time-zone UTC")).refused(2, "--date-means");
    let nowhere = format!("{headings}tea;7;;\n");
    shop.load("w.csv", &nowhere, counts).refused(1, "location_id");
    assert_eq!(shop.tea(), "1250");
}

/// Runs the program at a terminal, where this is typed.
fn at_a_terminal(typed: &str, words: &[&str]) -> Ran {
    const TERMINAL: &str = "
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[2], sys.argv[2:])
os.write(terminal, sys.argv[1].encode())
while True:
    try:
        shown = os.read(terminal, 4096)
    except OSError:
        break
    if not shown:
        break
    os.write(1, shown)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))";
    let mut python = std::process::Command::new("python3");
    let program = stockline(&[]).get_program().to_owned();
    Ran::from(python.args(["-c", TERMINAL, typed]).arg(program).args(words).output().unwrap())
}

#[test]
fn a_resubmission_takes_every_page_the_oldest_first_and_asks_at_a_terminal() {
    let shop = Shop::open();
    let lines: String = (0..130).map(|n| format!("{n},jam,1\n")).collect();
    let sales = "--type sell --map item_id=sku,quantity=qty --id r";
    shop.load("s.csv", &format!("r,sku,qty\n{lines}"), sales).refused(1, "");
    shop.0.run(&["submit", "register_item", "--item", "jam", "--name", "Jam"]).ok();
    let data = shop.0.data();
    let resubmit = ["refused", "--resubmit", "--data", data.to_str().unwrap()];
    at_a_terminal("n\n", &resubmit).refused(2, "Resubmit all 130 commands, the oldest first?");
    assert_eq!(shop.0.run(&["refused", "--json", "--limit", "1000"]).ok().json().as_array().unwrap().len(), 130);
    at_a_terminal("y\n", &resubmit).refused(0, "130 of 130 resubmitted");
    assert_eq!(shop.0.on_hand("jam", "main"), "-130");
    assert_eq!(shop.0.run(&["refused", "--json"]).ok().json(), serde_json::json!([]));
}

#[test]
fn a_line_that_was_mended_to_another_item_takes_effect_once() {
    let shop = Shop::open();
    let sales = "--type sell --map item_id=sku,quantity=qty --id receipt";
    shop.load("s.csv", "receipt,sku,qty\n1,tee,2\n", sales).refused(1, "");
    let mended = shop.read("s.refused.csv").replace(",1,tee,2", ",1,tea,3");
    shop.load("mended.csv", &mended, sales).ok();
    assert_eq!(shop.tea(), "-3");
    // It is no longer open, and a resubmission of the old command by its id is the other one's.
    assert_eq!(shop.0.run(&["refused", "--json"]).ok().json(), serde_json::json!([]));
    let again = shop.0.run(&["refused", "--all", "--resubmit", "--to-item", "tea"]);
    assert_eq!((again.code, shop.tea().as_str()), (1, "-3"), "{again:?}");
    shop.load("mended.csv", &mended, sales).refused(4, "");
    shop.0.run(&["audit"]).ok();
}

#[test]
fn a_refusal_is_dismissed_with_a_reason_and_kept() {
    let shop = Shop::open();
    let sales = "--type sell --map item_id=sku,quantity=qty --id receipt";
    shop.load("s.csv", "receipt,sku,qty\n1,jam,2\n2,ham,3\n", sales).refused(1, "");
    let ids: Vec<String> = shop
        .0
        .run(&["refused", "--json"])
        .ok()
        .json()
        .as_array()
        .unwrap()
        .iter()
        .map(|command| command["command_id"].as_str().unwrap().to_owned())
        .collect();
    shop.0.run(&["refused", "--id", &ids[0], "--dismiss", " "]).refused(1, "1 to 500 characters");
    shop.0.run(&["refused", "--id", &ids[0], "--dismiss", "a typing error"]).refused(0, "1 of 1 dismissed");
    let open = shop.0.run(&["refused", "--json"]).ok().json();
    assert_eq!((open.as_array().unwrap().len(), &open[0]["command_id"]), (1, &ids[1].as_str().into()));
    shop.0.run(&["refused", "--all"]).ok().refused(0, " by cli: a typing error");
    shop.0.run(&["refused", "--dismiss", "all of it"]).refused(0, "1 of 1 dismissed");
    shop.0.run(&["refused"]).refused(0, "no refused commands");
    shop.0.run(&["refused", "--dismiss", "nothing"]).refused(2, "nothing to dismiss");
    shop.0.run(&["audit"]).ok();
}

#[test]
fn a_nightly_list_of_what_to_set_ends_at_what_it_says() {
    let shop = Shop::open();
    let set = "--type set_threshold --map item_id=sku,low_stock_threshold=min --id sku,min";
    let minimum = || shop.0.run(&["items", "--json"]).ok().json()[0]["low_stock_threshold"].clone();
    for (night, (min, code)) in
        [("5", 0), ("8", 0), ("5", 0), ("5.0", 0), ("8", 0), ("8", 4), ("none", 0), ("8", 0)].iter().enumerate()
    {
        let ran = shop.load("t.csv", &format!("sku,min\ntea,{min}\n"), set);
        assert_eq!(ran.code, *code, "night {night}: {ran:?}");
        let expected = if *min == "none" { serde_json::Value::Null } else { min.trim_end_matches(".0").into() };
        assert_eq!(minimum(), expected, "night {night}: {ran:?}");
    }
    shop.load("t.csv", "sku,min\ntea,8\n", set).refused(4, "the items are as it says");
    // The last line of an item holds, also where it took effect earlier and the one before it is set again.
    let twice = "sku,min\ntea,5\ntea,8\n";
    let ran = shop.load("t.csv", twice, set).ok();
    assert!(ran.stdout.contains("2 of them set again"), "{ran:?}");
    assert_eq!(minimum(), "8");
    let names = "--type update_item --map item_id=sku,name=name --id sku,name";
    for name in ["A", "B", "A"] {
        shop.load("n.csv", &format!("sku,name\ntea,{name}\n"), names).ok();
        assert_eq!(shop.0.run(&["items", "--json"]).ok().json()[0]["name"], name);
    }
    let orders = "--type set_planning --map item_id=sku,location_id=place,lead_time_days=days --id sku,place,days";
    for (days, expected) in [
        ("3", serde_json::json!(3)),
        ("5", serde_json::json!(5)),
        ("3", serde_json::json!(3)),
        ("none", serde_json::json!(null)),
        ("3", serde_json::json!(3)),
    ] {
        shop.load("o.csv", &format!("sku,place,days\ntea,main,{days}\n"), orders).ok();
        let item = &shop.0.run(&["items", "--json"]).ok().json()[0];
        assert_eq!(item["overrides"][0]["lead_time_days"], expected, "{item}");
    }
    shop.load("t.csv", "sku,min\ntea,\n", set).refused(1, "the word none clears the threshold");
    shop.0.run(&["audit"]).ok();
}

#[test]
fn lines_that_say_only_what_moved_need_a_name_and_a_count_that_was_known_is_told() {
    let shop = Shop::open();
    let delivery = "sku,pieces\ntea,10\n";
    let receive = "--type receive --map item_id=sku,quantity=pieces";
    for id in ["sku", "sku,pieces", "sku,#"] {
        let refused = shop.load("monday.csv", delivery, &format!("{receive} --id {id}"));
        refused.refused(2, "the same line in a later file would count as already applied").refused(2, "--batch");
    }
    shop.load("monday.csv", delivery, &format!("{receive} --id sku --batch monday")).ok();
    shop.load("monday.csv", delivery, &format!("{receive} --id sku --batch tuesday")).ok();
    let noted = "sku,pieces,note\ntea,1,4711\n";
    shop.load("note.csv", noted, &format!("{receive} --id note")).ok();
    assert_eq!(shop.tea(), "21");

    let count = "--type count --map item_id=sku,counted=pieces --id sku,pieces";
    shop.load("shelf.csv", "sku,pieces\ntea,50\n", count).ok();
    shop.0.run(&["submit", "sell", "--item", "tea", "--quantity", "20"]).ok();
    shop.0.run(&["submit", "register_item", "--item", "jam", "--name", "Jam"]).ok();
    let partly = shop.load("shelf.csv", "sku,pieces\ntea,50\njam,7\n", count);
    partly.refused(4, "1 line changed nothing").refused(4, "--batch");
    assert_eq!((shop.tea().as_str(), shop.0.on_hand("jam", "main").as_str()), ("30", "7"));
    shop.load("shelf.csv", "sku,pieces\ntea,50\njam,7\n", &format!("{count} --batch december")).ok();
    assert_eq!(shop.tea(), "50");
    shop.0.run(&["audit"]).ok();
}

#[test]
fn a_tills_file_says_returns_by_the_sign_or_by_a_word() {
    let shop = Shop::open();
    let content = "receipt,line,sku,qty,kind\n1,1,tea,2,S\n1,2,tea,-1,R\n2,1,tea,1,V\n3,1,tea,4,R\n";
    let till = "--type sell --map item_id=sku,quantity=qty --id receipt,line";
    shop.load("plain.csv", content, &format!("{till} --batch plain")).refused(1, "--negative return");
    shop.load("words.csv", content, &format!("{till} --map type=kind"))
        .refused(2, "line 2, column kind")
        .refused(2, "--word");
    let words = format!("{till} --map type=kind --word S=sell --word R=return --word V=skip --negative return");
    let before: i64 = shop.tea().parse().unwrap();
    let loaded = shop.load("words.csv", content, &format!("{words} --json")).ok().json();
    assert_eq!(
        (&loaded["applied"], &loaded["skipped"], &loaded["unknown"]),
        (&3.into(), &1.into(), &0.into()),
        "{loaded}"
    );
    assert_eq!(shop.tea().parse::<i64>().unwrap(), before - 2 + 1 + 4);
    shop.load("words.csv", content, &words).refused(4, "");
    // The refused lines of the first file, as they are.
    let refused = shop.read("plain.refused.csv");
    shop.load("back.csv", &refused, "--type return --map item_id=sku,quantity=qty --id receipt --negative return").ok();
    assert_eq!(shop.tea().parse::<i64>().unwrap(), before + 3 + 1);
    shop.0.run(&["audit"]).ok();
}
