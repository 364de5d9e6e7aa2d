use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::Connection;
use stockline_core::domain::{CommandId, Fingerprint, ItemId, Receipt, ReceiptKeys};

use super::*;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + millis)
}

/// Creates a folder as a first start does.
fn started(path: &Path) -> Folder {
    std::fs::create_dir_all(path).unwrap();
    let folder = Folder::at(path);
    assert!(enter(&folder, at(0)).unwrap().is_new);
    folder
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

/// Returns the content of every file, without what SQLite and locks leave beside them.
fn contents(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            found.extend(contents(&path).into_iter().map(|(below, bytes)| (format!("{name}/{below}"), bytes)));
        } else if !name.ends_with("-shm") && !name.ends_with("-wal") && name != ".lock" {
            found.insert(name, std::fs::read(&path).unwrap());
        }
    }
    found
}

/// Removes what an earlier version did not write: the manifest, the identities, and lists without content.
fn as_an_earlier_version(folder: &Folder) {
    std::fs::remove_file(folder.manifest()).unwrap();
    std::fs::remove_file(folder.revoked()).unwrap();
    std::fs::remove_file(folder.keys().join("tokens.jsonl")).unwrap();
    for path in [folder.queue_db(), folder.stock_db()] {
        Connection::open(path).unwrap().execute_batch("DROP TABLE folder_identity").unwrap();
    }
}

type Damage = (&'static str, Box<dyn Fn(&Folder)>);

/// Everything that can be wrong with one part, each with a word of the refusal.
fn damages(other: &Folder) -> Vec<Damage> {
    let mut damages: Vec<Damage> = Vec::new();
    for name in ["queue.db", "stock.db"] {
        let foreign = other.path().join(name);
        let path = move |folder: &Folder| folder.path().join(name);
        damages.push((name, Box::new(move |folder| std::fs::remove_file(path(folder)).unwrap())));
        damages.push((name, Box::new(move |folder| std::fs::write(path(folder), "").unwrap())));
        damages.push((name, Box::new(move |folder| std::fs::write(path(folder), [9; 4_096]).unwrap())));
        damages.push((name, Box::new(move |folder| assert!(std::fs::copy(&foreign, path(folder)).unwrap() > 0))));
        damages.push((
            name,
            Box::new(move |folder| {
                Connection::open(path(folder)).unwrap().execute_batch("DROP TABLE folder_identity").unwrap();
            }),
        ));
    }
    let foreign = other.keys();
    damages.push(("keys", Box::new(|folder| std::fs::remove_dir_all(folder.keys()).unwrap())));
    damages.push((
        "keys",
        Box::new(move |folder| {
            std::fs::remove_dir_all(folder.keys()).unwrap();
            copy(&foreign, &folder.keys());
        }),
    ));
    for name in ["issuer", "jwks.json", "receipt.keys", "revoked", "tokens.jsonl", "signing-1700000000000.pem"] {
        let path = move |folder: &Folder| folder.keys().join(name);
        damages.push(("keys", Box::new(move |folder| std::fs::remove_file(path(folder)).unwrap())));
        if name != "tokens.jsonl" {
            damages.push(("keys", Box::new(move |folder| std::fs::write(path(folder), "").unwrap())));
        }
    }
    damages
}

#[test]
fn a_missing_empty_damaged_or_foreign_part_is_refused_and_nothing_changes() {
    let temp = tempfile::tempdir().unwrap();
    let (whole, other) = (started(&temp.path().join("whole")), started(&temp.path().join("other")));
    for (number, (part, damage)) in damages(&other).into_iter().enumerate() {
        let folder = Folder::at(temp.path().join(format!("{number}")));
        copy(whole.path(), folder.path());
        enter(&folder, at(1)).unwrap();
        damage(&folder);
        let before = contents(folder.path());
        for refused in [enter(&folder, at(2)).map(drop), check(&folder)] {
            let text = format!("{:#}", refused.unwrap_err());
            let path = folder.path().display().to_string();
            assert!(text.contains(part) && text.contains(&path) && text.contains("estore"), "{number}: {text}");
        }
        assert_eq!(contents(folder.path()), before, "{number}: {part}");
    }
}

#[test]
fn wherever_the_first_start_dies_the_next_one_finishes_it() {
    let mut steps = 0;
    loop {
        let temp = tempfile::tempdir().unwrap();
        let folder = Folder::at(temp.path());
        let mut left = steps;
        let died = enter_by_steps(&folder, at(0), &mut |step| {
            left -= 1;
            if left < 0 { bail!("died after {step}") } else { Ok(()) }
        });
        let id = Manifest::read(&folder).unwrap().unwrap().id;
        let entered = enter(&folder, at(1)).unwrap();
        assert_eq!(entered.manifest.id, id, "after {steps} steps");
        assert!(entered.manifest.is_complete());
        check(&folder).unwrap();
        if died.is_ok() {
            break;
        }
        steps += 1;
    }
    assert_eq!(steps, 5, "manifest, queue.db, stock.db, keys, complete");
}

#[test]
fn a_folder_of_an_earlier_version_is_adopted_if_all_parts_are_there_wherever_that_dies() {
    let temp = tempfile::tempdir().unwrap();
    let original = started(&temp.path().join("original"));
    let id = Manifest::read(&original).unwrap().unwrap().id;
    as_an_earlier_version(&original);
    for steps in 0..4 {
        let folder = Folder::at(temp.path().join(format!("{steps}")));
        copy(original.path(), folder.path());
        let mut left = steps;
        let died = enter_by_steps(&folder, at(1), &mut |step| {
            left -= 1;
            if left < 0 { bail!("died after {step}") } else { Ok(()) }
        });
        died.unwrap_err();
        let entered = enter(&folder, at(2)).unwrap();
        assert_eq!((entered.manifest.id, entered.is_new), (id, false));
        check(&folder).unwrap();
    }
    for part in ["queue.db", "stock.db", "keys/issuer", "keys/receipt.keys"] {
        let folder = Folder::at(temp.path().join(part.replace('/', "-")));
        copy(original.path(), folder.path());
        std::fs::remove_file(folder.path().join(part)).unwrap();
        let before = contents(folder.path());
        let text = format!("{:#}", enter(&folder, at(1)).unwrap_err());
        assert!(text.contains(part.split('/').next().unwrap()) && text.contains("not whole"), "{text}");
        assert_eq!(contents(folder.path()), before);
    }
}

#[test]
fn a_deleted_manifest_is_made_again_but_a_deleted_list_of_revoked_tokens_is_not() {
    let temp = tempfile::tempdir().unwrap();
    let folder = started(temp.path());
    let id = Manifest::read(&folder).unwrap().unwrap().id;
    std::fs::remove_file(folder.manifest()).unwrap();
    assert_eq!(enter(&folder, at(1)).unwrap().manifest.id, id);
    std::fs::remove_file(folder.manifest()).unwrap();
    std::fs::remove_file(folder.revoked()).unwrap();
    assert!(enter(&folder, at(2)).unwrap_err().to_string().contains("revoked is missing"));
}

#[test]
fn a_log_without_its_database_is_not_an_empty_folder() {
    let temp = tempfile::tempdir().unwrap();
    let folder = Folder::at(temp.path());
    std::fs::write(temp.path().join("stock.db-wal"), "left").unwrap();
    assert!(enter(&folder, at(0)).unwrap_err().to_string().contains("not whole"));
    assert!(!folder.manifest().exists());
}

/// Signs a receipt as the server in this folder does, and says why the command may be unknown in another one.
fn why_not_kept(signed_in: &ReceiptKeys, accepted_at: Timestamp, read_in: &Folder) -> Option<String> {
    let (item, id): (ItemId, CommandId) =
        ("cola".parse().unwrap(), "01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b".parse().unwrap());
    let token = signed_in.sign(
        &item,
        id,
        Receipt { accepted_at, fingerprint: Fingerprint::from_bytes([1; 16]), without_cost: None },
    );
    let (_, why) = receipt_keys(read_in).verify_kept(&item, id, &token).map(|(r, why)| (r, why.cloned())).unwrap();
    why.map(|why| why.why.to_string())
}

fn receipt_keys(folder: &Folder) -> ReceiptKeys {
    let manifest = Manifest::read(folder).unwrap().unwrap();
    Keys::open(folder).unwrap().receipt_keys(&manifest.breaks).unwrap()
}

#[test]
fn a_copy_that_starts_elsewhere_is_noticed_and_knows_what_the_other_copy_accepts() {
    const HOUR: i64 = 3_600_000;
    let temp = tempfile::tempdir().unwrap();
    let first = started(&temp.path().join("first"));
    let settled = |folder: &Folder, now| settle(folder, &mut enter(folder, now).unwrap().manifest, now).unwrap();
    assert_eq!(settled(&first, at(1)), None, "the first start is nowhere else");
    let keys = receipt_keys(&first);
    let renamed = Folder::at(temp.path().join("renamed"));
    std::fs::rename(first.path(), renamed.path()).unwrap();
    assert_eq!(settled(&renamed, at(2)), None, "a renamed folder is no copy");
    let second = Folder::at(temp.path().join("second"));
    copy(renamed.path(), second.path());
    assert_eq!(settled(&second, at(HOUR)).unwrap().since, at(1));
    assert_eq!(settled(&second, at(HOUR + 1)), None, "once");
    assert_eq!(settled(&renamed, at(HOUR + 1)), None);
    assert_eq!(why_not_kept(&keys, at(5), &second), None, "accepted before the copy was made");
    let why = why_not_kept(&keys, at(2 * HOUR), &second).unwrap();
    assert!(why.contains("another copy may have gone on"), "{why}");
    assert_eq!(why_not_kept(&receipt_keys(&second), at(2 * HOUR), &second), None, "accepted by the copy itself");
}

#[test]
fn a_lost_part_is_replaced_on_demand_only_and_receipts_of_a_lost_queue_prove_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let folder = started(temp.path());
    let keys = receipt_keys(&folder);
    for part in Part::ALL {
        let text = replace(&folder, part, at(1)).unwrap_err().to_string();
        assert!(text.contains("nothing is to be replaced"), "{text}");
    }
    std::fs::remove_file(folder.queue_db()).unwrap();
    std::fs::write(folder.stock_db(), "").unwrap();
    assert!(replace(&folder, Part::Queue, at(2)).unwrap_err().to_string().contains("stock.db is lost too"));
    replace(&folder, Part::Stock, at(2)).unwrap_err();
    Database::Stock.put_identity(&folder.stock_db(), keys::identity(&folder).unwrap()).unwrap();

    replace(&folder, Part::Queue, at(3)).unwrap();
    let manifest = enter(&folder, at(4)).unwrap().manifest;
    assert_eq!((manifest.parts[&Part::Queue], manifest.parts[&Part::Stock]), (at(3), at(0)));
    assert!(why_not_kept(&keys, at(1), &folder).unwrap().contains("queue.db was lost"));

    std::fs::write(folder.stock_db(), [7; 9_000]).unwrap();
    replace(&folder, Part::Stock, at(5)).unwrap();
    assert!(folder.path().join(format!("stock.db.replaced-{}", at(5).as_millis())).exists(), "nothing is deleted");
    std::fs::remove_dir_all(folder.keys()).unwrap();
    replace(&folder, Part::Keys, at(6)).unwrap();
    assert_eq!(enter(&folder, at(7)).unwrap().manifest.id, manifest.id);
}
